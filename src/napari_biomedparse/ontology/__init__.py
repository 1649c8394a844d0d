"""What can be asked for: objects with their names, scale and colour, looked up from words."""

from napari_biomedparse.ontology.modalities import ModalityError, objects_of, presence_table, recognition_lists
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
    "ModalityError",
    "Scale",
    "all_objects",
    "colour_of",
    "find_object",
    "normalise",
    "objects_of",
    "presence_table",
    "recognition_lists",
    "scale_of",
]
