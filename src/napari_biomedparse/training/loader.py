"""Batches prepared beforehand by processes of their own, so that a GPU need not wait for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_biomedparse.engine.processor import usable_cores
from napari_biomedparse.training.triples import Batch, TripleSampler

# Batches that each process holds ready.
READY = 2
# Most processes that are started unless told otherwise.
MOST_LOADERS = 8


class BatchKey(NamedTuple):
    """The step that a batch is for, and which part of the step's batch it is."""

    step: int
    part: int


class _Drawn(Dataset[tuple[Tensor, Tensor, list[str], Tensor]]):
    """The batch of every key."""

    def __init__(self, sampler: TripleSampler, images: int) -> None:
        self.sampler, self.images = sampler, images

    def __getitem__(self, key: BatchKey) -> tuple[Tensor, Tensor, list[str], Tensor]:
        batch = self.sampler.batch(key.step, self.images, key.part)
        return batch.images, batch.masks, batch.prompts, batch.cores


def batches(
    sampler: TripleSampler, keys: Sequence[BatchKey], images: int, loaders: int | None, device: torch.device
) -> Iterator[Batch]:
    """Yield the batches of the given keys, in order, on the device.

    A batch depends on its key only, so they are the same however many processes prepare them.

    Parameters
    ----------
    sampler
        Where they come from.
    keys
        Which ones.
    images
        Images of each.
    loaders
        Processes that prepare them; None for none on a CPU, and one per core up to eight beside a GPU.
    device
        Where they are wanted.
    """
    gpu = device.type == "cuda"
    if loaders is None:
        loaders = min(MOST_LOADERS, _cores()) if gpu else 0
    drawn = DataLoader(
        _Drawn(sampler, images),
        batch_size=None,
        sampler=keys,
        num_workers=loaders,
        pin_memory=gpu,
        prefetch_factor=READY if loaders else None,
    )
    for pixels, masks, prompts, cores in drawn:
        pixels, masks, cores = (part.to(device, non_blocking=gpu) for part in (pixels, masks, cores))
        yield Batch(pixels, masks, list(prompts), cores)


def _cores() -> int:
    """Return the processor cores that one of the processes started by ``torchrun`` on this machine may use."""
    return max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
