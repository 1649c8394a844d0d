"""Colours: objects shown in one image are told apart, also without the cones for green, and families share a hue."""

from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest

from napari_biomedparse.ontology import all_objects, colour_of, find_object
from tests.ontology.colours import (
    as_deuteranope,
    co_displayed,
    difference,
    hue,
    hue_family,
    siblings,
    to_rgb,
)

# Least CIEDE2000 of two objects shown in one image, to deuteranopes and to others; of siblings, to others. About 2 is
# where two colours side by side are just seen to differ.
DEUTERANOPE, OTHERS, SIBLINGS = 11, 15, 6


@pytest.mark.parametrize(("what", "entries"), co_displayed().items())
def test_what_is_shown_together_is_told_apart(what, entries):
    for one, other in combinations(dict.fromkeys(entries), 2):
        rgb, another = to_rgb(one.colour), to_rgb(other.colour)
        assert difference(rgb, another, deuteranope=True) >= DEUTERANOPE, (one.id, other.id)
        assert difference(rgb, another) >= OTHERS, (one.id, other.id)


def test_siblings_differ_and_no_colour_occurs_twice():
    colours = {entry.id: to_rgb(entry.colour) for entry in all_objects()}
    for one, other in map(sorted, siblings(all_objects())):
        assert difference(colours[one], colours[other]) >= SIBLINGS, (one, other)
    assert len({entry.colour for entry in all_objects()}) == len(all_objects())


def test_a_family_keeps_within_a_range_of_hues():
    families = defaultdict(list)
    for entry in all_objects():
        families[hue_family(entry)].append(hue(entry.colour))
    for family, hues in families.items():
        ordered = np.sort(hues)
        gaps = np.diff([*ordered, ordered[0] + 360])
        assert len(hues) == 1 or 360 - gaps.max() <= 45, family


def test_the_left_and_the_right_of_a_pair_share_their_family():
    for pair in ("lung", "kidney", "adrenal gland"):
        left, right = (find_object(f"{side} {pair}") for side in ("left", "right"))
        assert hue_family(left) == hue_family(right)


def test_a_deuteranope_confuses_what_deuteranopes_confuse_and_sees_greys_as_they_are():
    grey = np.full(3, 0.5)
    np.testing.assert_allclose(as_deuteranope(grey), grey, atol=1e-3)
    # Ishihara plates use reds and greens of one lightness.
    red, green = to_rgb("#c06050"), to_rgb("#848a3a")
    assert difference(red, green) > 2 * difference(red, green, deuteranope=True)


def test_colours_belong_to_objects_and_free_text_takes_turns():
    assert colour_of("nuclei", 1) == colour_of("cell nucleus", 5) == find_object("nucleus").colour
    assert colour_of("flux capacitor", 1) != colour_of("flux capacitor", 2)
    assert colour_of("flux capacitor", 1) == colour_of("flux capacitor", 8)
