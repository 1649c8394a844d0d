"""Of a pyramid, the dock and runs over files look at the same level, which suits the model that is chosen."""

import numpy as np
import pytest

from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.io.opened import open_image
from napari_biomedparse.model.checkpoint import save_model
from napari_biomedparse.plugin.planning import stack_of
from napari_biomedparse.plugin.selecting import Choices
from napari_biomedparse.scale.inputs import jobs_of
from napari_biomedparse.weights.own_models import own_model_path
from tests.io.test_opened import write_pyramid

SIDES = [2048, 1024, 512, 256, 128, 64]
SIDE_OF = {"mini": 256, "biomedparse-v1": 1024, "small": 64}


@pytest.fixture
def levels(rng):
    fine = rng.integers(0, 255, (SIDES[0], SIDES[0]), dtype=np.uint8)
    return [fine[:: 1 << n, :: 1 << n] for n in range(len(SIDES))]


@pytest.fixture(autouse=True)
def small(tiny_model):
    """A model of one's own, with an input of 64 pixels."""
    save_model(tiny_model, own_model_path("small"))


@pytest.mark.parametrize("prompts", [("liver",), ("nuclei",), ("liver", "nuclei"), ()])
def test_the_window_and_runs_over_files_choose_alike(tmp_path, viewer, control, session, levels, prompts):
    path = write_pyramid(tmp_path / "scan.zarr", levels, letters="yx", scale=[0.25, 0.25])
    image = viewer.add_image(levels, multiscale=True, scale=(0.25, 0.25), units=("um", "um"))
    for model, side in SIDE_OF.items():
        session.use(model, "auto")
        stack, recipe = control.question(image, list(prompts), Choices(), None)
        assert recipe.selection.level == stack.selection.level
        (job,), _ = jobs_of([path], Recipe(Selection("YX"), prompts, model=model), tmp_path / model, "cpu")
        assert job.recipe.selection.level == stack.selection.level
        # Nuclei are looked for at 0.5 micrometres.
        assert stack.shape == ((side,) * 2 if prompts == ("liver",) else (1024, 1024))
        assert f" of {stack.shape[1]} x " in control.plan(image, list(prompts), Choices())
    assert len(open_image(path).levels) == len(SIDES)


def test_the_part_that_is_chosen_fills_the_input(viewer, levels):
    image = viewer.add_image(levels, multiscale=True)
    viewer.add_shapes([[[0, 0], [0, 400], [511, 400], [511, 0]]], shape_type="rectangle")
    stack = stack_of(viewer, image, ["liver"], Choices("shapes"))
    assert stack.selection.level == 1
    assert stack.plane_shape == pytest.approx((256, 201), abs=1)
    assert stack_of(viewer, image, ["liver"], Choices()).selection.level == 3
    small = stack_of(viewer, image, ["liver"], Choices("shapes"), "small")
    assert small.plane_shape == pytest.approx((64, 51), abs=1)
    assert stack_of(viewer, image, ["liver"], Choices("shapes"), "biomedparse-v1").selection.level == 0
