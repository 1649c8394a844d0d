"""``napari-biomedparse doctor``, as users run it to know whether all is well, or to report that it is not."""

import json
import re
import subprocess
import sys
from importlib.metadata import version

import pytest
import torch
from typer.testing import CliRunner

from napari_biomedparse.cli import app
from napari_biomedparse.engine import device as devices
from napari_biomedparse.model.checkpoint import save_model


def run(*arguments: str):
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_a_sound_installation_is_told_with_what_a_report_needs():
    done = run("--device", "cpu")
    assert done.exit_code == 0, done.output
    for fact in (f"torch: {version('torch')}", f"napari: {version('napari')}", "bioio-lif: ", "biomedparse-v1: "):
        assert fact in done.output
    (count,) = re.findall(r"cpu: (\d+) nuclei in [\d.]+ s", done.output)
    assert 25 <= int(count) <= 40
    assert "Error" not in done.output


def test_the_findings_come_as_json_too():
    done = run("--device", "cpu", "--json")
    facts = json.loads(done.stdout)
    assert facts["problem"] is None
    assert facts["Program"]["napari-biomedparse"] == version("napari-biomedparse")
    assert "float32" in facts["Devices"]["cpu"]
    assert facts["Models"]["mini"].endswith("mini.safetensors")


def test_each_arithmetic_of_the_device_is_timed_and_compared(monkeypatch):
    monkeypatch.setattr(devices, "usable_precisions", lambda _: ["float32", "bfloat16"])
    done = run("--model", "mini", "--device", "cpu", "--arithmetic", "--json")
    told = json.loads(done.stdout)["Arithmetic"]
    assert re.fullmatch(r"\d+\.\d+ s", told["float32"])
    said = re.match(r"([\d.]+) of the time, .* ([\d.e-]+) apart .* ([\d.]+)% of", told["bfloat16"])
    ratio, change, same = said.groups()
    assert 0 < float(change) < 0.02
    assert 98 < float(same) <= 100
    assert told["fastest"].startswith("bfloat16: choose it" if float(ratio) < 0.95 else "float32")


def test_packages_are_named_without_importing_them_and_may_be_missing():
    code = """
import sys
from napari_biomedparse.cli.doctor import PACKAGES, _versions
found = _versions((*PACKAGES, "no-such-package"))
print(found["no-such-package"], "napari" in sys.modules, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "not installed False False\n"


def test_a_model_that_finds_nothing_is_reported(tiny_model, tmp_path):
    path = tmp_path / "blind.safetensors"
    with torch.no_grad():
        for parameter in tiny_model.parameters():
            parameter.zero_()
    save_model(tiny_model, path)
    done = run("--model", str(path), "--device", "cpu")
    assert done.exit_code == 1
    assert "finds no nuclei on the sample image" in done.output
    assert "Devices" in done.output


def test_what_is_here_is_told_also_where_the_model_does_not_run(tmp_path):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(b"no weights")
    done = run("--model", str(path), "--device", "cpu", "--json")
    facts = json.loads(done.stdout)
    assert done.exit_code == 1
    assert "damaged.safetensors" in facts["problem"]
    assert facts["Packages"]["torch"] == version("torch")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "cuda:7"], "no device 'cuda:7' on this machine; it has: cpu"),
        (["--device", "cpu:x"], "no device 'cpu:x'"),
        (["--model", "big"], "There is no model called 'big'"),
    ],
)
@pytest.mark.parametrize("cards", [0, 2])
def test_what_is_not_there_is_one_sentence(monkeypatch, arguments, said, cards):
    # What torch says on a machine with so many GPUs; nothing is computed on them here.
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: cards > 0)
    monkeypatch.setattr(devices.torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(devices.torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(sys.modules["napari_biomedparse.cli.doctor"], "_devices", dict)
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.output
