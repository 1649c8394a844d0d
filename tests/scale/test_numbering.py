"""One value for an object over the borders of blocks, and one number over planes."""

import numpy as np
import pytest
from skimage.draw import disk

from napari_biomedparse.engine.link import Linker, shared_pixels
from napari_biomedparse.scale.grid import Grid
from napari_biomedparse.scale.numbering import Numbering, merge
from napari_biomedparse.scale.tasks import BAND

SIDE = 40
GRID = Grid((100, 100), SIDE)


def part_of(world, block, kinds, rng):
    """What was found in a block that knows a little of its neighbours, in an order of its own."""
    rows, columns = GRID.around(block, 10)
    window = world[rows, columns]
    present = np.unique(window[window > 0])
    local = np.zeros(int(world.max()) + 1, np.int32)
    local[rng.permutation(present)] = np.arange(1, len(present) + 1)
    prompts = np.full(len(present) + 1, -1, np.int32)
    prompts[local[present]] = [kinds.get(int(value), 0) for value in present]
    values = local[world]
    core = values[block.part]
    bands = {}
    for name, edge in {"top": block.rows.start, "bottom": block.rows.stop}.items():
        bands[name] = values[max(0, edge - BAND) : edge + BAND, block.columns]
    for name, edge in {"left": block.columns.start, "right": block.columns.stop}.items():
        bands[name] = values[block.rows, max(0, edge - BAND) : edge + BAND]
    areas = np.bincount(core.ravel(), minlength=len(prompts))
    return {"values": core, "areas": areas, "prompts": prompts, **bands}


def merged(world, min_area=0, kinds=None, seed=1):
    """The labels of a plane put together from its blocks, and what is known of their values."""
    rng = np.random.default_rng(seed)
    parts = [part_of(world, block, kinds or {}, rng) for block in GRID.blocks]
    found = merge(GRID, parts, True, min_area)
    labels = np.zeros(world.shape, np.int64)
    for block, part in zip(GRID.blocks, parts, strict=True):
        labels[block.part] = found[f"numbers{block.number}"][part["values"]]
    assert (np.bincount(labels.ravel())[1:] == found["areas"][1:]).all()
    return labels, found


def same_objects(one, other):
    """Whether two label images differ in their values only."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1] and ((one > 0) == (other > 0)).all()


def test_an_object_over_four_blocks_is_one():
    world = np.zeros(GRID.shape, np.int32)
    world[disk((SIDE, SIDE), 15)] = 7
    labels, found = merged(world)
    assert (labels == (world > 0)).all()
    assert found["areas"].tolist() == [0, (world > 0).sum()]


def test_objects_that_touch_at_a_border_of_blocks_stay_two():
    world = np.zeros(GRID.shape, np.int32)
    world[10:30, 25:SIDE], world[10:30, SIDE:60] = 1, 2
    world[SIDE - 12 : SIDE, 70:90], world[SIDE : SIDE + 12, 70:90] = 3, 4
    # Across the border, but parted along it.
    world[60:70, 30:50], world[70:75, 30:50] = 5, 6
    labels, _ = merged(world)
    assert same_objects(labels, world)
    assert labels.max() == 6


@pytest.mark.parametrize("seed", range(4))
def test_crowded_objects_are_put_together_as_they_were(seed):
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 100, (60, 2))
    rows, columns = np.indices(GRID.shape)
    distance = (rows[..., None] - centres[:, 0]) ** 2 + (columns[..., None] - centres[:, 1]) ** 2
    world = np.where(distance.min(-1) < 60, distance.argmin(-1) + 1, 0)
    labels, _ = merged(world, seed=seed)
    assert same_objects(labels, world)


def test_values_go_up_without_gaps():
    world = np.zeros(GRID.shape, np.int32)
    for number, place in enumerate([(90, 90), (40, 45), (10, 10), (80, 40)], start=3):
        world[disk(place, 6, shape=world.shape)] = number
    labels, found = merged(world)
    assert set(np.unique(labels)) == set(range(5))
    assert len(found["areas"]) == len(found["prompts"]) == 5


def test_the_least_area_counts_the_whole_object():
    world = np.zeros(GRID.shape, np.int32)
    world[10:13, SIDE - 5 : SIDE + 5] = 1
    world[60:62, SIDE - 5 : SIDE + 4] = 2
    labels, found = merged(world, min_area=20)
    assert (labels == (world == 1)).all()
    assert found["areas"].tolist() == [0, 30]
    assert merged(world, min_area=18)[0].max() == 2


def test_pieces_of_different_prompts_are_never_one():
    world = np.zeros(GRID.shape, np.int32)
    world[20:30, 30:50] = 1
    rng = np.random.default_rng(0)
    parts = [part_of(world, block, {1: block.number % 2}, rng) for block in GRID.blocks]
    found = merge(GRID, parts, True, 0)
    assert found["areas"].tolist() == [0, 100, 100]
    assert sorted(found["prompts"].tolist()) == [-1, 0, 1]


def test_prompts_keep_their_values_and_their_pixels_are_summed_up():
    world = np.zeros(GRID.shape, np.int32)
    world[disk((SIDE, SIDE), 15)] = 1
    world[90:, 90:] = 3
    parts = [
        {
            "values": world[block.part],
            "areas": np.bincount(world[block.part].ravel(), minlength=int(world[block.part].max()) + 1),
            "prompts": np.arange(-1, int(world[block.part].max())),
        }
        for block in GRID.blocks
    ]
    found = merge(GRID, parts, False, 1000)
    assert found["prompts"].tolist() == [-1, 0, 1, 2]
    assert found["areas"].tolist() == [0, (world == 1).sum(), 0, 100]
    for block in GRID.blocks:
        present = np.unique(world[block.part])
        assert (found[f"numbers{block.number}"][present] == present).all()


def test_an_empty_plane_has_no_objects():
    labels, found = merged(np.zeros(GRID.shape, np.int32))
    assert not labels.any()
    assert found["areas"].tolist() == [0]


def numbered(worlds, link, kinds=None):
    """Planes in blocks, with numbers over all of them."""
    numbering, before, planes = Numbering(link), None, []
    for seed, world in enumerate(worlds):
        labels, found = merged(world, kinds=kinds, seed=seed)
        shared = None if before is None or not link else shared_pixels(before, labels)
        planes.append(numbering.number(found, shared, len(found["areas"]) - 1)[labels])
        before = labels
    return planes


def moving(*shifts):
    """Planes with two discs over borders of blocks, which move."""
    worlds = []
    for shift in shifts:
        world = np.zeros(GRID.shape, np.int32)
        world[disk((38, 30 + shift), 9)], world[disk((70, 78 - shift), 9)] = 1, 2
        worlds.append(world)
    return worlds


def test_objects_keep_their_number_from_plane_to_plane_as_on_undivided_ones():
    worlds = moving(0, 3, 6, 30)
    linker = Linker()
    undivided = [linker.link(world, {1: "0", 2: "0"})[0] for world in worlds]
    linked = numbered(worlds, link=True)
    assert same_objects(np.stack(linked), np.stack(undivided))
    assert set(np.unique(np.stack(linked))) == {0, 1, 2, 3, 4}


def test_without_linking_numbers_go_on():
    planes = numbered(moving(0, 3, 6), link=False)
    assert [set(np.unique(plane)) for plane in planes] == [{0, 1, 2}, {0, 3, 4}, {0, 5, 6}]


def test_after_a_jump_nothing_is_the_same():
    (world,) = moving(0)
    _, found = merged(world)
    numbering = Numbering(True)
    assert numbering.number(found, None, 2).tolist() == [0, 1, 2]
    assert numbering.number(found, None, 2).tolist() == [0, 3, 4]
