"""A few faults on small images; ``run_faults.py`` does all of them on larger ones and at many moments."""

import numpy as np
import pytest

from tests.faults.images import make_images
from tests.faults.kinds import KINDS
from tests.faults.run_faults import ASKED
from tests.faults.trial import Moment, Trial, Undisturbed

# Pieces of work that are recorded when the fault comes, from the beginning or, if negative, from the end.
EARLY, LATE = 3, -6


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    images = make_images(folder / "images", side=400, sections=0)
    # A worker takes longer to start than these images take.
    run = Undisturbed(images, ASKED, folder / "undisturbed", workers=1)
    run.run(folder / "said.txt")
    return run


# "torn" kills the command with all its workers, too.
@pytest.mark.parametrize(("kind", "blocks"), [("worker", EARLY), ("torn", LATE), ("truncated", EARLY)])
def test_the_same_command_goes_on_and_ends_with_the_same_results(undisturbed, tmp_path, kind, blocks):
    moment = Moment(blocks % undisturbed.blocks, 0.0)
    trial = Trial(undisturbed, tmp_path / kind, moment, np.random.default_rng(1))
    KINDS[kind](trial)
    assert not trial.wrong, (trial.wrong, trial.notes, trial.said.read_text())
    assert "ended before the fault" not in trial.notes
    assert "nothing to tear" not in trial.notes
    assert kind == "truncated" or trial.blocks >= moment.blocks
