"""Colours of prompts that are shown together."""

from itertools import combinations

import numpy as np
import pytest

from napari_biomedparse.ontology.lookup import colour_of
from napari_biomedparse.ontology.palette import palette
from tests.ontology.colours import difference, to_rgb

PROMPTS = ["liver", "spleen", "flux capacitor", "left kidney", "warp core"]


def test_by_default_objects_have_their_own_colour_and_free_text_takes_turns():
    colours = palette(PROMPTS)
    expected = [to_rgb(colour_of(prompt, number)) for number, prompt in enumerate(PROMPTS, start=1)]
    np.testing.assert_allclose([colour[:3] for colour in colours], expected)
    assert colours[2] != colours[4]


@pytest.mark.parametrize("kind", ["ontology", "colour-blind"])
@pytest.mark.parametrize("count", [0, 1, 30])
def test_there_is_an_opaque_colour_for_each_prompt(kind, count):
    colours = palette(["liver"] * count, kind)
    assert len(colours) == count
    assert all(len(colour) == 4 and colour[3] == 1 and 0 <= min(colour) <= max(colour) <= 1 for colour in colours)


# Least CIEDE2000 to deuteranopes and to others; about 2 is just seen side by side.
@pytest.mark.parametrize(("count", "deuteranope", "others"), [(8, 11, 20), (14, 4, 6)])
def test_colours_for_colour_blind_eyes_are_told_apart(count, deuteranope, others):
    colours = [np.array(colour[:3]) for colour in palette(["anything"] * count, "colour-blind")]
    for one, other in combinations(colours, 2):
        assert difference(one, other, deuteranope=True) >= deuteranope
        assert difference(one, other) >= others


def test_colours_for_colour_blind_eyes_go_by_order_and_do_not_change_when_more_are_asked():
    assert palette(PROMPTS, "colour-blind") == palette(PROMPTS[::-1], "colour-blind")
    assert palette(PROMPTS[:3], "colour-blind") == palette(PROMPTS, "colour-blind")[:3]
