"""Labels written block by block, read back with readers of other people."""

import multiprocessing
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import zarr
from bioio import BioImage

from napari_biomedparse.io.label_store import ATTRIBUTE, LabelStore
from napari_biomedparse.io.result import ExportError
from tests.io.results import COLOURS, NAMES, SPACING

PROMPTS = {"nuclei": (1.0, 0.0, 0.0, 1.0), "Fluxkondensator <µ>": (0.0, 0.5, 1.0, 0.5)}


def random_labels(shape, dtype=np.uint32):
    """All values of the type occur, and stretches of background longer than a chunk."""
    labels = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    labels[..., shape[-2] // 4 : shape[-2] // 2, :] = 0
    return labels


def fill(store, labels):
    for block in store.blocks(0):
        store.write(block, labels[(*block.place, block.rows, block.columns)])
    for level in range(1, len(store.levels)):
        for block in store.blocks(level):
            store.coarsen(block)


def finish(store, names=NAMES, colours=COLOURS, spacing=SPACING, **about):
    store.finish(names, colours, spacing, "micrometer", "cells", PROMPTS, about)


def files(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("YX", (600, 1030), np.uint32),
        ("YX", (256, 256), np.uint8),
        ("YX", (7, 1), np.int32),
        ("ZYX", (3, 300, 513), np.uint16),
        ("TYX", (2, 31, 700), np.int64),
        ("TZYX", (2, 3, 257, 129), np.uint32),
    ],
)
def test_labels_come_back(tmp_path, axes, shape, dtype):
    labels = random_labels(shape, dtype)
    fill(LabelStore.create(tmp_path / "a.ome.zarr", axes, shape, dtype, shard=256, chunk=64), labels)
    store = LabelStore.open(tmp_path / "a.ome.zarr")
    assert (store.axes, store.shape) == (axes, shape)
    for level in store.levels:
        assert level.dtype == dtype
        np.testing.assert_array_equal(level[:], labels)
        labels = labels[..., ::2, ::2]
    assert max(store.levels[-1].shape[-2:]) <= 256


def test_blocks_cover_each_level_and_are_disjoint(tmp_path):
    store = LabelStore.create(tmp_path / "a.ome.zarr", "TZYX", (2, 3, 700, 513), np.uint16, shard=256, chunk=64)
    assert len(store.blocks(0)) == 2 * 3 * 3 * 3
    for number, level in enumerate(store.levels):
        count = np.zeros(level.shape, int)
        for block in store.blocks(number):
            assert block.level == number
            count[(*block.place, block.rows, block.columns)] += 1
        assert (count == 1).all()


def test_each_block_is_a_file_of_its_own_in_chunks(tmp_path):
    store = LabelStore.create(tmp_path / "a.ome.zarr", "ZYX", (2, 5000, 4097), np.uint32)
    assert store.levels[0].shards == (1, 4096, 4096)
    assert store.levels[0].chunks == (1, 512, 512)
    # Smaller planes do not take a whole shard in memory.
    assert [level.shards for level in store.levels[1:]] == [
        (1, 2560, 2560),
        (1, 1536, 1536),
        (1, 1024, 1024),
        (1, 313, 257),
        (1, 157, 129),
    ]
    before = files(store.path)
    new = []
    for block in store.blocks(0):
        store.write(block, np.ones(block.shape, np.uint32))
        new.append(files(store.path) - before)
        before |= new[-1]
    assert [len(one) for one in new] == [1] * 8


def test_background_takes_no_file(tmp_path):
    store = LabelStore.create(tmp_path / "a.ome.zarr", "YX", (600, 600), np.uint16, shard=256, chunk=64)
    before = files(store.path)
    block = store.blocks(0)[4]
    store.write(block, np.zeros(block.shape, np.uint16))
    assert files(store.path) == before
    store.write(block, np.ones(block.shape, np.uint16))
    assert len(files(store.path)) == len(before) + 1
    # What was there goes.
    store.write(block, np.zeros(block.shape, np.uint16))
    assert files(store.path) == before
    assert not store.levels[0][:].any()


def write_some(path, numbers, labels):
    store = LabelStore.open(Path(path))
    blocks = store.blocks(0)
    for number in numbers:
        block = blocks[number]
        store.write(block, labels[(*block.place, block.rows, block.columns)])


def test_processes_write_at_once(tmp_path):
    labels = random_labels((2, 500, 700), np.uint16)
    store = LabelStore.create(tmp_path / "a.ome.zarr", "ZYX", labels.shape, np.uint16, shard=256, chunk=64)
    numbers = range(len(store.blocks(0)))
    context = multiprocessing.get_context("spawn")
    tasks = [
        context.Process(target=write_some, args=(str(store.path), numbers[start::3], labels)) for start in range(3)
    ]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert [task.exitcode for task in tasks] == [0, 0, 0]
    np.testing.assert_array_equal(store.levels[0][:], labels)


@pytest.mark.parametrize("left", [0, 100, -40])
def test_a_half_written_block_is_written_over(tmp_path, left):
    labels = random_labels((300, 300))
    store = LabelStore.create(tmp_path / "a.ome.zarr", "YX", labels.shape, labels.dtype, shard=256, chunk=64)
    before = files(store.path)
    fill(store, labels)
    whole = files(store.path)
    for name in whole - before:
        file = store.path / name
        file.write_bytes(file.read_bytes()[:left])
        file.with_name(file.name + ".partial").write_bytes(b"torn")
    store = LabelStore.open(store.path)
    fill(store, labels)
    np.testing.assert_array_equal(store.levels[0][:], labels)
    np.testing.assert_array_equal(store.levels[1][:], labels[::2, ::2])
    store.finish({}, {}, {}, None, "labels", {})
    assert files(store.path) == whole


def test_two_that_write_the_same_block_at_once_do_not_disturb_each_other(tmp_path):
    labels = random_labels((64, 64))
    store = LabelStore.create(tmp_path / "a.ome.zarr", "YX", labels.shape, labels.dtype, shard=64, chunk=64)
    context = multiprocessing.get_context("spawn")
    tasks = [context.Process(target=write_some, args=(str(store.path), [0] * 50, labels)) for _ in range(2)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert [task.exitcode for task in tasks] == [0, 0]
    np.testing.assert_array_equal(store.levels[0][:], labels)


def test_what_was_there_stays_until_the_new_is_on_the_disk(tmp_path, monkeypatch):
    """The power goes at each moment at which a file or folder is about to be brought to the disk."""
    store = LabelStore.create(tmp_path / "a.ome.zarr", "YX", (64, 64), np.uint16, shard=64, chunk=64)
    (block,) = store.blocks(0)
    store.write(block, np.full(block.shape, 1, np.uint16))
    seen, real = [], os.fsync

    def fsync(descriptor):
        seen.append((int(store.levels[0][:].max()), stat.S_ISDIR(os.fstat(descriptor).st_mode)))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.write(block, np.full(block.shape, 2, np.uint16))
    # First the content under another name, then the folder in which it has replaced the old, and those above.
    assert seen[0] == (1, False)
    assert set(seen[1:]) == {(2, True)}
    assert len(seen) > 1


def test_what_does_not_fit_is_refused_and_nothing_written(tmp_path):
    store = LabelStore.create(tmp_path / "a.ome.zarr", "YX", (300, 300), np.uint16, shard=256, chunk=64)
    before = files(store.path)
    block = store.blocks(0)[0]
    with pytest.raises(ExportError, match=r"\(256, 256\).*\(256, 255\)"):
        store.write(block, np.ones((256, 255), np.uint16))
    with pytest.raises(ExportError, match=r"-1 to 0.*uint16"):
        store.write(block, -np.eye(256, dtype=np.int32))
    with pytest.raises(ExportError, match=r"65536.*uint16"):
        store.write(block, np.full((256, 256), 65536))
    with pytest.raises(ExportError, match="float"):
        store.write(block, np.ones((256, 256)))
    with pytest.raises(ValueError, match="finest"):
        store.coarsen(block)
    assert files(store.path) == before
    store.write(block, np.full((256, 256), 65535))
    assert store.levels[0][255, 255] == 65535


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"axes": "CYX", "shape": (1, 9, 9)}, "axes of T, Z, Y, X"),
        ({"axes": "XY"}, "axes of T, Z, Y, X"),
        ({"shape": (9,)}, "a length"),
        ({"shape": (0, 9)}, "a length"),
        ({"dtype": np.float32}, "integers"),
        ({"shard": 100, "chunk": 64}, "whole chunks"),
        ({"shard": 64, "chunk": 128}, "whole chunks"),
    ],
)
def test_a_store_that_makes_no_sense_is_refused(tmp_path, changed, message):
    sensible = {"axes": "YX", "shape": (9, 9), "dtype": np.uint16}
    with pytest.raises(ExportError, match=message):
        LabelStore.create(tmp_path / "a.ome.zarr", **(sensible | changed))
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_replaced(tmp_path):
    store = LabelStore.create(tmp_path / "a.ome.zarr", "YX", (9, 9), np.uint16)
    fill(store, np.ones((9, 9), np.uint16))
    with pytest.raises(ExportError, match="is there already"):
        LabelStore.create(store.path, "YX", (9, 9), np.uint16)
    assert LabelStore.open(store.path).levels[0][:].all()
    with pytest.raises(ExportError, match="no folder"):
        LabelStore.create(tmp_path / "none" / "a.ome.zarr", "YX", (9, 9), np.uint16)


def test_only_a_store_is_opened(tmp_path):
    zarr.create_group(tmp_path / "other.ome.zarr", zarr_format=3)
    (tmp_path / "damaged.ome.zarr").mkdir()
    (tmp_path / "damaged.ome.zarr" / "zarr.json").write_text("[")
    for name in ("none", "other", "damaged"):
        with pytest.raises(ExportError, match="no store of labels"):
            LabelStore.open(tmp_path / f"{name}.ome.zarr")


# What the labels are


def test_a_store_is_finished_only_in_the_end(tmp_path):
    store = LabelStore.create(tmp_path / "a.ome.zarr", "YX", (300, 300), np.uint16)
    fill(store, random_labels((300, 300), np.uint16))
    assert not store.finished
    assert "ome" not in zarr.open_group(store.path, mode="r").attrs
    with pytest.raises(ExportError, match="JSON"):
        finish(store, recipe={1, 2})
    assert not LabelStore.open(store.path).finished
    finish(store, recipe='{"version": 1}', model="mini")
    assert store.finished
    assert LabelStore.open(store.path).finished
    assert zarr.open_group(store.path, mode="r").attrs[ATTRIBUTE] == {
        "recipe": '{"version": 1}',
        "model": "mini",
        "prompts": {"nuclei": [255, 0, 0, 255], "Fluxkondensator <µ>": [0, 128, 255, 128]},
    }


@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZYX"])
def test_it_passes_the_validator_and_the_readers_of_others(tmp_path, axes):
    models = pytest.importorskip("ome_zarr_models.v05")
    reader, io = pytest.importorskip("ome_zarr.reader"), pytest.importorskip("ome_zarr.io")
    labels = random_labels((2, 3, 300, 700)[-len(axes) :], np.uint16)
    store = LabelStore.create(tmp_path / "a.ome.zarr", axes, labels.shape, np.uint16, shard=256, chunk=64)
    fill(store, labels)
    finish(store)
    models.ImageLabel.from_zarr(zarr.open_group(store.path, mode="r"))
    (node,) = reader.Reader(io.parse_url(store.path))()
    assert {type(spec).__name__ for spec in node.specs} == {"Label", "Multiscales"}
    for level, made in zip(node.data, store.levels, strict=True):
        np.testing.assert_array_equal(np.asarray(level), made[:])
    assert node.metadata["properties"][5] == {"name": "nuclei"}
    assert node.metadata["color"][1] == [1, 0, 0, 1]
    image = BioImage(store.path)
    np.testing.assert_array_equal(image.get_image_data(axes), labels)
    assert (image.physical_pixel_sizes.Y, image.physical_pixel_sizes.X) == (0.5, 0.25)
    ome = zarr.open_group(store.path, mode="r").attrs["ome"]
    (multiscales,) = ome["multiscales"]
    assert [axis.get("unit") for axis in multiscales["axes"]] == [
        "second" if letter == "T" else "micrometer" for letter in axes
    ]
    scales = [dataset["coordinateTransformations"][0]["scale"] for dataset in multiscales["datasets"]]
    for number, scale in enumerate(scales):
        assert scale == [SPACING[letter] * (2**number if letter in "YX" else 1) for letter in axes]
    assert store.levels[1].metadata.dimension_names == tuple(axes.lower())


@pytest.mark.parametrize(("count", "told"), [(10_000, True), (10_001, False)])
def test_names_of_very_many_labels_are_left_to_the_table(tmp_path, count, told):
    models = pytest.importorskip("ome_zarr_models.v05")
    store = LabelStore.create(tmp_path / "a.ome.zarr", "YX", (300, 300), np.uint32)
    names = dict.fromkeys(range(1, count + 1), "nuclei")
    finish(store, names, dict.fromkeys(names, COLOURS[1]))
    group = zarr.open_group(store.path, mode="r")
    models.ImageLabel.from_zarr(group)
    assert set(group.attrs["ome"]["image-label"]) == ({"colors", "properties"} if told else set())
    assert set(group.attrs[ATTRIBUTE]["prompts"]) == set(PROMPTS)
