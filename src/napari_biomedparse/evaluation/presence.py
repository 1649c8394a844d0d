"""Whether the model says if an object is there: prompts for present objects against prompts for absent ones."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from napari_biomedparse.engine.measure import Row
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.ontology import RecognitionTable
from napari_biomedparse.training.calibrate import modality_name
from napari_biomedparse.training.dataset import Example
from napari_biomedparse.training.kinds import absent_from, family

Kind = Literal["present", "object", "nonsense"]

# Words that name nothing in an image of the body.
NONSENSE = ("flux capacitor", "purple bicycle", "zxqv brplk", "sunday morning", "lorem ipsum", "quarterly tax report")
# Prompts asked of each image besides its own targets.
ABSENT_OBJECTS, ABSENT_NONSENSE = 4, 2
# Share of the present objects that a limit is to keep.
KEPT = 0.9


def presence_score(mask: ObjectMask) -> float:
    """Return how sure a model is that the object is there, in [0, 1]; 0 for an empty mask."""
    return mask.confidence if mask.mask().any() else 0.0


@dataclass(frozen=True)
class PresenceScore:
    """The score of one prompt on one image.

    Attributes
    ----------
    modality
        The image's, without its sequence.
    kind
        The prompt names something ``"present"``, an ``"object"`` of other images, or it is ``"nonsense"``.
    """

    dataset: str
    modality: str
    image: str
    prompt: str
    kind: Kind
    score: float


class AbsentPrompts:
    """Choose prompts for what an image does not show, always the same for the same image.

    What is absent is said by :func:`~napari_biomedparse.training.kinds.absent_from`, as in training. The names come
    from the sets that are evaluated and from the model's own lists.

    Parameters
    ----------
    examples
        Of all sets.
    table
        The model's lists.
    """

    def __init__(self, examples: Sequence[Example], table: RecognitionTable) -> None:
        named: dict[str, set[str]] = {name: set(targets) for name, targets in table.lists.items()}
        for example in examples:
            named.setdefault(modality_name(example), set()).update(example.masks)
        self._named: Mapping[str, set[str]] = named

    def choose(self, example: Example) -> list[tuple[str, Kind]]:
        """Return prompts with their kind, at most :data:`ABSENT_OBJECTS` objects and :data:`ABSENT_NONSENSE` words."""
        absent = absent_from(example, chain.from_iterable(self._named.values()), self._named)
        rng = np.random.default_rng(zlib.crc32(example.image.name.encode()))
        objects = rng.permutation(sorted(absent))[:ABSENT_OBJECTS]
        words = rng.choice(NONSENSE, ABSENT_NONSENSE, replace=False)
        return [(str(name), "object") for name in objects] + [(str(word), "nonsense") for word in words]


def roc_auc(present: Sequence[float], absent: Sequence[float]) -> float | None:
    """Return the share of pairs in which the present object has the higher score, equal ones counting half.

    That is the area under the ROC curve, and the Mann-Whitney statistic over the number of pairs (Hanley and McNeil,
    Radiology 143, 29-36, 1982). None where there is no pair.
    """
    if not present or not absent:
        return None
    return float(mannwhitneyu(present, absent, method="asymptotic").statistic) / (len(present) * len(absent))


def roc_curve(present: Sequence[float], absent: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of absent and of present prompts at or above each score, from the strictest limit down."""
    limits = np.unique(np.concatenate([present, absent]))[::-1]
    # Of each sorted list, those at or above a limit are those not below it.
    shares = [1 - np.searchsorted(np.sort(scores), limits) / len(scores) for scores in (absent, present)]
    false, true = (np.concatenate([[0.0], share]) for share in shares)
    return false, true


def limit_keeping(present: Sequence[float], share: float = KEPT) -> float:
    """Return the highest limit at or above which at least a share of the present objects' scores lie."""
    return float(np.sort(present)[int(np.floor((1 - share) * len(present) + 1e-9))])


PRESENCE_COLUMNS = (
    *("modality", "absent_kind", "present", "absent", "roc_auc", "present_empty", "absent_empty"),
    *("limit_keeping_0.9", "absent_below_limit"),
)


def presence_rows(scores: Sequence[PresenceScore]) -> list[Row]:
    """Return rows of :data:`PRESENCE_COLUMNS`: all together, each kind of absent prompt, and each modality.

    ``present_empty`` and ``absent_empty`` are the shares of empty masks; ``limit_keeping_0.9`` is the highest limit
    that keeps 90 % of the present objects, ``absent_below_limit`` the share of absent ones it refuses.
    """
    rows = [_presence_row("all", kind, scores) for kind in ("all", "object", "nonsense")]
    by_modality: dict[str, list[PresenceScore]] = {}
    for score in scores:
        by_modality.setdefault(score.modality, []).append(score)
    return rows + [_presence_row(name, "all", group) for name, group in by_modality.items()]


def _presence_row(modality: str, kind: str, scores: Sequence[PresenceScore]) -> Row:
    present = [score.score for score in scores if score.kind == "present"]
    absent = [score.score for score in scores if score.kind == kind or (kind == "all" and score.kind != "present")]
    auc = roc_auc(present, absent)
    values: list[str | int | float] = [modality, kind, len(present), len(absent), "", "", "", "", ""]
    if auc is not None:
        limit = limit_keeping(present)
        values[4:] = [
            round(auc, 4),
            round(float(np.mean(np.asarray(present) == 0)), 4),
            round(float(np.mean(np.asarray(absent) == 0)), 4),
            round(limit, 4),
            round(float(np.mean(np.asarray(absent) < limit)), 4),
        ]
    return dict(zip(PRESENCE_COLUMNS, values, strict=True))


def presence_of(example: Example, mask: ObjectMask, kind: Kind) -> PresenceScore:
    """Return the score of one answer."""
    score = presence_score(mask)
    return PresenceScore(example.dataset, family(example.modality), example.image.name, mask.prompt, kind, score)
