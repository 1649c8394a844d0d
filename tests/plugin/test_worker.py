"""How work in a thread ends: with a sentence for whoever can mend it, and with a report where nobody but us can."""

import logging

import pytest

from napari_biomedparse.engine.preprocess import ImageError
from napari_biomedparse.plugin.worker import start_thread


def end_of(work, qtbot):
    ends = []
    job = start_thread(work, lambda _: None, ends.append)
    qtbot.waitUntil(lambda: bool(ends), timeout=10_000)
    assert job
    return ends[0]


def broken(error):
    def work():
        yield 1
        raise error

    return work


@pytest.mark.parametrize("error", [ImageError("The image is empty; choose another."), OSError("The disk is full.")])
def test_what_a_user_can_mend_is_told_as_it_is(error, qtbot, caplog):
    assert end_of(broken(error), qtbot).sentence == str(error)
    assert not caplog.records


def test_a_defect_is_called_one_and_logged_with_its_traceback(qtbot, caplog):
    with caplog.at_level(logging.ERROR):
        sentence = end_of(broken(ValueError("operands could not be broadcast")), qtbot).sentence
    assert "ValueError: operands could not be broadcast" in sentence
    assert "please report it" in sentence
    assert "Traceback" in caplog.text


def test_work_that_is_through_has_nothing_to_tell(qtbot):
    assert end_of(lambda: iter((1, 2)), qtbot) is None


def test_work_that_is_let_go_is_done_to_its_end_and_not_told_of(qtbot):
    done, told = [], []

    def work():
        done.append("begun")
        yield 1
        done.append("ended")

    job = start_thread(work, told.append, told.append)
    job.let_go()
    qtbot.waitUntil(lambda: done == ["begun", "ended"], timeout=10_000)
    qtbot.wait(100)
    assert not told
