"""Files of microscopes' makers, read by bioio's plug-ins for them."""

import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_biomedparse.cli import app
from napari_biomedparse.io.label_store import LabelStore
from napari_biomedparse.io.opened import ReadError, open_image, scenes
from napari_biomedparse.io.read import PlaneIndex, read_array, read_picture
from tests.io.microscopes import SIZES, STEP, write_czi, write_lif, write_nd2, write_slide

NAMES = ("DAPI", "GFP")


def check(opened, stack):
    array = opened.levels[0]
    assert array.chunksize[0] == array.chunksize[2] == 1
    assert array.dtype == stack.dtype
    assert (array.compute() == stack).all()
    assert (opened.axes, opened.rgb, opened.unit) == ("TCZYX", False, "um")


@pytest.fixture
def stack(rng):
    return rng.integers(0, 4000, (2, 2, 3, 20, 30), dtype=np.uint16)


def test_czi(tmp_path, stack):
    pytest.importorskip("bioio_czi")
    write_czi(tmp_path / "stack.czi", stack, NAMES)
    opened = open_image(tmp_path / "stack.czi")
    check(opened, stack)
    assert opened.spacing == pytest.approx(dict(zip("ZYX", SIZES, strict=True)))
    assert opened.channels == NAMES


@pytest.mark.parametrize("tile", [500, 5000])
def test_a_slide_in_czi_has_levels_and_its_colours(tile, tmp_path, rng):
    pytest.importorskip("bioio_czi")
    picture = np.kron(rng.integers(0, 255, (25, 40, 3), dtype=np.uint8), np.ones((64, 64, 1), np.uint8))
    write_slide(tmp_path / "slide.czi", picture, tile, corner=(70, -500))
    opened = open_image(tmp_path / "slide.czi")
    assert (opened.axes, opened.rgb) == ("YX", True)
    assert [level.shape for level in opened.levels] == [(1600, 2560, 3), (800, 1280, 3), (400, 640, 3)]
    assert max(opened.levels[0].chunksize) <= 1024
    assert (opened.levels[0].compute() == picture).all()
    for number in (1, 2):
        assert (opened.levels[number].compute() == picture[:: 2**number, :: 2**number]).all()
    # Of a part, only what lies there is read.
    assert (opened.levels[0][1500:, :20].compute() == picture[1500:, :20]).all()
    assert (read_picture(tmp_path / "slide.czi").pixels == picture).all()
    assert (read_array(tmp_path / "slide.czi", "YX", rgb=True).compute() == picture).all()


def test_levels_of_a_czi_of_odd_sides_are_rounded_up(tmp_path, rng):
    pytest.importorskip("bioio_czi")
    picture = np.kron(rng.integers(0, 255, (7, 10, 3), dtype=np.uint8), np.ones((300, 300, 1), np.uint8))[:2003, :2985]
    write_slide(tmp_path / "slide.czi", picture, 700, corner=(0, 0))
    opened = open_image(tmp_path / "slide.czi")
    assert [level.shape[:2] for level in opened.levels] == [(2003, 2985), (1002, 1493), (501, 747)]
    for number, level in enumerate(opened.levels[1:], start=1):
        found, wanted = level.compute(), picture[:: 2**number, :: 2**number]
        # Of the tiles' borders, which the library rounds as well, a row may be the neighbour's.
        assert (found == wanted).all(axis=2).mean() > 0.99


def test_without_zeiss_library_colours_are_refused(tmp_path, rng, monkeypatch):
    pytest.importorskip("bioio_czi")
    write_slide(tmp_path / "slide.czi", rng.integers(0, 255, (60, 70, 3), dtype=np.uint8), tile=100, corner=(0, 0))
    monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    with pytest.raises(ReadError, match="pip install pylibCZIrw"):
        open_image(tmp_path / "slide.czi")


def test_planes_of_a_czi_are_read_one_by_one(tmp_path, stack):
    pytest.importorskip("bioio_czi")
    write_czi(tmp_path / "stack.czi", stack, NAMES)
    assert (read_picture(tmp_path / "stack.czi", PlaneIndex(1, 0, 2)).pixels == stack[1, 0, 2]).all()
    assert (read_array(tmp_path / "stack.czi", "TCZYX").compute() == stack).all()


def test_nd2(tmp_path, stack):
    pytest.importorskip("bioio_nd2")
    write_nd2(tmp_path / "stack.nd2", stack, NAMES)
    opened = open_image(tmp_path / "stack.nd2")
    check(opened, stack)
    # The format knows one size for both sides of a pixel.
    assert opened.spacing == pytest.approx({"T": STEP, "Z": SIZES[0], "Y": SIZES[2], "X": SIZES[2]})
    assert opened.channels == NAMES


def test_lif(tmp_path, stack):
    pytest.importorskip("bioio_lif")
    stack = (stack >> 4).astype(np.uint8)
    write_lif(tmp_path / "stacks.lif", {"left": stack, "right": stack[:, :, :, ::-1]})
    names = scenes(tmp_path / "stacks.lif")
    assert [name.rpartition("/")[2] for name in names] == ["left", "right"]
    opened = [open_image(tmp_path / "stacks.lif", name) for name in names]
    check(opened[0], stack)
    check(opened[1], stack[:, :, :, ::-1])
    assert opened[0].spacing == pytest.approx({"T": STEP} | dict(zip("ZYX", SIZES, strict=True)))


@pytest.mark.parametrize("ending", ["czi", "nd2", "lif"])
def test_a_truncated_file_is_refused(ending, tmp_path, stack):
    pytest.importorskip(f"bioio_{ending}")
    path = tmp_path / f"stack.{ending}"
    if ending == "lif":
        write_lif(path, {"left": (stack >> 4).astype(np.uint8)})
    else:
        {"czi": write_czi, "nd2": write_nd2}[ending](path, stack, NAMES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises((ReadError, OSError)):
        open_image(path).levels[0].compute()


@pytest.mark.parametrize("ending", ["czi", "nd2", "lif"])
def test_a_run_over_it(ending, tmp_path, fluorescence):
    pytest.importorskip(f"bioio_{ending}")
    path = tmp_path / f"cells.{ending}"
    grey = fluorescence[0] if fluorescence[0].ndim == 2 else fluorescence[0][..., 0]
    stack = np.stack([grey[:64, :96], grey[64:128, :96]])[:, None, None]
    if ending == "lif":
        write_lif(path, {"cells": stack})
    else:
        {"czi": write_czi, "nd2": write_nd2}[ending](path, stack.astype(np.uint16), NAMES[:1])
    command = ["batch", str(path), "--prompt", "nuclei", "--instances", "--output", str(tmp_path / "results")]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    labels = LabelStore.open(tmp_path / "results/cells.ome.zarr").levels[0]
    assert labels.shape == (2, 64, 96)
    assert all(np.asarray(labels[t]).max() > 0 for t in range(2))
