"""Which of the published model's 16 meta-objects (liver, vessel, tumor, ...) an answer belongs to."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.ontology import meta_objects


@torch.inference_mode()
def encode_meta_objects(model: BiomedParse) -> Tensor:
    """Encode the classes in CLIP's phrasings, (17, dim); takes some seconds."""
    return model.encode_classes([*meta_objects(), "background"])


@torch.inference_mode()
def rank_meta_objects(model: BiomedParse, found: Tensor, classes: Tensor) -> list[dict[str, float]]:
    """Rank the meta-objects for each answer.

    Parameters
    ----------
    model
        A network trained to tell them apart.
    found
        What the chosen queries found in the space of the texts, (P, dim).
    classes
        From :func:`encode_meta_objects`.

    Returns
    -------
    list of dict
        Meta-object -> probability, most probable first, one per answer. The published training shifted its classes by
        one, which is undone here; its class "other" is the same as none and stands for both.
    """
    rows = [dict(zip(meta_objects(), row, strict=True)) for row in model.classify(found, classes)[:, 1:].tolist()]
    return [dict(sorted(row.items(), key=lambda entry: -entry[1])) for row in rows]
