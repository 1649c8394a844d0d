"""Several processes that train one network, started by ``torchrun``; or a single one.

Gradients are averaged here and not by ``DistributedDataParallel``: the network is called in parts, and a parameter that
no process used must be left alone, as it is in a single process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_biomedparse.engine.device import choose_device
from napari_biomedparse.training.config import ConfigError

# Values that are sent at once, as many as ``DistributedDataParallel`` sends in its 25 MB.
BUCKET = 25 * 2**20 // 4
# The others wait while the first one validates and writes.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Processes:
    """One process among all that train the network.

    Attributes
    ----------
    device
        Where it computes.
    rank
        Its number, from 0. Only the first one writes files.
    count
        How many there are.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether it writes files."""
        return self.rank == 0

    def parts(self, wanted: int, batch: int) -> tuple[int, range]:
        """Share out the parts of a batch.

        Parameters
        ----------
        wanted
            How many parts the configuration asks for; 1 for as many as there are processes.
        batch
            Images of the whole batch.

        Returns
        -------
        tuple
            The number of all parts, and this process's own.

        Raises
        ------
        ConfigError
            If they cannot be shared out evenly.
        """
        parts = self.count if wanted == 1 else wanted
        if parts % self.count:
            raise ConfigError(f"{parts} parts of a batch cannot be shared by {self.count} processes; change parts.")
        if batch % parts:
            raise ConfigError(f"A batch of {batch} images cannot be shared by {parts} processes; change batch.")
        own = parts // self.count
        return parts, range(self.rank * own, (self.rank + 1) * own)

    def sum_values(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Sum scalars over all processes."""
        stacked = torch.stack(list(values.values())).float()
        if self.count > 1:
            dist.all_reduce(stacked)
        return dict(zip(values, stacked.tolist(), strict=True))

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum gradients over all processes; who did not use a parameter adds zero, and None stays where nobody did."""
        if self.count == 1:
            return
        wanted = [parameter for parameter in parameters if parameter.requires_grad]
        used = torch.tensor([float(parameter.grad is not None) for parameter in wanted], device=self.device)
        dist.all_reduce(used)
        shared = [parameter for parameter, users in zip(wanted, used.tolist(), strict=True) if users]
        for bucket in _buckets(shared):
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            dist.all_reduce(flat)
            parts = torch.split(flat, [gradient.numel() for gradient in gradients])
            for parameter, gradient in zip(bucket, parts, strict=True):
                parameter.grad = gradient.view_as(parameter)

    def check_equal_weights(self, model: nn.Module) -> None:
        """Refuse to go on where the processes no longer train the same network.

        Raises
        ------
        ConfigError
            If their weights differ in a bit.
        """
        if self.count > 1:
            sums = [p.detach().contiguous().view(torch.int32).sum(dtype=torch.int64) for p in model.parameters()]
            message = "The weights of the processes differ, though they should take the same steps; resume the run."
            self.check_same(int(torch.stack(sums).sum()), message)

    def check_same(self, value: int, message: str) -> None:
        """Refuse to go on where processes differ in a number.

        Raises
        ------
        ConfigError
            With ``message``, in all of them.
        """
        if self.count > 1:
            values = [torch.zeros((), dtype=torch.int64, device=self.device) for _ in range(self.count)]
            dist.all_gather(values, torch.tensor(value, device=self.device))
            if any(int(other) != value for other in values):
                raise ConfigError(message)


def is_first() -> bool:
    """Return whether this process is the only one, or the first that ``torchrun`` started."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def join(device_name: str) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, each on a GPU of its own where that is the device.

    Raises
    ------
    SettingError
        If the device is unknown or not there, or there are fewer GPUs than processes.
    """
    device = choose_device(device_name)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device)
        return
    if device.type == "cuda":
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= gpus:
            raise ConfigError(f"There are {gpus} GPUs here and more processes; start one process for each.")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Processes(device, dist.get_rank(), count)
    finally:
        dist.destroy_process_group()


def _buckets(parameters: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        bucket.append(parameter)
        size += parameter.numel()
        if size >= BUCKET:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket
