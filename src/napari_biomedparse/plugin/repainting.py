"""Paint all planes of a result anew in the background, once what was changed about it rests."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.plugin.counting import table_of
from napari_biomedparse.plugin.painting import Painted, paint_all
from napari_biomedparse.plugin.result import Result
from napari_biomedparse.plugin.worker import Failure, Job, StartWork

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A row per object of each of a result's layers, measured."""

    rows: dict[str | None, pd.DataFrame]


def tables_of(result: Result, recipe: Recipe) -> Table:
    """Measure the objects of a result as a recipe paints them."""
    return Table(
        {group: table_of(result.image, result.findings, recipe.paint, recipe.link, group) for group in result.groups}
    )


class Repainting:
    """One result at a time is painted anew; another one, or the same as something else, comes in its place.

    Parameters
    ----------
    start
        How work is done in the background.
    seen
        Told each plane, and the table at the end.
    refuse
        Told why it failed.
    """

    def __init__(
        self, start: StartWork, seen: Callable[[Result, Painted | Table], None], refuse: Callable[[str], None]
    ) -> None:
        self._start, self._seen, self._refuse = start, seen, refuse
        self._job: Job | None = None
        # The result all planes of which were painted last, and as what recipe says.
        self._settled: tuple[Result, Recipe] | None = None
        self._due: Result | None = None

    def is_settled(self, result: Result) -> bool:
        """Whether all planes of a result are painted as its recipe says."""
        return (result, result.recipe) == self._settled

    def is_due(self, result: Result | None) -> bool:
        """Whether something of a result was changed, and not all planes were painted so far."""
        return result is not None and self._due is result

    def settled(self, result: Result, recipe: Recipe) -> None:
        """Take note that all planes of a result are painted as a recipe says."""
        self._settled = result, recipe
        if self._due is result and result.recipe == recipe:
            self._due = None

    def unsettle(self, result: Result) -> None:
        """Take note that something of a result was changed."""
        self._settled, self._due = None, result

    def forget(self, there: Container[Result]) -> None:
        """Let go of a result that is not there any more."""
        if self._settled is not None and self._settled[0] not in there:
            self._settled = None
        if self._due is not None and self._due not in there:
            self._due = None

    def begin(self, result: Result, shown: Place | None) -> None:
        """Paint all planes of a result, the one that is shown first; what was being painted before comes to nothing."""
        self.stop()
        recipe = result.recipe

        def work() -> Generator[Any, None, None]:
            yield from paint_all(result.findings, recipe.paint, recipe.link, result.groups, shown)
            yield tables_of(result, recipe)

        def ended(failure: Failure | None) -> None:
            self._job = None
            if failure is not None:
                self._refuse(failure.sentence)
            else:
                self.settled(result, recipe)

        self._job = self._start(work, lambda event: self._seen(result, event), ended)

    def stop(self) -> None:
        """Stop painting."""
        if self._job is not None:
            self._job.quit()
            self._job = None
