"""What is to be done with one image, as every worker knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.io.label_store import about_labels, is_finished
from napari_biomedparse.io.opened import OpenedImage, open_image
from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.scale.grid import BLOCK_BYTES, Block, Grid
from napari_biomedparse.scale.scratch import Scratch
from napari_biomedparse.weights import locate
from napari_biomedparse.weights.files import sha256_of

# Encodings are not asked again once a block is done; what lasts are those of an overview.
CACHE_BYTES = 1 << 28


@dataclass(frozen=True)
class Job:
    """An image, a question about it, and where the results go; small, for it travels with every task.

    Parameters
    ----------
    path, scene
        The image, as :func:`~napari_biomedparse.io.opened.open_image` takes them.
    recipe
        The question. The workers find its model under the name or path it gives, and refuse one that has not the
        SHA-256 it gives, if it does.
    device
        As for :class:`~napari_biomedparse.Predictor`; with several GPUs on a machine each worker gets one of them.
    folder
        Where results go.
    name
        Of the results' files, without ending.
    block_bytes
        What the pixels of a block may take in a worker.
    pixels
        Of all planes together, 0 if unknown.
    prompts
        What is asked: the recipe's prompts, or the objects of the modality.
    modality
        Kind of image; None where it is not known.
    sized
        Name of what is asked for whose size decides how the image is shown, and is not known; empty if there is none.
    diameter
        Of the cells in pixels; None if that is to be measured.
    grid
        The blocks of the planes.
    preview
        Whether preliminary labels are kept while the image is worked on (:mod:`~napari_biomedparse.scale.preview`).
    note
        What to tell about how the image is read; empty if there is nothing.
    """

    path: Path
    scene: str | None
    recipe: Recipe
    device: str
    folder: Path
    name: str
    block_bytes: int = BLOCK_BYTES
    pixels: int = 0
    prompts: tuple[str, ...] = ()
    modality: str | None = None
    sized: str = ""
    diameter: float | None = None
    grid: Grid = field(default=Grid((1, 1), 1))
    preview: bool = False
    note: str = ""

    @property
    def store(self) -> Path:
        """The labels."""
        return self.folder / f"{self.name}.ome.zarr"

    @property
    def table(self) -> Path:
        """The objects."""
        return self.folder / f"{self.name}.parquet"

    @property
    def finished(self) -> bool:
        """Whether all results are there."""
        return is_finished(self.store) and self.table.exists()

    @property
    def version(self) -> str:
        """The image's size in bytes and time of change in ns; of a folder, only what lies right in it counts."""
        return "-".join(map(str, _stamp(self.path)))

    @property
    def outdated(self) -> bool:
        """Whether the image is another one than that which finished results were made of."""
        made_of = about_labels(self.store).get("image")
        if made_of is None:
            # Earlier versions of this package did not keep it.
            return self.path.stat().st_mtime_ns > self.table.stat().st_mtime_ns
        return bool(made_of != self.version)

    @property
    def scratch(self) -> Scratch:
        """What is computed on the way."""
        return Scratch(self.folder / ".work" / self.name)

    @property
    def image(self) -> OpenedImage:
        """The image, opened once in each process."""
        return _opened(self.path, self.scene, _stamp(self.path))

    @property
    def predictor(self) -> Predictor:
        """The model, loaded once in each process.

        Raises
        ------
        CheckpointError
            If there is no such model here, or another one than the recipe's.
        """
        return _predictor(self.recipe.model, self.recipe.weights, pinned(self.device))

    @cached_property
    def stack(self) -> Stack:
        """What is selected of the image."""
        return Stack(self.image.levels, self.recipe.selection, str(self.path))

    @property
    def whole(self) -> bool:
        """Whether each plane is one block."""
        return self.grid.whole

    def places(self) -> list[Place]:
        """Return the planes to parse."""
        return self.stack.places()

    def __getstate__(self) -> dict[str, object]:
        """Leave the opened image behind: each process opens it for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "stack"}


def forget() -> None:
    """Let go of the images and the model that this process has opened, for it goes on with something else."""
    _opened.cache_clear()
    _predictor.cache_clear()


def sha256_at(path: Path) -> str:
    """Return the SHA-256 of a file of weights, in hexadecimal digits; read once in each process while it stays so."""
    return _sha256(path, _stamp(path))


def key_of(place: Place, block: Block | None = None) -> str:
    """Return the name of a plane's, or of a block's, files."""
    plane = "-".join(map(str, place)) or "0"
    return plane if block is None else f"{plane}_{block.number}"


def pinned(device: str, rank: int | None = None, count: int | None = None) -> str:
    """Return the device for this process: of several GPUs each worker of a machine takes another one.

    Parameters
    ----------
    device
        As asked for; one that names a certain GPU is left as it is.
    rank
        Number of the worker; by default that of the Dask worker this is, or 0.
    count
        How many GPUs there are; counted by default.
    """
    if device not in ("auto", "cuda"):
        return device
    if count is None:
        import torch

        count = torch.cuda.device_count()
    if count < 2:
        return device
    return f"cuda:{(_rank() if rank is None else rank) % count}"


def _rank() -> int:
    try:
        from distributed import get_worker

        return int(str(get_worker().name).rpartition("-")[2])
    except (ImportError, ValueError):
        return 0


def _stamp(path: Path) -> tuple[int, int]:
    """Return size and time of change: a file that was replaced is opened anew."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=4)
def _opened(path: Path, scene: str | None, stamp: Sequence[int]) -> OpenedImage:  # noqa: ARG001
    return open_image(path, scene)


@lru_cache(maxsize=8)
def _sha256(path: Path, stamp: Sequence[int]) -> str:  # noqa: ARG001
    return sha256_of(path)


@lru_cache(maxsize=1)
def _predictor(model: str, weights: str, device: str) -> Predictor:
    path = Path(locate(model))
    # Refusals are not kept, but every task of a run comes here: what was read of gigabytes has to be.
    if weights and path.is_file() and sha256_at(path) != weights:
        raise CheckpointError(
            f"{path} is not the model that the run began with: its SHA-256 is another one. Copy the same file to every "
            "machine, and run the same again."
        )
    return Predictor.from_pretrained(path, device, cache_bytes=CACHE_BYTES)
