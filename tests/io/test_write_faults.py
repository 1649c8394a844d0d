"""Results that cannot be written: a sentence, the old file, and nothing half-written."""

import numpy as np
import pytest

from napari_biomedparse import LabelImage
from napari_biomedparse.io.write import WriteError, write_json, write_labels, write_picture, write_table
from tests.files.limit import small_files

VALUES = np.random.default_rng(0).integers(0, 60_000, (99, 99))

WRITERS = {
    "labels.ome.tif": lambda path: write_labels(path, LabelImage(VALUES, {1: "nuclei"}, 0)),
    "overlay.png": lambda path: write_picture(path, np.stack([VALUES % 256] * 3, axis=-1).astype(np.uint8)),
    "names.json": lambda path: write_json(path, VALUES.tolist()),
    "objects.csv": lambda path: write_table(path, [{"label": value} for value in VALUES.ravel()], ["label"]),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    with small_files(2000), pytest.raises(WriteError) as failed:
        WRITERS[name](path)
    assert str(failed.value) == f"{path} was not written: File too large; make room, or choose another folder."
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == [name]
    WRITERS[name](path)
    assert path.stat().st_size > 2000
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_is_none_is_said(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"was not written: Not a directory; .* choose another folder"):
        WRITERS[name](tmp_path / "file" / name)
