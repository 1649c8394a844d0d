"""What must be settled about an image before its planes can be shared out."""

from __future__ import annotations

import json
from dataclasses import replace

import dask
import numpy as np

from napari_biomedparse.engine.follow import guess_kind, known_modality
from napari_biomedparse.engine.preprocess import ImageError
from napari_biomedparse.engine.prompts import words_for
from napari_biomedparse.engine.survey import survey
from napari_biomedparse.engine.views import EncodedImage
from napari_biomedparse.ontology import scale_of
from napari_biomedparse.scale.grid import Grid, stride_of
from napari_biomedparse.scale.job import Job


def prepare(job: Job) -> None:
    """Guess the kind of image, list what is asked and plan the blocks of its planes.

    Raises
    ------
    ModalityError
        If everything is looked for, but the kind of image cannot be guessed.
    ImageError
        If the image cannot be parsed.
    """
    if job.scratch.find("prepare", "plan") is not None:
        return
    recipe, predictor = job.recipe, job.predictor
    if (recipe.selection.rows, recipe.selection.columns) != ("Y", "X"):
        raise ImageError(f"{job.path}: planes are parsed along Y and X here; show them so, and copy the recipe again.")
    shape = job.stack.plane_shape
    modality = recipe.modality
    if modality is None and (recipe.recognizes or predictor.table.classifier):
        place = job.places()[0]
        with dask.config.set(scheduler="synchronous"):
            if Grid.plan(shape, 1, 1, job.block_bytes).side >= max(shape):
                image = predictor.encode(job.stack.read(place), scales=())
            else:
                image = EncodedImage(survey(job.stack, place).overview, "pad")
        modality = guess_kind(predictor, image, must=recipe.recognizes)
    if recipe.paint.presence > 0 and recipe.modality is not None and predictor.table.lists:
        # By a kind of image that is not known, no presence would be judged.
        modality = predictor.table.modality(recipe.modality)
    prompts = recipe.prompts
    if recipe.recognizes:
        assert modality is not None
        modality = predictor.table.modality(modality)
        prompts = tuple(predictor.table.lists[modality])
    words = words_for(prompts, recipe.modality, predictor.table)
    asked = list(dict.fromkeys(word for prompt in prompts for word in words[prompt]))
    stride = stride_of(predictor.model.config, [scale_of(word) for word in asked])
    grid = Grid.plan(shape, len(asked), stride, job.block_bytes)
    known = None if modality is None else known_modality(predictor, modality)
    sized = "" if recipe.diameter is not None else predictor.sized(prompts, recipe.modality) or ""
    plan = {"prompts": prompts, "modality": known, "sized": sized, "side": grid.side, "shape": grid.shape}
    job.scratch.put("prepare", "plan", {"plan": np.array(json.dumps(plan))})


def prepared(job: Job) -> Job:
    """Return the job with what :func:`prepare` settled."""
    plan = json.loads(str(job.scratch.get("prepare", "plan")["plan"]))
    grid = Grid(tuple(plan["shape"]), plan["side"])
    return replace(
        job,
        prompts=tuple(plan["prompts"]),
        modality=plan["modality"],
        sized=plan["sized"],
        diameter=job.recipe.diameter,
        grid=grid,
    )
