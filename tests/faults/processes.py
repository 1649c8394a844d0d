"""The command, and a scheduler with workers, as processes that can be found and killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

WORKERS = 2
# One thread for each worker's mathematics, for two workers share the machine.
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Command:
    """``napari-biomedparse batch`` as it is typed, the same each time.

    Attributes
    ----------
    images
        The inputs.
    store
        The output folder.
    asked
        Options that say what to look for.
    scheduler
        Address of a scheduler, or None for workers of the command's own.
    workers
        How many of these.
    """

    images: Sequence[Path]
    store: Path
    asked: Sequence[str]
    scheduler: str | None = None
    workers: int = WORKERS

    def start(self, said: Path) -> subprocess.Popen[bytes]:
        """Start it in a process group of its own, and add what it says to a file."""
        where = ("--scheduler", self.scheduler) if self.scheduler else ("--workers", str(self.workers))
        words = [*map(str, self.images), *self.asked, "--output", str(self.store), *where, "--quiet"]
        return _start(["-m", "napari_biomedparse", "batch", *words], said)

    def run(self, said: Path, seconds: float) -> int | None:
        """Run it to its end and return its exit code, or None if it did not end in time and was killed."""
        return end_of(self.start(said), seconds)


@dataclass
class Cluster:
    """A scheduler and its workers, each started by itself as on several machines.

    Attributes
    ----------
    folder
        For what they say and for the workers' files.
    port
        Of the scheduler, the same when it is started again, so that the command stays the same.
    """

    folder: Path
    port: int = field(default_factory=lambda: _free_port())
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def __enter__(self) -> Cluster:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start what is not running; returns when the scheduler listens."""
        said = self.folder / "cluster.txt"
        if self.scheduler is None or self.scheduler.poll() is not None:
            where = ("--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
            self.scheduler = _start(["-m", "distributed.cli.dask_scheduler", *where], said)
            _wait_until_open(self.port)
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        each = ("--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder))
        while len(self.workers) < WORKERS:
            self.workers.append(_start(["-m", "distributed.cli.dask_worker", self.address, *each], said))

    def kill(self) -> None:
        """Kill scheduler, nannies and workers."""
        for process in (self.scheduler, *self.workers):
            if process is not None:
                kill_group(process)
        self.scheduler, self.workers = None, []

    def replace_workers(self) -> None:
        """Start again whatever is gone, with new workers only."""
        for worker in self.workers:
            kill_group(worker)
        self.workers = []
        self.start()


def workers_of(*parents: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the worker processes below a command or a nanny, by what the nanny starts them with."""
    found: list[psutil.Process] = []
    for parent in parents:
        with suppress(psutil.NoSuchProcess):
            found += psutil.Process(parent.pid).children(recursive=True)
    return [child for child in found if "spawn_main" in _words_of(child)]


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started, with signal 9, and wait until none is left."""
    members = [member for member in psutil.process_iter() if _group_of(member) == process.pid]
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(members, timeout=30)


def kill_one(process: subprocess.Popen[bytes] | psutil.Process) -> None:
    """Kill one process with signal 9."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def end_of(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for a command's end and return its exit code, or None if it did not end in time and was killed."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        kill_group(process)
        return None


def _start(arguments: list[str], said: Path) -> subprocess.Popen[bytes]:
    with said.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,
        )


def _words_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_open(port: int, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
