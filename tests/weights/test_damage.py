"""Damaged weights are found before they are called good, copied or converted."""

import io
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from napari_biomedparse import CheckpointError
from napari_biomedparse.cli import app
from napari_biomedparse.model import checkpoint
from napari_biomedparse.model.checkpoint import save_model
from napari_biomedparse.ontology import RecognitionTable
from napari_biomedparse.weights import licence, locate
from napari_biomedparse.weights.convert import convert
from tests.files.limit import small_files
from tests.published import TINY, published_state
from tests.weights.hub import Hub, isolate

NAME = "biomedparse-v1"
QUERIES = "sem_seg_head.predictor.query_feat.weight"


def as_file(state) -> bytes:
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


def flipped(content: bytes) -> bytes:
    """A checkpoint with a hundred values of its largest tensor changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    start = largest.header_offset + largest.file_size // 2
    changed = bytearray(content)
    # The lowest bits of numbers in float32, so that they stay finite.
    for at in range(start - start % 4, start + 400, 4):
        changed[at] ^= 1
    return bytes(changed)


@pytest.fixture(scope="module")
def content():
    """The bytes of a whole checkpoint."""
    return as_file(published_state())


@pytest.fixture(autouse=True)
def hub(monkeypatch, tmp_path, content):
    monkeypatch.setattr(checkpoint, "preset", lambda name: TINY)
    hub = Hub(content)
    isolate(monkeypatch, tmp_path, hub.address)
    licence.accept(NAME)
    yield hub
    hub.stop()


@pytest.fixture
def file(tmp_path, content):
    """The published file, as a user brings it."""
    path = tmp_path / "brought.pt"
    path.write_bytes(content)
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, ["models", *(str(argument) for argument in arguments)])


def assert_refused(done, *sentences: str) -> None:
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("Error: ")
    for sentence in sentences:
        assert sentence in done.stderr


def assert_refused_by_all(file, output, *sentences: str) -> None:
    assert_refused(run("verify", file), *sentences)
    assert_refused(run("import", file), *sentences)
    assert_refused(run("convert", file, output), *sentences)
    assert not output.exists()
    assert not (output.parent / "models").exists()


def test_changed_bytes_of_a_tensor_are_found(file, tmp_path):
    assert run("verify", file).exit_code == 0
    file.write_bytes(flipped(file.read_bytes()))
    assert_refused_by_all(file, tmp_path / "out.safetensors", "is damaged (", "/data/", "copy or download it again")


def test_a_file_of_the_cache_is_compared_with_what_was_published(tmp_path):
    assert run("download", NAME).exit_code == 0
    path = locate(NAME)
    assert "(as published)" in run("verify", NAME).stdout
    # Not in a tensor: the archive's own checksums do not cover the end of the file.
    whole = path.read_bytes()
    path.write_bytes(whole + b"x")
    for done in (run("verify", NAME), run("verify", path), run("convert", NAME), run("download", NAME)):
        assert_refused(done, str(path.resolve()), "is damaged", "delete it and download it again")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_found_with_their_tensors(file, tmp_path, value):
    state = published_state()
    for name in (QUERIES, "backbone.norm0.weight"):
        state[name].view(-1)[3] = value
    file.write_bytes(as_file(state))
    assert_refused_by_all(
        file,
        tmp_path / "out.safetensors",
        "image_encoder.norms.0.weight",
        "(and 1 more)",
        "not finite",
        "download it again",
    )
    for name in ("mask_decoder.queries", "image_encoder.norms.0.weight"):
        assert f"{name} has values that are not finite\n" in run("verify", file).stdout


def test_values_that_are_not_finite_are_found_in_weights_of_this_program(tiny_model, tmp_path):
    path = tmp_path / "own.safetensors"
    save_model(tiny_model, path)
    assert run("verify", path).exit_code == 0
    tensors = load_file(path)
    tensors["mask_decoder.queries"][0, 0] = float("nan")
    with checkpoint.safe_open(path, "pt") as stored:
        metadata = stored.metadata()
    save_file(tensors, path, metadata=metadata)
    assert_refused(run("verify", path), "mask_decoder.queries has values that are not finite")


def test_weights_that_a_type_cannot_hold_are_not_made_infinite(file, tmp_path):
    state = published_state()
    state[QUERIES].view(-1)[3] = 1e5
    file.write_bytes(as_file(state))
    output = tmp_path / "out.safetensors"
    done = run("convert", file, output, "--dtype", "float16")
    assert_refused(done, "mask_decoder.queries", "float16 cannot hold", "bfloat16 or float32")
    assert not output.exists()
    assert run("convert", file, output, "--dtype", "bfloat16").exit_code == 0


def test_a_table_beside_converted_weights_stays_when_they_are_converted_anew(tmp_path):
    assert run("download", NAME).exit_code == 0
    assert run("convert", NAME).exit_code == 0
    table = tmp_path / f"models/{NAME}.recognition.json"
    RecognitionTable.published().write(table)
    before = table.read_bytes()
    done = run("convert", NAME, "--dtype", "float16", "--overwrite")
    assert done.exit_code == 0, done.output
    assert table.read_bytes() == before
    # Elsewhere the table goes along.
    assert run("convert", NAME, tmp_path / "other.safetensors").exit_code == 0
    assert (tmp_path / "other.recognition.json").read_bytes() == before


def test_a_table_that_cannot_be_written_is_said(file, tmp_path):
    RecognitionTable.published().write(file.with_suffix(".recognition.json"))
    (tmp_path / "out.recognition.json").mkdir()
    done = run("convert", file, tmp_path / "out.safetensors")
    assert_refused(done, "The weights are converted, but", "out.recognition.json cannot be written", "copy")
    assert not list(tmp_path.glob(".*"))


def test_a_place_that_cannot_be_made_is_a_sentence(file, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(CheckpointError, match=r"out\.safetensors cannot be written \(.*\); choose another folder"):
        convert(str(file), tmp_path / "taken/below/out.safetensors", "float32")


@pytest.mark.parametrize("command", ["import", "convert"])
def test_a_disk_that_fills_up_leaves_what_was_there(file, tmp_path, command):
    assert run("import", file).exit_code == 0
    assert run("convert", file).exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()}
    with small_files(file.stat().st_size // 2):
        assert_refused(run(command, file, "--overwrite"), "cannot be written", "make room")
    assert {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()} == before
    # What a process left that was killed meanwhile goes with the next.
    left = tmp_path / "models" / f".{NAME}.{'pt' if command == 'import' else 'safetensors'}.x1.partial"
    left.mkdir()
    assert run(command, file, "--overwrite").exit_code == 0
    assert not left.exists()


def test_an_acceptance_that_does_not_fit_the_disk_leaves_nothing(tmp_path):
    before = (tmp_path / "config/licences.json").read_bytes()
    with small_files(10), pytest.raises(CheckpointError, match=r"cannot be remembered in .*; set NAPARI_BIOMEDPARSE_C"):
        licence.accept(NAME)
    assert [path.read_bytes() for path in (tmp_path / "config").iterdir()] == [before]
