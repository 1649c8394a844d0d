"""Runs over images: what a recipe says of them, in stores and tables; and what goes wrong with some of them."""

import errno
import os
import re
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr
from skimage.io import imsave

from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.follow import labels_of
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.io.opened import open_image
from napari_biomedparse.scale import study
from napari_biomedparse.scale.inputs import jobs_of
from napari_biomedparse.scale.study import Here, StudyError, claim, run
from tests.io.test_opened import write_pyramid
from tests.scale.runs import MICROMETRES, bytes_of, done, followed, job_of, recipe_of, result_of, write_tiff

OUTLINE = ((30.5, 20.5), (30.5, 150.5), (110.5, 150.5), (110.5, 20.5))


@pytest.mark.parametrize(
    "paint", [Paint(), Paint(0.3, instances=True), Paint(instances=True, split="distance", min_area=200)]
)
def test_a_plane_in_one_block_has_the_labels_of_its_recipe(tmp_path, predictor, stack, paint):
    job = job_of(write_tiff(tmp_path / "a.ome.tif", stack[0]), recipe_of(paint=paint), tmp_path / "out")
    expected = followed(job, stack[0], predictor)
    found = done(job)
    assert expected.any()
    assert found.labels.dtype == expected.dtype
    assert (found.labels == expected).all()


def test_prompts_share_a_plane_as_the_recipe_says(tmp_path, predictor, stack):
    recipe = recipe_of(prompts=("nuclei", "cytoplasm", "cell"), paint=Paint(0.2, {"cell": 0.4}, rule="last"))
    job = job_of(write_tiff(tmp_path / "a.ome.tif", stack[0]), recipe, tmp_path / "out")
    expected = labels_of(job.recipe, stack[0], predictor)
    found = done(job)
    assert (found.labels == expected.values).all()
    assert set(found.table["label"]) == set(np.unique(expected.values)) - {0}
    assert all(
        expected.names[label] == prompt
        for label, prompt in zip(found.table["label"], found.table["prompt"], strict=True)
    )


@pytest.mark.parametrize("link", [True, False])
def test_objects_of_a_stack_are_numbered_as_the_recipe_says(tmp_path, predictor, stack, link):
    recipe = recipe_of("ZYX", link=link)
    job = job_of(write_tiff(tmp_path / "a.ome.tif", stack, "ZYX"), recipe, tmp_path / "out")
    expected = followed(job, stack, predictor)
    found = done(job)
    assert (found.labels == expected).all()
    shared = set(np.unique(expected[0])) & set(np.unique(expected[1])) - {0}
    assert bool(shared) == link
    assert ("volume_px" in found.table) == link
    counts = {label: int((expected == label).sum()) for label in np.unique(expected[expected > 0])}
    assert dict(zip(found.table["label"], found.table["volume_px" if link else "area_px"], strict=True)) == counts


@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
def test_what_is_not_parted_is_counted_plane_by_plane(tmp_path, stack, axes):
    pixels = np.stack([stack[0], np.zeros_like(stack[0]), stack[1], stack[2]])
    path = write_tiff(tmp_path / "a.ome.tif", pixels, axes)
    found = done(job_of(path, recipe_of(axes, paint=Paint()), tmp_path / "out"))
    assert found.objects == {"nuclei": 3}
    if axes == "TYX":
        assert (found.table["label"], found.table["frame"]) == ([1, 1, 1], [0, 2, 3])
        assert found.table["area_px"] == [int(found.labels[t].sum()) for t in (0, 2, 3)]
    else:
        # Sections are those of one volume.
        assert (found.table["label"], found.table["frame"]) == ([1], [0])
        assert found.table["volume_px"] == [int(found.labels.sum())]
        assert (found.table["bbox_front_px"], found.table["bbox_back_px"]) == ([0], [4])


def test_a_series_of_volumes_of_one_channel(tmp_path, predictor, stack):
    pixels = np.zeros((2, 2, 2, *stack.shape[1:]), np.uint8)
    pixels[:, 0] = 40
    pixels[0, 1], pixels[1, 1] = stack[:2], stack[1:]
    path = write_tiff(tmp_path / "a.ome.tif", pixels, "TCZYX")
    asked = recipe_of(link=True, selection=Selection("YX", channels=(Channel(1, None),)))
    job = job_of(path, asked, tmp_path / "out", selection=None)
    expected = followed(job, pixels, predictor)
    found = done(job)
    assert found.store.axes == "TZYX"
    assert expected[:, 0].any(axis=(2, 3)).all()
    assert (found.labels == expected[:, 0]).all()


def test_a_level_of_a_pyramid(tmp_path, predictor, nuclei):
    fine, coarse = nuclei[:256, :256], nuclei[:256:2, :256:2]
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(fine, subifds=1, metadata={"axes": "YX", **MICROMETRES})
        file.write(coarse, subfiletype=1)
    assert len(open_image(path).levels) == 2
    job = job_of(path, recipe_of(selection=Selection("YX", level=1)), tmp_path / "out")
    found = done(job)
    expected = followed(job, [fine, coarse], predictor)
    assert expected.any()
    assert (found.labels == expected).all()
    # Pixels of the coarse level are twice as large.
    assert found.table["area_um2"] == pytest.approx([area * 0.5 for area in found.table["area_px"]])


def test_the_part_of_a_plane_that_a_recipe_from_napari_selects(tmp_path, predictor, stack):
    selection = Selection("ZYX", at={"Z": 1}, region=(10, 8, 118, 126), outlines=(OUTLINE,))
    job = job_of(write_tiff(tmp_path / "a.ome.tif", stack, "ZYX"), recipe_of(selection=selection), tmp_path / "out")
    expected = followed(job, stack, predictor)
    found = done(job)
    assert expected[1].any()
    assert not expected[[0, 2]].any()
    assert (found.labels == expected).all()


def test_everything_known_of_a_kind_of_image(tmp_path, predictor, histology):
    pixels = histology[0][:120, :128]
    recipe = recipe_of(
        prompts=(), modality="Pathology-Tissue", selection=Selection("YX", rgb=True), paint=Paint(presence=0.01)
    )
    job = job_of(write_tiff(tmp_path / "a.ome.tif", pixels, "YXS"), recipe, tmp_path / "out")
    expected = labels_of(job.recipe, pixels, predictor)
    found = done(job)
    assert expected.values.any()
    assert (found.labels == expected.values).all()
    assert set(found.objects) == set(predictor.table.lists["Pathology-Tissue"])


def test_the_kind_of_image_is_guessed(tmp_path, predictor, stack):
    recipe = recipe_of(modality=None)
    job = job_of(write_tiff(tmp_path / "a.ome.tif", stack[0]), recipe, tmp_path / "out")
    assert (done(job).labels == followed(job, stack[0], predictor)).all()


def test_a_plane_without_objects_gives_an_empty_store_and_table(tmp_path):
    path = write_tiff(tmp_path / "a.ome.tif", np.zeros((130, 100), np.uint16))
    found = done(job_of(path, recipe_of(), tmp_path / "out", bytes_of(96)))
    assert not found.labels.any()
    assert found.table["label"] == []
    assert {"area_px", "eccentricity", "prompt"} <= set(found.table)
    assert found.objects == {"nuclei": 0}


def test_results_of_another_recipe_are_not_mixed_with_others(tmp_path):
    claim(tmp_path / "out", recipe_of())
    claim(tmp_path / "out", recipe_of())
    with pytest.raises(StudyError, match="choose another folder"):
        claim(tmp_path / "out", recipe_of(paint=Paint(0.4, instances=True)))


def test_an_image_of_a_file_that_cannot_be_opened_does_not_stop_the_others_of_it(tmp_path, stack):
    store = tmp_path / "many.zarr"
    zarr.open_group(store, mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for number in range(3):
        write_pyramid(store / str(number), [stack[0]], letters="yx")
    (store / "1" / ".zattrs").write_text("no metadata")
    jobs, failed = jobs_of([store], recipe_of(), tmp_path / "out", "cpu")
    assert [job.name for job in jobs] == ["many_0", "many_2"]
    ((path, error),) = failed
    assert path == store
    assert str(store / "1") in str(error)


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path, stack):
    good = write_tiff(tmp_path / "good.ome.tif", stack[0])
    not_a_number = write_tiff(tmp_path / "nan.ome.tif", np.full((40, 40), np.nan, np.float32))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    missing = tmp_path / "missing.png"
    jobs, failed = jobs_of([broken, not_a_number, missing, good], recipe_of(), tmp_path / "out", "cpu")
    assert [path for path, _ in failed] == [broken, missing]
    assert all(path.name in str(error) for path, error in failed)
    bad, fine = run(jobs, Here())
    assert "NaN" in str(bad.error)
    assert bad.finished is None
    assert fine.error is None
    assert fine.finished.objects["nuclei"] > 0


def test_two_images_of_one_name_are_refused(tmp_path, stack):
    one = write_tiff(tmp_path / "a.ome.tif", stack[0])
    other = tmp_path / "a.png"
    imsave(other, stack[0], check_contrast=False)
    with pytest.raises(StudyError, match="use two folders"):
        jobs_of([one, other], recipe_of(), tmp_path / "out", "cpu")


def test_results_never_take_the_place_of_an_image(tmp_path, stack):
    image = write_tiff(tmp_path / "a.ome.tif", stack[0])
    precious = tmp_path / "a.ome.zarr"
    zarr.create_group(precious).create_array("0", data=stack[0])
    (job,), _ = jobs_of([image], recipe_of(), tmp_path, "cpu")
    (outcome,) = run([job], Here())
    assert "was not made here; choose another folder" in str(outcome.error)
    assert (zarr.open_group(precious, mode="r")["0"][:] == stack[0]).all()
    with pytest.raises(StudyError, match="would take its own place"):
        jobs_of([precious], recipe_of(), tmp_path, "cpu")


def test_presence_is_judged_by_a_kind_of_image_that_is_known(tmp_path, stack):
    image = write_tiff(tmp_path / "a.ome.tif", stack[0])

    def outcome(modality: str):
        recipe = recipe_of(modality=modality, paint=Paint(presence=1.0))
        return run(jobs_of([image], recipe, tmp_path / modality, "cpu")[0], Here())[0]

    assert outcome("fluorescence").finished.objects == {"nuclei": 0}
    assert "There is no list of objects for 'fluoresence'" in str(outcome("fluoresence").error)


def test_planes_shown_another_way_are_refused_with_a_sentence(tmp_path, stack):
    selection = Selection("ZYX", rows="Z", columns="X")
    job = job_of(write_tiff(tmp_path / "a.ome.tif", stack, "ZYX"), recipe_of(selection=selection), tmp_path / "out")
    (outcome,) = run([job], Here())
    assert "copy the recipe again" in str(outcome.error)


def test_progress_ends_with_all_pixels_and_images(tmp_path, stack):
    paths = [write_tiff(tmp_path / f"{name}.ome.tif", stack[0][:64, :64]) for name in "ab"]
    jobs, _ = jobs_of(paths, recipe_of(), tmp_path / "out", "cpu")
    told = []
    run(jobs, Here(), lambda progress: told.append(replace(progress)))
    looked = [progress.looked for progress in told]
    assert looked == sorted(looked)
    assert (told[-1].finished, told[-1].images) == (2, 2)
    assert told[-1].looked == told[-1].pixels == 2 * 64 * 64
    assert {progress.pixels for progress in told} == {2 * 64 * 64}
    again = []
    run(jobs, Here(), lambda progress: again.append(replace(progress)))
    assert again[-1].looked == again[-1].pixels == 0


class Counting(Here):
    """A pool that counts the tasks it is given."""

    tasks = 0

    def submit(self, task):
        self.tasks += 1
        super().submit(task)


def test_small_images_are_one_task_each_with_the_same_results(tmp_path, stack, monkeypatch):
    paths = [write_tiff(tmp_path / f"{number}.ome.tif", plane) for number, plane in enumerate(stack)]
    jobs, _ = jobs_of(paths, recipe_of(), tmp_path / "out", "cpu")
    pool = Counting()
    found = [result_of(job, outcome.finished.objects) for job, outcome in zip(jobs, run(jobs, pool), strict=True)]
    # There is nothing else to do for other workers while the last one is done, so it is not.
    alone = pool.tasks
    monkeypatch.setattr(study, "SMALL", 0)
    jobs, _ = jobs_of(paths, recipe_of(), tmp_path / "parted", "cpu")
    pool = Counting()
    parted = [result_of(job, outcome.finished.objects) for job, outcome in zip(jobs, run(jobs, pool), strict=True)]
    assert alone == 2 + pool.tasks // 3
    for one, other in zip(found, parted, strict=True):
        assert one.objects == other.objects
        assert one.labels.any()
        assert (one.labels == other.labels).all()
        assert one.table == other.table


class Damaging(Here):
    """A pool in which what tasks of one kind left of one image is damaged as soon as they end."""

    def __init__(self, job, step):
        super().__init__()
        self._folder, self._step = job.scratch.folder / step, step

    def wait(self):
        ended = super().wait()
        if ended.task.call.__name__ == self._step and self._folder.exists():
            for file in self._folder.iterdir():
                file.write_bytes(file.read_bytes()[:-3])
        return ended


@pytest.mark.parametrize("step", ["part", "share"])
def test_damage_that_is_met_between_tasks_fails_one_image_and_is_made_good_by_the_next_run(
    tmp_path, stack, monkeypatch, step
):
    monkeypatch.setattr(study, "SMALL", 0)
    paths = [write_tiff(tmp_path / f"{name}.ome.tif", stack[:2, :96, :96], "ZYX") for name in "ab"]
    recipe = recipe_of("ZYX", link=True)
    jobs, _ = jobs_of(paths, recipe, tmp_path / "out", "cpu", recipe.selection)
    failed, fine = run(jobs, Damaging(jobs[0], step))
    assert failed.finished is None
    assert re.search(rf"a/{step}/.*is gone or damaged; run the same again", str(failed.error))
    assert fine.error is None
    again, before = run(jobs, Here())
    assert (again.error, before.finished.already) == (None, True)
    mended, other = (result_of(job) for job in jobs)
    assert mended.labels.any()
    assert (mended.labels == other.labels).all()


def test_a_small_image_that_fails_does_not_stop_the_others(tmp_path, stack):
    paths = [write_tiff(tmp_path / f"{number}.ome.tif", plane) for number, plane in enumerate(stack)]
    jobs, _ = jobs_of(paths, recipe_of(), tmp_path / "out", "cpu")
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[: len(content) // 2])
    failed, *others = run(jobs, Here())
    assert failed.error is not None
    assert all(outcome.finished is not None for outcome in others)
    paths[0].write_bytes(content)
    again = run(jobs, Here())
    assert [outcome.finished.already for outcome in again] == [False, True, True]


def test_a_full_disk_stops_small_images_too(tmp_path, stack, monkeypatch):
    paths = [write_tiff(tmp_path / f"{number}.ome.tif", plane) for number, plane in enumerate(stack)]
    jobs, _ = jobs_of(paths, recipe_of(), tmp_path / "out", "cpu")

    def full(*_arguments, **_more):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(StudyError, match="The disk is full"):
        run(jobs, Here())
