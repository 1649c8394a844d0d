"""What a run has written: how far it has come, and whether it equals another run's."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow.parquet as parquet
import zarr

EVERY = 0.05
# Ending of the files that are a record each.
RECORD = ".npz.zst"


def names_of(images: Sequence[Path]) -> list[str]:
    """Return what the results of the images are called."""
    return [image.name.removesuffix(".zarr").removesuffix(".ome") if image.is_dir() else image.stem for image in images]


def records(store: Path, name: str) -> list[Path]:
    """Return the files of an unfinished image that say each that something is done."""
    # Folders may vanish meanwhile, which `os.walk` passes over.
    walk = os.walk(store / ".work" / name)
    return sorted(Path(folder, file) for folder, _, files in walk for file in files if file.endswith(RECORD))


def recorded(store: Path, name: str) -> int:
    """Return how many pieces of work on an unfinished image are recorded as done."""
    return len(records(store, name))


@dataclass
class Watch:
    """Counts the recorded blocks of all images while a run goes on; finished images keep their last count.

    Attributes
    ----------
    store, names
        The output folder and the results in it.
    line
        Seconds since the start, and blocks, each time their number grew.
    least
        For each unfinished image, the least number of recorded blocks that was ever seen.
    """

    store: Path
    names: Sequence[str]
    line: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    least: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._most = dict.fromkeys(self.names, 0)
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    @property
    def blocks(self) -> int:
        return self.line[-1][1]

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def _go_on(self) -> None:
        while not self._ended.wait(EVERY):
            self._look()

    def _look(self) -> None:
        for name in self.names:
            count = recorded(self.store, name)
            if not (self.store / f"{name}.parquet").exists():
                self.least[name] = min(count, self.least.get(name, count))
            self._most[name] = max(self._most[name], count)
        if sum(self._most.values()) > self.blocks:
            self.line.append((self.seconds, sum(self._most.values())))


def differences(store: Path, reference: Path, names: Sequence[str], alone: bool = True) -> Iterator[str]:
    """Say in what the results differ from those of the undisturbed run and, if ``alone``, what else is there."""
    for name in names:
        group, table = f"{name}.ome.zarr", f"{name}.parquet"
        missing = [each for each in (group, table) if not (store / each).exists()]
        if missing:
            yield f"{' and '.join(missing)} missing"
            continue
        if files_of(store / group) != files_of(reference / group):
            yield f"{group} holds other files"
        try:
            yield from _other_levels(store / group, reference / group)
            if not parquet.read_table(store / table).equals(parquet.read_table(reference / table)):
                yield f"{table} differs"
        except Exception as error:
            yield f"{name} cannot be read: {error!r}"
    mine, theirs = ({path.name for path in each.iterdir()} for each in (store, reference))
    others = mine ^ theirs
    if alone and (scratch := files_of(store / ".work")):
        yield f"left behind in .work: {', '.join(sorted(scratch))}"
    if alone and others:
        yield f"left behind or missing: {', '.join(sorted(others))}"


def files_of(folder: Path) -> set[str]:
    """Return the paths of all files below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def stamps(store: Path) -> dict[str, int]:
    """Return when each file below a folder was changed last, in nanoseconds."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(store.rglob("*")) if path.is_file()}


def _other_levels(group: Path, reference: Path) -> Iterator[str]:
    mine, theirs = (json.loads((each / "zarr.json").read_text()) for each in (group, reference))
    if mine["attributes"] != theirs["attributes"]:
        yield f"{group.name}: the metadata differ"
    for dataset in theirs["attributes"]["ome"]["multiscales"][0]["datasets"]:
        one, other = (zarr.open_array(str(each / dataset["path"]), mode="r") for each in (group, reference))
        if one.dtype != other.dtype or not np.array_equal(one[:], other[:]):
            yield f"{group.name}: level {dataset['path']} differs"
