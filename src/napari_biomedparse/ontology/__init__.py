"""What can be asked for: objects with their names, relatives, scale and colour, looked up from words."""

from napari_biomedparse.ontology.lookup import (
    all_families,
    all_modalities,
    all_objects,
    ancestors_of,
    children_of,
    colour_of,
    descendants_of,
    find_modality,
    find_object,
    normalise,
    occurs_at,
    occurs_in,
    parents_of,
    scale_of,
    shown_together,
)
from napari_biomedparse.ontology.objects import BiomedicalObject, Family, Modality, Scale
from napari_biomedparse.ontology.recognition_table import (
    Distributions,
    ModalityClassifier,
    ModalityError,
    RecognitionTable,
    meta_objects,
)
from napari_biomedparse.ontology.resolve import Resolution, published_vocabulary, resolve, suggest
from napari_biomedparse.ontology.table import Ontology, OntologyError

__all__ = [
    "BiomedicalObject",
    "Distributions",
    "Family",
    "Modality",
    "ModalityClassifier",
    "ModalityError",
    "Ontology",
    "OntologyError",
    "RecognitionTable",
    "Resolution",
    "Scale",
    "all_families",
    "all_modalities",
    "all_objects",
    "ancestors_of",
    "children_of",
    "colour_of",
    "descendants_of",
    "find_modality",
    "find_object",
    "meta_objects",
    "normalise",
    "occurs_at",
    "occurs_in",
    "parents_of",
    "published_vocabulary",
    "resolve",
    "scale_of",
    "shown_together",
    "suggest",
]
