"""Keep what was computed of seen images, the least recently used dropped first, within a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Protocol, TypeVar

from napari_biomedparse.errors import SettingError


class Sized(Protocol):
    """Anything that knows how many bytes it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""


Value = TypeVar("Value")


class Cache:
    """Results by what they were computed from.

    Parameters
    ----------
    budget
        Bytes kept at most; 0 keeps nothing.

    Attributes
    ----------
    nbytes
        Bytes kept now.

    Raises
    ------
    SettingError
        If the budget is negative.
    """

    def __init__(self, budget: int) -> None:
        if budget < 0:
            raise SettingError(f"A cache's budget must be 0 bytes or more, not {budget}.")
        self.budget = budget
        self.nbytes = 0
        self._kept: OrderedDict[Hashable, Sized] = OrderedDict()

    def get(self, key: Hashable, kind: type[Value]) -> Value | None:
        """Return what is kept under ``key`` if it is of this kind."""
        value = self._kept.get(key)
        if not isinstance(value, kind):
            return None
        self._kept.move_to_end(key)
        return value

    def put(self, key: Hashable, value: Sized) -> None:
        """Keep a value, unless it is larger than the whole budget."""
        if value.nbytes > self.budget:
            return
        if key in self._kept:
            self.nbytes -= self._kept.pop(key).nbytes
        self._kept[key] = value
        self.nbytes += value.nbytes
        while self.nbytes > self.budget:
            self.nbytes -= self._kept.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Drop everything."""
        self._kept.clear()
        self.nbytes = 0
