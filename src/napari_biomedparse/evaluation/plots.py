"""Pictures of an evaluation. Needs matplotlib, which the extra ``evaluate`` brings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_biomedparse.engine.shape import Shape
from napari_biomedparse.errors import SettingError
from napari_biomedparse.evaluation.figures import Figures
from napari_biomedparse.evaluation.presence import PresenceScore, roc_auc, roc_curve
from napari_biomedparse.evaluation.published import published_score
from napari_biomedparse.evaluation.scores import MaskScore, TargetKey
from napari_biomedparse.training.kinds import family

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
# Okabe and Ito's palette, told apart by colour-blind eyes; modalities take it in turns with the markers.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v")
_PUBLISHED = "#d55e00"


def check_matplotlib() -> None:
    """Refuse to draw before anything is measured.

    Raises
    ------
    SettingError
        If matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise SettingError("Plots need matplotlib: pip install 'napari-biomedparse[evaluate]'.") from error


def write_plots(folder: Path, figures: Figures) -> list[Path]:
    """Draw Dice per target, Dice by shape and, if measured, the ROC curve of the presence test; as PNG and SVG.

    A ROC curve of an earlier evaluation goes away where there is none now.

    Parameters
    ----------
    folder
        Where to; made if needed.
    figures
        With at least one mask.

    Returns
    -------
    list of Path
        The files.
    """
    drawn = {"dice_per_target": dice_per_target(figures.scores), "dice_by_shape": dice_by_shape(figures.scores)}
    if roc_auc(*_sides(figures.presence)) is not None:
        drawn["presence_roc"] = presence_roc(figures.presence)
    folder.mkdir(parents=True, exist_ok=True)
    for ending in FORMATS:
        (folder / f"presence_roc.{ending}").unlink(missing_ok=True)
    paths = []
    for name, figure in drawn.items():
        for ending in FORMATS:
            paths.append(folder / f"{name}.{ending}")
            figure.savefig(paths[-1], dpi=150, bbox_inches="tight")
    return paths


def _figure(width: float, height: float) -> Figure:
    # Figures without pyplot: no window, no state to clean up.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def dice_per_target(scores: Sequence[MaskScore]) -> Figure:
    """Draw a box per set, target and prompt over its images, by median, with the published mean as a diamond."""
    groups: dict[tuple[TargetKey, str], list[MaskScore]] = defaultdict(list)
    for score in scores:
        groups[score.key, score.prompt].append(score)
    ordered = sorted(groups.items(), key=lambda entry: float(np.median([score.dice for score in entry[1]])))
    figure = _figure(8, 1.2 + 0.28 * len(ordered))
    axes = figure.subplots()
    labels = [f"{_name(key, prompt)}, n = {len(group)}" for (key, prompt), group in ordered]
    axes.boxplot(
        [[score.dice for score in group] for _, group in ordered],
        orientation="horizontal",
        tick_labels=labels,
        medianprops={"color": _COLOURS[0]},
        flierprops={"markersize": 3},
    )
    marks = [
        (published.dice_mean, place)
        for place, ((key, _), _) in enumerate(ordered, start=1)
        if (published := published_score(key.modality, key.site, key.target)) is not None
    ]
    if marks:
        axes.plot(*zip(*marks, strict=True), "D", color=_PUBLISHED, label="BiomedParse v1, published mean")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    axes.set(xlabel="Dice", xlim=(-0.02, 1.02))
    axes.grid(axis="x", alpha=0.3)
    return figure


def _name(key: TargetKey, prompt: str) -> str:
    asked = "" if prompt == key.target else f' by "{prompt}"'
    return f"{key.target}{asked} ({key.site} {key.modality}, {key.dataset})"


def dice_by_shape(scores: Sequence[MaskScore]) -> Figure:
    """Draw Dice against each measure of the true mask's shape, a faint dot per mask and a strong one per target."""
    figure = _figure(12, 4.4)
    groups: dict[str, list[MaskScore]] = defaultdict(list)
    for score in scores:
        if score.shape is not None:
            groups[family(score.key.modality)].append(score)
    plots: Sequence[Axes] = figure.subplots(1, 3, sharey=True)
    for axes, measure in zip(plots, Shape._fields, strict=True):
        for number, (modality, group) in enumerate(groups.items()):
            colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
            targets: dict[object, list[tuple[float, float]]] = defaultdict(list)
            for score in group:
                targets[score.key].append((float(getattr(score.shape, measure)), score.dice))
            every = np.array([pair for pairs in targets.values() for pair in pairs])
            means = np.array([np.mean(pairs, axis=0) for pairs in targets.values()])
            axes.scatter(every[:, 0], every[:, 1], s=8, c=colour, marker=marker, alpha=0.2, linewidths=0)
            axes.scatter(means[:, 0], means[:, 1], s=45, c=colour, marker=marker, edgecolors="white", label=modality)
        axes.set(xlabel=measure.replace("_", " "), xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.grid(alpha=0.3)
    plots[0].set_ylabel("Dice")
    if groups:
        handles, labels = plots[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False)
    return figure


def presence_roc(scores: Sequence[PresenceScore]) -> Figure:
    """Draw the ROC curves of the presence test: against all absent prompts, and against each kind of them."""
    figure = _figure(5, 5)
    axes = figure.subplots()
    kinds = {"all absent prompts": None, "objects of other images": "object", "nonsense": "nonsense"}
    for colour, (name, kind) in zip(_COLOURS, kinds.items(), strict=False):
        present, absent = _sides(scores, kind)
        area = roc_auc(present, absent)
        if area is not None:
            axes.plot(*roc_curve(present, absent), color=colour, label=f"{name}, area {area:.3f}")
    axes.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
    axes.set(xlabel="absent ones taken for present", ylabel="present ones kept", aspect="equal")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(loc="lower right", frameon=False)
    axes.grid(alpha=0.3)
    return figure


def _sides(scores: Sequence[PresenceScore], kind: str | None = None) -> tuple[list[float], list[float]]:
    present = [score.score for score in scores if score.kind == "present"]
    absent = [score.score for score in scores if score.kind != "present" and kind in (None, score.kind)]
    return present, absent
