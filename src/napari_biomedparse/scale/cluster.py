"""A pool of Dask workers: on this machine, or wherever a scheduler has them."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from napari_biomedparse.engine.processor import usable_cores
from napari_biomedparse.io.reading import need
from napari_biomedparse.scale.image import Task
from napari_biomedparse.scale.study import Done, StoppedError, StudyError

# Seconds between looks at what is done, and until a scheduler must have answered.
PAUSE, PATIENCE = 0.01, 20
# Workers that may die at a task before it counts as failed.
TRIES = 3
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Workers:
    """The workers of a Dask client; waiting for them ends when ``stopped`` says so."""

    def __init__(self, client: Any, stopped: Callable[[], bool] = lambda: False) -> None:
        self._client, self._stopped = client, stopped
        self._open: dict[Any, Task] = {}

    @property
    def workers(self) -> int:
        """How many tasks are done at once; at least 1, for workers may be on their way."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    @property
    def dashboard(self) -> str | None:
        """Address of a page that shows the work, if the scheduler has one."""
        link: str | None = self._client.dashboard_link if importlib.util.find_spec("bokeh") else None
        return link

    def submit(self, task: Task) -> None:
        """Begin a task, as soon as there is a worker for it."""
        self._open[self._client.submit(task.call, *task.arguments, pure=False)] = task

    def wait(self) -> Done:
        """Wait for one of the tasks that were begun.

        Raises
        ------
        StudyError
            If the scheduler is gone.
        StoppedError
            If the run was stopped meanwhile.
        """
        while True:
            for future in self._open:
                if future.done():
                    return self._done(future)
            if self._client.status != "running":
                raise _gone()
            if self._stopped():
                raise StoppedError("Stopped. What was done is kept.")
            time.sleep(PAUSE)

    def _done(self, future: Any) -> Done:
        task = self._open.pop(future)
        if future.status == "finished":
            return Done(task, None, future.result())
        if future.status != "error":
            raise _gone()
        error = future.exception()
        if type(error).__name__ == "KilledWorker":
            text = "a worker died each time; the machine may have too little memory for it, choose a smaller --memory"
            return Done(task, RuntimeError(text))
        return Done(task, error)


@contextmanager
def local_workers(count: int) -> Iterator[Workers]:
    """Start workers on this machine, each a process with its share of the processor's cores.

    Raises
    ------
    ReadError
        If Dask's scheduler is not installed.
    """
    distributed = need("distributed", "Running with workers", "batch")
    import dask

    threads = str(max(1, usable_cores() // count))
    given = {name: os.environ.get(name, threads) for name in _THREADS}
    settings = {
        "distributed.nanny.pre-spawn-environ": given,
        "distributed.scheduler.allowed-failures": TRIES,
        "distributed.comm.timeouts.connect": f"{PATIENCE}s",
        # The workers' cores belong to the model: their own watching of themselves took a twentieth of one.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "500ms",
        # An address that is not there is no reason to talk about it for half a minute.
        "logging.distributed": "critical",
    }
    page = ":0" if importlib.util.find_spec("bokeh") else None
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, memory_limit=0, dashboard_address=page, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield Workers(client)


@contextmanager
def workers_of(address: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[Workers]:
    """Use the workers of a scheduler that runs already, until ``stopped`` says that they are not wanted any more.

    Raises
    ------
    StudyError
        If it does not answer.
    ReadError
        If Dask's scheduler is not installed.
    """
    distributed = need("distributed", "Running with workers", "batch")
    try:
        # Whatever else this process computes with Dask stays here.
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise StudyError(f"No Dask scheduler answers at {address}; start one, or leave the address out.") from error
    with client:
        yield Workers(client, stopped)


def _gone() -> StudyError:
    return StudyError("The scheduler is gone. What was done is kept: start it, and run the same again to go on.")
