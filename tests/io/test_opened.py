"""Whole images of real files, opened without reading their pixels."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import zarr
from skimage.io import imsave

from napari_biomedparse.io.opened import ReadError, open_image, scenes
from napari_biomedparse.io.read import PlaneIndex, read_picture


def write_pyramid(path, levels, version="0.4", letters="zyx", unit="micrometer", scale=None, **more):
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    scale = scale or [1.0] * len(letters)
    datasets = []
    for number, data in enumerate(levels):
        chunks = (1,) * (data.ndim - 2) + (32, 32)
        array = group.create_array(str(number), shape=data.shape, dtype=data.dtype, chunks=chunks)
        array[:] = data
        factors = [size * (2**number if letter in "yx" else 1) for letter, size in zip(letters, scale, strict=True)]
        datasets.append({"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": factors}]})
    kinds = {"t": "time", "c": "channel"}
    axes = [{"name": letter, "type": kinds.get(letter, "space")} for letter in letters]
    for axis in axes:
        if axis["type"] == "space" and unit:
            axis["unit"] = unit
        if axis["type"] == "time":
            axis["unit"] = "millisecond"
    described = {"multiscales": [{"version": version, "name": "p", "axes": axes, "datasets": datasets}], **more}
    group.attrs.update(described if version == "0.4" else {"ome": {"version": "0.5", **described}})
    return path


def test_ome_tiff_with_channels_sections_and_times(tmp_path, rng):
    stack = rng.integers(0, 999, (2, 3, 4, 20, 30), dtype=np.uint16)
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    sizes |= {"PhysicalSizeZ": 2000, "PhysicalSizeZUnit": "nm", "TimeIncrement": 500, "TimeIncrementUnit": "ms"}
    names = {"Channel": {"Name": ["DAPI", "GFP", "Cy5"]}}
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, stack, metadata={"axes": "TCZYX", **sizes, **names})
    opened = open_image(path)
    assert (opened.path, opened.scene, opened.axes, opened.rgb) == (path, None, "TCZYX", False)
    assert opened.spacing == pytest.approx({"T": 0.5, "Z": 2.0, "Y": 0.5, "X": 0.25})
    assert opened.unit == "um"
    assert opened.channels == ("DAPI", "GFP", "Cy5")
    (array,) = opened.levels
    assert array.chunksize == (1, 1, 1, 20, 30)
    assert array.dtype == np.uint16
    assert (array.compute() == stack).all()


def test_axes_of_one_plane_are_left_out_and_no_names_are_made_up(tmp_path, rng):
    stack = rng.integers(0, 999, (3, 1, 20, 30), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "stack.ome.tif", stack, metadata={"axes": "ZCYX"})
    opened = open_image(tmp_path / "stack.ome.tif")
    assert opened.axes == "ZYX"
    assert opened.channels == ()
    assert (opened.spacing, opened.unit) == ({}, None)
    assert (opened.levels[0].compute() == stack[:, 0]).all()


def test_scenes_of_an_ome_tiff(tmp_path, rng):
    first = rng.integers(0, 255, (20, 30), dtype=np.uint8)
    second = rng.integers(0, 255, (3, 10, 12), dtype=np.uint8)
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(first, metadata={"axes": "YX"})
        file.write(second, metadata={"axes": "ZYX"})
    names = scenes(path)
    assert len(names) == len(set(names)) == 2
    opened = [open_image(path, name) for name in names]
    assert [one.scene for one in opened] == names
    assert [one.axes for one in opened] == ["YX", "ZYX"]
    assert (opened[0].levels[0].compute() == first).all()
    assert (opened[1].levels[0].compute() == second).all()
    assert open_image(path).scene == names[0]
    with pytest.raises(ReadError, match=rf"two\.ome\.tif has no scene 'third'.*{names[0]}.*{names[1]}"):
        open_image(path, "third")


def test_a_tiled_pyramid_tiff_keeps_its_tiles_and_levels(tmp_path, rng):
    fine = rng.integers(0, 255, (128, 160, 3), dtype=np.uint8)
    path = tmp_path / "slide.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(fine, subifds=1, tile=(64, 64), photometric="rgb", metadata={"axes": "YXS"})
        file.write(fine[::2, ::2], subfiletype=1, tile=(64, 64), photometric="rgb")
    opened = open_image(path)
    assert (opened.axes, opened.rgb) == ("YX", True)
    assert [level.shape for level in opened.levels] == [(128, 160, 3), (64, 80, 3)]
    assert opened.levels[0].chunksize == (64, 64, 3)
    assert (opened.levels[0].compute() == fine).all()
    assert (opened.levels[1].compute() == fine[::2, ::2]).all()


def test_tiles_are_put_into_the_order_of_axes(tmp_path, rng):
    stack = rng.integers(0, 255, (2, 3, 64, 80), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "tiles.ome.tif", stack, tile=(32, 32), metadata={"axes": "ZCYX"})
    opened = open_image(tmp_path / "tiles.ome.tif")
    assert opened.axes == "CZYX"
    assert opened.levels[0].chunksize == (1, 1, 32, 32)
    assert (opened.levels[0].compute() == stack.swapaxes(0, 1)).all()


def test_imagej_hyperstacks_have_sizes(tmp_path, rng):
    stack = rng.integers(0, 255, (2, 3, 20, 30), dtype=np.uint8)
    about = {"axes": "TZYX", "unit": "um", "spacing": 3.0, "finterval": 60.0}
    tifffile.imwrite(tmp_path / "ij.tif", stack, imagej=True, resolution=(4, 2), metadata=about)
    opened = open_image(tmp_path / "ij.tif")
    assert opened.axes == "TZYX"
    assert opened.spacing == pytest.approx({"T": 60, "Z": 3, "Y": 0.5, "X": 0.25})
    assert opened.unit == "um"
    assert (opened.levels[0].compute() == stack).all()


def test_pictures(tmp_path, rng):
    grey = rng.integers(0, 255, (20, 30), dtype=np.uint8)
    colour = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    imsave(tmp_path / "grey.png", grey)
    imsave(tmp_path / "colour.png", colour)
    imsave(tmp_path / "photo.jpg", colour)
    tifffile.imwrite(tmp_path / "grey.tif", grey)
    for name in ("grey.png", "grey.tif"):
        opened = open_image(tmp_path / name)
        assert (opened.axes, opened.rgb, opened.unit, opened.channels) == ("YX", False, None, ())
        assert (opened.levels[0].compute() == grey).all()
    opened = open_image(tmp_path / "colour.png")
    assert (opened.axes, opened.rgb) == ("YX", True)
    assert (opened.levels[0].compute() == colour).all()
    assert open_image(tmp_path / "photo.jpg").levels[0].shape == (20, 30, 3)
    assert len(scenes(tmp_path / "grey.png")) <= 1


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_ome_zarr_pyramid(tmp_path, rng, version):
    fine = rng.integers(0, 999, (2, 2, 3, 64, 48), dtype=np.uint16)
    omero = {"channels": [{"label": "DAPI", "color": "0000FF"}, {"label": "GFP", "color": "00FF00"}]}
    levels, scale = [fine, fine[..., ::2, ::2]], [250.0, 1.0, 4.0, 0.5, 0.25]
    path = write_pyramid(tmp_path / "p.ome.zarr", levels, version, "tczyx", "nanometer", scale, omero=omero)
    opened = open_image(path)
    assert (opened.axes, opened.rgb, opened.scene) == ("TCZYX", False, None)
    assert [level.shape[-2:] for level in opened.levels] == [(64, 48), (32, 24)]
    assert opened.levels[0].chunksize == (1, 1, 1, 32, 32)
    assert opened.spacing == pytest.approx({"T": 0.25, "Z": 4, "Y": 0.5, "X": 0.25})
    assert opened.unit == "nm"
    assert opened.channels == ("DAPI", "GFP")
    for level, data in zip(opened.levels, levels, strict=True):
        assert (level.compute() == data).all()
    assert scenes(path) == ["p"]
    assert read_picture(path, PlaneIndex(0, 0, 0)).pixel_size.unit == "nm"


def test_an_ome_zarr_without_a_unit_has_no_sizes(tmp_path, rng):
    path = write_pyramid(tmp_path / "p.ome.zarr", [rng.integers(0, 9, (3, 20, 30), dtype=np.uint8)], unit=None)
    opened = open_image(path)
    assert (opened.spacing, opened.unit) == ({}, None)


def test_sections_that_a_coarser_level_has_fewer_of_stay_an_axis(tmp_path, rng):
    fine = rng.integers(0, 9, (2, 64, 64), dtype=np.uint8)
    path = write_pyramid(tmp_path / "p.ome.zarr", [fine, fine[:1, ::2, ::2]])
    assert [level.shape for level in open_image(path).levels] == [(2, 64, 64), (1, 32, 32)]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_images_of_a_bioformats2raw_store_are_scenes(tmp_path, rng, version):
    store = tmp_path / "many.zarr"
    group = zarr.open_group(store, mode="w", zarr_format=2 if version == "0.4" else 3)
    group.attrs.update({"bioformats2raw.layout": 3} if version == "0.4" else {"ome": {"bioformats2raw.layout": 3}})
    images = rng.integers(0, 9, (11, 3, 20, 30), dtype=np.uint8)
    for number, image in enumerate(images):
        write_pyramid(store / str(number), [image], version)
    assert scenes(store) == [str(number) for number in range(11)]
    opened = open_image(store, "10")
    assert (opened.path, opened.scene) == (store, "10")
    assert (opened.levels[0].compute() == images[10]).all()
    with pytest.raises(ReadError, match="no scene '11'"):
        open_image(store, "11")


def test_a_plate_is_refused_with_what_to_open(tmp_path):
    zarr.open_group(tmp_path / "plate.zarr", mode="w", zarr_format=2).attrs["plate"] = {"wells": []}
    with pytest.raises(ReadError, match="is a plate; open one of its fields"):
        open_image(tmp_path / "plate.zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_huge_image_is_opened_without_its_pixels(tmp_path, version):
    side = 100_000
    path = tmp_path / "huge.ome.zarr"
    write_pyramid(path, [np.zeros((1, 1), np.uint16)], version, "yx")
    group = zarr.open_group(path, mode="a", zarr_format=2 if version == "0.4" else 3)
    del group["0"]
    array = group.create_array("0", shape=(side, side), dtype=np.uint16, chunks=(1024, 1024), fill_value=7)
    array[-2:, -3:] = 9
    (lazy,) = open_image(path).levels
    assert lazy.shape == (side, side)
    corner = lazy[-4:, -4:].compute()
    assert (corner[-2:, -3:] == 9).all()
    assert (corner == 7).sum() == 10


@pytest.mark.parametrize("options", [{}, {"tile": (32, 32)}, {"compression": "zlib"}, {"bigtiff": True}])
@pytest.mark.parametrize("kind", [{"metadata": None}, {"ome": True, "metadata": {"axes": "ZYX"}}, {}])
def test_tiff_files_cut_anywhere_are_refused_when_they_are_opened(tmp_path, rng, options, kind):
    stack = rng.integers(0, 255, (4, 64, 60), dtype=np.uint8)
    path = tmp_path / "cut.tif"
    with tifffile.TiffWriter(path, ome=kind.get("ome"), bigtiff=options.get("bigtiff", False)) as file:
        more = {name: value for name, value in options.items() if name != "bigtiff"}
        for pixels in [stack] if kind else stack:
            file.write(pixels, metadata=kind.get("metadata", {}), **more)
    content = path.read_bytes()
    assert open_image(path).levels[0].compute().size == (stack.size if kind else stack[0].size)
    for kept in (100, 3000, 5000, 10_000, len(content) - 1000):
        path.write_bytes(content[:kept])
        with pytest.raises(ReadError, match=r"cut\.tif (is cut short: \d+ of at least \d+ bytes|cannot be read)"):
            open_image(path)


def test_an_imagej_hyperstack_cut_short_is_refused(tmp_path, rng):
    tifffile.imwrite(tmp_path / "ij.tif", rng.integers(0, 255, (4, 64, 64), dtype=np.uint8), imagej=True)
    (tmp_path / "ij.tif").write_bytes((tmp_path / "ij.tif").read_bytes()[:9000])
    with pytest.raises(ReadError, match=r"ij\.tif is cut short"):
        open_image(tmp_path / "ij.tif")


def test_what_cannot_be_opened_is_refused_with_a_sentence(tmp_path):
    for ask in (open_image, scenes):
        with pytest.raises(ReadError, match="There is no file"):
            ask(tmp_path / "missing.tif")
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ReadError, match=r"text\.png cannot be read"):
        open_image(tmp_path / "text.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="empty cannot be read"):
        open_image(tmp_path / "empty")
    (tmp_path / "broken.zarr").mkdir()
    for content in ("{", "[]", '{"attributes": []}', '{"attributes": {"ome": 3}}'):
        (tmp_path / "broken.zarr/zarr.json").write_text(content)
        with pytest.raises(ReadError, match=r"zarr\.json is damaged"):
            open_image(tmp_path / "broken.zarr")
    zarr.open_group(tmp_path / "bare.zarr", mode="w")
    with pytest.raises(ReadError, match=r"bare\.zarr holds no image"):
        open_image(tmp_path / "bare.zarr")
    (tmp_path / "cells.sldy").write_bytes(b"SlideBook")
    with pytest.raises(ReadError, match=r"cells\.sldy needs the plug-in bioio-sldy.*pip install bioio-sldy"):
        open_image(tmp_path / "cells.sldy")


@pytest.mark.parametrize(("version", "metadata"), [("0.4", ".zattrs"), ("0.5", "zarr.json")])
def test_metadata_of_a_store_are_utf_8_whatever_encoding_the_computer_has(tmp_path, rng, version, metadata):
    pixels = rng.integers(0, 255, (3, 20, 30), dtype=np.uint8)
    store = write_pyramid(tmp_path / "p.zarr", [pixels], version, note="Schnitt 3 µm, Färbung")
    content = json.loads((store / metadata).read_bytes())
    (store / metadata).write_bytes(json.dumps(content, ensure_ascii=False).encode())
    code = (
        "from pathlib import Path; from napari_biomedparse.io.opened import scenes; "
        f"print(len(scenes(Path({str(store)!r}))))"
    )
    ascii_only = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=ascii_only, capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr


def test_pages_in_colours_are_sections(tmp_path, rng):
    pages = rng.integers(0, 255, (4, 20, 30, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "pages.tif", pages, photometric="rgb")
    opened = open_image(tmp_path / "pages.tif")
    assert (opened.axes, opened.rgb, opened.channels) == ("ZYX", True, ())
    assert (opened.levels[0].compute() == pages).all()
    assert (read_picture(tmp_path / "pages.tif", PlaneIndex(z=2)).pixels == pages[2]).all()
    assert (read_picture(tmp_path / "pages.tif", PlaneIndex(z=2, c=1)).pixels == pages[2, ..., 1]).all()
    with pytest.raises(ReadError, match="choose one with --z 0 to 3"):
        read_picture(tmp_path / "pages.tif")
