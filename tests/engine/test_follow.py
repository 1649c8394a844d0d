"""Doing what a recipe says: plane after plane through the model, then labels of the whole image."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.draw import disk

from napari_biomedparse import ImageError, ObjectMask, PromptError, Recipe, compose_labels, follow
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.follow import Findings, Progress, Seen, labels_of, look
from napari_biomedparse.engine.kept import STEPS, keep
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.ontology import ModalityError, RecognitionTable

PLANE = Selection("YX")


def seen(predictor, stack, recipe, places=None, **how):
    """What was found on whole planes."""
    events = look(predictor, stack, recipe, stack.places() if places is None else places, **how)
    return [event for event in events if isinstance(event, Seen) and event.whole]


@pytest.mark.parametrize("threshold", [0.3, 0.5])
@pytest.mark.parametrize("instances", [False, True])
def test_on_one_plane_it_is_segmenting_and_composing(predictor, fluorescence, threshold, instances):
    pixels = fluorescence[0][:96, 64:160]
    masks = predictor.segment(pixels, ["nuclei"])
    expected = compose_labels(masks, threshold, instances)
    paint = Paint(threshold, instances=instances)
    followed = labels_of(Recipe(PLANE, ("nuclei",), paint=paint), pixels, predictor)
    assert expected.values.any()
    assert followed.values.dtype == (np.int32 if instances else np.uint16)
    assert ((followed.values > 0) == (expected.values > 0)).mean() > (0.999 if instances else 1 - 1e-9)
    assert followed.names == expected.names
    # Where objects touch, the cut may move by a pixel: probabilities are kept in steps.
    assert (followed.values == expected.values).mean() > 0.99


def test_of_several_prompts_the_most_probable_wins_up_to_a_step(predictor, fluorescence):
    pixels = fluorescence[0][:96, 64:160]
    prompts = ("nuclei", "nucleus", "cytoplasm")
    masks = predictor.segment(pixels, prompts)
    expected = compose_labels(masks, 0.2).values
    found = follow(Recipe(PLANE, prompts, paint=Paint(0.2)), pixels, predictor)
    assert ((found > 0) == (expected > 0)).all()
    probabilities = np.stack([np.zeros(pixels.shape, np.float32), *(mask.probability for mask in masks)])
    lost = np.take_along_axis(probabilities, expected[None], 0) - np.take_along_axis(
        probabilities, found[None].astype(int), 0
    )
    assert lost.max() <= 1 / STEPS


def test_only_the_part_and_the_channels_that_are_selected_are_seen(predictor, fluorescence):
    nuclei = fluorescence[0][:96, 64:160]
    image = np.stack([np.full_like(nuclei, 9), nuclei])
    selection = Selection("CYX", region=(10, 0, 90, 70), channels=(Channel(1, None),))
    labels = follow(Recipe(selection, ("nuclei",)), image, predictor)
    alone = follow(Recipe(PLANE, ("nuclei",)), nuclei[10:90, :70], predictor)
    assert labels.shape == image.shape
    assert (labels[:, 10:90, :70] == alone).all()
    assert alone.any()
    assert labels.astype(bool).sum() == 2 * alone.astype(bool).sum()


def test_labels_of_a_level_have_its_shape_and_lie_inside_the_outline(predictor, fluorescence):
    pixels = fluorescence[0][:192, 64:256]
    outline = ((9.5, 9.5), (9.5, 60.5), (80.5, 60.5), (80.5, 9.5))
    selection = replace(PLANE, level=1, outlines=(outline,))
    labels = follow(Recipe(selection, ("nuclei",)), [pixels, pixels[::2, ::2]], predictor)
    assert labels.shape == (96, 96)
    whole = follow(Recipe(PLANE, ("nuclei",)), pixels[::2, ::2], predictor)
    inside = np.zeros((96, 96), bool)
    inside[10:81, 10:61] = True
    assert (labels == whole * inside).all()
    assert whole[~inside].any()


def test_planes_are_looked_at_in_the_order_given_and_progress_rises(predictor, fluorescence):
    pixels = fluorescence[0][:64, 64:128]
    stack = Stack((np.stack([pixels] * 3),), Selection("ZYX"))
    events = list(look(predictor, stack, Recipe(stack.selection, ("nuclei",)), [(2,), (0,)]))
    assert [event.place for event in events if isinstance(event, Seen)] == [(2,), (0,)]
    steps = [event for event in events if isinstance(event, Progress)]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[0].done == 0
    assert {step.total for step in steps} == {steps[-1].done}
    assert isinstance(events[-1], Seen)


def test_parts_of_a_plane_are_told_on_the_way_and_where_it_begins_changes_nothing(predictor, fluorescence):
    pixels = np.tile(fluorescence[0][:260, 60:320], (2, 2))
    stack = Stack((pixels,), PLANE)
    recipe = Recipe(PLANE, ("nuclei",))
    told = [
        event for event in look(predictor, stack, recipe, [()], near=(500, 500), every=0) if isinstance(event, Seen)
    ]
    *parts, whole = told
    assert parts
    assert whole.whole
    assert not any(part.whole for part in parts)
    first = parts[0].masks[0].restore().mask()
    (plain,) = seen(predictor, stack, recipe)
    assert (whole.masks[0].levels == plain.masks[0].levels).all()
    assert whole.masks[0].corner == plain.masks[0].corner
    covered = [part.masks[0].pixels_above(0.5) for part in parts]
    assert covered[0] < whole.masks[0].pixels_above(0.5)
    assert not first[:60, :60].any()
    assert plain.masks[0].restore().mask()[:60, :60].any()


def test_what_takes_long_to_paint_is_told_less_often(predictor, fluorescence, monkeypatch):
    stack = Stack((np.tile(fluorescence[0][:260, :320], (2, 2)),), PLANE)
    recipe = Recipe(PLANE, ("vessel",))

    def parts(painting):
        """Return at which steps something is told, where each step takes a second and painting some."""
        now, steps, told = 0.0, 0, []
        monkeypatch.setattr("napari_biomedparse.engine.follow.monotonic", lambda: now)
        for event in look(predictor, stack, recipe, [()], every=0.5):
            if isinstance(event, Progress):
                now, steps = now + 1, steps + 1
            elif not event.whole:
                now += painting
                told.append(steps)
        return told

    often, seldom = parts(0.01), parts(0.25)
    assert often == list(range(often[0], often[-1] + 1))
    assert len(often) >= 4
    assert seldom == often[::3]


def test_a_look_that_is_abandoned_leaves_the_model_as_it_was(predictor, fluorescence):
    pixels = fluorescence[0][:64, 64:128]
    stack = Stack((np.stack([pixels, pixels.T]),), Selection("ZYX"))
    recipe = Recipe(stack.selection, ("nuclei",))
    events = look(predictor, stack, recipe, stack.places())
    next(events)
    next(events)
    events.close()
    again = seen(predictor, stack, recipe)
    assert [event.place for event in again] == [(0,), (1,)]


def test_the_kind_of_a_stack_is_that_of_its_first_plane(predictor, fluorescence, monkeypatch):
    pixels = fluorescence[0][:64, 64:128]
    stack = Stack((np.stack([pixels, pixels.T]),), Selection("ZYX"))
    guesses = []
    guess = predictor.guess
    monkeypatch.setattr(predictor, "guess", lambda image: guesses.append(1) or guess(image))
    found = seen(predictor, stack, Recipe(stack.selection, ("nuclei",)))
    assert guesses == [1]
    assert len({event.modality for event in found}) == 1
    seen(predictor, stack, Recipe(stack.selection, ("nuclei",), "Pathology-Tissue"), [(0,)])
    assert guesses == [1]


def test_words_get_the_p_values_of_the_image_s_kind_if_the_model_knows_it(predictor, histology):
    pixels = histology[0][:64, :64]
    stack = Stack((pixels,), Selection("YX", rgb=True))
    encoded = predictor.encode(pixels)
    recipe = Recipe(stack.selection, ("nuclei", "flux capacitor"), "pathology-tissue")
    (found,) = seen(predictor, stack, recipe)
    masks = predictor.segment(encoded, recipe.prompts)
    expected = predictor.presences(encoded, masks, "Pathology-Tissue")
    assert [mask.presence for mask in found.masks] == [pytest.approx(expected[0], rel=1e-3), None]
    assert found.masks[0].presence is not None
    (unknown,) = seen(predictor, stack, replace(recipe, modality="pathology"))
    assert [mask.presence for mask in unknown.masks] == [None, None]


@pytest.mark.parametrize("modality", ["Pathology-Tissue", "patho"])
def test_without_prompts_everything_known_is_recognized(predictor, histology, monkeypatch, modality):
    looks = predictor.table.distributions("Pathology-Tissue", "nucleus")
    asked = ("spleen", "nuclei", "nucleus")
    table = RecognitionTable({"Pathology-Tissue": asked}, {("Pathology-Tissue", "nuclei"): looks})
    monkeypatch.setattr(predictor, "table", table)
    pixels = histology[0][100:196, 100:196]
    expected = predictor.recognize(pixels, "Pathology-Tissue", limit=1e-3)
    recipe = Recipe(Selection("YX", rgb=True), modality=modality, paint=Paint(presence=1e-3))
    stack = Stack((pixels,), recipe.selection)
    (found,) = seen(predictor, stack, recipe)
    assert found.modality == "Pathology-Tissue"
    findings = Findings(stack, recognized=True)
    findings.add(found)
    assert findings.prompts == list(asked)
    p_values = {finding.mask.prompt: finding.p_value for finding in expected.findings}
    for mask in found.masks:
        p_value = p_values[mask.prompt]
        assert mask.presence == (p_value and pytest.approx(p_value, rel=1e-3))
    outcomes = {finding.mask.prompt: finding.outcome for finding in expected.findings}
    assert {*outcomes.values()} == {"found", "covered", "empty"}
    assert findings.outcomes((), recipe.paint) == outcomes
    labels, names, _ = findings.labels(recipe.paint, link=False)
    assert labels.any()
    for finding in expected.findings:
        value = next(n for n, prompt in names.items() if prompt == finding.mask.prompt)
        assert ((labels == value) == finding.pixels).mean() > 0.999


def test_an_image_of_nothing_has_labels_of_nothing_but_no_kind(predictor):
    blank = np.zeros((40, 50), np.uint8)
    assert not follow(Recipe(PLANE, ("nuclei",)), blank, predictor).any()
    with pytest.raises(ModalityError, match="could not be guessed"):
        follow(Recipe(PLANE), blank, predictor)


def test_images_that_the_recipe_is_not_about_are_refused(predictor):
    recipe = Recipe(Selection("ZYX"), ("nuclei",), source="scan.tif")
    with pytest.raises(ImageError, match=r"scan.tif has the shape \(9, 9\), which does not fit the axes ZYX"):
        follow(recipe, np.ones((9, 9), np.uint8), predictor)
    with pytest.raises(ImageError, match="no Z = 4"):
        follow(replace(recipe, selection=Selection("ZYX", at={"Z": 4})), np.ones((2, 9, 9), np.uint8), predictor)
    with pytest.raises(PromptError, match="empty"):
        follow(replace(recipe, prompts=("nuclei", " ")), np.ones((2, 9, 9), np.uint8), predictor)
    with pytest.raises(ModalityError, match="no list of objects for 'telepathy'"):
        follow(replace(recipe, prompts=(), modality="telepathy"), np.ones((2, 9, 9), np.uint8), predictor)


# Labels of several planes, from masks that are drawn.

SIDE = 60


def drawn(*places, prompt="nuclei", radius=7):
    probability = np.zeros((SIDE, SIDE), np.float32)
    for place in places:
        probability[disk(place, radius, shape=probability.shape)] = 0.9
    return keep(ObjectMask(prompt, probability))


def findings_of(axes, planes, at=None, channels=()):
    """Findings with the masks of each place."""
    selection = Selection(axes, at=at or {}, channels=channels)
    sides = [2 if letter == "C" else 4 for letter in axes[:-2]]
    findings = Findings(Stack((np.ones((*sides, SIDE, SIDE), np.uint8),), selection), recognized=False)
    for place, masks in planes.items():
        findings.add(Seen(place, None, tuple(masks)))
    return findings


SEPARATE = Paint(instances=True)


def drifting(n):
    """Two discs that drift apart and trade places in the order of numbering."""
    return drawn((30 - 2 * n, 15), (24 + 2 * n, 45))


def test_linked_objects_keep_their_number_over_z():
    findings = findings_of("ZYX", {(n,): [drifting(n)] for n in (3, 0, 2, 1)})
    labels, names, _ = findings.labels(SEPARATE, link=True)
    assert labels.dtype == np.int32
    left = {int(labels[n, 30 - 2 * n, 15]) for n in range(4)}
    right = {int(labels[n, 24 + 2 * n, 45]) for n in range(4)}
    assert len(left) == len(right) == 1
    assert left != right
    assert names == {1: "nuclei", 2: "nuclei"}


def test_objects_that_are_not_linked_are_numbered_on():
    planes = {(0,): [drifting(0), drawn((50, 8), prompt="vessel")], (1,): [drawn(), drawn(prompt="vessel")]}
    planes[2,] = [drawn((20, 20)), drawn((50, 8), prompt="vessel")]
    labels, names, _ = findings_of("ZYX", planes).labels(SEPARATE, link=False)
    assert [set(np.unique(plane[plane > 0]).tolist()) for plane in labels] == [{1, 2, 3}, set(), {4, 5}, set()]
    assert names == {1: "nuclei", 2: "nuclei", 3: "vessel", 4: "nuclei", 5: "vessel"}
    assert names[labels[2, 50, 8]] == "vessel"


def test_objects_on_planes_that_do_not_follow_each_other_are_not_linked():
    findings = findings_of("ZYX", {(n,): [drawn((30, 30))] for n in (0, 1, 3)})
    labels, names, _ = findings.labels(SEPARATE, link=True)
    assert labels[:, 30, 30].tolist() == [1, 1, 0, 2]
    assert names == {1: "nuclei", 2: "nuclei"}


def test_objects_are_linked_over_z_in_each_stack_of_a_series():
    findings = findings_of("TZYX", {(t, z): [drawn((30, 30))] for t in range(3) for z in range(4)})
    labels, names, _ = findings.labels(SEPARATE, link=True)
    assert [set(frame.tolist()) for frame in labels[:3, :, 30, 30]] == [{1}, {2}, {3}]
    assert list(names) == [1, 2, 3]


def test_objects_of_one_section_are_linked_over_time():
    planes = {(t, 2): [drawn((30, 20 + t))] for t in range(4)}
    labels, _, _ = findings_of("TZYX", planes, {"Z": 2}).labels(SEPARATE, link=True)
    assert [labels[t, 2, 30, 20] for t in range(4)] == [1, 1, 1, 1]
    assert not labels[:, [0, 1, 3]].any()


def test_labels_by_prompt_are_the_same_on_all_planes_and_in_all_channels():
    planes = {(n,): [drawn((30, 20)), drawn((30, 24), prompt="cell")] for n in (1, 2)}
    labels, names, overlap = findings_of("CZYX", planes, channels=(Channel(1, None),)).labels(Paint(), link=True)
    assert labels.shape == (2, 4, SIDE, SIDE)
    assert labels.dtype == np.uint16
    assert names == {1: "nuclei", 2: "cell"}
    assert (labels[0] == labels[1]).all()
    assert (labels[0, 1] == labels[0, 2]).all()
    assert labels[0, 1, 30, [14, 30]].tolist() == [1, 2]
    claimed = int((planes[1,][0].restore().mask() & planes[1,][1].restore().mask()).sum())
    assert overlap == 2 * claimed > 0


def test_one_prompt_alone_keeps_the_pixels_that_others_claim():
    findings = findings_of("ZYX", {(0,): [drawn((30, 20)), drawn((30, 24), prompt="cell")]})
    plane = findings.paint((0,), Paint(rule="first"), alone="cell")
    assert ((plane.values > 0) == findings.planes[0,][1].restore().mask()).all()
    assert set(plane.names.values()) == {"cell"}


def test_what_becomes_of_a_prompt_follows_the_settings_and_the_plane():
    findings = findings_of("ZYX", {(0,): [replace(drawn((30, 20)), presence=0.3)]})
    settings = {
        "found": Paint(),
        "empty": Paint(0.95),
        "improbable": Paint(presence=0.5),
    }
    for _ in range(2):
        for outcome, paint in settings.items():
            assert findings.outcomes((0,), paint) == {"nuclei": outcome}
    assert findings.outcomes((0,), Paint(thresholds={"nuclei": 0.95})) == {"nuclei": "empty"}
    assert findings.outcomes((0,), Paint()) == {"nuclei": "found"}
    findings.add(Seen((0,), None, (drawn(),)))
    assert findings.outcomes((0,), Paint()) == {"nuclei": "empty"}


def test_findings_count_what_they_hold():
    findings = findings_of("ZYX", {})
    assert (findings.prompts, findings.nbytes) == ([], 0)
    assert not findings.labels(Paint(), link=True)[0].any()
    findings.add(Seen((0,), "CT-Abdomen", (drawn((30, 30)), drawn(prompt="cell"))))
    assert findings.prompts == ["nuclei", "cell"]
    assert findings.modality == "CT-Abdomen"
    assert 0 < findings.nbytes < SIDE * SIDE
