"""Two processes on one machine, over gloo, and what one process gives instead."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.training.config import ConfigError
from napari_biomedparse.training.dataset import read_split
from napari_biomedparse.training.loader import BatchKey, batches
from napari_biomedparse.training.loop import train
from napari_biomedparse.training.processes import Processes
from napari_biomedparse.training.triples import SamplingConfig, TripleSampler
from tests.conftest import ROOT
from tests.training.runs import small_run

CPU = torch.device("cpu")


def torchrun(*arguments):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        *map(str, arguments),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_gradients_and_losses_are_summed_also_where_a_process_used_no_parameter(tmp_path):
    torchrun(Path(__file__).with_name("two_processes.py"), tmp_path)
    for rank, own, quarters in ((0, [0], [0, 1]), (1, [1], [2, 3])):
        gradients, losses, *shares, refused = (tmp_path / f"{rank}.txt").read_text().splitlines()
        assert gradients == str([[3.0] * 3, [5.0] * 3, None])
        assert losses == str({"mask": 3.0, "dice": 1.0})
        assert shares == [str(own), str(quarters)]
        assert "weights of the processes differ" in refused


def test_two_processes_take_the_steps_of_one_with_the_same_parts(discs, tiny_config, tmp_path):
    config = small_run(3, parts=2, save_every=2, log_every=1)
    log: list = []
    whole = train([discs], tiny_config, config, tmp_path / "one", report=log.append)
    # The resolved file, with as many parts as there are processes.
    settings = json.loads((tmp_path / "one/config.json").read_text())
    settings["train"]["parts"] = 1
    (tmp_path / "run.json").write_text(json.dumps(settings))
    said = torchrun("-m", "napari_biomedparse", "train", "--config", tmp_path / "run.json", "--out", tmp_path / "two")
    # Only one process tells and writes; both held the same weights, or the run would have ended.
    assert said.count("step 3/3") == said.count("Weights:") == 1
    # What they answer is compared, not every weight: a bias that changes nothing has gradients of rounding alone, which
    # Adam makes as large as any.
    image = read_split(discs, "test")[0].read_image()
    one, two = (
        Predictor.from_pretrained(path, device="cpu").segment(image, ["bright square"])[0].probability
        for path in (whole, tmp_path / "two/model.safetensors")
    )
    np.testing.assert_allclose(one, two, atol=2e-3)
    rows = [row.split(",") for row in (tmp_path / "two/log.csv").read_text().splitlines()[1:]]
    assert [float(value) for row in rows for value in row[1:4]] == pytest.approx(
        [value for progress in log for value in progress.losses.values()], rel=1e-3
    )


def test_parts_are_shared_out_evenly_or_refused():
    assert Processes(CPU).parts(3, 6) == (3, range(3))
    assert Processes(CPU, rank=1, count=2).parts(1, 6) == (2, range(1, 2))
    with pytest.raises(ConfigError, match="3 parts of a batch cannot be shared by 2"):
        Processes(CPU, count=2).parts(3, 6)
    with pytest.raises(ConfigError, match="5 images cannot be shared by 2"):
        Processes(CPU, count=2).parts(1, 5)


@pytest.mark.parametrize("loaders", [0, 2])
def test_loaders_give_what_the_sampler_draws(discs, tiny_config, loaders):
    sampler = TripleSampler(read_split(discs, "train"), tiny_config, 64, SamplingConfig(), seed=1)
    keys = [BatchKey(step, part) for step in (4, 5) for part in (0, 1)]
    torch.manual_seed(0)
    drawn = list(batches(sampler, keys, 2, loaders, CPU))
    for key, batch in zip(keys, drawn, strict=True):
        wanted = sampler.batch(key.step, 2, key.part)
        assert batch.prompts == wanted.prompts
        assert torch.equal(batch.images, wanted.images)
        assert torch.equal(batch.masks, wanted.masks)
    assert not torch.equal(drawn[0].images, drawn[1].images)
