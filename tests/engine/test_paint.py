"""From kept masks to labels: who gets a pixel, what is left out, what is parted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import disk

from napari_biomedparse import ObjectMask, compose_labels
from napari_biomedparse.engine.kept import keep
from napari_biomedparse.engine.paint import Paint, outcomes, paint_plane
from napari_biomedparse.engine.recognition import judge

SHAPE = (40, 60)


def flat(prompt, *parts, presence=None, cores=None):
    """A kept mask with a probability in each part, (rows, columns, probability)."""
    probability = np.zeros(SHAPE, np.float32)
    for rows, columns, value in parts:
        probability[rows, columns] = value
    return keep(ObjectMask(prompt, probability, cores=cores), presence)


def painted(masks, paint, recognized=False, inside=None):
    return paint_plane(masks, paint, outcomes(masks, paint, recognized), inside)


LEFT, BOTH, RIGHT = slice(0, 20), slice(20, 40), slice(40, 60)
WHOLE = slice(None)


def pair():
    """Two masks that both claim the middle, where the second is more probable."""
    return [
        flat("liver", (WHOLE, LEFT, 0.9), (WHOLE, BOTH, 0.7)),
        flat("spleen", (WHOLE, BOTH, 0.8), (WHOLE, RIGHT, 0.9)),
    ]


@pytest.mark.parametrize(("rule", "middle"), [("most probable", 2), ("first", 1), ("last", 2)])
@pytest.mark.parametrize("turned", [False, True])
def test_pixels_that_several_claim_go_by_the_rule(rule, middle, turned):
    masks = pair()[::-1] if turned else pair()
    plane = painted(masks, Paint(rule=rule))
    names = [plane.names[value] for value in plane.values[0, [5, 25, 55]]]
    asked = [mask.prompt for mask in masks]
    winner = {"most probable": "spleen", "first": asked[0], "last": asked[1]}[rule]
    assert names == ["liver", winner, "spleen"]
    assert plane.overlap == 40 * 20
    if not turned:
        assert plane.values[0, 25] == middle


@given(arrays(np.float32, (3, 5, 6), elements=st.integers(0, 200).map(lambda n: n / 200)), st.integers(4, 200))
def test_the_most_probable_gets_a_pixel_as_in_composing_whole_masks(values, step):
    masks = [ObjectMask(f"object {n}", plane) for n, plane in enumerate(values)]
    expected = compose_labels(masks, step / 200)
    plane = painted([keep(mask) for mask in masks], Paint(threshold=step / 200))
    assert plane.values.dtype == np.uint16
    assert (plane.values == expected.values).all()
    assert (plane.names, plane.overlap) == (expected.names, expected.overlap)


@pytest.mark.parametrize("rule", ["most probable", "first", "last"])
def test_a_threshold_of_its_own_counts_for_one_prompt_only(rule):
    masks = pair()
    paint = Paint(0.5, {"spleen": 0.85}, rule=rule)
    plane = painted(masks, paint)
    assert plane.values[0, [5, 25, 55]].tolist() == [1, 1, 2]
    assert plane.overlap == 0
    assert outcomes(masks, Paint(0.5, {"liver": 0.95}), False) == {"liver": "empty", "spleen": "found"}


def test_objects_below_the_presence_that_is_set_are_left_out_and_unknown_ones_stay():
    masks = [
        flat("liver", (WHOLE, LEFT, 0.9), presence=0.04),
        flat("spleen", (WHOLE, BOTH, 0.9), presence=0.05),
        flat("tumour", (WHOLE, RIGHT, 0.9)),
    ]
    found = outcomes(masks, Paint(presence=0.05), False)
    assert found == {"liver": "improbable", "spleen": "found", "tumour": "found"}
    assert painted(masks, Paint(presence=0.05)).values[0, [5, 25, 55]].tolist() == [0, 2, 3]
    assert painted(masks, Paint()).values[0, [5, 25, 55]].tolist() == [1, 2, 3]


def test_what_recognition_came_up_with_is_judged_as_in_recognition():
    masks = [
        flat("liver", (WHOLE, LEFT, 0.9), presence=0.9),
        flat("spleen", (slice(0, 30), LEFT, 0.95), presence=0.5),
        flat("aorta", (WHOLE, RIGHT, 0.9), presence=0.01),
        flat("kidney", presence=0.0),
        flat("stomach", (slice(0, 9), BOTH, 0.9)),
    ]
    found = outcomes(masks, Paint(presence=0.05), True)
    judged = judge([mask.restore() for mask in masks], [mask.presence for mask in masks], 0.05)
    assert found == {finding.mask.prompt: finding.outcome for finding in judged}
    assert set(found.values()) == {"found", "covered", "improbable", "empty"}
    plane = painted(masks, Paint(presence=0.05), recognized=True)
    for finding in judged:
        value = next(n for n, prompt in plane.names.items() if prompt == finding.mask.prompt)
        assert ((plane.values == value) == finding.pixels).all()
    # Asked for by name, a double is what was asked for.
    assert outcomes(masks, Paint(presence=0.05), False)["spleen"] == "found"


def test_labels_lie_inside_only_and_claims_outside_do_not_count():
    inside = np.zeros(SHAPE, bool)
    inside[:10, 15:25] = True
    plane = painted(pair(), Paint(), inside=inside)
    assert not plane.values[~inside].any()
    assert plane.values[:10, 15:25].all()
    assert plane.overlap == 10 * 5
    separate = painted(pair(), Paint(instances=True, split="apart"), inside=inside)
    assert ((separate.values > 0) == inside).all()
    # A gap in where labels may lie is no hole in an object.
    inside[4:6, 17:19] = False
    separate = painted(pair(), Paint(instances=True, split="apart"), inside=inside)
    assert ((separate.values > 0) == inside).all()


def discs(*places, radius=8, hole=None):
    """A probability that falls towards the borders of discs."""
    probability = np.zeros(SHAPE, np.float32)
    for place in places:
        rows, columns = disk(place, radius, shape=SHAPE)
        distance = np.hypot(rows - place[0], columns - place[1])
        probability[rows, columns] = np.maximum(probability[rows, columns], 0.95 - 0.04 * distance)
    if hole:
        probability[disk(hole, 2, shape=SHAPE)] = 0.05
    return probability


def test_separate_objects_have_values_of_their_own_over_all_prompts():
    masks = [
        keep(ObjectMask("nuclei", discs((20, 10), (20, 30)))),
        keep(ObjectMask("nothing", discs())),
        keep(ObjectMask("vessel", discs((20, 50)))),
    ]
    plane = painted(masks, Paint(instances=True))
    assert plane.values.dtype == np.int32
    assert plane.names == {1: "nuclei", 2: "nuclei", 3: "vessel"}
    assert {*plane.values[20, [10, 30]].tolist()} == {1, 2}
    assert plane.values[20, 50] == 3
    assert set(np.unique(plane.values)) == {0, 1, 2, 3}


def test_small_objects_are_left_out():
    probability = discs((20, 10))
    probability[2:6, 40:45] = 0.9
    masks = [keep(ObjectMask("nuclei", probability))]
    assert painted(masks, Paint(instances=True, min_area=20)).names == {1: "nuclei", 2: "nuclei"}
    plane = painted(masks, Paint(instances=True, min_area=21))
    assert plane.names == {1: "nuclei"}
    assert not plane.values[2:6, 40:45].any()
    # Labels by prompt are what the model found, specks and all.
    assert painted(masks, Paint(min_area=21)).values[3, 42] == 1


def test_holes_are_filled_where_told_but_not_over_another_prompt_s_object():
    ring = keep(ObjectMask("cell", discs((20, 30), radius=11, hole=(20, 30))))
    assert painted([ring], Paint(instances=True)).values[20, 30] == 1
    assert painted([ring], Paint(instances=True, fill_holes=False)).values[20, 30] == 0
    core = flat("nucleus", (slice(20, 21), slice(30, 31), 0.9))
    plane = painted([ring, core], Paint(instances=True, min_area=0))
    assert plane.names[plane.values[20, 30]] == "nucleus"
    assert plane.names[plane.values[20, 31]] == "cell"
    assert painted([ring], Paint()).values[20, 30] == 0


def test_touching_objects_are_parted_as_told():
    probability = discs((20, 20), (20, 34))
    cores = np.zeros(SHAPE, np.float32)
    # As if the model saw three where the outline shows two.
    for column in (16, 27, 38):
        cores[disk((20, column), 4, shape=SHAPE)] = 0.95
    kept = [keep(ObjectMask("nuclei", probability, cores=cores))]
    without = [keep(ObjectMask("nuclei", probability))]

    def count(masks, split):
        return len(painted(masks, Paint(instances=True, split=split)).names)

    assert [count(kept, split) for split in ("learned", "distance", "apart")] == [3, 2, 1]
    assert [count(without, split) for split in ("learned", "distance", "apart")] == [2, 2, 1]


def test_more_than_255_prompts_keep_their_values():
    masks = [flat(f"object {n}", (slice(n // 60, n // 60 + 1), slice(n % 60, n % 60 + 1), 0.9)) for n in range(300)]
    values = painted(masks, Paint()).values
    assert (values.ravel()[:300] == np.arange(1, 301)).all()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"threshold": 1.2}, "threshold must be between 0 and 1"),
        ({"thresholds": {"liver": -0.5}}, "threshold must be between 0 and 1"),
        ({"presence": 2}, "presence must be between 0 and 1"),
        ({"presence": float("nan")}, "presence must be between 0 and 1"),
        ({"min_area": -1}, "0 pixels or more"),
        ({"rule": "loudest"}, "'most probable' or 'first' or 'last', but no 'loudest'"),
        ({"split": "axe"}, "'learned' or 'distance' or 'apart', but no 'axe'"),
    ],
)
def test_settings_out_of_range_are_refused(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        Paint(**setting)
