"""``napari-biomedparse models``, end to end, with a small checkpoint in the published format and a local hub."""

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError, safe_open
from typer.testing import CliRunner

from napari_biomedparse import Predictor
from napari_biomedparse.cli import app
from napari_biomedparse.model import checkpoint
from napari_biomedparse.model.checkpoint import load_model
from napari_biomedparse.weights import licence, locate
from tests.published import TINY, published_state
from tests.weights.hub import Hub, isolate

NAME = "biomedparse-v1"


def run(*arguments: object):
    return CliRunner().invoke(app, ["models", *(str(argument) for argument in arguments)])


def as_file(state) -> bytes:
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


@pytest.fixture(scope="module")
def content():
    """The bytes of a whole checkpoint."""
    return as_file(published_state())


@pytest.fixture(autouse=True)
def hub(monkeypatch, tmp_path, content):
    monkeypatch.setattr(checkpoint, "preset", lambda name: TINY)
    hub = Hub(content)
    isolate(monkeypatch, tmp_path, hub.address)
    yield hub
    hub.stop()


@pytest.fixture
def file(tmp_path, content):
    """The published file, as a user brings it."""
    path = tmp_path / "brought" / "biomedparse_v1.pt"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def assert_refused(done, *sentences: str) -> None:
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.output
    for sentence in sentences:
        assert sentence in done.stderr


def listed() -> dict[str, dict]:
    done = run("list", "--json")
    assert done.exit_code == 0, done.output
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_list_says_what_is_here(hub, file, content):
    before = listed()
    assert before["mini"]["where"] == "package"
    assert before["mini"]["size"] == Path(before["mini"]["path"]).stat().st_size
    assert before["mini"]["licence"] == "CC BY-SA 4.0"
    assert before[NAME] == {"name": NAME, "where": None, "path": None, "size": None, "licence": "CC BY-NC-SA 4.0"}
    assert not hub.requests
    assert run("download", NAME, "--accept-licence").exit_code == 0
    assert listed()[NAME]["where"] == "Hugging Face cache"
    assert run("import", file).exit_code == 0
    assert listed()[NAME]["where"] == "models folder"
    assert listed()[NAME]["size"] == len(content)
    text = run("list").stdout
    assert "models folder" in text
    assert "CC BY-NC-SA 4.0" in text


def test_list_says_what_is_not_here():
    assert "not here" in run("list").stdout


def test_list_does_without_torch():
    code = (
        "import sys; from typer.testing import CliRunner; from napari_biomedparse.cli import app; "
        "done = CliRunner().invoke(app, ['models', 'list']); print(done.exit_code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 False\n"


def test_download_tells_where_how_large_which_checksum_and_licence(hub, content, tmp_path):
    done = run("download", NAME, "--accept-licence")
    assert done.exit_code == 0, done.output
    assert f"{hashlib.sha256(content).hexdigest()} (as published)" in done.stdout
    assert str(tmp_path / "cache") in done.stdout
    assert f"Size: {len(content) / 1e6:.1f} MB" in done.stdout
    assert "Licence: CC BY-NC-SA 4.0" in done.stdout
    assert "not for clinical use" in done.stdout
    hub.stop()
    again = run("download", NAME)
    assert again.exit_code == 0, again.output
    assert "clinical" not in again.stdout
    assert Predictor.from_pretrained(NAME, "cpu").model.config == TINY


def test_download_needs_a_licence_and_a_known_name(hub):
    assert_refused(run("download", NAME), "CC BY-NC-SA 4.0", "--accept-licence")
    assert not hub.requests
    assert_refused(run("download", "huge", "--accept-licence"), "no model called 'huge'")
    assert run("download", "mini").exit_code == 0


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2)])
def test_on_a_terminal_the_licence_is_asked(hub, answer, code):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, "-m", "napari_biomedparse", "models", "download", NAME]
    environment = os.environ | {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": os.environ["HF_HUB_CACHE"]}
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, env=environment, check=False)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == code, done.stderr
    assert "not for clinical use" in done.stdout
    assert "Do you accept this licence?" in done.stdout
    assert licence.accepted(NAME) is (answer == "y")
    assert bool(hub.requests) is (answer == "y")


def test_download_names_a_file_that_changed(content):
    assert run("download", NAME, "--accept-licence").exit_code == 0
    locate(NAME).write_bytes(content[:-1])
    assert_refused(run("download", NAME), "damaged", "delete it")


def test_download_names_what_the_hub_refuses(hub):
    hub.status = 403
    assert_refused(run("download", NAME, "--accept-licence"), "accept the terms on that page", "HF_TOKEN")


def test_import_makes_a_file_the_presets_own(hub, file, tmp_path, content):
    assert_refused(run("import", file), "CC BY-NC-SA 4.0")
    done = run("import", file, "--accept-licence")
    assert done.exit_code == 0, done.output
    assert locate(NAME) == tmp_path / f"models/{NAME}.pt"
    assert locate(NAME).read_bytes() == content
    assert file.exists()
    assert not hub.requests
    assert_refused(run("import", file), "is there already", "--overwrite")
    assert run("import", file, "--overwrite").exit_code == 0
    assert_refused(run("import", locate(NAME), "--overwrite"), "in the models folder already")


def test_import_replaces_what_was_converted(file, tmp_path):
    licence.accept(NAME)
    assert run("convert", file).exit_code == 0
    assert_refused(run("import", file), "safetensors", "--overwrite")
    assert run("import", file, "--overwrite").exit_code == 0
    assert [path.name for path in (tmp_path / "models").iterdir()] == [f"{NAME}.pt"]


def test_import_refuses_other_files_and_names(file, tmp_path):
    licence.accept(NAME)
    (tmp_path / "text.pt").write_text("hello")
    assert_refused(run("import", tmp_path / "text.pt"), "not a readable checkpoint")
    assert_refused(run("import", tmp_path / "missing.pt"), "no model weights at")
    assert_refused(run("import", locate("mini")), "holds the weights of 'mini'")
    assert_refused(run("import", file, "--name", "mini"), "not as 'mini'")
    assert_refused(run("import", file, "--name", "huge"), "not as 'huge'")
    assert not (tmp_path / "models").exists()


def test_import_leaves_nothing_on_a_full_disk(file, tmp_path, monkeypatch):
    def fill(source, target):
        Path(target).write_bytes(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    licence.accept(NAME)
    monkeypatch.setattr(shutil, "copyfile", fill)
    assert_refused(run("import", file), "No space left on device", "make room")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    assert_refused(run("import", file), "10 bytes left", "are needed")
    assert not list((tmp_path / "models").iterdir())


def test_verify_counts_what_a_file_holds(file, content):
    done = run("verify", file)
    assert done.exit_code == 0, done.output
    state = published_state()
    used = {name: tensor for name, tensor in state.items() if "pn_indicator" not in name}
    assert f"SHA-256: {hashlib.sha256(content).hexdigest()}" in done.stdout
    assert f"Tensors: {len(used)}\n" in done.stdout
    assert f"Parameters: {sum(tensor.numel() for tensor in used.values()):,}\n" in done.stdout
    assert "Not used by text prompts: sem_seg_head.predictor.pn_indicator.weight" in done.stdout
    assert done.stdout.endswith("OK\n")
    assert run("verify", "mini").exit_code == 0


def test_verify_lists_every_problem(file):
    state = published_state()
    left_out = [name for name in state if name.startswith("backbone.layers.0")]
    for name in left_out:
        del state[name]
    state["backbone.norm1.weight"] = torch.zeros(3)
    file.write_bytes(as_file(state))
    done = run("verify", file)
    assert_refused(done, "does not fit the model", "more.")
    assert len(left_out) > 10
    assert done.stdout.count(" is missing\n") == len(left_out)
    assert "image_encoder.norms.1.weight has shape (3,), not (16,)\n" in done.stdout


def test_verify_names_what_is_not_here(hub):
    assert_refused(run("verify", NAME), f"models download {NAME}")
    assert_refused(run("verify", "huge"), "no model called 'huge'")
    assert_refused(run("verify", "nowhere/w.pt"), "no model weights at")
    assert not hub.requests


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_converted_checkpoint_answers_as_the_original(file, tmp_path, dtype):
    done = run("convert", file, "--dtype", dtype)
    assert done.exit_code == 0, done.output
    path = tmp_path / f"models/{NAME}.safetensors"
    assert locate(NAME) == path
    assert not list(path.parent.glob("*.partial"))
    original, converted = load_model(file), load_model(path)
    assert converted.config == TINY
    for name, tensor in original.state_dict().items():
        torch.testing.assert_close(
            converted.state_dict()[name], tensor.to(getattr(torch, dtype)).float(), rtol=0, atol=0
        )
    with safe_open(path, "pt") as stored:
        assert {str(stored.get_tensor(name).dtype) for name in stored.keys()} == {f"torch.{dtype}"}  # noqa: SIM118
    assert run("verify", NAME).exit_code == 0


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mapped files")
def test_a_converted_checkpoint_in_float32_is_mapped(file):
    assert run("convert", file).exit_code == 0
    model = load_model(locate(NAME))
    assert str(locate(NAME)) in Path("/proc/self/maps").read_text()
    assert model.mask_decoder.queries.dtype == torch.float32


def test_a_preset_is_converted_from_its_original(hub):
    assert_refused(run("convert", NAME), f"models download {NAME}")
    assert run("download", NAME, "--accept-licence").exit_code == 0
    assert run("convert", NAME, "--dtype", "float16").exit_code == 0
    assert_refused(run("convert", NAME), "is there already", "--overwrite")
    assert run("convert", NAME, "--overwrite").exit_code == 0
    with safe_open(locate(NAME), "pt") as stored:
        assert stored.get_tensor("mask_decoder.queries").dtype == torch.float32


def test_convert_refuses_what_cannot_work(file, tmp_path):
    output = tmp_path / "w.safetensors"
    assert_refused(run("convert", file, output, "--dtype", "int8"), "not as 'int8'")
    assert_refused(run("convert", "mini"), "no place for weights of 'mini'")
    assert run("convert", "mini", output).exit_code == 0
    assert_refused(run("convert", output, output, "--overwrite"), "would replace itself")
    assert_refused(run("convert", "huge"), "no model called 'huge'")


def test_convert_leaves_nothing_on_a_full_disk(file, tmp_path, monkeypatch):
    def fill(tensors, path, metadata):
        path.write_bytes(b"some")
        raise SafetensorError("I/O error: No space left on device")

    with monkeypatch.context() as full:
        full.setattr(checkpoint, "save_file", fill)
        assert_refused(run("convert", file), "No space left on device", "make room")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    assert_refused(run("convert", file), "10 bytes left")
    assert not list((tmp_path / "models").iterdir())


def test_a_converted_model_keeps_its_table_of_what_to_look_for(tmp_path):
    output = tmp_path / "converted.safetensors"
    done = run("convert", "mini", output)
    assert done.exit_code == 0, done.output
    assert Predictor.from_pretrained(output, "cpu").table.lists == Predictor.from_pretrained("mini", "cpu").table.lists
