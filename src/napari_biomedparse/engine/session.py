"""A model that is loaded when first needed, for a window or a service."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.weights import locate
from napari_biomedparse.weights.files import sha256_of

if TYPE_CHECKING:
    from napari_biomedparse.engine.follow import Progress, Seen
    from napari_biomedparse.engine.predictor import Predictor


@dataclass
class Loaded:
    """The model that is in memory.

    Attributes
    ----------
    predictor
        The model; None before the first run.
    which
        Its name or path, and the device as it was asked for.
    digests
        Name or path of every model that was loaded -> SHA-256 of its weights.
    lock
        Held by who uses the model.
    """

    predictor: Predictor | None = None
    which: tuple[str, str] | None = None
    digests: dict[str, str] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def use(self, model: str, device: str) -> Predictor:
        """Return a model on a device, loaded if another one was.

        Raises
        ------
        CheckpointError, ValueError
            As :meth:`Predictor.from_pretrained`.
        """
        from napari_biomedparse.engine.predictor import Predictor

        if self.predictor is None or self.which != (model, device):
            # The old model's memory is freed before the new one is there.
            self.predictor = None
            path = Path(locate(model))
            self.predictor = Predictor.from_pretrained(path, device)
            self.digests[model] = sha256_of(path)
            self.which = model, device
        return self.predictor


class Session:
    """Look at images one after another; the predictor's cache spares encoding one that was seen.

    Creating a session loads nothing, not even torch. One step at a time uses the model; other runs wait for it.

    Parameters
    ----------
    model, device
        As for :meth:`Predictor.from_pretrained`.
    loaded
        The model in memory, where several sessions share it; by default the session has its own.
    """

    def __init__(self, model: str = "mini", device: str = "auto", loaded: Loaded | None = None) -> None:
        self.model, self.device = model, device
        self._loaded = loaded or Loaded()

    def use(self, model: str, device: str) -> None:
        """Choose another model or device for runs that begin from now on."""
        self.model, self.device = model, device

    def weights_of(self, model: str) -> str:
        """Return the SHA-256 of a model's weights as they were loaded last; empty if they were not yet."""
        return self._loaded.digests.get(model, "")

    @property
    def running_on(self) -> str:
        """The device that the loaded model is on; empty before the first run."""
        return "" if self._loaded.predictor is None else str(self._loaded.predictor.device)

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
            with self._loaded.lock:
                try:
                    event = next(events)
                except StopIteration:
                    return
            yield event

    def _start(
        self, stack: Stack, recipe: Recipe, places: Sequence[Place], **how: Any
    ) -> Generator[Progress | Seen, None, None]:
        from napari_biomedparse.engine.follow import look

        yield from look(self._loaded.use(recipe.model, self.device), stack, recipe, places, **how)


@cache
def _shared() -> Loaded:
    return Loaded()


def shared_session() -> Session:
    """Return a session that shares the model in memory with all others of this process, but has its own choice."""
    return Session(loaded=_shared())
