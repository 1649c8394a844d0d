"""Image files in, label files out, through the real libraries."""

import json

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from napari_biomedparse import ImageError, LabelImage, PixelSize
from napari_biomedparse.io.opened import scenes
from napari_biomedparse.io.read import PlaneIndex, ReadError, read_array, read_picture
from napari_biomedparse.io.write import write_json, write_labels, write_table


def test_png_grey_and_colour(tmp_path, rng):
    grey = rng.integers(0, 255, (20, 30), dtype=np.uint8)
    colour = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    imsave(tmp_path / "grey.png", grey)
    imsave(tmp_path / "colour.png", colour)
    assert (read_picture(tmp_path / "grey.png").pixels == grey).all()
    assert (read_picture(tmp_path / "colour.png").pixels == colour).all()
    assert read_picture(tmp_path / "grey.png").pixel_size is None


def test_ome_tiff_plane_and_pixel_size(tmp_path, rng):
    stack = rng.integers(0, 999, (3, 2, 20, 30), dtype=np.uint16)
    path = tmp_path / "stack.ome.tif"
    unit = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(path, stack, metadata={"axes": "ZCYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, **unit})
    picture = read_picture(path, PlaneIndex(z=2, c=1))
    assert (picture.pixels == stack[2, 1]).all()
    assert picture.pixel_size == PixelSize(0.5, 0.25, "um")
    with pytest.raises(ReadError, match="--c 0 to 1"):
        read_picture(path, PlaneIndex(z=0))
    with pytest.raises(ReadError, match="no Z plane 3; it has 3"):
        read_picture(path, PlaneIndex(z=3, c=0))


@pytest.mark.parametrize("axes", ["TCZYX", "ZTYXC", "XYZTC"])
def test_a_whole_image_is_read_in_the_wanted_order_of_axes(tmp_path, rng, axes):
    stack = rng.integers(0, 999, (2, 3, 4, 5, 6), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "stack.ome.tif", stack, metadata={"axes": "TCZYX"})
    array = read_array(tmp_path / "stack.ome.tif", axes)
    assert hasattr(array, "compute")
    assert (np.asarray(array) == stack.transpose(["TCZYX".index(letter) for letter in axes])).all()


def test_axes_of_one_plane_may_be_left_out_but_no_others(tmp_path, rng):
    stack = rng.integers(0, 999, (3, 1, 5, 6), dtype=np.uint16)
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, stack, metadata={"axes": "ZCYX"})
    assert (np.asarray(read_array(str(path), "ZYX")) == stack[:, 0]).all()
    assert read_array(path, "CZYX").shape == (1, 3, 5, 6)
    for axes, rgb in (("YX", False), ("CYX", False), ("ZYX", True)):
        with pytest.raises(ReadError, match=rf"stack\.ome\.tif .*{axes}"):
            read_array(path, axes, rgb)


def test_colours_are_a_last_axis_where_they_are_wanted(tmp_path, rng):
    colour = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    imsave(tmp_path / "colour.png", colour)
    imsave(tmp_path / "grey.png", colour[..., 0])
    assert (np.asarray(read_array(tmp_path / "colour.png", "YX", rgb=True)) == colour).all()
    assert (np.asarray(read_array(tmp_path / "grey.png", "YX")) == colour[..., 0]).all()
    with pytest.raises(ReadError, match=r"colour\.png has the axes .*, not YX\."):
        read_array(tmp_path / "colour.png", "YX")
    with pytest.raises(ReadError, match=r"grey\.png .*YX"):
        read_array(tmp_path / "grey.png", "YX", rgb=True)


def test_arrays_of_files_that_are_no_images_are_refused_with_a_sentence(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        read_array(tmp_path / "missing.tif", "YX")
    (tmp_path / "text.tif").write_text("not an image")
    with pytest.raises(ReadError, match=r"text\.tif cannot be read"):
        read_array(tmp_path / "text.tif", "YX")


def test_a_plain_tiff_has_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", np.ones((9, 9), np.float32))
    assert read_picture(tmp_path / "plain.tif").pixel_size is None


def test_files_that_are_no_images_are_refused_with_a_sentence(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        read_picture(tmp_path / "missing.png")
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ReadError, match=r"text\.png cannot be read"):
        read_picture(tmp_path / "text.png")
    (tmp_path / "notes.xyz").write_text("not an image")
    with pytest.raises(ReadError, match="cannot be read"):
        read_picture(tmp_path / "notes.xyz")
    with pytest.raises(ReadError, match="cannot be read"):
        read_picture(tmp_path)


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.ones((9, 9), bool), "boolean"),
        (np.ones((9, 9), np.float64), "64-bit"),
        (np.ones((9, 9), np.int64), "64-bit"),
        (np.full((9, 9), np.nan, np.float32), "NaN or infinite"),
        (np.full((9, 9), np.inf, np.float32), "NaN or infinite"),
    ],
)
def test_pixels_that_cannot_be_segmented_are_refused(tmp_path, pixels, sentence):
    tifffile.imwrite(tmp_path / "bad.tif", pixels)
    with pytest.raises(ImageError, match=rf"bad\.tif.*{sentence}"):
        read_picture(tmp_path / "bad.tif")


@pytest.mark.parametrize(("count", "dtype"), [(5, np.uint16), (70_000, np.uint32)])
def test_labels_survive_the_file(tmp_path, count, dtype):
    values = np.arange(300 * 300, dtype=np.int32).reshape(300, 300) % (count + 1)
    size = PixelSize(0.5, 0.25, "um")
    write_labels(tmp_path / "l.ome.tif", LabelImage(values, {1: "nuclei"}, 0), size)
    back = read_picture(tmp_path / "l.ome.tif")
    assert back.pixels.dtype == dtype
    assert (back.pixels == values).all()
    assert back.pixel_size == size
    assert [path.name for path in tmp_path.iterdir()] == ["l.ome.tif"]


def test_tables_without_rows_keep_their_columns(tmp_path):
    write_table(tmp_path / "t.csv", [], ["label", "prompt"])
    assert (tmp_path / "t.csv").read_text().split() == ["label,prompt"]


def test_json_keeps_letters(tmp_path):
    write_json(tmp_path / "n.json", {"name": "Zellkern µ"})
    assert json.loads((tmp_path / "n.json").read_text()) == {"name": "Zellkern µ"}


def test_a_level_of_a_pyramid_is_read(tmp_path, rng):
    import zarr

    fine = rng.integers(0, 255, (64, 48), dtype=np.uint8)
    root = zarr.open_group(tmp_path / "pyramid.ome.zarr", mode="w", zarr_format=2)
    datasets = []
    for level, data in enumerate((fine, fine[::2, ::2])):
        array = root.create_array(str(level), shape=data.shape, dtype=data.dtype, chunks=(32, 32))
        array[:] = data
        scale = [{"type": "scale", "scale": [2.0**level] * 2}]
        datasets.append({"path": str(level), "coordinateTransformations": scale})
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    root.attrs["multiscales"] = [{"version": "0.4", "name": "p", "axes": axes, "datasets": datasets}]
    path = tmp_path / "pyramid.ome.zarr"
    assert (np.asarray(read_array(path, "YX")) == fine).all()
    assert (np.asarray(read_array(path, "YX", level=1)) == fine[::2, ::2]).all()
    with pytest.raises(ReadError, match="has 2 levels, so there is no level 2"):
        read_array(path, "YX", level=2)


def test_one_of_several_images_of_a_file_is_chosen(tmp_path, rng):
    first, second = rng.integers(0, 255, (2, 20, 30), dtype=np.uint8)
    path = tmp_path / "several.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(first, metadata={"axes": "YX", "Name": "left"})
        file.write(second, metadata={"axes": "YX", "Name": "right"})
    with pytest.raises(ReadError, match=r"several\.ome\.tif holds several images; choose one with --scene: .*, "):
        read_picture(path)
    names = scenes(path)
    assert (read_picture(path, PlaneIndex(scene=names[1])).pixels == second).all()
    assert (np.asarray(read_array(path, "YX", scene=names[0])) == first).all()
    with pytest.raises(ReadError, match="no scene 'middle'"):
        read_array(path, "YX", scene="middle")


def test_a_store_of_several_images_is_read(tmp_path, rng):
    import zarr

    from tests.io.test_opened import write_pyramid

    store = tmp_path / "many.zarr"
    zarr.open_group(store, mode="w", zarr_format=2).attrs.update({"bioformats2raw.layout": 3})
    images = rng.integers(0, 255, (2, 40, 30), dtype=np.uint8)
    for number, image in enumerate(images):
        write_pyramid(store / str(number), [image], letters="yx")
    assert (read_picture(store, PlaneIndex(scene="1")).pixels == images[1]).all()
    assert (np.asarray(read_array(store, "YX", scene="0")) == images[0]).all()


def test_pages_are_found_by_another_name_of_their_axis(tmp_path, rng):
    pages = rng.integers(0, 255, (4, 20, 30), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "pages.ome.tif", pages, metadata={"axes": "TYX"})
    assert (np.asarray(read_array(tmp_path / "pages.ome.tif", "ZYX")) == pages).all()
    with pytest.raises(ReadError, match="has the axes TYX, not CYX"):
        read_array(tmp_path / "pages.ome.tif", "CYX")


def test_a_section_of_a_scan_is_read_and_recipes_leave_scans_alone(tmp_path):
    import nibabel

    voxels = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 3.0, 4.0, 1.0])), tmp_path / "scan.nii.gz")
    picture = read_picture(tmp_path / "scan.nii.gz", PlaneIndex(z=1))
    assert (picture.pixels == voxels[::-1, ::-1, 1].T).all()
    assert picture.pixel_size == PixelSize(3.0, 2.0, "mm")
    with pytest.raises(ReadError, match="napari-biomedparse batch"):
        read_array(tmp_path / "scan.nii.gz", "ZYX")
