"""From the figures of single masks to tables: per target, per task, per modality, per shape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from scipy.stats import pearsonr

from napari_biomedparse.engine.measure import Row
from napari_biomedparse.engine.shape import Shape
from napari_biomedparse.evaluation.instances import add_counts
from napari_biomedparse.evaluation.published import PublishedScore, published_score
from napari_biomedparse.evaluation.scores import MaskScore, TargetKey, rounded
from napari_biomedparse.training.kinds import family

PRECISION_AT = (0.5, 0.6, 0.7, 0.8, 0.9)

_MEANS = ("images", "dice_mean", "dice_median", "iou_mean", "assd_mean", "box_iou_mean")
_MORE = (
    *("iou_median", "assd_median", "assd_undefined", "dice_pooled", "iou_pooled"),
    *(f"precision_iou_{least}" for least in PRECISION_AT),
    *("images_with_objects", "ap_50", "ap_50_95", "f1_50", "f1_50_pooled"),
)
_PUBLISHED = ("published_images", "published_dice", "published_dice_median", "published_assd")
TARGET_COLUMNS = (
    *("dataset", "modality", "site", "target", *_MEANS, "prompt", *_MORE, *_PUBLISHED),
    *("baseline_dice", "baseline_method", "paraphrase_change"),
)
TASK_COLUMNS = ("modality", "site", "target", *_MEANS, "prompt", *_MORE, *_PUBLISHED)
MODALITY_COLUMNS = (
    *("modality", "targets", "images", "dice_mean", "dice_median", "dice_target_mean", "iou_mean", "assd_mean"),
    *("published_targets", "published_images", "published_dice", "published_dice_target_mean"),
)
SHAPE_COLUMNS = (
    *("measure", "from", "to", "images", "dice_mean", "dice_median"),
    *("correlation_images", "correlation_targets"),
)

_Key = TypeVar("_Key", bound=Hashable)


def _grouped(scores: Sequence[MaskScore], key: Callable[[MaskScore], _Key]) -> dict[_Key, list[MaskScore]]:
    groups: dict[_Key, list[MaskScore]] = defaultdict(list)
    for score in scores:
        groups[key(score)].append(score)
    return groups


def target_rows(
    scores: Sequence[MaskScore],
    baselines: Mapping[TargetKey, tuple[str, float]] | None = None,
    changes: Mapping[TargetKey, float] | None = None,
) -> list[Row]:
    """Return a row of :data:`TARGET_COLUMNS` per set, modality, site, target and prompt.

    Parameters
    ----------
    scores
        Of all masks.
    baselines
        Target -> best trivial method and its mean Dice, if measured.
    changes
        Target -> largest change of mean Dice by other words, if measured.
    """
    rows = []
    for (key, prompt), group in _grouped(scores, lambda score: (score.key, score.prompt)).items():
        method, least = (baselines or {}).get(key, ("", None))
        rows.append(
            {
                "dataset": key.dataset,
                **_task_row(key, prompt, group),
                "baseline_dice": rounded(least),
                "baseline_method": method,
                "paraphrase_change": rounded((changes or {}).get(key)),
            }
        )
    return [{column: row[column] for column in TARGET_COLUMNS} for row in rows]


def task_rows(scores: Sequence[MaskScore]) -> list[Row]:
    """Return a row of :data:`TASK_COLUMNS` per modality, site, target and prompt, over all sets, as published."""
    groups = _grouped(scores, lambda score: (score.key.modality, score.key.site, score.key.target, score.prompt))
    return [_task_row(group[0].key, prompt, group) for (*_, prompt), group in groups.items()]


def _task_row(key: TargetKey, prompt: str, scores: Sequence[MaskScore]) -> Row:
    dices, ious, boxes = ([getattr(score, name) for score in scores] for name in ("dice", "iou", "box_iou"))
    distances = [score.assd for score in scores if score.assd is not None]
    shared = sum(score.area_shared for score in scores)
    areas = sum(score.area_true + score.area_found for score in scores)
    published = published_score(key.modality, key.site, key.target)
    values = (
        *(key.modality, key.site, key.target, len(scores)),
        *map(rounded, (np.mean(dices), np.median(dices), np.mean(ious), _mean(distances), np.mean(boxes))),
        prompt,
        *(rounded(np.median(ious)), rounded(float(np.median(distances)) if distances else None)),
        len(scores) - len(distances),
        rounded(2 * shared / areas if areas else 1.0),
        rounded(shared / (areas - shared) if areas else 1.0),
        *(rounded(np.mean(np.asarray(ious) >= least)) for least in PRECISION_AT),
        *_object_figures(scores),
        *_published_figures(published),
    )
    return dict(zip(TASK_COLUMNS, values, strict=True))


def _object_figures(scores: Sequence[MaskScore]) -> tuple[str | float, ...]:
    counts = [score.objects for score in scores if score.objects is not None]
    if not counts:
        return (0, "", "", "", "")
    figures = ([count.ap_50 for count in counts], [count.ap_mean for count in counts], [c.f1_50 for c in counts])
    return (len(counts), *(rounded(_mean(values)) for values in figures), rounded(add_counts(counts).f1_50))


def _published_figures(score: PublishedScore | None) -> tuple[str | float, ...]:
    return (score.images, score.dice_mean, score.dice_median, score.assd_mean) if score else ("",) * 4


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def modality_rows(scores: Sequence[MaskScore]) -> list[Row]:
    """Return a row of :data:`MODALITY_COLUMNS` per modality, whatever its sequence, and one over all.

    ``dice_mean`` is over all masks, ``dice_target_mean`` over the means of the targets of each site. The published
    figures beside them are of those targets here that were published, weighted by their numbers of published test
    masks and not weighted.
    """
    groups = {"all": list(scores), **_grouped(scores, lambda score: family(score.key.modality))}
    return [_modality_row(name, group) for name, group in groups.items() if group]


def _modality_row(name: str, scores: Sequence[MaskScore]) -> Row:
    dices = [score.dice for score in scores]
    targets = _grouped(scores, lambda score: (score.key.modality, score.key.site, score.key.target))
    published = [found for key in targets if (found := published_score(*key)) is not None]
    means, weights = [score.dice_mean for score in published], [score.images for score in published]
    values = (
        *(name, len(targets), len(scores), rounded(_mean(dices)), rounded(float(np.median(dices)))),
        rounded(float(np.mean([np.mean([score.dice for score in group]) for group in targets.values()]))),
        rounded(_mean([score.iou for score in scores])),
        rounded(_mean([score.assd for score in scores if score.assd is not None])),
        *(len(published), sum(weights)),
        rounded(float(np.average(means, weights=weights)) if published else None),
        rounded(_mean(means)),
    )
    return dict(zip(MODALITY_COLUMNS, values, strict=True))


def shape_rows(scores: Sequence[MaskScore]) -> list[Row]:
    """Return rows of :data:`SHAPE_COLUMNS`: Dice in tenths of each measure of the true mask's shape.

    ``correlation_images`` is Pearson's r of measure and Dice over all masks, ``correlation_targets`` over the means of
    the targets; both are the same in all rows of a measure.
    """
    rows: list[Row] = []
    for measure in Shape._fields:
        shown = [(score, float(getattr(score.shape, measure))) for score in scores if score.shape is not None]
        targets: dict[TargetKey, list[tuple[float, float]]] = defaultdict(list)
        for score, value in shown:
            targets[score.key].append((value, score.dice))
        correlations = (
            rounded(_correlation([(value, score.dice) for score, value in shown])),
            rounded(_correlation([tuple(np.mean(pairs, axis=0)) for pairs in targets.values()])),
        )
        for tenth in range(10):
            # A measure of 1 belongs to the last tenth.
            dices = [score.dice for score, value in shown if min(int(value * 10), 9) == tenth]
            if dices:
                figures = (len(dices), rounded(_mean(dices)), rounded(float(np.median(dices))))
                values = (measure, tenth / 10, (tenth + 1) / 10, *figures, *correlations)
                rows.append(dict(zip(SHAPE_COLUMNS, values, strict=True)))
    return rows


def _correlation(pairs: Sequence[tuple[float, ...]]) -> float | None:
    """Return Pearson's r, None for fewer than three pairs or where one value never changes."""
    if len(pairs) < 3 or np.ptp(pairs, axis=0).min() == 0:
        return None
    return float(pearsonr(*np.transpose(pairs)).statistic)
