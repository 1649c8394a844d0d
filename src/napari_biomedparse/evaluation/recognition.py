"""Whether the model names what is there: objects found on each image against those annotated on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from napari_biomedparse.engine.measure import Row
from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.engine.views import EncodedImage
from napari_biomedparse.ontology import ModalityError
from napari_biomedparse.training.dataset import Example
from napari_biomedparse.training.kinds import identity, is_family, list_of


@dataclass(frozen=True)
class Recognised:
    """What was found on one image.

    Attributes
    ----------
    told
        Whether the model was told which list to go through; otherwise it guessed.
    modality
        The list gone through; empty where no guess was possible.
    modality_right, list_right
        Whether that is one of the image's modality, and whether it is just the image's list (of modality and site).
    annotated
        Objects of the image's list that are annotated on it.
    found
        Objects found.
    right
        Those of the found ones that are annotated.
    unjudged
        Those of the others that the set annotates on no image, so that they may be there.
    """

    dataset: str
    image: str
    told: bool
    modality: str
    modality_right: bool
    list_right: bool
    annotated: int
    found: int
    right: int
    unjudged: int

    @property
    def f1(self) -> float:
        """Twice the right ones over annotated and found ones; 1 where there are none of both."""
        objects = self.annotated + self.found
        return 2 * self.right / objects if objects else 1.0


def recognise_image(
    predictor: Predictor, encoded: EncodedImage, example: Example, shown: Collection[str], judged: Collection[str]
) -> list[Recognised]:
    """Look for everything on an image, told its list and guessing it; nothing where the model has no list for it.

    Parameters
    ----------
    predictor
        The model.
    encoded
        The image.
    example
        Where it comes from.
    shown
        Targets whose mask is not empty.
    judged
        Targets that the set annotates on some image.
    """
    own = list_of(example, predictor.table)
    if own is None:
        return []
    looked_for = {identity(name) for name in predictor.table.lists[own]}
    truth = {identity(name) for name in shown} & looked_for
    known = {identity(name) for name in judged}
    results = []
    for told in (True, False):
        modality, found = _found(predictor, encoded, own if told else None)
        results.append(
            Recognised(
                dataset=example.dataset,
                image=example.image.name,
                told=told,
                modality=modality,
                modality_right=modality == own or is_family(modality, example),
                list_right=modality == own,
                annotated=len(truth),
                found=len(found),
                right=len(found & truth),
                unjudged=len(found - truth - known),
            )
        )
    return results


def _found(predictor: Predictor, encoded: EncodedImage, modality: str | None) -> tuple[str, set[str]]:
    try:
        recognition = predictor.recognize(encoded, modality)
    except ModalityError:
        return "", set()
    return recognition.modality, {identity(finding.mask.prompt) for finding in recognition.found}


RECOGNITION_COLUMNS = (
    *("dataset", "told", "images", "modality_accuracy", "list_accuracy", "annotated", "found", "right", "unjudged"),
    *("precision", "recall", "f1", "f1_image_mean", "precision_judged", "f1_judged"),
)


def recognition_rows(results: Sequence[Recognised]) -> list[Row]:
    """Return rows of :data:`RECOGNITION_COLUMNS`, told and guessing: over all sets, then each set.

    Precision, recall and F1 are of all objects together, ``f1_image_mean`` is the mean over images. The two ``judged``
    figures leave out objects found that the set annotates on no image.
    """
    rows = []
    for dataset in ("all", *dict.fromkeys(result.dataset for result in results)):
        for told in (True, False):
            chosen = [r for r in results if r.told == told and dataset in ("all", r.dataset)]
            if chosen:
                rows.append(_recognition_row(dataset, told, chosen))
    return rows


def _recognition_row(dataset: str, told: bool, results: Sequence[Recognised]) -> Row:
    annotated, found, right, unjudged = (
        sum(getattr(result, name) for result in results) for name in ("annotated", "found", "right", "unjudged")
    )
    number = len(results)
    shares = (
        _share(right, found),
        _share(right, annotated),
        _share(2 * right, annotated + found),
        round(sum(result.f1 for result in results) / number, 4),
        _share(right, found - unjudged),
        _share(2 * right, annotated + found - unjudged),
    )
    accuracies = (
        _share(sum(result.modality_right for result in results), number),
        _share(sum(result.list_right for result in results), number),
    )
    values = (dataset, "yes" if told else "no", number, *accuracies, annotated, found, right, unjudged, *shares)
    return dict(zip(RECOGNITION_COLUMNS, values, strict=True))


def _share(part: int, whole: int) -> float | str:
    return round(part / whole, 4) if whole else ""
