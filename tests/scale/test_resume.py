"""A run that was stopped goes on: nothing is lost, and nothing is done twice."""

import errno
import itertools
import json
import os

import numpy as np
import pytest

from napari_biomedparse import Predictor
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.io.label_store import ATTRIBUTE
from napari_biomedparse.scale.study import Done, Here, StudyError, claim, run
from tests.scale.runs import bytes_of, done, job_of, recipe_of, result_of, write_tiff


class Stopping(Here):
    """A pool that is stopped, or has no room on the disk, after some tasks that left something."""

    def __init__(self, folder, after, full=False):
        super().__init__()
        self._folder, self._left, self._full = folder, after, full

    def wait(self):
        if self._left <= 0:
            if self._full:
                return Done(self._tasks.pop(0), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            raise KeyboardInterrupt
        before = files_in(self._folder)
        ended = super().wait()
        self._left -= files_in(self._folder) != before
        return ended


def files_in(folder):
    """All files with the times they were written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def looked(job):
    """The files with what the model said of blocks."""
    return files_in(job.scratch.folder / "look")


@pytest.fixture
def calls(monkeypatch):
    """How often the model was asked, in a list of one number."""
    count = [0]
    asked = Predictor.steps

    def counted(self, *arguments, **options):
        count[0] += 1
        return asked(self, *arguments, **options)

    monkeypatch.setattr(Predictor, "steps", counted)
    return count


@pytest.fixture(scope="module")
def pixels(fluorescence):
    """Nuclei over the borders of four blocks."""
    return fluorescence[0][60:216, 100:256]


@pytest.fixture
def begin(tmp_path, pixels):
    """Make a job for the image in a folder of its own."""
    path = write_tiff(tmp_path / "cells.ome.tif", pixels)
    return lambda name: job_of(path, recipe_of(), tmp_path / name, bytes_of(96))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, pixels):
    """What a run leaves that nothing stops."""
    folder = tmp_path_factory.mktemp("undisturbed")
    job = job_of(write_tiff(folder / "cells.ome.tif", pixels), recipe_of(), folder / "out", bytes_of(96))
    found = done(job)
    assert len(found.table["label"]) > 3
    return found


def assert_like(found, undisturbed):
    assert (found.labels == undisturbed.labels).all()
    assert found.table == undisturbed.table


def stop(job, after):
    with pytest.raises(KeyboardInterrupt):
        run([job], Stopping(job.folder, after))


def test_a_run_that_is_stopped_again_and_again_ends_like_one_that_is_not(begin, undisturbed, calls):
    job = begin("out")
    times = 0
    for times in itertools.count():
        try:
            (outcome,) = run([job], Stopping(job.folder, 2))
            break
        except KeyboardInterrupt:
            assert times < 50
            assert not job.table.exists()
    assert times > 4
    assert outcome.finished is not None
    assert_like(result_of(job), undisturbed)
    # Once for each of the four blocks.
    assert calls == [4]


def test_blocks_that_were_looked_at_are_left_alone(begin, undisturbed):
    job = begin("out")
    # Its plan, its survey, the size of its nuclei, and three of four blocks.
    stop(job, 6)
    before = looked(job)
    assert len(before) == 3
    stop(job, 4)
    after = looked(job)
    assert len(after) == 4
    assert before.items() <= after.items()
    assert_like(done(job), undisturbed)


@pytest.mark.parametrize("damage", ["cut off", "changed", "empty"])
def test_what_is_damaged_is_made_anew(begin, undisturbed, calls, damage):
    job = begin("out")
    stop(job, 7)
    broken = sorted(looked(job))[1]
    content = bytearray(broken.read_bytes())
    if damage == "changed":
        content[len(content) // 2] ^= 0xFF
    broken.write_bytes(content if damage == "changed" else content[: len(content) // 2 if damage == "cut off" else 0])
    assert calls == [4]
    assert_like(done(job), undisturbed)
    assert calls == [5]


def test_a_damaged_record_of_the_image_costs_nothing(begin, undisturbed, calls):
    job = begin("out")
    stop(job, 7)
    (record,) = (job.scratch.folder / "input").iterdir()
    record.write_bytes(b"")
    assert_like(done(job), undisturbed)
    assert calls == [4]


def test_a_file_that_was_half_written_is_no_obstacle(begin, undisturbed):
    job = begin("out")
    stop(job, 5)
    for path in list(looked(job)):
        path.rename(path.with_name(f"{path.name}.partial"))
    assert_like(done(job), undisturbed)


def test_an_image_that_has_changed_is_begun_anew(begin, undisturbed, pixels, tmp_path):
    job = begin("out")
    write_tiff(job.path, np.fliplr(pixels)[:130])
    stop(job, 11)
    assert job.store.exists()
    write_tiff(job.path, pixels)
    os.utime(job.path, (1, 1))
    assert_like(done(begin("out")), undisturbed)


def test_what_is_finished_is_left_alone(begin, undisturbed, calls):
    job = begin("out")
    assert_like(done(job), undisturbed)
    before = files_in(job.folder)
    calls[0] = 0
    (outcome,) = run([job], Here())
    assert outcome.finished.already
    assert not outcome.finished.outdated
    assert files_in(job.folder) == before
    assert calls == [0]


@pytest.mark.parametrize("age", [-(10**9), 10**9])
def test_a_finished_image_that_was_replaced_is_told(begin, pixels, age):
    job = begin("out")
    done(job)
    before, written = files_in(job.folder), job.path.stat().st_mtime_ns
    write_tiff(job.path, np.fliplr(pixels))
    os.utime(job.path, ns=(written + age,) * 2)
    (outcome,) = run([job], Here())
    assert outcome.finished.already
    assert outcome.finished.outdated
    assert files_in(job.folder) == before
    # Earlier versions did not keep what they were made of: there only what is newer than the table is told.
    file = job.store / "zarr.json"
    metadata = json.loads(file.read_bytes())
    del metadata["attributes"][ATTRIBUTE]["image"]
    file.write_text(json.dumps(metadata))
    os.utime(job.path, ns=(job.table.stat().st_mtime_ns + age,) * 2)
    (outcome,) = run([job], Here())
    assert outcome.finished.already
    assert outcome.finished.outdated == (age > 0)


def test_an_image_whose_table_was_removed_is_done_again(begin, undisturbed):
    job = begin("out")
    done(job)
    job.table.unlink()
    assert_like(done(job), undisturbed)


@pytest.mark.parametrize("after", [0, 4, 11])
def test_a_full_disk_ends_the_run_and_loses_nothing(begin, undisturbed, calls, after):
    job = begin("out")
    with pytest.raises(StudyError, match=r"disk is full.* make room"):
        run([job], Stopping(job.folder, after, full=True))
    assert not job.table.exists()
    assert_like(done(job), undisturbed)
    assert calls == [4]


def test_no_room_for_a_file_of_a_step_is_a_full_disk(begin, undisturbed, monkeypatch):
    job = begin("out")
    stop(job, 6)
    before = looked(job)
    real = os.fsync

    def no_room(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(StudyError, match="disk is full"):
        run([job], Here())
    monkeypatch.setattr(os, "fsync", real)
    assert looked(job) == before
    assert_like(done(job), undisturbed)


def test_what_a_killed_run_left_beside_the_labels_is_removed(begin):
    job = begin("out")
    left = job.folder / f".{job.store.name}.ab12.partial"
    left.mkdir(parents=True)
    (left / "zarr.json").write_bytes(b"{")
    table = job.folder / f"{job.table.name}.ab12.partial"
    table.write_bytes(b"PAR1")
    note = job.folder / "recipe.json.ab12.partial"
    note.write_bytes(b"{")
    claim(job.folder, job.recipe)
    run([job], Here())
    assert job.finished
    assert not left.exists()
    assert not table.exists()
    assert not note.exists()


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize(("threshold", "refused"), [(0.5, False), (0.4, True)])
def test_processes_that_begin_in_one_folder_at_once_agree_on_its_question(
    tmp_path, monkeypatch, links, threshold, refused
):
    ours, theirs = recipe_of(), recipe_of(paint=Paint(threshold, instances=True))
    real = os.fsync

    def other_process(descriptor):
        # It comes when our note is written, but not in its place.
        monkeypatch.setattr(os, "fsync", real)
        claim(tmp_path / "out", theirs)
        real(descriptor)

    def no_link(*_):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "fsync", other_process)
    if not links:
        monkeypatch.setattr(os, "link", no_link)
    if refused:
        with pytest.raises(StudyError, match="choose another folder"):
            claim(tmp_path / "out", ours)
    else:
        claim(tmp_path / "out", ours)
    (note,) = (tmp_path / "out").iterdir()
    assert json.loads(note.read_text(encoding="utf-8")) == json.loads(theirs.as_json())
