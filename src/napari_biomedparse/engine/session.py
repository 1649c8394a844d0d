"""A model that is loaded when first needed, for a window or a service."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.weights import locate

if TYPE_CHECKING:
    from napari_biomedparse.engine.follow import Progress, Seen
    from napari_biomedparse.engine.predictor import Predictor


class Session:
    """Look at images one after another; the predictor's cache spares encoding one that was seen.

    Creating a session loads nothing, not even torch. One step at a time uses the model; other runs wait for it.

    Parameters
    ----------
    model, device
        As for :meth:`Predictor.from_pretrained`.
    """

    def __init__(self, model: str = "mini", device: str = "auto") -> None:
        self.model, self.device = model, device
        self._predictor: Predictor | None = None
        self._loaded: tuple[str, str] | None = None
        self._digest = ""
        self._lock = Lock()

    def use(self, model: str, device: str) -> None:
        """Choose another model or device for runs that begin from now on."""
        self.model, self.device = model, device

    @property
    def weights(self) -> str:
        """SHA-256 of the loaded weights; empty before the first run."""
        return self._digest

    @property
    def running_on(self) -> str:
        """The device that the loaded model is on; empty before the first run."""
        return "" if self._predictor is None else str(self._predictor.device)

    def look(
        self, stack: Stack, recipe: Recipe, places: Sequence[Place], **how: Any
    ) -> Generator[Progress | Seen, None, None]:
        """Do :func:`~napari_biomedparse.engine.follow.look`, loading the model first if need be; ``how`` goes there."""
        if recipe.prompts:
            from napari_biomedparse.engine.prompts import check_prompts

            check_prompts(recipe.prompts)
        events = self._start(stack, recipe, places, **how)
        while True:
            # Held during a step only: a run that is abandoned between steps must not keep the model from the next.
            with self._lock:
                try:
                    event = next(events)
                except StopIteration:
                    return
            yield event

    def _start(
        self, stack: Stack, recipe: Recipe, places: Sequence[Place], **how: Any
    ) -> Generator[Progress | Seen, None, None]:
        from napari_biomedparse.engine.follow import look
        from napari_biomedparse.engine.predictor import Predictor

        wanted = recipe.model, self.device
        if self._predictor is None or self._loaded != wanted:
            # The old model's memory is freed before the new one is there.
            self._predictor = None
            path = Path(locate(recipe.model))
            self._predictor = Predictor.from_pretrained(path, self.device)
            with path.open("rb") as file:
                self._digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._loaded = wanted
        yield from look(self._predictor, stack, recipe, places, **how)


@cache
def shared_session() -> Session:
    """Return the one session of this process: docks of several windows share one model."""
    return Session()
