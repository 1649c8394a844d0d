"""The composed network: shapes, independence of prompts, and the exact shortcuts."""

import pytest
import torch
from torch.nn import functional as F


@pytest.fixture
def image(rng):
    return torch.from_numpy(rng.uniform(0, 255, (1, 3, 64, 64))).float()


def test_shapes(tiny_model, image):
    features = tiny_model.encode_image(image)
    text = tiny_model.encode_text(["nuclei", "left kidney in abdomen CT"])
    answer = tiny_model.decode(features, text)
    assert features.finest.shape == (1, 32, 16, 16)
    assert [tuple(map_.shape[2:]) for map_ in features.resized] == [(2, 2), (4, 4), (8, 8)]
    assert len(features.keys) == len(features.values) == 3
    assert answer.logits.shape == (1, 2, 16, 16)
    assert answer.similarity.shape == (1, 2, 5)
    assert answer.query.tolist() == answer.similarity.argmax(dim=-1).tolist()
    assert features.nbytes > 4 * 32 * 16 * 16


def test_a_prompt_is_decoded_the_same_whatever_stands_beside_it(tiny_model, image):
    features = tiny_model.encode_image(image)
    alone = tiny_model.decode(features, tiny_model.encode_text(["nuclei"]))
    others = ["left kidney in abdomen CT with many more words", "nuclei", "x"]
    together = tiny_model.decode(features, tiny_model.encode_text(others))
    torch.testing.assert_close(together.logits[0, 1], alone.logits[0, 0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.similarity[0, 1], alone.similarity[0, 0], rtol=1e-4, atol=1e-4)


def test_images_of_a_batch_do_not_mix(tiny_model, image, rng):
    other = torch.from_numpy(rng.uniform(0, 255, (1, 3, 64, 64))).float()
    text = tiny_model.encode_text(["nuclei", "cell"])
    both = tiny_model.decode(tiny_model.encode_image(torch.cat([other, image])), text)
    single = tiny_model.decode(tiny_model.encode_image(image), text)
    torch.testing.assert_close(both.logits[1], single.logits[0], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(both.logits[0], single.logits[0], atol=1e-3)


def test_words_change_the_answer(tiny_model, image):
    features = tiny_model.encode_image(image)
    answer = tiny_model.decode(features, tiny_model.encode_text(["nuclei", "liver"]))
    assert not torch.allclose(answer.logits[0, 0], answer.logits[0, 1], atol=1e-3)


def test_the_shortcuts_around_the_mask_features_are_exact(tiny_model, image, rng):
    images = torch.cat([image, torch.from_numpy(rng.uniform(0, 255, (1, 3, 64, 64))).float()])
    features = tiny_model.encode_image(images)
    convolve = tiny_model.pixel_decoder.mask_features
    whole = torch.nn.Conv2d.forward(convolve, features.finest)
    masks = torch.randn(2, 5, 32)
    expected = torch.einsum("bpc,bchw->bphw", masks, whole)
    torch.testing.assert_close(convolve.logits(masks, features.finest), expected, rtol=1e-4, atol=1e-4)
    for small in features.resized:
        resized = F.interpolate(expected, small.shape[2:], mode="bilinear", align_corners=False)
        torch.testing.assert_close(torch.einsum("bpc,bchw->bphw", masks, small), resized, rtol=1e-4, atol=1e-4)


def test_prompts_are_decoded_in_half_precision_too(tiny_model):
    """What CUDA is offered, here on the CPU: nothing in the decoder may insist on float32."""
    image = tiny_model.encode_image(torch.rand(2, 3, 64, 64) * 255)
    prompts = ["liver", "left kidney in abdominal CT"]
    with torch.inference_mode():
        exact = tiny_model.decode(image, tiny_model.encode_text(prompts))
        with torch.autocast("cpu", torch.bfloat16):
            half = tiny_model.decode(image, tiny_model.encode_text(prompts))
    assert half.logits.dtype == torch.bfloat16
    assert half.similarity.dtype == torch.float32
    torch.testing.assert_close(half.similarity, exact.similarity, rtol=0.1, atol=0.3)


def test_an_empty_answer_that_is_not_sure_enough_gives_way_to_the_next_best_query(predictor, fluorescence):
    model = predictor.model
    pixels = torch.from_numpy(fluorescence[0][:256, :256].astype("float32"))
    features = model.encode_image(pixels.expand(1, 3, -1, -1))
    text = model.encode_text(["nuclei", "spleen", "left lung", "polyp", "hippocampus", "optic disc", "cells"])
    plain = model.decode(features, text)
    empty = plain.logits.amax(dim=(-2, -1)) <= 0
    assert not empty[0, 0]
    assert empty.sum() > 3
    probability = plain.similarity.softmax(dim=-1).amax(dim=-1)
    second = plain.similarity.topk(2, dim=-1).indices[..., 1]
    middle = float(probability[empty].sort().values[2])
    for absence, count in ((0.0, 0), (middle, 2), (1.01, empty.sum())):
        decoded = model.decode(features, text, absence=absence)
        doubted = empty & (probability < absence)
        assert doubted.sum() == count
        assert torch.equal(decoded.query, torch.where(doubted, second, plain.query))
        assert torch.equal(decoded.similarity, plain.similarity)
        assert torch.equal(decoded.logits[~doubted], plain.logits[~doubted])
    assert (decoded.logits[doubted] != plain.logits[doubted]).any()
