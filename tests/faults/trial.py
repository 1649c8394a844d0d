"""One run that is disturbed at a moment, gone on with by the same command, and compared with the undisturbed one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.faults.processes import WORKERS, Command, kill_group
from tests.faults.store import Watch, differences, names_of, recorded, stamps


class BrokenError(Exception):
    """The undisturbed run itself is not what it should be."""


@dataclass(frozen=True)
class Moment:
    """When a fault comes: so many seconds after so many blocks were recorded, or with the next one."""

    blocks: int
    seconds: float


@dataclass
class Undisturbed:
    """The run that all others are compared with.

    Attributes
    ----------
    images, asked
        Inputs and options.
    store
        Its results.
    line
        Seconds and recorded blocks, see ``Watch``.
    seconds
        How long it took.
    workers
        Of the command's own.
    """

    images: Sequence[Path]
    asked: Sequence[str]
    store: Path
    line: list[tuple[float, int]] = field(default_factory=list)
    seconds: float = 0.0
    workers: int = WORKERS

    @property
    def names(self) -> list[str]:
        return names_of(self.images)

    @property
    def blocks(self) -> int:
        return self.line[-1][1]

    @property
    def patience(self) -> float:
        """Seconds after which a run that has not ended is said to hang."""
        return 180 + 5 * self.seconds

    def run(self, said: Path) -> None:
        """Run it, and once more to see that then nothing is done.

        Raises
        ------
        BrokenError
            If it fails, records nothing or changes a finished result.
        """
        command = Command(self.images, self.store, self.asked, workers=self.workers)
        with Watch(self.store, self.names) as watch:
            code = command.run(said, 3600)
        self.line, self.seconds = watch.line, watch.seconds
        if code != 0:
            raise BrokenError(f"The undisturbed run ended with {code}:\n{said.read_text()}")
        if not self.blocks:
            raise BrokenError("The undisturbed run recorded no block.")
        before = stamps(self.store)
        if command.run(said, 3600) != 0 or stamps(self.store) != before:
            raise BrokenError("The finished command, given again, failed or changed files.")

    def draw(self, rng: np.random.Generator) -> Moment:
        """Draw a moment, all alike from shortly before the first record of something done to shortly after the last."""
        first, last = self.line[1][0], self.line[-1][0]
        margin = 0.1 * (last - first)
        second = rng.uniform(max(0.0, first - margin), min(last + margin, self.seconds))
        since, blocks = max(step for step in self.line if step[0] <= second)
        return Moment(blocks, second - since)


@dataclass
class Trial:
    """A run with a fault.

    Attributes
    ----------
    undisturbed
        What it must equal.
    folder
        Its own, for the results and what the processes say.
    moment
        When the fault comes.
    rng
        For whatever else is drawn.
    scheduler
        Address of a scheduler, or None.
    blocks
        Recorded when the fault came.
    resumed
        Seconds that the rest took after it.
    notes
        What is worth saying.
    wrong
        What should not be.
    """

    undisturbed: Undisturbed
    folder: Path
    moment: Moment
    rng: np.random.Generator
    scheduler: str | None = None
    store: Path = Path()
    blocks: int = 0
    resumed: float = 0.0
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.store = self.folder / "store"
        self._kept: dict[str, int] = {}

    @property
    def said(self) -> Path:
        """What the command said."""
        return self.folder / "said.txt"

    @property
    def unfinished(self) -> list[str]:
        """The results that are not finished."""
        return [name for name in self.undisturbed.names if not (self.store / f"{name}.parquet").exists()]

    @property
    def command(self) -> Command:
        given = self.undisturbed
        return Command(given.images, self.store, given.asked, self.scheduler, given.workers)

    def disturb(self, strike: Callable[[subprocess.Popen[bytes]], None], all_ended: bool = True) -> int | None:
        """Start the command, strike at the moment, wait for its end and return its exit code.

        One that does not end is killed; that is wrong. The code is None then. Whatever it has started and left behind
        is killed too, if ``all_ended``.
        """
        names = self.undisturbed.names
        with Watch(self.store, names) as watch:
            process = self.command.start(self.said)
            try:
                if not self._wait(process, watch):
                    self.notes.append("ended before the fault")
                self.blocks = watch.blocks
                struck = time.monotonic()
                strike(process)
                while process.poll() is None and time.monotonic() < struck + self.undisturbed.patience:
                    time.sleep(0.05)
                self.resumed = time.monotonic() - struck
                if process.poll() is None:
                    self.wrong.append(f"did not end within {self.resumed:.0f} s after the fault")
            finally:
                code = process.poll()
                if all_ended or code is None:
                    kill_group(process)
        self._kept = {name: recorded(self.store, name) for name in names}
        return code

    def resume(self) -> None:
        """Give the same command again, until it has finished, and compare."""
        names = self.undisturbed.names
        with Watch(self.store, names) as watch:
            code = self.command.run(self.said, self.undisturbed.patience)
        self.resumed = watch.seconds
        if code != 0:
            self.wrong.append("hung when resumed" if code is None else f"resuming ended with {code}")
        for name, kept in self._kept.items():
            if watch.least.get(name, kept) < kept:
                self.wrong.append(f"{name} went on from {watch.least[name]} blocks, though {kept} were recorded")
        self.compare()

    def compare(self) -> None:
        self.wrong += differences(self.store, self.undisturbed.store, self.undisturbed.names)

    def lose(self, record: Path) -> None:
        """Note that a record was damaged on purpose: it is not missed when the run goes on."""
        self._kept[record.parents[1].name] -= 1

    def heard(self, *words: str) -> bool:
        """Return whether the command has said one of the words."""
        text = self.said.read_text(errors="replace").lower()
        return any(word in text for word in words)

    def _wait(self, process: subprocess.Popen[bytes], watch: Watch) -> bool:
        """Wait for the moment; return whether the command still runs then."""
        reached = None
        until = time.monotonic() + self.undisturbed.patience
        while process.poll() is None:
            if reached is None and watch.blocks >= self.moment.blocks:
                reached = time.monotonic()
            # A run that is faster than the undisturbed one is not left to end before the fault.
            if watch.blocks > self.moment.blocks:
                return True
            if reached is not None and time.monotonic() - reached >= self.moment.seconds:
                return True
            if time.monotonic() > until:
                self.wrong.append(f"came to {watch.blocks} blocks only")
                return True
            time.sleep(0.01)
        return False
