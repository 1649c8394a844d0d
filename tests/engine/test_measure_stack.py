"""Rows of numbers per object and frame, against values worked out by hand."""

import math
import warnings

import numpy as np
import pytest
from skimage.draw import disk

from napari_biomedparse import LabelImage, ObjectMask, PixelSize, measure_objects
from napari_biomedparse.engine.axes import AxesError
from napari_biomedparse.engine.frames import Frames, numbered
from napari_biomedparse.engine.measure_stack import group_of, measure_stack, stack_columns


class Lazy:
    """An array that keeps count of how many pixels were read at once."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.most = array, array.shape, array.dtype, 0

    def __getitem__(self, index):
        part = self.array[index]
        self.most = max(self.most, part.size)
        return part


@pytest.fixture
def plane():
    """A rectangle of 10 x 4 and a disc."""
    labels = np.zeros((60, 80), np.int32)
    labels[5:15, 3:7] = 1
    labels[disk((35, 50), 15)] = 4
    return labels


def measure(labels, axes="YX", names=None, **options):
    frames = Frames(labels, axes)
    rows = list(measure_stack(frames, names if names is not None else {1: "nuclei", 4: "odd thing"}, **options))
    given = {key: options[key] for key in ("spacing", "unit", "solid", "plane") if key in options}
    columns = stack_columns(
        frames, channels=list(options.get("intensity", ())), probability="probability" in options, **given
    )
    assert all(list(row) == columns for row in rows)
    assert all(math.isfinite(cell) for row in rows for cell in row.values() if isinstance(cell, float))
    return rows


def test_a_rectangle_and_a_disc(plane):
    rectangle, disc = measure(plane)
    assert (rectangle["label"], rectangle["prompt"], rectangle["object"]) == (1, "nuclei", "nucleus")
    assert (disc["label"], disc["prompt"], disc["object"]) == (4, "odd thing", "")
    assert rectangle["frame"] == 0
    assert rectangle["area_px"] == 40
    assert (rectangle["centroid_y_px"], rectangle["centroid_x_px"]) == (9.5, 4.5)
    assert [rectangle[f"bbox_{side}_px"] for side in ("top", "left", "bottom", "right")] == [5, 3, 15, 7]
    assert rectangle["eccentricity"] == pytest.approx(math.sqrt(1 - 15 / 99))
    assert rectangle["solidity"] == rectangle["box_ratio"] == rectangle["convex_ratio"] == 1
    assert rectangle["inverse_rotational_inertia"] == pytest.approx(1600 / (2 * math.pi * 40 * 116 / 12))
    assert disc["eccentricity"] == pytest.approx(0, abs=1e-3)
    # Its box is 29 x 29.
    assert disc["box_ratio"] == pytest.approx((plane == 4).sum() / 29**2)
    assert disc["solidity"] == disc["convex_ratio"] > 0.97
    assert disc["inverse_rotational_inertia"] == pytest.approx(1, abs=0.005)
    assert not any("_um" in column for column in disc)


@pytest.mark.parametrize("unit", ["um", "µm", "μm", "micrometer"])
def test_physical_units(plane, unit):
    rectangle, disc = measure(plane, spacing={"Y": 0.5, "X": 0.25}, unit=unit)
    assert rectangle["area_um2"] == 5
    assert (rectangle["centroid_y_um"], rectangle["centroid_x_um"]) == (4.75, 1.125)
    assert rectangle["equivalent_diameter_um"] == pytest.approx(2 * math.sqrt(5 / math.pi))
    # In space the rectangle is 5 x 1 and the disc an ellipse of twice the height.
    assert disc["eccentricity"] == pytest.approx(math.sqrt(0.75), abs=1e-3)
    assert rectangle["inverse_rotational_inertia"] < 0.5


@pytest.mark.parametrize(
    ("spacing", "unit"), [({"Y": 0.5, "X": 0.5}, None), ({"Y": 0.5, "X": 0.5}, "pixel"), ({"Y": 0.5}, "um")]
)
def test_without_unit_or_size_there_are_pixels_only(plane, spacing, unit):
    assert list(measure(plane, spacing=spacing, unit=unit)[0]) == list(measure(plane)[0])


def test_rows_agree_with_those_of_single_planes(plane):
    probability = np.full(plane.shape, 0.75, np.float32)
    masks = [ObjectMask("nuclei", probability), ObjectMask("odd thing", probability)]
    size = PixelSize(0.5, 0.25, "um")
    old = measure_objects(LabelImage(plane, {1: "nuclei", 4: "odd thing"}, 0), masks, size)
    new = measure(plane, spacing={"Y": 0.5, "X": 0.25}, unit="um", probability=lambda *_: probability)
    for one, other in zip(old, new, strict=True):
        assert one == pytest.approx({column: other[column] for column in one}, abs=1e-3)


def test_a_ball_in_space():
    z, y, x = np.ogrid[-20:21, -20:21, -20:21]
    labels = np.zeros((45, 50, 60), np.uint16)
    labels[2:43, 5:46, 10:51][z**2 + y**2 + x**2 <= 18.5**2] = 1
    (ball,) = measure(labels, "ZYX", spacing={"Z": 2, "Y": 1, "X": 1}, unit="millimeter")
    assert ball["volume_px"] == pytest.approx(4 / 3 * math.pi * 18.5**3, rel=0.01)
    assert ball["volume_mm3"] == pytest.approx(2 * ball["volume_px"])
    assert [ball[f"centroid_{axis}_px"] for axis in "zyx"] == pytest.approx([22, 25, 30])
    assert [ball[f"centroid_{axis}_mm"] for axis in "zyx"] == pytest.approx([44, 25, 30])
    box = [ball[f"bbox_{side}_px"] for side in ("front", "top", "left", "back", "bottom", "right")]
    assert box == [4, 7, 12, 41, 44, 49]
    assert ball["equivalent_diameter_mm"] == pytest.approx(37 * 2 ** (1 / 3), rel=0.01)
    assert ball["solidity"] > 0.9
    assert ball["box_ratio"] == pytest.approx(math.pi / 6, abs=0.03)
    # What is about planes is left out.
    assert not {"eccentricity", "convex_ratio", "inverse_rotational_inertia", "area_px"} & set(ball)


def test_sections_can_count_on_their_own(plane):
    labels = np.stack([np.zeros_like(plane), plane])
    rows = measure(labels, "ZYX", solid=False)
    assert [(row["label"], row["frame"], row["plane"], row["area_px"]) for row in rows] == [
        (1, 0, 1, 40),
        (4, 0, 1, int((plane == 4).sum())),
    ]
    assert "plane" not in measure(plane[np.newaxis], "ZYX")[0]


def test_labels_come_and_go_from_frame_to_frame(plane):
    moved = np.where(plane == 1, 0, plane)
    moved[50:52, 10:13] = 9
    rows = measure(np.stack([plane, np.zeros_like(plane), moved]), "TYX")
    assert [(row["frame"], row["label"]) for row in rows] == [(0, 1), (0, 4), (2, 4), (2, 9)]
    assert (rows[3]["area_px"], rows[3]["prompt"]) == (6, "")


def test_axes_in_any_order_give_the_same_rows(plane):
    labels = np.zeros((2, 3, 60, 80), np.int32)
    labels[0, 1], labels[1, 2] = plane, plane
    expected = measure(labels, "TZYX")
    assert [row["volume_px"] for row in expected] == [40, int((plane == 4).sum())] * 2
    assert measure(labels.transpose(3, 1, 0, 2), "XZTY") == expected
    assert measure(labels[:, :, None].repeat(2, axis=2), "TZCYX") == expected


def test_one_frame_is_read_at_a_time(plane):
    labels, grey = Lazy(np.stack([plane] * 5)), Lazy(np.ones((5, 2, 60, 80), np.float32))
    rows = measure_stack(Frames(labels, "TYX"), {1: "a"}, intensity={"grey": Frames(grey, "TCYX", {"C": 1})})
    assert labels.most == 0
    assert next(rows)["frame"] == 0
    assert len(list(rows)) == 9
    assert labels.most == grey.most == plane.size


def test_intensities_of_every_channel(plane):
    image = np.zeros((60, 80, 3), np.uint8)
    image[..., 0] = np.arange(60)[:, None]
    image[..., 2] = 255
    channels = {name: Frames(image, "YXS", {"S": n}) for n, name in enumerate(("red", "green", "blue"))}
    rectangle, _ = measure(plane, intensity=channels)
    rows = np.arange(5, 15)
    found = [rectangle[f"intensity_red_{figure}"] for figure in ("mean", "std", "min", "max", "median")]
    assert found == pytest.approx([rows.mean(), rows.std(), 5, 14, 9.5])
    assert rectangle["intensity_green_max"] == 0
    assert (rectangle["intensity_blue_mean"], rectangle["intensity_blue_std"]) == (255, 0)


def test_pixels_without_a_value_do_not_count(plane):
    image = np.ones(plane.shape, np.float32)
    image[5:15, 3:7] = np.nan
    image[35, 50] = np.inf
    rectangle, disc = measure(plane, intensity={"grey": Frames(image, "YX")})
    assert rectangle["intensity_grey_mean"] is None
    assert (disc["intensity_grey_mean"], disc["intensity_grey_max"]) == (1, 1)


def test_values_too_large_to_square_leave_empty_cells(plane):
    image = np.where(np.arange(80) % 2, 1e200, -1e200) * np.ones(plane.shape)
    rectangle, _ = measure(plane, intensity={"grey": Frames(image, "YX")})
    assert (rectangle["intensity_grey_std"], rectangle["intensity_grey_max"]) == (None, 1e200)


def test_the_mean_probability_is_that_of_the_objects_own_prompt():
    labels = np.zeros((2, 4, 6), np.int32)
    labels[0, :2, :2] = labels[1, :2, :4] = 1
    labels[0, 3, 5] = 2
    labels[1, 3, 0] = 3

    def probability(prompt, t, z):
        return None if (prompt, z) == ("b", 1) else np.full((4, 6), {"a": 0.6, "b": 0.9}[prompt] + 0.1 * z)

    one, two, three = measure(labels, "ZYX", {1: "a", 2: "b", 3: "b"}, probability=probability)
    assert one["mean_probability"] == pytest.approx((4 * 0.6 + 8 * 0.7) / 12)
    assert two["mean_probability"] == pytest.approx(0.9)
    assert three["mean_probability"] is None


@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZYX"])
def test_specks_and_lines_are_measured_without_a_warning(axes):
    labels = np.zeros((2, 2, 9, 9)[4 - len(axes) :], np.int32)
    last = labels[(0,) * (len(axes) - 2)]
    last[0, 0], last[2, 1:8], last[4:9, 0] = 1, 2, 3
    last[[4, 5, 6], [4, 5, 6]] = 4
    image = np.ones(labels.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = measure(labels, axes, spacing=dict.fromkeys("ZYX", 1), unit="um", intensity={"g": Frames(image, axes)})
    assert [row["label"] for row in rows] == [1, 2, 3, 4]
    assert all(0 < row["solidity"] <= 1 and 0 < row["box_ratio"] <= 1 for row in rows)
    if axes == "YX":
        assert [row["eccentricity"] for row in rows] == pytest.approx([0, 1, 1, 1])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int32, np.int64])
def test_labels_may_have_any_integer_type(plane, kind):
    assert measure(plane.astype(kind)) == measure(plane)


def test_labels_far_apart_and_below_zero():
    labels = np.zeros((5, 5), np.int64)
    labels[0, 0], labels[1, 1], labels[2, 2:4] = -7, 2**40, 5
    assert [(row["label"], row["area_px"]) for row in measure(labels)] == [(5, 2), (2**40, 1)]
    values, known = numbered(np.full((2, 2), 2**31, np.uint32))
    assert (values.max(), known[1]) == (1, 2**31)


def test_without_objects_there_are_columns_but_no_rows():
    assert measure(np.zeros((3, 5, 5), np.uint8), "TYX") == []


def test_what_does_not_fit_is_refused(plane):
    with pytest.raises(ValueError, match="integers, not float64"):
        measure_stack(Frames(plane / 2, "YX"), {})
    with pytest.raises(ValueError, match="channel grey has"):
        measure_stack(Frames(plane, "YX"), {}, intensity={"grey": Frames(plane[1:], "YX")})
    with pytest.raises(ValueError, match="along X must be above 0"):
        measure_stack(Frames(plane, "YX"), {}, spacing={"X": 0.0}, unit="um")
    with pytest.raises(AxesError, match="not those of ZYX"):
        Frames(plane, "ZYX")
    with pytest.raises(AxesError, match="no C = 2"):
        Frames(np.zeros((2, 5, 5)), "CYX", {"C": 2})


def test_groups_are_the_ontologys():
    assert group_of("nuclei")
    assert group_of("odd thing") == group_of("") == ""


def test_objects_of_coronal_planes_are_measured_there():
    labels = np.zeros((20, 5, 30), np.int32)
    labels[4:9, 2, 3:20] = 1
    labels[4:10, 3, 3:20] = 4
    spacing = {"Z": 2.0, "Y": 0.7, "X": 0.5}
    one, other = measure(labels, "ZYX", spacing=spacing, unit="um", plane="ZX")
    assert (one["plane"], one["area_px"], one["area_um2"]) == (2, 85, 85.0)
    assert (other["plane"], other["area_px"]) == (3, 102)
    assert (one["centroid_z_px"], one["centroid_x_px"]) == (6, 11)
    assert (one["centroid_z_um"], one["centroid_x_um"]) == (12, 5.5)
    assert [one[f"bbox_{side}_px"] for side in ("front", "left", "back", "right")] == [4, 3, 9, 20]
    # 10 um along Z, 8.5 um along X.
    assert one["eccentricity"] < 0.6
    (turned,) = measure(labels[:, 2].T[None], "YXZ", plane="XZ", names={1: "nuclei"})
    assert (turned["area_px"], turned["centroid_x_px"], turned["centroid_z_px"]) == (85, 11, 6)


def test_centres_of_volumes_whose_planes_are_shown_transposed():
    labels = np.zeros((4, 20, 30), np.int32)
    labels[1:3, 5:10, 20:29] = 1
    spacing = {"Z": 4.0, "Y": 0.5, "X": 0.25}
    (row,) = measure(labels, "ZYX", solid=True, plane="XY", spacing=spacing, unit="um")
    assert [row[f"centroid_{axis}_px"] for axis in "zyx"] == [1.5, 7, 24]
    assert [row[f"centroid_{axis}_um"] for axis in "zyx"] == [6, 3.5, 6]
    sides = ("front", "top", "left", "back", "bottom", "right")
    assert [row[f"bbox_{side}_px"] for side in sides] == [1, 5, 20, 3, 10, 29]
