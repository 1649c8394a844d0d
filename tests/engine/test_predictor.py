"""The predictor on real images with the embedded model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from napari_biomedparse import CheckpointError, ImageError, Predictor, PromptError
from napari_biomedparse.engine import decode as decode_module
from napari_biomedparse.engine.device import usable_precisions
from napari_biomedparse.engine.preprocess import lay
from napari_biomedparse.engine.prompts import hangs_on_place, words_for
from napari_biomedparse.engine.resample import unlay
from napari_biomedparse.evaluation.overlap import dice
from napari_biomedparse.model import checkpoint
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.ontology import ModalityError, meta_objects
from tests.published import TINY, published_state


@pytest.mark.parametrize("prompt", ["nuclei", "nucleus", "cell nuclei", "Nuclei "])
def test_nuclei_on_fluorescence(predictor, fluorescence, prompt):
    pixels, truth, _ = fluorescence
    (mask,) = predictor.segment(pixels, [prompt])
    assert mask.prompt == prompt
    assert mask.probability.shape == pixels.shape
    assert mask.probability.dtype == np.float32
    assert 0 <= mask.probability.min() <= mask.probability.max() <= 1
    assert dice(mask.mask(), truth) >= 0.88
    assert mask.confidence > 0.7


def test_nuclei_on_histology(predictor, histology):
    pixels, truth, _ = histology
    (mask,) = predictor.segment(pixels, ["nuclei"])
    assert dice(mask.mask(), truth) >= 0.7


def test_same_prompt_same_mask_whatever_stands_beside_it(predictor, fluorescence):
    pixels = fluorescence[0][:128, :128]
    (alone,) = predictor.segment(pixels, ["nuclei"])
    together = predictor.segment(pixels, ["cytoplasm", "nuclei", "left kidney in abdomen CT"])
    assert [mask.prompt for mask in together] == ["cytoplasm", "nuclei", "left kidney in abdomen CT"]
    np.testing.assert_allclose(together[1].probability, alone.probability, atol=1e-4)


def test_each_name_of_an_object_has_one_answer(predictor, fluorescence):
    prompts = ["nucleus", "nuclei", "Cell nucleus", "nuclear"]
    masks = predictor.segment(fluorescence[0], prompts)
    assert [mask.prompt for mask in masks] == prompts
    assert all((mask.probability == masks[0].probability).all() for mask in masks)
    # What says more than a name, or names what is not in the lists, is asked as it is.
    table = predictor.table
    for prompt in ("nucleus in brain MRI", "brain tumor", "no such thing"):
        assert table.listed_name(prompt) is None
    assert table.listed_name("lien") == "spleen"


@pytest.mark.parametrize(
    ("words", "modality", "asked"),
    [
        ("papillae", None, "optic disc"),
        ("arterioles", None, "artery"),
        ("lesions", None, "lesion"),
        ("lesions", "Ultrasound-Breast", "tumor"),
        ("lesions", "Dermoscopy-Skin", "lesion"),
        ("lesions", "X-Ray-Chest", "lesion"),
        ("nodule", None, "nodule"),
        ("nodule", "Ultrasound-Breast", "tumor"),
        ("brain cancers", None, "brain cancers"),
        ("brain cancers", "mri", "tumor"),
        ("brain tumor", "Ultrasound-Breast", "brain tumor"),
        ("left kidney", None, "left kidney"),
        ("nucleus in brain MRI", "MRI-Brain", "nucleus in brain MRI"),
    ],
)
def test_a_word_is_asked_as_what_it_means_in_its_place(predictor, words, modality, asked):
    assert words_for([words], modality, predictor.table) == {words: (asked,)}


def test_where_the_place_decides_it_is_guessed_once_and_only_there(predictor, histology, monkeypatch):
    guesses = []
    kind = "Ultrasound-Breast"
    monkeypatch.setattr(Predictor, "guess", lambda _self, image: guesses.append(image) or (kind, {kind: 1.0}))
    skin, tumor = (
        predictor.segment(histology[0], [words], modality=place)[0]
        for words, place in (("lesion", "Dermoscopy-Skin"), ("tumor", kind))
    )
    assert not guesses
    (found,) = predictor.segment(histology[0], ["lesion"])
    assert found.prompt == "lesion"
    assert (found.probability == tumor.probability).all()
    assert (found.probability != skin.probability).any()
    assert len(guesses) == 1
    predictor.segment(histology[0], ["nuclei", "tumor", "left kidney"])
    assert len(guesses) == 1
    assert all(hangs_on_place(words, predictor.table) for words in ("lesion", "nodule", "brain tumor"))


def test_an_image_is_encoded_once(predictor, fluorescence, monkeypatch):
    pixels = fluorescence[0][::-1]
    calls = []
    encode = predictor.model.encode_image
    monkeypatch.setattr(predictor.model, "encode_image", lambda rgb: calls.append(1) or encode(rgb))
    encoded = predictor.encode(pixels, scales=("cell",))
    assert len(calls) == len(encoded.views["cell"].batches)
    first = predictor.segment(encoded, ["nuclei"])
    known = len(calls)
    predictor.segment(encoded, ["white blood cell", "nucleus"])
    direct = predictor.segment(pixels, ["nuclei"])
    assert len(calls) == known
    np.testing.assert_allclose(first[0].probability, direct[0].probability, atol=1e-6)


def test_large_images_are_tiled_without_seams(predictor, fluorescence):
    """A plane of several tiles gives the labels that one of its parts gives alone, away from that part's border."""
    pixels, _, _ = fluorescence
    (whole,) = predictor.segment(pixels, ["nuclei"])
    low, high = np.percentile(pixels[pixels > 0], [0.5, 99.5])
    part = np.s_[80:336, 100:420]
    (alone,) = predictor.segment(pixels[part], ["nuclei"], intensity=(low, high))
    inner = np.s_[32:-32, 32:-32]
    agree = (whole.probability[part][inner] > 0.5) == (alone.probability[inner] > 0.5)
    assert agree.mean() >= 0.985
    view = predictor.encode(pixels, scales=("cell",)).views["cell"]
    assert len(view.tiles) > 4
    # At tile borders neighbours differ no more than elsewhere.
    jump = np.abs(np.diff(whole.probability, axis=1)).mean(axis=0)
    borders = {tile.left - 1 for tile in view.tiles if tile.left} | {
        tile.left + tile.width - 1 for tile in view.tiles if tile.left + tile.width < pixels.shape[1]
    }
    elsewhere = np.delete(jump, list(borders))
    assert jump[list(borders)].mean() < 1.5 * elsewhere.mean()


def test_a_stretched_image_is_seen_whole_by_every_prompt(tiny_config):
    """As the published demo does, also where an image is larger than the network's input and cells are asked for."""
    torch.manual_seed(0)
    model = BiomedParse(replace(tiny_config, cell_fill=True)).eval()
    pixels = np.random.default_rng(1).integers(0, 255, (150, 130, 3), dtype=np.uint8)
    size = model.config.input_size
    words = ["liver", "neoplastic cells", "nucleus"]
    masks = Predictor(model, "cpu").segment(pixels, words, fit="stretch")
    square = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)
    for mask in masks:
        (alone,) = Predictor(model, "cpu").segment(np.asarray(square), [mask.prompt])
        logits = torch.logit(torch.from_numpy(alone.probability)[None, None])
        # Both are one bilinear step from the network's own masks.
        assert mask.probability.mean() == pytest.approx(torch.sigmoid(logits).mean().item(), abs=2e-3)
    assert len(Predictor(model, "cpu").encode(pixels, "stretch", scales=("cell",)).views["cell"].tiles) == 1
    assert len(Predictor(model, "cpu").encode(pixels, "pad", scales=("cell",)).views["cell"].tiles) > 1


def test_an_object_whose_size_is_measured_is_seen_whole_in_a_stretched_image(predictor, fluorescence):
    encoded = predictor.encode(fluorescence[0], "stretch", scales=())
    predictor.segment(encoded, ["nuclei"])
    assert [len(view.tiles) for view in encoded.views.values()] == [1] * len(encoded.views)


def test_steps_can_be_abandoned_and_count_tiles(predictor, fluorescence):
    image = predictor.encode(fluorescence[0], scales=())
    steps = predictor.steps(image, ["nuclei", "lung"])
    # At first it learns how large the nuclei are.
    assert next(steps).done == 0
    second = next(step for step in steps if step.done)
    assert second.done < second.total == len(image.views["sized nucleus"].tiles) + 1
    steps.close()


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_laying_and_unlaying_meet(fit, rng):
    """A mask drawn in the image, laid into the input and brought back, is where it was."""
    image = np.zeros((60, 90, 3), np.uint8)
    image[10:40, 30:70] = 255
    square, frame = lay(image, 128, fit)
    logits = torch.nn.functional.avg_pool2d(torch.from_numpy(square[:1]), 4) - 127
    back = unlay(logits[None], frame, 128)[0, 0].numpy() > 0
    assert dice(back, image[..., 0] > 0) > 0.95


def test_unlaying_the_whole_input_is_plain_bilinear_resizing(rng):
    logits = torch.from_numpy(rng.normal(size=(2, 16, 16))).float()
    _, frame = lay(np.zeros((50, 50, 3), np.uint8), 64, "pad")
    expected = torch.nn.functional.interpolate(logits[None], (50, 50), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(unlay(logits[None], frame, 64)[0], expected, rtol=1e-4, atol=1e-4)


def test_tiny_and_thin_images_work(predictor):
    for shape in [(1, 1), (3, 200), (200, 3), (17, 17, 3)]:
        masks = predictor.segment(np.full(shape, 9, np.uint8), ["nuclei", "liver"])
        assert all(mask.probability.shape == shape[:2] for mask in masks)


@pytest.mark.parametrize("prompts", [[], [""], ["nuclei", "  "], "nuclei"])
def test_empty_prompts_are_refused_before_anything_is_computed(predictor, prompts):
    with pytest.raises(PromptError):
        predictor.steps(np.zeros((4, 4)), prompts)


def test_bad_arguments_are_refused(predictor):
    with pytest.raises(ImageError):
        predictor.segment(np.zeros((2, 2, 2, 2)), ["nuclei"])
    with pytest.raises(ValueError, match="fit"):
        predictor.encode(np.ones((4, 4)), fit="crop")
    with pytest.raises(CheckpointError, match="no model called"):
        Predictor.from_pretrained("nonsense")
    with pytest.raises(ValueError, match="no device"):
        Predictor.from_pretrained("mini", device="warp")


def test_mask_thresholds_are_nested_and_checked(predictor, fluorescence):
    (mask,) = predictor.segment(fluorescence[0][:100, :100], ["nuclei"])
    assert (mask.mask(0.9) <= mask.mask(0.5)).all()
    assert (mask.mask(0.5) == (mask.probability > 0.5)).all()
    with pytest.raises(ValueError, match="between 0 and 1"):
        mask.mask(1.5)


def test_the_kind_of_an_image_is_guessed(predictor, histology, fluorescence):
    modality, scores = predictor.guess(predictor.encode(histology[0]))
    assert modality.startswith("Pathology")
    assert scores[modality] == max(scores.values())
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert predictor.guess(predictor.encode(fluorescence[0]))[0] == "Fluorescence Microscopy-Cell"
    with pytest.raises(ModalityError, match=r"could not be guessed.*Pathology-Tissue"):
        predictor.guess(predictor.encode(np.full((9, 9), 7, np.uint8)))


def test_presence_is_tested_by_what_the_prompt_means(predictor, histology):
    encoded = predictor.encode(histology[0][100:196, 100:196])
    masks = predictor.segment(encoded, ["nucleus", "cell nuclei", "flux capacitor"])
    by_name, by_another, unknown = predictor.presences(encoded, masks, "Pathology-Tissue")
    assert 0 < by_name <= 1
    assert 0 < by_another <= 1
    assert unknown is None
    assert predictor.presences(encoded, masks, "X-Ray-Chest") == [None, None, None]


def test_a_model_with_a_fixed_vocabulary_is_asked_for_the_kinds_that_it_knows(histology, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "preset", lambda name: TINY)
    torch.save(published_state(), tmp_path / "published.pt")
    published = Predictor.from_pretrained(tmp_path / "published.pt", device="cpu")
    pixels = histology[0][:96, :96]
    kinds = ["neoplastic cells", "inflammatory cells", "connective tissue cells", "epithelial cells"]
    apart = published.segment(pixels, [*kinds, "postcava", "nuclei"])
    nuclei, vein = published.segment(pixels, ["nuclei", "IVC"], modality="pathology")
    assert (nuclei.prompt, vein.prompt) == ("nuclei", "IVC")
    union = np.max([mask.probability for mask in apart[:4]], axis=0)
    np.testing.assert_allclose(nuclei.probability, union, atol=1e-4)
    assert np.abs(nuclei.probability - apart[5].probability).max() > 0.01
    np.testing.assert_allclose(vein.probability, apart[4].probability, atol=1e-4)
    # Without a word about the image nothing is changed: the published answers to any words stay what they are.
    (plain,) = published.segment(pixels, ["nuclei"])
    np.testing.assert_allclose(plain.probability, apart[5].probability, atol=1e-4)


def test_prompts_are_decoded_in_parts_that_fit_in_memory(predictor, histology, monkeypatch):
    prompts = ["left lung", "right lung", "liver", "spleen", "heart"]
    pixels = histology[0][:96, :96]
    together = predictor.segment(pixels, prompts)
    sizes = []
    decode = predictor.model.decode
    monkeypatch.setattr(
        predictor.model,
        "decode",
        lambda image, text, *cores: sizes.append(len(text.tokens)) or decode(image, text, *cores),
    )
    monkeypatch.setattr(decode_module, "DECODED_BYTES", 1)
    apart = predictor.segment(pixels, prompts)
    assert sizes == [1] * len(prompts)
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-4)


def test_what_does_not_depend_on_the_words_is_flagged(predictor, fluorescence):
    """Against the answer to words that name nothing, computed once per image."""
    pixels = fluorescence[0][:128, :128]
    (nuclei,) = predictor.segment(pixels, ["nuclei"])
    assert nuclei.depends_on_words
    assert nuclei.control < 0.5
    deaf = Predictor(predictor.model, device="cpu")
    text = predictor.model.encode_text(["nuclei"])
    deaf.encoder.model = _Deaf(predictor.model, text)
    (same,) = deaf.segment(pixels, ["nuclei"])
    assert same.control > 0.9
    assert same.depends_on_words is False
    (empty,) = predictor.segment(np.zeros((64, 64), np.uint8), ["nuclei"])
    assert empty.control == 0


class _Deaf:
    """A network that hears the same words whatever it is told."""

    def __init__(self, model, text):
        self._model, self._text = model, text

    def encode_text(self, prompts):
        return type(self._text)(*(part.repeat(len(prompts), *[1] * (part.ndim - 1)) for part in self._text))

    def __getattr__(self, name):
        return getattr(self._model, name)


def test_half_precision_changes_little(predictor, fluorescence):
    if "bfloat16" not in usable_precisions(torch.device("cpu")):
        pytest.skip("this processor has no units for bfloat16")
    pixels = fluorescence[0][:192, :192]
    half = Predictor(predictor.model, device="cpu", precision="bfloat16")
    exact, rounded = (p.segment(pixels, ["nuclei"])[0] for p in (predictor, half))
    assert not (exact.probability == rounded.probability).all()
    assert dice(exact.mask(), rounded.mask()) > 0.98


def test_an_arithmetic_without_units_is_refused(predictor):
    for precision in ("float16", "tf32", "int3"):
        with pytest.raises(ValueError, match=f"{precision}.*float32"):
            Predictor(predictor.model, device="cpu", precision=precision)


def test_meta_objects_are_told_apart_where_the_model_was_trained_to(predictor, tiny_config, rng):
    pixels = rng.integers(0, 255, (64, 64), dtype=np.uint8)
    torch.manual_seed(0)
    trained = Predictor(BiomedParse(replace(tiny_config, meta_objects=True)), device="cpu")
    rows = trained.classify(pixels, ["liver", "tumor in breast ultrasound"])
    assert [set(row) for row in rows] == [set(meta_objects())] * 2
    assert all(list(row.values()) == sorted(row.values(), reverse=True) for row in rows)
    assert all(0 < sum(row.values()) < 1 for row in rows)
    with pytest.raises(ValueError, match="not trained to recognise meta-objects"):
        predictor.classify(pixels, ["liver"])
    with pytest.raises(PromptError):
        trained.classify(pixels, [])


def test_meta_objects_are_read_one_place_further(tiny_config):
    """A query that is exactly the text of the published column n answers the meta-object with the number n."""
    torch.manual_seed(0)
    model = BiomedParse(replace(tiny_config, meta_objects=True)).eval()
    classes = model.encode_classes([*meta_objects(), "background"])
    torch.testing.assert_close(classes.norm(dim=1), torch.ones(17))
    predictor = Predictor(model, device="cpu")
    decode = model.decode
    model.decode = lambda image, text, *cores: decode(image, text)._replace(text=classes[None, 3:4] * 5)
    (row,) = predictor.classify(np.ones((64, 64), np.uint8), ["anything"])
    assert next(iter(row)) == meta_objects()[2] == "kidney"
