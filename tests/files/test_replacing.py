"""A new file takes the old one's place whole, or not at all."""

import errno

import pytest

from napari_biomedparse.files.replacing import clear_beside, reason, replacing


def test_what_was_written_takes_the_place_and_nothing_is_left(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with replacing(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        assert partial.name == "a.txt"
        assert (tmp_path / "a.txt").read_text() == "old"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_fails_leaves_the_old_file_alone(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ValueError, match="half"), replacing(tmp_path / "a.txt") as partial:
        partial.write_text("ne")
        raise ValueError("half")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_by_a_folder_and_never_by_a_file(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/precious").touch()
    with pytest.raises(OSError), replacing(tmp_path / "a") as partial:
        partial.write_text("new")
    assert (tmp_path / "a/precious").exists()
    with replacing(tmp_path / "a") as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["a", "a/new"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / ".a.txt.x1.partial"
    left.mkdir()
    (left / "a.txt").write_text("half")
    (tmp_path / ".b.txt.x1.partial").mkdir()
    clear_beside(tmp_path / "a.txt")
    assert [path.name for path in tmp_path.iterdir()] == [".b.txt.x1.partial"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/.b.x.partial/b"), "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/.b.x.partial"), "Permission denied"),
        (RuntimeError("first line\nand a stack"), "first line"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_reasons_are_short(error, words):
    assert reason(error) == words
