"""Cells of any size are shown to the network in the size it was trained on."""

from dataclasses import replace

import numpy as np
import pytest
from pytest import approx
from skimage.draw import disk
from skimage.transform import rescale

from napari_biomedparse import Recipe
from napari_biomedparse.engine.follow import Seen, look
from napari_biomedparse.engine.object_size import (
    SAMPLE,
    SizeSearch,
    common,
    diameters,
    telling,
    typical_diameter,
    zoom_for,
)
from napari_biomedparse.engine.preprocess import ImageError
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.evaluation.instances import count_objects
from napari_biomedparse.model.config import preset
from napari_biomedparse.ontology import scale_of

# Twice enlarged where nothing is known, so that 25 pixels are the usual diameter; tiles of 128 pixels then.
CONFIG = replace(preset("mini"), input_size=256, cell_zoom=2.0, cell_diameter=50.0)


def test_the_diameter_of_a_disc_is_that_of_its_area():
    numbers = np.zeros((100, 100), int)
    numbers[disk((50, 50), 20)] = 7
    numbers[5:9, 5:9] = 3
    assert sorted(diameters(numbers)) == pytest.approx([np.sqrt(16 * 4 / np.pi), 40], rel=0.02)
    assert not len(diameters(np.zeros((5, 5), int)))


def test_crumbs_hardly_count_and_nothing_has_no_size():
    assert typical_diameter(np.array([30.0] * 10 + [2.0] * 60)) == 30
    assert typical_diameter(np.array([10.0, 12, 30])) == 30
    assert typical_diameter(np.zeros(0)) is None


@pytest.mark.parametrize(
    ("diameter", "zoom"),
    [(25, 2), (22, 2), (28, 2), (18, 2.4), (5, 2.4), (50, 1), (100, 0.5), (9000, 0.25)],
)
def test_small_cells_are_enlarged_and_large_ones_reduced_within_limits(diameter, zoom):
    assert zoom_for(diameter, CONFIG) == pytest.approx(zoom)
    assert zoom_for(diameter, replace(CONFIG, sized=(), cell_diameter=None)) == 2


@pytest.mark.parametrize("diameter", [0, -3, float("nan"), float("inf")])
def test_a_diameter_that_is_none_is_refused(predictor, diameter):
    with pytest.raises(ValueError, match="must be a positive number of pixels"):
        predictor.segment(np.zeros((64, 64)), ["nuclei"], diameter=diameter)


def looked(shape, sizes):
    """Return the zooms of all looks, which find some sizes one after another, and of the view that was settled on."""
    search, zooms = SizeSearch(shape, CONFIG), []
    for found in sizes:
        assert not search.done
        zooms.append(search.sample.zoom)
        # Objects that are sure unless their probability is told.
        told = [each if isinstance(each, tuple) else (each, 0.98) for each in found]
        search.add(np.array(told, float).reshape(-1, 2))
    assert search.done
    # Whoever asks for the size only shows the image as it was settled on.
    if search.view.zoom is not None:
        assert zoom_for(search.diameter, CONFIG) == pytest.approx(search.view.zoom)
    return zooms, search.view.zoom


def test_where_what_seemed_large_is_nothing_from_further_away_the_size_is_not_known():
    assert looked((600, 600), [[200], []]) == ([2, pytest.approx(0.25 / 2**0.5 * 2**0.5)], 2)


def test_ordinary_and_small_cells_are_looked_at_once():
    assert looked((512, 512), [[24, 25, 26]]) == ([2], 2)
    assert looked((512, 512), [[8, 9]]) == ([2], pytest.approx(2.4))


def test_crumbs_of_very_large_cells_do_not_tell_their_size():
    crumbs = [(25, 0.7)] * 20
    assert looked((512, 512), [crumbs, [100, 110]]) == ([2, 0.5], 0.5)
    # No more of the picture: cells close together seem one from far.
    assert looked((512, 512), [crumbs * 5, [80, 80]]) == ([2, 0.5], 2)
    # No surer from far.
    assert looked((512, 512), [crumbs, [(100, 0.75), (110, 0.75)]]) == ([2, 0.5], 2)
    assert looked((512, 512), [crumbs, []]) == ([2, 0.5], 2)


def test_large_cells_are_looked_at_again_until_their_size_stays():
    # Tiles show only parts of them at first.
    step = 2**0.5
    zooms = [2, step, 1, 1 / step, 0.5, 0.5 / step, 0.25]
    assert looked((2000, 2000), [[35], [55], [75], [72]]) == (approx(zooms[:4]), approx(1 / step))
    # Much larger ones seem smaller than they are.
    assert looked((2000, 2000), [[50], [70]]) == ([2, approx(1 / step)], approx(1 / step))
    assert looked((9000, 9000), [[50], [200], [900]]) == ([2, approx(1 / step), 0.25], 0.25)
    # It ends however large they seem.
    assert looked((9000, 9000), [[36], [50], [75], [100], [150], [220], [900]]) == (approx(zooms), 0.25)


def test_where_there_are_none_larger_ones_are_looked_for_once():
    assert looked((512, 512), [[], []]) == ([2, 0.5], 2)
    assert looked((512, 512), [[], [100, 110]]) == ([2, 0.5], 0.5)


def test_a_large_plane_is_judged_by_some_of_its_tiles_the_same_ones_each_time():
    search = SizeSearch((5000, 5000), CONFIG)
    tiles = search.sample.tiles
    assert len(tiles) == SAMPLE
    assert tiles == SizeSearch((5000, 5000), CONFIG).sample.tiles
    assert set(tiles) < set(search.view.tiles)
    # Spread over the plane.
    assert {(tile.top > 2500, tile.left > 2500) for tile in tiles} == {
        (a, b) for a in (True, False) for b in (True, False)
    }


@pytest.mark.parametrize("factor", [3, 6])
def test_nuclei_photographed_much_larger_are_found_all_the_same(predictor, fluorescence, factor):
    pixels, _, numbers = (plane[:200, :200] for plane in fluorescence)
    large = rescale(pixels, factor, order=1, preserve_range=True).astype(pixels.dtype)
    truth = np.kron(numbers, np.ones((factor, factor), numbers.dtype))
    usual = count_objects(predictor.segment(pixels, ["nuclei"])[0].instances(), numbers).f1_50
    (mask,) = predictor.segment(large, ["nuclei"])
    assert count_objects(mask.instances(), truth).f1_50 > usual - 0.1
    blind = predictor.segment(large, ["nuclei"], diameter=25)[0]
    assert count_objects(blind.instances(), truth).f1_50 < usual - 0.2


@pytest.mark.parametrize("side", [64, 160, 256, 300])
def test_a_small_plane_without_nuclei_is_not_taken_for_one(predictor, rng, side):
    noise = rng.normal(100, 5, (side, side)).astype(np.uint8)
    uneven = (100 + 40 * np.linspace(0, 1, side) + rng.normal(0, 3, (side, side))).astype(np.uint8)
    for pixels in (noise, uneven, np.full((side, side), 7, np.uint8)):
        assert not predictor.segment(pixels, ["nuclei"])[0].mask().any()


def test_the_size_of_nuclei_does_not_depend_on_what_else_is_asked(predictor, fluorescence):
    large = rescale(fluorescence[0], 3, order=1, preserve_range=True).astype(np.uint8)[:300, :300]
    alone = predictor.segment(large, ["nuclei"])[0]
    _, among = predictor.segment(large, ["vessel", "nuclei"])
    np.testing.assert_allclose(alone.probability, among.probability, atol=1e-4)


def test_the_size_on_a_plane_that_was_seen_is_known(predictor, fluorescence, monkeypatch):
    pixels = fluorescence[0][:150, :150]
    first = predictor.segment(pixels, ["nuclei"])[0]
    monkeypatch.setattr(predictor.model, "encode_image", lambda _: pytest.fail("it was encoded again"))
    monkeypatch.setattr("napari_biomedparse.engine.sizing.sizes", lambda *_: pytest.fail("it was measured again"))
    again = predictor.segment(pixels.copy(), ["nuclei"])[0]
    np.testing.assert_allclose(again.probability, first.probability, atol=1e-4)


def test_a_given_diameter_is_not_measured(predictor, fluorescence):
    image = predictor.encode(fluorescence[0], scales=(), diameter=50)
    predictor.segment(image, ["nuclei"])
    assert image.views["sized nucleus"].zoom == 1
    measured = predictor.encode(fluorescence[0], scales=())
    predictor.segment(measured, ["nuclei", "axon"])
    assert measured.views["sized nucleus"].zoom == zoom_for(
        typical_diameter(diameters(fluorescence[2])), predictor.model.config
    )
    assert measured.views[scale_of("axon")].zoom == 2


def test_a_few_planes_tell_for_a_stack_wherever_one_begins():
    assert telling([(n,) for n in range(60)]) == telling([(n,) for n in reversed(range(60))]) == [(10,), (30,), (50,)]
    assert telling([()]) == [()]
    assert telling([(4, 0), (4, 1)]) == [(4, 0), (4, 1)]
    assert common([20.0, None, 40.0, 80.0]) == 40
    assert common([40.0, 20.0]) == 20
    assert common([None, None]) is None


@pytest.mark.parametrize("first", [0, 3])
def test_cells_are_as_large_on_all_planes_of_a_stack(predictor, fluorescence, first):
    pixels = fluorescence[0][:150, :150]
    large = rescale(pixels, 3, order=1, preserve_range=True).astype(pixels.dtype)[150:300, 150:300]
    # Of the planes that tell, two have large nuclei.
    stack = Stack((np.stack([large, pixels, large, np.zeros_like(pixels), pixels]),), Selection("ZYX"))
    places = stack.places()[first:] + stack.places()[:first]
    seen = [
        event
        for event in look(predictor, stack, Recipe(stack.selection, ("nuclei",)), places)
        if isinstance(event, Seen)
    ]
    assert [found.place for found in seen] == places
    alone = predictor.encode(large, scales=())
    predictor.segment(alone, ["nuclei"])
    zooms = {found.tiles["sized nucleus"]["zoom"] for found in seen}
    assert zooms == {alone.views["sized nucleus"].zoom}
    assert zooms != {2.0}


def test_where_the_planes_that_tell_are_empty_each_is_measured(predictor, fluorescence):
    pixels = fluorescence[0][:150, :150]
    large = rescale(pixels, 3, order=1, preserve_range=True).astype(pixels.dtype)[150:300, 150:300]
    nothing = np.zeros_like(pixels)
    stack = Stack((np.stack([large, nothing, pixels, nothing, pixels, nothing]),), Selection("ZYX"))
    assert telling(stack.places()) == [(1,), (3,), (5,)]
    seen = look(predictor, stack, Recipe(stack.selection, ("nuclei",)), stack.places())
    zooms = [found.tiles["sized nucleus"]["zoom"] for found in seen if isinstance(found, Seen)]
    assert zooms[0] < zooms[2] == zooms[4]


def test_a_plane_that_cannot_be_parsed_spoils_nothing_before_its_turn(predictor, fluorescence):
    pixels = fluorescence[0][:150, :150].astype(np.float32)
    stack = Stack((np.stack([pixels, pixels, np.full_like(pixels, np.nan)]),), Selection("ZYX"))
    events, seen = look(predictor, stack, Recipe(stack.selection, ("nuclei",)), stack.places()), []
    with pytest.raises(ImageError, match="NaN"):
        seen.extend(event.place for event in events if isinstance(event, Seen))
    assert seen == [(0,), (1,)]


class Damaged:
    """Planes that are read lazily from a file, one of which is damaged."""

    def __init__(self, pixels, count, damaged):
        self.pixels, self.damaged, self.read = pixels, damaged, []
        self.shape, self.dtype = (count, *pixels.shape), pixels.dtype

    def __getitem__(self, index):
        self.read.append(index[0])
        if index[0] == self.damaged:
            raise OSError("a part of the file is damaged")
        return self.pixels[index[1:]]


def test_a_plane_that_cannot_be_read_spoils_nothing_before_its_turn(predictor, fluorescence):
    planes = Damaged(fluorescence[0][:150, :150], 6, 5)
    stack = Stack((planes,), Selection("ZYX"))
    assert (5,) in telling(stack.places())
    events, seen = look(predictor, stack, Recipe(stack.selection, ("nuclei",)), stack.places()), []
    with pytest.raises(OSError, match="damaged"):
        seen.extend(event.place for event in events if isinstance(event, Seen))
    assert seen == [(n,) for n in range(5)]


def test_planes_are_not_read_to_measure_what_has_no_size(predictor, fluorescence):
    planes = Damaged(fluorescence[0][:64, :64], 4, None)
    stack = Stack((planes,), Selection("ZYX"))
    list(look(predictor, stack, Recipe(stack.selection, ("left lung",)), stack.places()))
    assert planes.read == [0, 1, 2, 3]
