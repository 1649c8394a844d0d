"""All figures of an evaluation, and the tables made of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple

from napari_biomedparse.engine.measure import Row
from napari_biomedparse.evaluation.baselines import BASELINE_COLUMNS, BaselineScore, baseline_rows, best_baselines
from napari_biomedparse.evaluation.paraphrases import PHRASE_COLUMNS, PhraseScore, largest_changes, phrase_rows
from napari_biomedparse.evaluation.presence import PRESENCE_COLUMNS, PresenceScore, presence_rows
from napari_biomedparse.evaluation.recognition import RECOGNITION_COLUMNS, Recognised, recognition_rows
from napari_biomedparse.evaluation.scores import MaskScore
from napari_biomedparse.evaluation.tables import (
    MODALITY_COLUMNS,
    SHAPE_COLUMNS,
    TARGET_COLUMNS,
    TASK_COLUMNS,
    modality_rows,
    shape_rows,
    target_rows,
    task_rows,
)


class Table(NamedTuple):
    """Rows and the order of their columns."""

    columns: tuple[str, ...]
    rows: list[Row]


@dataclass
class Figures:
    """The figures of one image, or of several."""

    scores: list[MaskScore] = field(default_factory=list)
    phrases: list[PhraseScore] = field(default_factory=list)
    presence: list[PresenceScore] = field(default_factory=list)
    recognised: list[Recognised] = field(default_factory=list)
    baselines: list[BaselineScore] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        """Append the figures of other images."""
        for part in fields(self):
            getattr(self, part.name).extend(getattr(other, part.name))

    def targets(self) -> Table:
        """Return the main table, a row per set, modality, site, target and prompt."""
        rows = target_rows(self.scores, best_baselines(self.baselines), largest_changes(self.phrases))
        return Table(TARGET_COLUMNS, rows)

    def tables(self) -> dict[str, Table]:
        """Return the other tables by name; those of what was not measured have no rows."""
        return {
            "tasks": Table(TASK_COLUMNS, task_rows(self.scores)),
            "modalities": Table(MODALITY_COLUMNS, modality_rows(self.scores)),
            "shapes": Table(SHAPE_COLUMNS, shape_rows(self.scores)),
            "paraphrases": Table(PHRASE_COLUMNS, phrase_rows(self.phrases)),
            "presence": Table(PRESENCE_COLUMNS, presence_rows(self.presence) if self.presence else []),
            "recognition": Table(RECOGNITION_COLUMNS, recognition_rows(self.recognised)),
            "baselines": Table(BASELINE_COLUMNS, baseline_rows(self.baselines)),
        }
