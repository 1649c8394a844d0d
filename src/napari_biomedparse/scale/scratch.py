"""What was computed of an unfinished image: files that are their own record of being done."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.io.durable import put
from napari_biomedparse.io.reading import need

Arrays = dict[str, NDArray[Any]]


class ScratchError(BiomedParseError):
    """What was computed on the way is gone or damaged; the message says what to do."""


@dataclass(frozen=True)
class Scratch:
    """Named arrays of a step, each set in a compressed file with a checksum.

    A file is there whole and on the disk, or not at all; one that is damaged nevertheless counts as not there.

    Parameters
    ----------
    folder
        Made when first written to.
    """

    folder: Path

    def put(self, step: str, key: str, arrays: Arrays) -> None:
        """Keep arrays.

        Raises
        ------
        OSError
            If they cannot be written, as when the disk is full.
        """
        memory = io.BytesIO()
        np.savez(memory, **arrays)  # type: ignore[arg-type]
        put(self._file(step, key), self._codec.encode(memory.getbuffer()), self.folder.parent)

    def get(self, step: str, key: str) -> Arrays:
        """Return arrays that were kept.

        Raises
        ------
        ScratchError
            If they are not there or damaged.
        """
        file, codec = self._file(step, key), self._codec
        try:
            content = codec.decode(file.read_bytes())
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                return dict(found)
        except (OSError, RuntimeError, ValueError) as error:
            raise ScratchError(
                f"{file}, computed on the way, is gone or damaged; run the same again: it is computed anew."
            ) from error

    def find(self, step: str, key: str) -> Arrays | None:
        """Return arrays that were kept, or None."""
        try:
            return self.get(step, key)
        except ScratchError:
            return None

    def has(self, step: str, key: str) -> bool:
        """Return whether arrays were kept, whatever has become of them."""
        return self._file(step, key).exists()

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, step: str, key: str) -> Path:
        return self.folder / step / f"{key}.npz.zst"

    @property
    def _codec(self) -> Any:
        return need("numcodecs", "Running over files", "batch").Zstd(level=1, checksum=True)
