"""Training a part of a network: what is frozen stays, adapters are few and end up in ordinary weights."""

from dataclasses import replace

import pytest
import torch

from napari_biomedparse.model import checkpoint
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import load_model, save_model
from napari_biomedparse.training.adapters import follower, merged, restrict, set_training
from napari_biomedparse.training.config import AdapterConfig, ConfigError, TrainConfig
from napari_biomedparse.training.loop import train
from tests.published import TINY, published_state
from tests.training.runs import small_run

# Everything but the two encoders, which get adapters.
DECODERS = ("pixel_decoder", "mask_decoder")


def answer(model: BiomedParse, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model.eval().decode(model.encode_image(image), model.encode_text(["cell"])).logits


def test_frozen_parts_do_not_change_a_bit(discs, tiny_config, tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "start.safetensors")
    frozen = ("image_encoder", "text_encoder", "pixel_decoder")
    weights = train([discs], tiny_config, small_run(3, freeze=frozen), tmp_path / "run", tmp_path / "start.safetensors")
    before, after = (load_model(path).state_dict() for path in (tmp_path / "start.safetensors", weights))
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("mask_decoder.") for name in changed)


def test_frozen_parts_drop_no_branches_and_are_held_once(tiny_model):
    restrict(tiny_model, TrainConfig(freeze=("image_encoder",)))
    set_training(tiny_model)
    assert not any(module.training for module in tiny_model.image_encoder.modules())
    assert tiny_model.text_encoder.training
    average = follower(tiny_model)
    shared = {name for name, p in average.named_parameters() if p is tiny_model.get_parameter(name)}
    assert shared == {name for name, _ in tiny_model.named_parameters() if name.startswith("image_encoder.")}


def test_adapters_begin_without_effect_and_are_few(tiny_config):
    torch.manual_seed(0)
    wide = BiomedParse(replace(tiny_config, text_encoder=replace(tiny_config.text_encoder, vocabulary=49408)))
    image = torch.rand(1, 3, 64, 64) * 255
    before = answer(wide, image)
    restrict(wide, TrainConfig(adapters=AdapterConfig(rank=2), freeze=DECODERS))
    torch.testing.assert_close(answer(wide, image), before)
    trained = sum(p.numel() for p in wide.parameters() if p.requires_grad)
    assert 0 < trained < 0.03 * sum(p.numel() for p in wide.parameters())
    names = [name for name, p in wide.named_parameters() if p.requires_grad]
    assert all(name.endswith((".up", ".down")) for name in names)
    assert any("attention.parametrizations.project_in" in name for name in names)
    assert any("modulation.project_in.parametrizations.weight" in name for name in names)


def test_frozen_parts_get_no_adapters(tiny_model):
    restrict(tiny_model, TrainConfig(adapters=AdapterConfig(rank=2), freeze=("text_encoder", *DECODERS)))
    trained = [name for name, p in tiny_model.named_parameters() if p.requires_grad]
    assert trained
    assert all(name.startswith("image_encoder.") for name in trained)


def test_merged_weights_answer_as_the_adapted_network(tiny_model):
    image = torch.rand(1, 3, 64, 64) * 255
    before = answer(tiny_model, image)
    names = set(tiny_model.state_dict())
    restrict(tiny_model, TrainConfig(adapters=AdapterConfig(rank=2, parts=("image_encoder", "mask_decoder"))))
    for name, parameter in tiny_model.named_parameters():
        if name.endswith(".up"):
            torch.nn.init.normal_(parameter, std=0.1)
    adapted, plain = answer(tiny_model, image), merged(tiny_model)
    assert not torch.allclose(adapted, before, atol=1e-2)
    torch.testing.assert_close(answer(plain, image), adapted)
    assert set(plain.state_dict()) == names
    # The network itself still has its adapters.
    assert set(tiny_model.state_dict()) != names


def test_a_run_with_adapters_exports_an_ordinary_network(discs, tiny_config, tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "start.safetensors")
    config = small_run(3, adapters=AdapterConfig(rank=2, parts=("text_encoder",)), freeze=("image_encoder", *DECODERS))
    weights = train([discs], None, config, tmp_path / "run", tmp_path / "start.safetensors")
    before, after = (load_model(path).state_dict() for path in (tmp_path / "start.safetensors", weights))
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert "text_encoder.blocks.0.attention.project_in" in changed
    linear = ("project_in", "project_out.weight", "mlp.0.weight", "mlp.2.weight", "widen.weight")
    assert all(name.startswith("text_encoder.") and name.endswith(linear) for name in changed)


def test_the_published_checkpoint_is_fine_tuned_in_its_own_size(discs, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "preset", lambda name: TINY)
    torch.save(published_state(), tmp_path / "biomedparse_v1.pt")
    config = small_run(1, batch=1, adapters=AdapterConfig(rank=2), precision="float32")
    weights = train([discs], None, config, tmp_path / "run", tmp_path / "biomedparse_v1.pt")
    tuned, start = load_model(weights), load_model(tmp_path / "biomedparse_v1.pt")
    assert tuned.config == TINY
    norm, head = "image_encoder.norms.0.weight", "mask_decoder.text_head"
    halved = start.get_parameter(norm).half().float()
    assert torch.equal(tuned.get_parameter(norm), halved)
    assert not torch.equal(tuned.get_parameter(head), start.get_parameter(head).half().float())


def test_what_cannot_be_trained_is_refused(tiny_model):
    with pytest.raises(ConfigError, match="'tiny' has no detail_path"):
        restrict(tiny_model, TrainConfig(freeze=("detail_path",)))
    both = TrainConfig(freeze=("image_encoder", "text_encoder"), adapters=AdapterConfig(rank=2))
    with pytest.raises(ConfigError, match="All parts that would get adapters are frozen"):
        restrict(tiny_model, both)
    with pytest.raises(ConfigError, match="All parts of the network are frozen"):
        restrict(tiny_model, TrainConfig(freeze=("image_encoder", "text_encoder", *DECODERS)))
