"""Weights on disk: what is written is read, what does not fit is refused with a clear sentence."""

import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_biomedparse.model.checkpoint import CONFIG_KEY, CheckpointError, load_model, save_model


def test_round_trip_gives_the_same_answers(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "m.safetensors", torch.float32)
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.config == tiny_model.config
    image = torch.rand(1, 3, 64, 64) * 255
    ours = tiny_model.decode(tiny_model.encode_image(image), tiny_model.encode_text(["cell"]))
    theirs = loaded.decode(loaded.encode_image(image), loaded.encode_text(["cell"]))
    torch.testing.assert_close(ours.logits, theirs.logits)


def test_others_may_read_what_was_written_as_any_other_file(tiny_model, tmp_path):
    (tmp_path / "any").touch()
    save_model(tiny_model, tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_what_cannot_be_written_is_said_and_leaves_nothing(tiny_model, tmp_path):
    (tmp_path / "m.safetensors").mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_model(tiny_model, tmp_path / "m.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def rewrite(path, change):
    tensors = load_file(path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    change(tensors, metadata)
    save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t, m: t.pop("mask_decoder.queries"), "mask_decoder.queries is missing"),
        (lambda t, m: t.update(extra=torch.zeros(1)), "extra is not part of the model"),
        (lambda t, m: t.update({"mask_decoder.queries": torch.zeros(2, 2)}), "has shape"),
        (lambda t, m: m.pop(CONFIG_KEY), "no model configuration"),
        (lambda t, m: m.update({CONFIG_KEY: "{}"}), "not a model configuration"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tiny_model, tmp_path, change, sentence):
    path = tmp_path / "m.safetensors"
    save_model(tiny_model, path)
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=sentence):
        load_model(path)


def test_broken_and_foreign_files_are_refused(tiny_model, tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(tiny_model, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_model(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_model(path)


def test_embedded_weights_are_small_and_half_precision():
    from importlib.resources import files

    path = files("napari_biomedparse").joinpath("resources/models/mini.safetensors")
    assert len(path.read_bytes()) <= 20_000_000
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
