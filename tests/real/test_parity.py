"""The published model's answers, with stand-in weights of the published size."""

import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image

from napari_biomedparse import Predictor
from napari_biomedparse.model.checkpoint import load_model
from napari_biomedparse.model.tokenizer import tokenize

FEATURES = {"res2": 0, "res3": 1, "res4": 2, "res5": 3, "mask_features": 10}
FEATURES |= {"multi_scale_0": 11, "multi_scale_1": 12, "multi_scale_2": 13}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The stand-in checkpoint, 1.4 GB; written once and removed at the end."""
    from tests.conftest import SHARED

    script = SHARED / "parity/stand_in_weights.py"
    if not script.is_file():
        pytest.skip(f"needs the parity files, which are not at {SHARED}")
    spec = importlib.util.spec_from_file_location("stand_in_weights", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path_factory.mktemp("weights") / "biomedparse_v1.pt"
    torch.save({key: torch.from_numpy(value) for key, value in module.stand_in_state_dict().items()}, path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def model(weights):
    return load_model(weights)


@pytest.fixture(params=["06_CT_abdomen", "19_pathology_liver"])
def reference(request, shared):
    path = shared / f"parity/open/{request.param}.npz"
    image = np.array(Image.open(path.with_suffix(".png")).convert("RGB"))
    return image, dict(np.load(path))


@pytest.mark.timeout(600)
def test_every_reference_value(model, reference):
    image, values = reference
    rgb = torch.from_numpy(image).permute(2, 0, 1).float()[None]
    with torch.inference_mode():
        shown = (rgb - model.pixel_mean) / model.pixel_std
        np.testing.assert_allclose(shown[0, :, ::64, ::64], values["input_sub"], atol=1e-5)
        maps = model.image_encoder(shown)
        levels, finest = model.pixel_decoder(maps)
        mask_features = model.pixel_decoder.mask_features(finest)
        computed = dict(zip(FEATURES, [*maps, mask_features, *levels], strict=True))
        for name, seed in FEATURES.items():
            mine = computed[name][0].numpy()
            chosen = np.random.Generator(np.random.PCG64(seed)).choice(mine.size, 64, replace=False)
            mean, std = values[f"{name}_mean_std"]
            assert np.abs(mine.ravel()[np.sort(chosen)] - values[f"{name}_sample"]).max() < 1e-3 * std, name
            assert abs(mine.mean() - mean) < 1e-3 * std
            assert abs(mine.std() - std) < 1e-3 * std
        resized = model.pixel_decoder.mask_features.resized(finest)
        features = model.mask_decoder.prepare(levels, finest, resized)
        for n, prompt in enumerate(map(str, values["prompts"])):
            ids = tokenize([prompt])[0].numpy()
            assert (ids[:16] == values[f"p{n}_token_ids"][: len(ids)]).all()
            text = model.encode_text([prompt])
            np.testing.assert_allclose(text.embedding[0], values[f"p{n}_text_embedding"], atol=1e-3)
            answer = model.decode(features, text)
            np.testing.assert_allclose(answer.similarity[0, 0], values[f"p{n}_similarity"], atol=2e-2)
            assert answer.query[0, 0] == values[f"p{n}_matched_query"]
            error = np.abs(answer.logits[0, 0].numpy() - values[f"p{n}_mask_logits_256"].astype(np.float32))
            spread = values[f"p{n}_mask_logits_std"]
            assert np.quantile(error, 0.999) < 0.02 * spread
            assert answer.logits.mean().item() == pytest.approx(values[f"p{n}_mask_logits_mean"], abs=0.02 * spread)
            assert answer.logits.std().item() == pytest.approx(spread, rel=0.02)
            # The masks of all queries, which the engine does not compute.
            queries = model.mask_decoder(features, text)[-1].masks[0, 0]
            means = torch.einsum("qc,chw->qhw", queries, mask_features[0]).mean(dim=(1, 2))
            np.testing.assert_allclose(means, values[f"p{n}_query_mask_means"], atol=0.02 * spread)


@pytest.mark.timeout(600)
def test_the_engine_gives_the_reference_probabilities(weights, reference):
    """All prompts in one call, as a batch: each must give what it gave alone."""
    image, values = reference
    predictor = Predictor.from_pretrained(weights, device="cpu")
    for n, mask in enumerate(predictor.segment(image, list(map(str, values["prompts"])), fit="stretch")):
        error = np.abs(mask.probability[::8, ::8] - values[f"p{n}_probability_sub"].astype(np.float32))
        assert np.quantile(error, 0.999) < 5e-3
        assert mask.probability.mean() == pytest.approx(float(values[f"p{n}_probability_mean"]), abs=1e-3)
