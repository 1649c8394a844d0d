"""What can be asked for: objects with their names, scale and colour, looked up from words."""

from napari_biomedparse.ontology.modalities import Distributions, ModalityError, RecognitionTable, meta_objects
from napari_biomedparse.ontology.objects import (
    BiomedicalObject,
    Scale,
    all_objects,
    colour_of,
    find_object,
    normalise,
    scale_of,
)

__all__ = [
    "BiomedicalObject",
    "Distributions",
    "ModalityError",
    "RecognitionTable",
    "Scale",
    "all_objects",
    "colour_of",
    "find_object",
    "meta_objects",
    "normalise",
    "scale_of",
]
