"""Label images, instances and measurements."""

import numpy as np
import pytest
from skimage.draw import disk, ellipse

from napari_biomedparse import ObjectMask, PixelSize, compose_labels, measure_objects
from napari_biomedparse.engine.instances import split_instances
from napari_biomedparse.engine.measure import table_columns


def probability(shape, *regions):
    values = np.zeros(shape, np.float32)
    for region, value in regions:
        values[region] = np.maximum(values[region], value)
    return values


@pytest.fixture
def two_masks():
    first = ObjectMask("nuclei", probability((20, 30), (np.s_[2:10, 2:10], 0.9)))
    second = ObjectMask("something odd", probability((20, 30), (np.s_[5:15, 5:20], 0.7)))
    return [first, second]


def test_pixels_claimed_twice_go_to_the_most_probable_and_are_counted(two_masks):
    labels = compose_labels(two_masks)
    assert labels.values.dtype == np.int32
    assert labels.names == {1: "nuclei", 2: "something odd"}
    assert labels.overlap == 25
    assert (labels.values[5:10, 5:10] == 1).all()
    assert (labels.values[10:15, 5:20] == 2).all()
    assert (labels.values == 0).sum() == 600 - 64 - (150 - 25)


def test_threshold_changes_the_labels_only(two_masks):
    assert set(np.unique(compose_labels(two_masks, 0.8).values)) == {0, 1}


def test_nothing_to_compose_is_refused():
    with pytest.raises(ValueError, match="no mask"):
        compose_labels([])


def test_touching_discs_are_split_and_a_single_ellipse_is_not():
    mask = np.zeros((80, 160), bool)
    mask[disk((40, 30), 18)] = True
    mask[disk((40, 60), 18)] = True
    mask[ellipse(40, 120, 12, 24)] = True
    objects = split_instances(mask)
    assert objects.max() == 3
    assert objects[40, 30] != objects[40, 60]
    assert (objects > 0).sum() == mask.sum()


def rod(angle: float, length: float, radius: float) -> np.ndarray:
    """Return the probability (120, 120) of a rod with round ends."""
    y, x = np.mgrid[:120, :120] - 59.5
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    distance = np.hypot(across, along - np.clip(along, -length / 2, length / 2))
    return (1 / (1 + np.exp(distance - radius))).astype(np.float32)


@pytest.mark.parametrize("angle", [0, 10, 23, 45, 67, 90])
@pytest.mark.parametrize(("length", "radius"), [(60, 6), (60, 10), (80, 4)])
def test_a_rod_is_one_object(angle, length, radius):
    probability = rod(angle, length, radius)
    assert split_instances(probability > 0.5, probability).max() == 1
    assert split_instances(probability > 0.5).max() == 1


@pytest.mark.parametrize(("radius", "hole"), [(20, 4), (20, 12), (20, 15), (40, 20)])
def test_a_ring_is_one_object_with_its_hole(radius, hole):
    ring = probability((100, 100), (disk((50, 50), radius), 0.9))
    ring[disk((50, 50), hole)] = 0.05
    objects = ObjectMask("cytoplasm", ring).instances()
    assert objects.max() == 1
    assert (objects[disk((50, 50), radius)] == 1).all()


def test_what_several_objects_surround_belongs_to_none_of_them():
    shown = np.zeros((160, 160), np.float32)
    cores = np.zeros_like(shown)
    for angle in np.arange(16) * np.pi / 8:
        place = (80 + 50 * np.sin(angle), 80 + 50 * np.cos(angle))
        shown[disk(place, 10.5)] = 0.95
        cores[disk(place, 6)] = 0.9
    shown[28:31, 79:82] = 0
    objects = ObjectMask("nuclei", shown, cores=cores).instances()
    assert objects.max() == 16
    assert objects[80, 80] == 0
    # A hole in one of them is its own.
    assert objects[29, 80] == objects[33, 80] > 0
    assert (objects > 0).sum() == (shown > 0.5).sum() + 9


def test_specks_do_not_change_how_objects_are_parted():
    mask = np.zeros((120, 200), bool)
    mask[ellipse(60, 60, 24, 40)] = mask[disk((60, 130), 18)] = mask[disk((60, 160), 18)] = True
    alone = split_instances(mask)
    mask[2, 2:100:2] = True
    again = split_instances(mask)
    assert alone.max() == again.max() == 3
    # The cut between equal discs may lie on either side of where they are as far.
    assert len(np.unique(np.stack([alone, again])[:, alone > 0], axis=1).T) <= 4
    assert ((alone > 0) == (again > 0)).all()


def test_an_object_within_another_prompts_object_stays():
    inner = ObjectMask("nuclei", probability((60, 60), (disk((30, 30), 8), 0.95)))
    around = probability((60, 60), (disk((30, 30), 20), 0.9))
    around[disk((30, 30), 8)] = 0.05
    for masks in ([inner, ObjectMask("cytoplasm", around)], [ObjectMask("cytoplasm", around), inner]):
        labels = compose_labels(masks, instances=True)
        assert {labels.names[n] for n in np.unique(labels.values)[1:]} == {"nuclei", "cytoplasm"}
        assert labels.names[labels.values[30, 30]] == "nuclei"
        assert (labels.values > 0).sum() == len(disk((30, 30), 20)[0])


def test_small_specks_go_and_holes_are_filled():
    mask = np.zeros((40, 40), bool)
    mask[disk((20, 20), 10)] = True
    mask[20, 20] = False
    mask[1, 1] = True
    objects = split_instances(mask)
    assert objects.max() == 1
    assert objects[20, 20] == 1
    assert objects[1, 1] == 0


def test_an_empty_mask_has_no_instances():
    assert split_instances(np.zeros((5, 5), bool)).max() == 0


def test_cores_part_what_distance_cannot_and_tell_what_is_an_object():
    # One bar with two cores, and a piece without any.
    mask = np.zeros((20, 70), bool)
    mask[5:15, 5:45] = True
    mask[7:13, 55:62] = True
    cores = np.zeros(mask.shape, np.float32)
    cores[8:12, 8:18] = cores[8:12, 30:42] = 0.9
    objects = split_instances(mask, cores=cores)
    assert objects.max() == 2
    assert objects[10, 10] != objects[10, 40]
    assert ((objects > 0) == (mask & (np.arange(70) < 50))).all()
    by_mask = ObjectMask("nuclei", mask.astype(np.float32), cores=cores)
    assert np.array_equal(by_mask.instances(), objects)
    assert np.array_equal(by_mask.split(mask), objects)
    # A model that finds no core at all leaves the objects to their shape.
    assert np.array_equal(split_instances(mask, cores=np.zeros_like(cores)), split_instances(mask))


@pytest.mark.parametrize(("waist", "objects"), [(4, 2), (14, 1)])
def test_an_inner_part_with_a_narrow_waist_is_that_of_two_objects(waist, objects):
    mask = np.zeros((40, 80), bool)
    mask[5:35, 5:75] = True
    cores = np.zeros(mask.shape, np.float32)
    cores[12:28, 10:34] = cores[12:28, 46:70] = 0.9
    cores[20 - waist // 2 : 20 + waist // 2, 34:46] = 0.9
    found = split_instances(mask, cores=cores)
    assert found.max() == objects
    assert ((found > 0) == mask).all()
    if objects == 2:
        assert found[20, 36] != found[20, 44]
    # Rough edges do not part anything.
    cores[12, 10:70:3] = cores[27, 10:70:4] = 0
    assert split_instances(mask, cores=cores).max() == objects


def test_instances_of_real_nuclei_match_the_annotation(predictor, fluorescence):
    pixels, _, truth = fluorescence
    masks = predictor.segment(pixels, ["nuclei"])
    labels = compose_labels(masks, instances=True)
    assert set(labels.names.values()) == {"nuclei"}
    matched = 0
    for value in np.unique(truth)[1:]:
        here = truth == value
        best = np.bincount(labels.values[here]).argmax()
        there = labels.values == best
        matched += best > 0 and (here & there).sum() / (here | there).sum() > 0.5
    assert matched >= 0.8 * (len(np.unique(truth)) - 1)


def test_measurements_in_pixels_and_units(two_masks):
    labels = compose_labels(two_masks)
    size = PixelSize(0.5, 0.25, "micrometer")
    rows = measure_objects(labels, two_masks, size)
    assert [list(row) for row in rows] == [table_columns(size)] * 2
    first = rows[0]
    assert first["label"] == 1
    assert (first["prompt"], first["object"]) == ("nuclei", "nucleus")
    assert (first["area_px"], first["area_um2"]) == (64, 64 * 0.125)
    assert (first["centroid_y_px"], first["centroid_x_px"]) == (5.5, 5.5)
    assert (first["centroid_y_um"], first["centroid_x_um"]) == (2.75, 1.375)
    assert [first[f"bbox_{side}_px"] for side in ("top", "left", "bottom", "right")] == [2, 2, 10, 10]
    assert first["mean_probability"] == pytest.approx(0.9, abs=1e-4)
    assert rows[1]["object"] == ""


def test_labels_without_objects_give_no_rows(two_masks):
    assert measure_objects(compose_labels(two_masks, 1.0), two_masks) == []
