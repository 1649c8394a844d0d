"""A controller without a window: everything runs at once, in this thread."""

import pytest
from napari.components import ViewerModel

from napari_biomedparse.engine.session import Loaded, Session
from tests.plugin.directly import SMALL, Direct, Now


@pytest.fixture
def session(predictor):
    return Session(loaded=Loaded(predictor, ("mini", "auto"), {"mini": "0" * 64}))


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def control(viewer, session, now):
    made = Direct(viewer, session, now)
    made.notes = []
    made.said.connect(lambda sentence, refusal: made.notes.append((sentence, refusal)))
    return made


@pytest.fixture
def cells(viewer, fluorescence):
    return viewer.add_image(fluorescence[0][SMALL], name="cells", scale=(0.5, 0.5), units=("um", "um"))
