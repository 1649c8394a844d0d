"""Where results are written to: what is refused, what stays, what is left behind."""

import errno
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import zarr

from napari_biomedparse.engine.axes import AxesError
from napari_biomedparse.io.export import FORMATS, ExportError, ending_of, export
from tests.io.results import result


def write_something(path):
    if path.name.endswith(".ome.zarr"):
        zarr.open_group(path, mode="w").create_array("old", shape=(1,), dtype=int)
    else:
        path.write_bytes(b"old")


def inside(path):
    return {
        str(one.relative_to(path.parent)): one.read_bytes() for one in sorted(path.parent.rglob("*")) if one.is_file()
    }


ENDINGS = sorted(set(FORMATS) - {".parquet"})


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_overwritten_without_asking(tmp_path, stack, ending):
    path = tmp_path / f"a{ending}"
    write_something(path)
    before = inside(path)
    with pytest.raises(ExportError, match="is there already") as refused:
        export(result(stack[0], "ZYX"), path)
    assert str(path) in str(refused.value)
    assert inside(path) == before
    assert export(result(stack[0], "ZYX"), path, overwrite=True) == path
    after = inside(path)
    assert after != before
    assert list(tmp_path.iterdir()) == [path]
    assert not any("old" in name for name in after)


class Failing:
    """Labels whose second plane cannot be read or written."""

    def __init__(self, array, code):
        self.array, self.shape, self.dtype, self.code = array, array.shape, np.dtype(np.uint16), code

    def __getitem__(self, index):
        if not isinstance(index[0], int) or index[0] > 0:
            raise OSError(self.code, "no use")
        return self.array[index].astype(np.uint16)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "no permission to write to"), (errno.EIO, "no use")],
)
@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".csv"])
def test_a_failure_leaves_the_old_file(tmp_path, stack, ending, code, sentence):
    path = tmp_path / f"a{ending}"
    failing = result(Failing(stack[0], code), "ZYX", rows=())
    with pytest.raises(ExportError, match=f"was not written: .*{sentence}.*Nothing was changed"):
        export(failing, path)
    assert list(tmp_path.iterdir()) == []
    write_something(path)
    before = inside(path)
    with pytest.raises(ExportError, match=sentence):
        export(failing, path, overwrite=True)
    assert inside(path) == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of this kind")
@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr", ".geojson", ".csv"])
def test_a_file_that_cannot_grow_leaves_nothing(tmp_path, ending):
    """A limit on the size of files stands in for a full disk."""
    code = f"""
import resource
import numpy as np
from pathlib import Path
from napari_biomedparse.io.export import Export, ExportError, export
labels = np.random.default_rng(0).integers(0, 60_000, (2, 150, 150), np.uint16)
rows = [{{"label": n}} for n in range(20_000)]
result = Export(labels, "ZYX", {{}}, rows=rows)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    export(result, Path({str(tmp_path / f"a{ending}")!r}))
except ExportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "was not written: File too large. Nothing was changed." in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_unknown_endings_and_places_are_refused(tmp_path, plane):
    one = result(plane, "YX")
    for name in ("a.tif", "a.zarr", "a", ".csv", "a.csv.txt"):
        with pytest.raises(ExportError, match=r"names no known format; choose one of \.ome\.tif,"):
            export(one, tmp_path / name)
    with pytest.raises(ExportError, match="no folder"):
        export(one, tmp_path / "missing" / "a.csv")
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(ExportError, match="is a folder"):
        export(one, tmp_path / "a.csv", overwrite=True)
    thesis = tmp_path / "a.ome.zarr"
    thesis.mkdir()
    (thesis / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="no OME-Zarr, and is not replaced"):
        export(one, thesis, overwrite=True)
    assert (thesis / "thesis.txt").exists()
    assert ending_of(tmp_path / "A.OME.Tiff") == ".ome.tiff"


def test_the_image_itself_is_never_replaced(tmp_path, plane):
    source = tmp_path / "image.ome.tif"
    tifffile.imwrite(source, plane)
    before = source.read_bytes()
    with pytest.raises(ExportError, match="is the image itself"):
        export(result(plane, "YX", source=source), source, overwrite=True)
    assert source.read_bytes() == before


def test_what_are_no_labels_is_refused(plane):
    with pytest.raises(ExportError, match="integers to be written, not float64"):
        result(plane / 2, "YX", rows=())
    with pytest.raises(ExportError, match="no pixels"):
        result(plane[:0], "YX", rows=())
    with pytest.raises(AxesError):
        result(plane, "ZYX", rows=())
