"""Files that cannot grow, as on a disk that is full."""

from contextlib import contextmanager

import pytest


@contextmanager
def small_files(size: int):
    """Let this process write no file longer than so many bytes; skips the test where that cannot be had."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
