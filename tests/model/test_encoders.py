"""Image and text encoder against transformers' independent implementations with the same weights."""

import pytest
import torch

from napari_biomedparse.model.config import ImageEncoderConfig, TextEncoderConfig
from napari_biomedparse.model.image_encoder import ImageEncoder
from napari_biomedparse.model.text_encoder import TextEncoder
from napari_biomedparse.model.tokenizer import tokenize

transformers = pytest.importorskip("transformers")


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(3)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return module.eval().requires_grad_(False)


def focalnet_names(name: str) -> str:
    for ours, theirs in {
        "embeds.0.project": "embeddings.patch_embeddings.projection",
        "embeds.0.norm": "embeddings.norm",
    }.items():
        name = name.replace(ours, theirs)
    parts = name.split(".")
    if parts[0] == "embeds":
        stage = int(parts[1]) - 1
        return ".".join(["encoder.stages", str(stage), "downsample", *parts[2:]]).replace("project", "projection")
    if parts[0] == "stages":
        name = ".".join(["encoder.stages", parts[1], "layers", *parts[2:]])
        for ours, theirs in {
            "modulation.project_in": "modulation.projection_in",
            "modulation.project_out": "modulation.projection_out",
            "modulation.modulator": "modulation.projection_context",
            "mlp.0": "mlp.fc1",
            "mlp.2": "mlp.fc2",
            "scale1": "gamma_1",
            "scale2": "gamma_2",
        }.items():
            name = name.replace(ours, theirs)
        if ".contexts." in name:
            before, after = name.split(".contexts.")
            level, rest = after.split(".", 1)
            name = f"{before}.focal_layers.{level}.0.{rest}"
    return name


def test_the_lean_way_without_gradients_gives_the_same(rng):
    encoder = randomised(ImageEncoder(ImageEncoderConfig(width=8, depths=(1, 2, 1, 1), focal_levels=3)))
    image = torch.from_numpy(rng.normal(size=(2, 3, 64, 96))).float()
    kept = image.clone()
    with torch.no_grad():
        lean = encoder.eval()(image)
    assert torch.equal(image, kept)
    for ours, plain in zip(lean, encoder(image), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 96), (70, 61)])
def test_image_encoder_equals_transformers_focalnet(size):
    encoder = randomised(ImageEncoder(ImageEncoderConfig(width=8, depths=(1, 2, 1, 1), focal_levels=3)))
    reference = transformers.FocalNetBackbone(
        transformers.FocalNetConfig(
            patch_size=4,
            embed_dim=8,
            use_conv_embed=True,
            hidden_sizes=[8, 16, 32, 64],
            depths=[1, 2, 1, 1],
            focal_levels=[3, 3, 3, 3],
            focal_windows=[3, 3, 3, 3],
            use_layerscale=True,
            use_post_layernorm=True,
            normalize_modulator=True,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )
    ).eval()
    weights = {
        f"focalnet.{focalnet_names(name)}": tensor
        for name, tensor in encoder.state_dict().items()
        if not name.startswith("norms.")
    }
    outcome = reference.load_state_dict(weights, strict=False)
    assert not outcome.unexpected_keys
    assert all(key.startswith("focalnet.layernorm") for key in outcome.missing_keys)
    # transformers hands out each stage after its downsampling: the next stage's embedding; the last one as it is.
    seen: list[torch.Tensor] = []
    for part in (*encoder.embeds[1:], encoder.stages[-1]):
        part.register_forward_hook(lambda module, inputs, output: seen.append(output.permute(0, 3, 1, 2).detach()))
    image = torch.randn(2, 3, *size)
    with torch.inference_mode():
        expected = reference(image).feature_maps
    maps = encoder(image)
    for ours, theirs in zip(seen, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    last = torch.nn.functional.layer_norm(
        seen[-1].permute(0, 2, 3, 1), (64,), encoder.norms[3].weight, encoder.norms[3].bias
    )
    torch.testing.assert_close(maps[-1], last.permute(0, 3, 1, 2), rtol=1e-4, atol=1e-4)
    assert [map_.shape[1] for map_ in maps] == [8, 16, 32, 64]


def test_text_encoder_equals_transformers_clip():
    encoder = randomised(TextEncoder(TextEncoderConfig(width=32, token_width=32, heads=4, layers=3), dim=16))
    reference = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            hidden_size=32,
            intermediate_size=128,
            num_attention_heads=4,
            num_hidden_layers=3,
            hidden_act="quick_gelu",
            layer_norm_eps=1e-12,
            eos_token_id=49407,
        )
    ).eval()
    weights = {}
    for name, tensor in encoder.state_dict().items():
        if name.startswith("blocks."):
            _, block, rest = name.split(".", 2)
            base = f"encoder.layers.{block}."
            if rest in ("attention.project_in", "attention.bias_in"):
                kind = "weight" if rest.endswith("project_in") else "bias"
                for part, value in zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True):
                    weights[f"{base}self_attn.{part}.{kind}"] = value
                continue
            for ours, theirs in {
                "attention.project_out": "self_attn.out_proj",
                "norm1": "layer_norm1",
                "norm2": "layer_norm2",
                "mlp.0": "mlp.fc1",
                "mlp.2": "mlp.fc2",
            }.items():
                rest = rest.replace(ours, theirs)
            weights[base + rest] = tensor
        elif name == "token_embedding.weight":
            weights["embeddings.token_embedding.weight"] = tensor
        elif name == "positions":
            weights["embeddings.position_embedding.weight"] = tensor
        elif name.startswith("norm."):
            weights[f"final_layer_norm.{name.removeprefix('norm.')}"] = tensor
    prefix = "text_model." if any(key.startswith("text_model.") for key in reference.state_dict()) else ""
    outcome = reference.load_state_dict({prefix + key: value for key, value in weights.items()}, strict=False)
    assert not outcome.unexpected_keys
    assert all("position_ids" in key for key in outcome.missing_keys)
    ids = tokenize(["nuclei", "left kidney in abdomen CT"])
    with torch.inference_mode():
        states = reference(input_ids=ids).last_hidden_state @ encoder.project
        found = encoder(ids)
    for row, length in enumerate(found.valid.sum(dim=1).tolist()):
        torch.testing.assert_close(found.tokens[row, :length], states[row, :length], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.embedding[row], states[row, length - 1], rtol=1e-4, atol=1e-4)
