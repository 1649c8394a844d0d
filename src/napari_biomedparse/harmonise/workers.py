"""Do the same to many images, in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(work: Callable[[T], R], values: Iterator[T], workers: int) -> Iterator[R]:
    """Yield what a function returns for each value, in the order in which they are done.

    Parameters
    ----------
    work
        The function; with several workers it and what it is given are pickled.
    values
        Taken only a little ahead of what is yielded.
    workers
        Processes; with one, it is done in this one.
    """
    if workers == 1:
        yield from map(work, values)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        pending: set[Future[R]] = set()
        for value in values:
            pending.add(pool.submit(work, value))
            if len(pending) >= 2 * workers:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in pending)
    finally:
        pool.shutdown(cancel_futures=True)
