"""The published checkpoint's format: its names, its answers, and what is ignored or refused."""

import json
import logging
import pickle
from pathlib import Path

import pytest
import torch
from benchmarks import released
from safetensors.torch import save_file

from napari_biomedparse.model import checkpoint
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import CheckpointError, load_model
from napari_biomedparse.model.published import MARK, is_unused, published_name
from napari_biomedparse.model.tokenizer import tokenize
from tests.published import TINY, published_state


@pytest.fixture
def state():
    return published_state()


@pytest.fixture
def tiny_preset(monkeypatch):
    """Let files in the published format hold the tiny network."""
    monkeypatch.setattr(checkpoint, "preset", lambda name: TINY)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_answers_equal_a_plain_independent_implementation(state, tiny_preset, tmp_path, rng, ending):
    path = tmp_path / f"biomedparse_v1.{ending}"
    if ending == "pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    model = load_model(path)
    plain = released.Released(state, depths=(1, 2, 1, 1), heads=4, text_heads=4, groups=8)
    rgb = torch.from_numpy(rng.uniform(0, 255, (3, 64, 96))).float()
    prompts = ["nuclei", "left kidney in abdominal CT"]
    with torch.inference_mode():
        answer = model.decode(model.encode_image(rgb[None]), model.encode_text(prompts))
        levels, mask_features = released.decode_pixels(plain, released.encode_image(plain, rgb))
        for number, prompt in enumerate(prompts):
            tokens, embedding = released.encode_text(plain, tokenize([prompt])[0].tolist())
            texts, logits = released.decode_masks(plain, levels, mask_features, tokens)
            similarity = released.similarity(plain, texts, embedding)
            torch.testing.assert_close(answer.similarity[0, number], similarity, rtol=1e-3, atol=1e-3)
            assert answer.query[0, number] == similarity.argmax()
            torch.testing.assert_close(answer.logits[0, number], logits[similarity.argmax()], rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mapped files")
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_float32_weights_are_mapped_not_copied(state, tiny_preset, tmp_path, ending):
    path = tmp_path / f"w.{ending}"
    if ending == "pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    model = load_model(path)
    assert str(path) in Path("/proc/self/maps").read_text()
    assert model.text_encoder.token_embedding.weight.dtype == torch.float32


def test_unused_tensors_are_named_and_unknown_ones_warned_of(state, tiny_preset, tmp_path, caplog):
    state["mystery.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pt")
    with caplog.at_level(logging.INFO, logger="napari_biomedparse"):
        load_model(tmp_path / "w.pt")
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert any("mystery.weight" in message for message in warned)
    assert any("pn_indicator" in message for message in told)


def test_missing_and_misshapen_tensors_are_listed(state, tiny_preset, tmp_path):
    del state["backbone.norm0.weight"]
    state["backbone.norm1.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"norms\.0\.weight is missing.*norms\.1\.weight has shape \(3,\)"):
        load_model(tmp_path / "w.pt")


class Trap:
    def __reduce__(self):
        return print, ("a pickle was run",)


def test_pickles_broken_and_foreign_files_are_refused(state, tmp_path, capsys):
    path = tmp_path / "w.pt"
    torch.save({MARK: Trap()}, path)
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_model(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_model(path)
    assert "a pickle was run" not in capsys.readouterr().out
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not the published BiomedParse checkpoint"):
        load_model(path)
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_model(path)


def test_every_published_tensor_has_its_place(shared):
    published = json.loads((shared / "parity/state_dict.json").read_text())
    with torch.device("meta"):
        model = BiomedParse(checkpoint.preset("biomedparse-v1"))
    ours = {published_name(name): list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert {name: entry["shape"] for name, entry in published.items() if not is_unused(name)} == ours
