"""What one of two processes does in ``test_processes``; started by ``torchrun`` with a folder to write to."""

import sys
from pathlib import Path

import torch

from napari_biomedparse.training.config import ConfigError
from napari_biomedparse.training.processes import join

with join("cpu") as processes:
    everybody, one, nobody = parameters = [torch.nn.Parameter(torch.ones(3)) for _ in range(3)]
    everybody.grad = torch.full((3,), 1.0 + processes.rank)
    if not processes.first:
        one.grad = torch.full((3,), 5.0)
    processes.sum_gradients(parameters)
    summed = [None if p.grad is None else p.grad.tolist() for p in parameters]
    losses = processes.sum_values({"mask": torch.tensor(1.5), "dice": torch.tensor(float(processes.rank))})
    same = torch.nn.Linear(2, 2)
    with torch.no_grad():
        same.weight.fill_(0.5)
        same.bias.fill_(0.5)
    processes.check_equal_weights(same)
    with torch.no_grad():
        same.bias[0] += processes.rank * 1e-6
    try:
        processes.check_equal_weights(same)
        refused = "not refused"
    except ConfigError as error:
        refused = str(error)
    lines = [summed, losses, list(processes.parts(1, 4)[1]), list(processes.parts(4, 4)[1]), refused]
    Path(sys.argv[1], f"{processes.rank}.txt").write_text("\n".join(map(str, lines)))
