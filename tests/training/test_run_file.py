"""One file for a whole run: read strictly, written resolved, fed back; and the command over it."""

import json
from dataclasses import asdict, replace

import pytest
import torch
import yaml
from typer.testing import CliRunner

from napari_biomedparse.cli import app
from napari_biomedparse.model.checkpoint import load_model, save_model
from napari_biomedparse.model.config import preset
from napari_biomedparse.training.config import LIMITS, ConfigError, TrainConfig
from napari_biomedparse.training.run_file import RunConfig, merge, read_settings, run_of
from napari_biomedparse.training.schedule import rate_at
from napari_biomedparse.weights import locate
from tests.training.runs import assert_same_weights


def command(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def test_a_yaml_file_sets_everything(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("""
data: [DATA/HC18, DATA/BUSI]
model: mini
init: biomedparse-v1
train:
  steps: 10
  rate: 1e-4            # a word to YAML, a number to everyone else
  size: null
  freeze: [text_encoder]
  adapters: {rank: 8, parts: [image_encoder]}
  losses: {points: 512}
  sampling: {modality_balance: 0, tile_zoom: [0.5, 2], weights: {HC18: 2, BUSI: 5e-1}}
""")
    run = run_of(read_settings(path))
    assert run.data == ("DATA/HC18", "DATA/BUSI")
    assert run.network() == preset("mini")
    assert (run.train.rate, run.train.size, run.train.batch) == (1e-4, None, TrainConfig().batch)
    assert (run.train.freeze, run.train.adapters.parts) == (("text_encoder",), ("image_encoder",))
    assert (run.train.losses.points, run.train.sampling.tile_zoom) == (512, (0.5, 2.0))
    assert isinstance(run.train.sampling.modality_balance, float)
    assert run.train.sampling.weights == {"HC18": 2.0, "BUSI": 0.5}


@pytest.mark.parametrize("name", ["run.json", "run.yaml"])
def test_what_is_written_is_read_back(tmp_path, tiny_config, name):
    train = TrainConfig(rate=1e-5, milestones=(0.5,), freeze=("text_encoder",), precision="bfloat16")
    train = replace(train, sampling=replace(train.sampling, weights={"a": 2.5}))
    run = RunConfig(("a",), tiny_config, "w.safetensors", "out", train)
    run.write(tmp_path / name)
    assert run_of(read_settings(tmp_path / name)) == run


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trian": {}}, r"no setting 'trian'; did you mean 'train'\?"),
        ({"train": {"sampling": {"prompt": 3}}}, r"'train.sampling.prompt'; did you mean 'prompts'\?"),
        ({"recolour": [0, 1]}, "no setting 'recolour'; it belongs under 'train.sampling'"),
        ({"train": {"rank": 4}}, "no setting 'train.rank'; it belongs under 'train.adapters'"),
        ({"train": {"data": ["a"]}}, "no setting 'train.data'; it belongs at the top"),
        ({"parts": 2}, "it belongs under 'train' or 'train.adapters'"),
        ({"train": {"xyz": 3}}, r"'train.xyz'; there are steps, batch"),
        ({"train": 3}, "train must be a table of settings, not 3"),
        ({"train": {"steps": "many"}}, "train.steps must be a whole number, not 'many'"),
        ({"train": {"steps": True}}, "train.steps must be a whole number, not True"),
        ({"train": {"steps": 0}}, "train: steps must be at least 1, not 0"),
        ({"train": {"rate": "quick"}}, "train.rate must be a number, not 'quick'"),
        ({"train": {"rate": float("nan")}}, "rate must be at least 0, not nan"),
        ({"train": {"tensorboard": "yes"}}, "train.tensorboard must be true or false, not 'yes'"),
        ({"train": {"schedule": "linear"}}, "train.schedule must be 'cosine' or 'step', not 'linear'"),
        ({"train": {"sampling": {"absent": 1.5}}}, "sampling.absent must be from 0 to 1, not 1.5"),
        ({"train": {"sampling": {"weights": [1]}}}, "weights must be a table of numbers by name"),
        ({"train": {"sampling": {"weights": {"A": "much"}}}}, "weights.A must be a number"),
        ({"train": {"sampling": {"weights": {"A": 0}}}}, "sampling.weights must be from 0.001 to 1000, not 0"),
        ({"train": {"sampling": {"tile_zoom": [1]}}}, r"tile_zoom must be a list of 2 values, not \[1\]"),
        ({"train": {"sampling": {"tile_zoom": [2, 1]}}}, "the smaller, then the larger"),
        ({"train": {"sampling": {"recolour": [0.5, 0.1]}}}, "recolour must be the smaller, then the larger"),
        ({"train": {"sampling": {"recolour": [0, 3]}}}, "sampling.recolour must be from 0 to 2, not 3"),
        ({"train": {"sampling": {"weights": {"A": 1, "B": float("nan")}}}}, "sampling.weights must be from .* not nan"),
        ({"train": {"milestones": [0.9, 0.1]}}, "milestones must rise"),
        ({"train": {"freeze": "text_encoder"}}, "train.freeze must be a list, not 'text_encoder'"),
        ({"train": {"freeze": ["eyes"]}}, "no part 'eyes' of the network; the parts are image_encoder"),
        ({"train": {"size": 100}}, "size must be a multiple of 32, not 100"),
        ({"train": {"batch": 5, "parts": 2}}, "batch of 5 images cannot be cut into 2"),
        ({"data": "DATA"}, "data must be a list, not 'DATA'"),
        ({"data": [1]}, r"data\[0\] must be text, not 1"),
        ({"model": {"dim": 64}}, "model is not complete: missing .*name"),
        ({"model": {"name": "x", "dim": 63, "input_size": 64}}, "model: dim must be a multiple of 4"),
        ({"model": 3}, "model must be text, not 3"),
    ],
)
def test_what_is_wrong_is_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        run_of(settings)


def test_every_number_has_limits():
    def numbers(settings, place=""):
        for name, value in settings.items():
            if isinstance(value, dict):
                yield from numbers(value, f"{place}{name}.")
            elif isinstance(value, int | float) and not isinstance(value, bool):
                yield place + name

    assert set(numbers(asdict(TrainConfig()))) <= LIMITS.keys()


def test_files_that_hold_no_settings_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_settings(tmp_path / "absent.yaml")
    for name, content, message in (
        ("a.yaml", "a: [1", "neither readable YAML nor JSON"),
        ("b.json", "{", "neither readable YAML nor JSON"),
        ("c.yaml", "- a", "must hold settings by name"),
        ("d.yaml", "!!python/object/apply:os.system ['echo']", "neither readable YAML nor JSON"),
        ("e.yaml", b"\xff\xfe\x00", "neither readable YAML nor JSON"),
    ):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(ConfigError, match=message):
            read_settings(tmp_path / name)


def test_changes_replace_single_settings():
    settings = {"data": ["a"], "train": {"steps": 3, "sampling": {"absent": 0.1, "bend": 0}}}
    changed = merge(settings, {"data": ["b"], "train": {"sampling": {"absent": 0.2}}})
    assert changed == {"data": ["b"], "train": {"steps": 3, "sampling": {"absent": 0.2, "bend": 0}}}
    assert settings["train"]["sampling"]["absent"] == 0.1


def test_rates_follow_the_schedules():
    cosine = TrainConfig(steps=1000, rate=1.0, warmup=10)
    assert [rate_at(step, cosine) for step in (0, 4)] == pytest.approx([0.1, 0.5], rel=1e-3)
    assert rate_at(500, cosine) == pytest.approx(0.505)
    assert rate_at(999, cosine) == pytest.approx(0.01, rel=1e-2)
    published = TrainConfig(steps=1000, rate=1.0, warmup=0, schedule="step")
    rates = [rate_at(step, published) for step in (0, 888, 889, 962, 963, 999)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_the_command_runs_a_file_and_its_resolved_file_gives_the_same_weights(discs, tiny_config, tmp_path):
    settings = {"data": [str(discs)], "model": asdict(tiny_config), "train": {"steps": 9, "batch": 2, "device": "cpu"}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(settings))))
    done = command("--config", tmp_path / "run.yaml", "--out", tmp_path / "one", "--steps", 2, "--schedule", "step")
    assert done.exit_code == 0, done.output
    resolved = run_of(read_settings(tmp_path / "one/config.json"))
    assert (resolved.train.steps, resolved.train.batch, resolved.train.schedule) == (2, 2, "step")
    again = command("--config", tmp_path / "one/config.json", "--out", tmp_path / "two")
    assert again.exit_code == 0, again.output
    assert_same_weights(tmp_path / "one/model.safetensors", tmp_path / "two/model.safetensors")


def test_the_command_starts_from_weights_by_path_and_by_name(discs, tiny_config, tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "tiny.safetensors")
    options = [discs, "--steps", 1, "--batch", 1, "--device", "cpu"]
    done = command(*options, "--init", tmp_path / "tiny.safetensors", "--out", tmp_path / "a")
    assert done.exit_code == 0, done.output
    assert load_model(tmp_path / "a/model.safetensors").config == tiny_config
    frozen = ["--freeze", "image_encoder", "--freeze", "text_encoder"]
    done = command(*options, "--init", "mini", "--size", 64, *frozen, "--out", tmp_path / "b")
    assert done.exit_code == 0, done.output
    trained, packaged = (load_model(path) for path in (tmp_path / "b/model.safetensors", locate("mini")))
    assert trained.config == replace(packaged.config, input_size=64)
    for name, parameter in packaged.text_encoder.named_parameters():
        assert torch.equal(parameter, trained.text_encoder.get_parameter(name))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name the folders to train on"),
        (["DATA"], "Name a folder for the results with --out"),
        (["DATA", "--out", "o", "--config", "huge"], "no model preset 'huge'; the presets are"),
        (["DATA", "--out", "o", "--init", "huge"], "no model called 'huge'"),
        (["DATA", "--out", "o", "--device", "abacus"], "no device 'abacus'"),
        (["DATA", "--out", "o", "--precision", "float8"], "train.precision must be 'float32' or"),
        (["DATA", "--out", "o"], "DATA is not a BiomedParseData folder"),
    ],
)
def test_the_command_says_what_is_missing(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    refused = command(*arguments)
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert not (tmp_path / "o").exists()
