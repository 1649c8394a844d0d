"""Labels and measurements in files, read back with readers of other people."""

import json
import sys
import uuid

import dask.array as da
import nibabel
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from bioio import BioImage
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ome_types import from_tiff
from skimage.draw import polygon2mask

from napari_biomedparse.engine.frames import Frames
from napari_biomedparse.engine.measure_stack import measure_stack
from napari_biomedparse.harmonise.volumes import nifti_labels
from napari_biomedparse.io.export import ExportError, export
from napari_biomedparse.io.opened import open_image
from napari_biomedparse.io.polygons import outline
from tests.io.results import NAMES, result
from tests.io.test_coco import decode

# OME-TIFF


@pytest.mark.parametrize(("kind", "stored"), [(np.int32, np.uint16), (np.uint8, np.uint8), (np.int64, np.uint16)])
def test_ome_tiff_of_a_stack(tmp_path, stack, kind, stored):
    path = export(result(stack.astype(kind), "TZYX"), tmp_path / "a.ome.tif")
    with tifffile.TiffFile(path) as file:
        assert (file.series[0].axes, file.series[0].dtype) == ("TZYX", stored)
        assert (file.asarray() == stack).all()
    ome = from_tiff(path)
    pixels = ome.images[0].pixels
    assert [pixels.physical_size_z, pixels.physical_size_y, pixels.physical_size_x] == [2, 0.5, 0.25]
    assert {pixels.physical_size_z_unit.value, pixels.physical_size_x_unit.value} == {"µm"}
    assert (pixels.time_increment, pixels.time_increment_unit.value) == (30, "s")
    assert ome.images[0].name == "cells"
    (annotation,) = ome.structured_annotations.map_annotations
    assert annotation.namespace == "napari-biomedparse/labels"
    assert {int(entry.k): entry.value for entry in annotation.value.ms} == NAMES


def test_ome_tiff_of_a_plane_and_of_many_objects(tmp_path, plane):
    many = np.arange(300 * 400, dtype=np.int32).reshape(300, 400)
    assert tifffile.imread(export(result(many, "YX", {}, rows=()), tmp_path / "many.ome.tiff")).dtype == np.uint32
    path = export(result(plane, "YX", unit=None), tmp_path / "plane.OME.TIF")
    assert (tifffile.imread(path) == plane).all()
    # What has no unit has no size either.
    assert from_tiff(path).images[0].pixels.physical_size_x is None


def test_axes_in_any_order_are_put_in_order(tmp_path, stack):
    turned = np.broadcast_to(stack.transpose(3, 2, 1, 0)[:, :, None], (400, 300, 2, 3, 2))
    for ending in (".ome.tif", ".ome.zarr"):
        path = export(result(turned, "XYCZT"), tmp_path / f"a{ending}")
        assert (BioImage(path).get_image_data("TZYX") == stack).all()


def test_labels_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ExportError, match=r"-1 to 0.*renumber"):
        export(result(np.full((5, 5), -1), "YX", rows=()), tmp_path / "a.ome.tif")
    with pytest.raises(ExportError, match="4294967296"):
        export(result(np.full((5, 5), 2**32), "YX", rows=()), tmp_path / "a.ome.tif")
    assert list(tmp_path.iterdir()) == []


# OME-Zarr


def test_ome_zarr_of_a_stack(tmp_path, stack):
    path = export(result(stack, "TZYX"), tmp_path / "a.ome.zarr")
    group = zarr.open_group(path, mode="r")
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    (multiscales,) = ome["multiscales"]
    assert [axis["name"] for axis in multiscales["axes"]] == ["t", "z", "y", "x"]
    assert [axis["type"] for axis in multiscales["axes"]] == ["time", "space", "space", "space"]
    assert [axis.get("unit") for axis in multiscales["axes"]] == ["second", *["micrometer"] * 3]
    assert [dataset["path"] for dataset in multiscales["datasets"]] == ["0", "1"]
    scales = [dataset["coordinateTransformations"] for dataset in multiscales["datasets"]]
    assert scales == [
        [{"type": "scale", "scale": [30, 2, 0.5, 0.25]}],
        [{"type": "scale", "scale": [30, 2, 1, 0.5]}],
    ]
    assert (group["0"][:] == stack).all()
    assert (group["1"][:] == stack[..., ::2, ::2]).all()
    assert group["0"].metadata.dimension_names == ("t", "z", "y", "x")
    label = ome["image-label"]
    assert {entry["label-value"]: entry["name"] for entry in label["properties"]} == NAMES
    assert {entry["label-value"]: entry["rgba"] for entry in label["colors"]} == {
        1: [255, 0, 0, 255],
        2: [0, 128, 255, 128],
        5: [204, 0, 0, 255],
    }
    image = BioImage(path)
    assert (image.get_image_data("TZYX") == stack).all()
    assert (image.physical_pixel_sizes.Z, image.physical_pixel_sizes.Y, image.physical_pixel_sizes.X) == (2, 0.5, 0.25)


def test_ome_zarr_passes_the_validator_and_the_reader_of_its_makers(tmp_path, plane):
    models = pytest.importorskip("ome_zarr_models.v05")
    reader, io = pytest.importorskip("ome_zarr.reader"), pytest.importorskip("ome_zarr.io")
    path = export(result(plane, "YX"), tmp_path / "a.ome.zarr")
    models.ImageLabel.from_zarr(zarr.open_group(path, mode="r"))
    (node,) = reader.Reader(io.parse_url(path))()
    assert {type(spec).__name__ for spec in node.specs} == {"Label", "Multiscales"}
    assert (np.asarray(node.data[0]) == plane).all()
    assert node.metadata["properties"][5] == {"name": "nuclei"}
    assert node.metadata["color"][1] == [1, 0, 0, 1]


def test_planes_are_written_one_by_one(tmp_path, stack):
    read = []

    class Counted:
        shape, dtype = stack.shape, stack.dtype

        def __getitem__(self, index):
            read.append(stack[index].size)
            return stack[index]

    rows = result(stack, "TZYX").rows
    for ending in (".ome.tif", ".ome.zarr", ".geojson", ".json"):
        export(result(Counted(), "TZYX", rows=rows), tmp_path / f"a{ending}")
        assert max(read) == 300 * 400
    lazy = da.from_array(stack, chunks=(1, 2, 100, 100))
    path = export(result(lazy, "TZYX", rows=rows), tmp_path / "lazy.ome.zarr")
    copied = result(zarr.open_group(path)["0"], "TZYX", rows=rows)
    assert (tifffile.imread(export(copied, tmp_path / "copied.ome.tif")) == stack).all()


# NIfTI


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_of_a_volume(tmp_path, stack, ending):
    path = export(result(stack[0], "ZYX"), tmp_path / f"a{ending}")
    image = nibabel.load(path)
    assert image.get_data_dtype() == np.uint16
    assert (np.asarray(image.dataobj).transpose(2, 1, 0) == stack[0]).all()
    assert np.allclose(np.diag(image.affine), [-0.25e-3, -0.5e-3, 2e-3, 1])
    assert np.allclose(image.header.get_zooms(), [0.25e-3, 0.5e-3, 2e-3])
    assert image.header.get_xyzt_units()[0] == "mm"
    assert nifti_labels(path) == {"nuclei": [1, 5], "Fluxkondensator <µ>": [2]}


def test_nifti_without_units_says_so(tmp_path, stack):
    path = export(result(stack[:1], "TZYX", spacing={}, unit=None), tmp_path / "a.nii")
    image = nibabel.load(path)
    assert (np.diag(image.affine) == [-1, -1, 1, 1]).all()
    assert image.header.get_xyzt_units()[0] == "unknown"


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR"])
def test_labels_of_a_nifti_lie_on_it(tmp_path, axes):
    voxels = np.zeros((7, 6, 5), np.uint8)
    voxels[1:3, 2:5, 1] = voxels[1, 2, 1:4] = 9
    turn = nibabel.orientations.axcodes2ornt(axes)
    scan = nibabel.Nifti1Image(voxels, nibabel.orientations.inv_ornt_aff(turn, voxels.shape) @ np.diag([1, 2, 3, 1]))
    nibabel.save(scan, tmp_path / "scan.nii")
    opened = open_image(tmp_path / "scan.nii")
    labels = (opened.levels[0].compute() > 0).astype(np.uint8)
    path = export(
        result(labels, opened.axes, {1: "liver"}, spacing=opened.spacing, unit=opened.unit), tmp_path / "labels.nii"
    )
    ours, theirs = (nibabel.as_closest_canonical(nibabel.load(file)) for file in (path, tmp_path / "scan.nii"))
    assert (np.asarray(ours.dataobj) == (np.asarray(theirs.dataobj) > 0)).all()
    assert np.allclose(ours.affine[:3, :3], theirs.affine[:3, :3])


def test_nifti_of_what_is_no_volume_is_refused(tmp_path, stack):
    with pytest.raises(ExportError, match="2 frames"):
        export(result(stack, "TZYX"), tmp_path / "a.nii")
    with pytest.raises(ExportError, match="this is a plane"):
        export(result(stack[0, 0], "YX"), tmp_path / "a.nii.gz")
    with pytest.raises(ExportError, match="up to 32767 pixels"):
        export(result(np.zeros((2, 2, 40_000), np.uint8), "ZYX"), tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []


# GeoJSON


def fill(geometry, shape):
    """Return the pixels whose middle lies in a geometry: in an odd number of its rings."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    mask = np.zeros(shape, bool)
    for rings in polygons:
        for ring in rings:
            assert ring[0] == ring[-1]
            mask ^= polygon2mask(shape, np.array(ring)[:, ::-1] - 0.5)
    return mask


def test_geojson_of_a_plane(tmp_path, plane):
    path = export(result(plane, "YX"), tmp_path / "a.geojson")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    features = {feature["properties"]["label"]: feature for feature in content["features"]}
    assert len(features) == len(content["features"]) == 3
    for label, feature in features.items():
        assert feature["type"] == "Feature"
        uuid.UUID(feature["id"])
        assert feature["properties"]["objectType"] == "detection"
        assert feature["properties"]["classification"]["name"] == NAMES[label]
        assert "plane" not in feature["geometry"]
        assert (fill(feature["geometry"], plane.shape) == (plane == label)).all()
    ring, rectangle, specks = (features[label]["geometry"] for label in (1, 2, 5))
    assert (ring["type"], len(ring["coordinates"])) == ("Polygon", 2)
    assert sorted(rectangle["coordinates"][0][:-1]) == [[200, 100], [200, 120], [250, 100], [250, 120]]
    assert (specks["type"], len(specks["coordinates"])) == ("MultiPolygon", 2)
    # A class has one colour, its objects may have shades of it.
    assert features[5]["properties"]["classification"]["color"] == [255, 0, 0]
    assert features[5]["properties"]["color"] == [204, 0, 0]
    measured = features[2]["properties"]["measurements"]
    assert (measured["area_px"], measured["area_um2"], measured["box_ratio"]) == (1000, 125, 1)
    assert not {"label", "frame", "bbox_top_px", "centroid_y_px"} & set(measured)


def test_geojson_of_a_stack_and_of_a_coarser_level(tmp_path, stack):
    coarse = result(stack, "TZYX", {1: "liver", 2: "spleen", 5: "lung"}, downsampling={"Y": 4, "X": 4})
    features = json.loads(export(coarse, tmp_path / "a.geojson").read_text())["features"]
    assert len(features) == 18
    assert {feature["properties"]["objectType"] for feature in features} == {"annotation"}
    planes = [(one["geometry"]["plane"]["t"], one["geometry"]["plane"]["z"]) for one in features[::3]]
    assert planes == [(t, z) for t in range(2) for z in range(3)]
    (last,) = features[-2]["geometry"]["coordinates"]
    assert (np.array(last).min(axis=0), np.array(last).max(axis=0)) == (
        pytest.approx([4 * 205, 400]),
        pytest.approx([4 * 255, 480]),
    )
    # A volume's measurements are with each of its sections.
    assert features[-2]["properties"]["measurements"]["volume_px"] == 3000
    assert len({feature["id"] for feature in features}) == 18


@given(arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_outlines_hold_exactly_the_pixels(mask):
    area = 0
    found = np.zeros(mask.shape, bool)
    for outer, *holes in outline(mask):
        for ring in (outer, *holes):
            assert len({tuple(point) for point in ring.tolist()}) == len(ring) - 1
            x, y = ring.T
            signed = float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
            assert (signed > 0) == (ring is outer)
            area += signed
        geometry = {"type": "Polygon", "coordinates": [ring.tolist() for ring in (outer, *holes)]}
        part = fill(geometry, mask.shape)
        assert not (part & found).any()
        found |= part
    assert area == mask.sum()
    assert (found == mask).all()


# COCO


def test_coco_of_a_stack(tmp_path, stack):
    rows = [{"frame": 1, "label": 2, "mean_probability": 0.75}]
    exported = result(stack, "TZYX", model="mini", source=tmp_path / "image.tif", rows=rows)
    content = json.loads(export(exported, tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content["info"]["model"] == "mini"
    assert [category["name"] for category in content["categories"]] == ["nuclei", "Fluxkondensator <µ>"]
    assert content["categories"][0]["supercategory"]
    assert [(image["frame"], image["plane"]) for image in content["images"]] == [
        (t, z) for t in range(2) for z in range(3)
    ]
    assert {image["file_name"] for image in content["images"]} == {"image.tif"}
    images = {image["id"]: stack[image["frame"], image["plane"]] for image in content["images"]}
    assert len(content["annotations"]) == 18
    for annotation in content["annotations"]:
        pixels = decode(annotation["segmentation"])
        assert (pixels == (images[annotation["image_id"]] == annotation["label"])).all()
        assert annotation["area"] == pixels.sum()
    scores = [annotation.get("score") for annotation in content["annotations"]]
    assert scores == [None] * 9 + [None, 0.75, None] * 3


def test_measurements_are_found_plane_by_plane_and_volume_by_volume(stack):
    volumes = result(stack, "TZYX")
    assert volumes.row(2, 1, 0) == volumes.row(2, 1, 2) == volumes.rows[4]
    sections = result(stack, "TZYX", rows=list(measure_stack(Frames(stack, "TZYX"), NAMES, solid=False)))
    assert [sections.row(1, t, z)["centroid_x_px"] for t in range(2) for z in range(3)] == [60 + n for n in range(6)]
    assert volumes.row(9, 0, 0) == {}


def test_objects_of_a_coronal_plane_have_their_score_and_measurements_on_all_sections(tmp_path):
    labels = np.zeros((6, 4, 30), np.int32)
    labels[1:5, 1, 3:20] = 1
    probability = np.full((6, 30), 0.75)
    rows = list(measure_stack(Frames(labels, "ZYX"), NAMES, plane="ZX", probability=lambda *_: probability))
    coronal = result(labels, "ZYX", rows=rows, plane="ZX")
    content = json.loads(export(coronal, tmp_path / "a.json").read_text())
    assert [annotation["score"] for annotation in content["annotations"]] == [0.75] * 4
    features = json.loads(export(coronal, tmp_path / "a.geojson").read_text())["features"]
    assert [feature["properties"]["measurements"]["area_px"] for feature in features] == [68] * 4
    # A section cuts through an object on several coronal planes, of which none is the one.
    labels[:, 2] = labels[:, 1]
    rows = list(measure_stack(Frames(labels, "ZYX"), NAMES, plane="ZX"))
    assert len(rows) == 2
    assert result(labels, "ZYX", rows=rows, plane="ZX").row(1, 0, 2) == {}


def test_labels_without_a_name_are_kept(tmp_path, plane):
    some = result(plane, "YX", {1: "nuclei"}, colours={})
    content = json.loads(export(some, tmp_path / "a.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["nuclei", "unnamed"]
    assert [annotation["category_id"] for annotation in content["annotations"]] == [1, 2, 2]
    features = json.loads(export(some, tmp_path / "a.geojson").read_text())["features"]
    assert [feature["properties"].get("classification") for feature in features] == [{"name": "nuclei"}, None, None]


# Tables


def test_csv(tmp_path, stack):
    exported = result(stack, "TZYX")
    table = pd.read_csv(export(exported, tmp_path / "a.csv"))
    assert list(table.columns) == exported.table_columns
    assert (table["volume_px"] * 0.25).tolist() == pytest.approx(table["volume_um3"].tolist())
    assert table["prompt"].tolist() == [NAMES[label] for label in table["label"]]
    assert table["frame"].tolist() == [0, 0, 0, 1, 1, 1]


def test_empty_cells_and_empty_tables(tmp_path, plane):
    rows = [{"label": 1, "prompt": "a", "intensity_g_mean": None}, {"label": 2, "prompt": "b", "intensity_g_mean": 0.5}]
    export(result(plane, "YX", rows=rows), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().split() == ["label,prompt,intensity_g_mean", "1,a,", "2,b,0.5"]
    none = result(np.zeros_like(plane), "YX")
    table = pd.read_csv(export(none, tmp_path / "none.csv"))
    assert len(table) == 0
    assert {"label", "eccentricity", "area_um2"} <= set(table.columns)
    chosen = result(np.zeros_like(plane), "YX", rows=(), columns=["label", "intensity_g_mean"])
    assert (export(chosen, tmp_path / "chosen.csv")).read_text().split() == ["label,intensity_g_mean"]


def test_parquet(tmp_path, stack):
    pytest.importorskip("pyarrow")
    exported = result(stack, "TZYX")
    table = pd.read_parquet(export(exported, tmp_path / "a.parquet"))
    expected = pd.DataFrame(list(exported.rows))
    assert list(table.columns) == exported.table_columns
    assert table["label"].dtype == np.int64
    assert table.astype(object).equals(expected.astype(object))
    rows = [{"label": 1, "prompt": "a", "mean_probability": None}]
    table = pd.read_parquet(export(result(stack, "TZYX", rows=rows), tmp_path / "empty.parquet"))
    assert table["mean_probability"].dtype == np.float64
    none = export(result(stack * 0, "TZYX"), tmp_path / "none.parquet")
    assert list(pd.read_parquet(none).columns) == result(stack * 0, "TZYX").table_columns


@pytest.mark.parametrize(("ending", "package"), [("parquet", "pyarrow"), ("nii", "nibabel"), ("ome.zarr", "zarr")])
def test_a_missing_package_is_named(tmp_path, stack, monkeypatch, ending, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match=f"needs {package}: run pip install"):
        export(result(stack[0], "ZYX"), tmp_path / f"a.{ending}")
    assert list(tmp_path.iterdir()) == []
