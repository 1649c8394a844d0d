"""A model's own table for recognition, fitted on training images."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta
from skimage.io import imsave
from typer.testing import CliRunner

from napari_biomedparse import ObjectMask, Predictor
from napari_biomedparse.cli import app
from napari_biomedparse.engine.modality import classify_modality, fit_classifier
from napari_biomedparse.engine.presence import presence, presence_in
from napari_biomedparse.model.checkpoint import save_model
from napari_biomedparse.ontology import ModalityError, RecognitionTable
from napari_biomedparse.training.calibrate import LEAST_MASKS, calibrate, fit, modality_name
from napari_biomedparse.training.dataset import DataError, Example, read_split


@pytest.fixture
def lungs(tmp_path, rng):
    """Chest images with a left and a right lung, the lung that is both, and twice an airway."""
    folder = tmp_path / "Lungs"
    (folder / "train").mkdir(parents=True)
    (folder / "train_mask").mkdir()
    for number in range(LEAST_MASKS):
        image = rng.integers(80, 120, (48, 48), dtype=np.uint8)
        masks = {"left+lung": np.s_[10:30, 26:40], "right+lung": np.s_[10:30, 6:20]}
        drawn = {target: np.zeros_like(image) for target in [*masks, "lung"]}
        for target, place in masks.items():
            image[place] //= 2
            drawn[target][place] = drawn["lung"][place] = 255
        if number < 2:
            drawn["airway"] = np.pad(np.full((8, 4), 255, np.uint8), ((0, 40), (20, 24)))
        imsave(folder / "train" / f"i{number}_X-Ray_chest.png", image)
        for target, mask in drawn.items():
            imsave(folder / "train_mask" / f"i{number}_X-Ray_chest_{target}.png", mask, check_contrast=False)
    return folder


class Oracle:
    """Answers with the truth, made a little uncertain."""

    def __init__(self, folder, rng):
        self._examples = read_split(folder, "train")
        self._rng = rng

    def encode(self, image, scales=("organ",)):
        self._shown = next(e for e in self._examples if (e.read_image() == image).all())
        return type("Encoded", (), {"rgb": np.stack([image] * 3, axis=-1)})

    def describe(self, encoded):
        return np.array([encoded.rgb.mean(), encoded.rgb.std()])

    def segment(self, encoded, prompts):
        sure = self._rng.uniform(0.8, 0.95)
        return [ObjectMask(p, (self._shown.read_mask(p) * sure).astype(np.float32)) for p in prompts]


def test_objects_seen_often_enough_are_listed_without_unions(lungs, rng):
    steps = []
    table = calibrate(Oracle(lungs, rng), [lungs], report=lambda *step: steps.append(step))
    assert table.lists == {"X-Ray-Chest": ("left lung", "right lung")}
    assert set(table.presence) == {("X-Ray-Chest", name) for name in ("left lung", "right lung", "lung")}
    assert steps[-1] == (2 * LEAST_MASKS, 2 * LEAST_MASKS)
    assert table.classifier.modalities == ("X-Ray-Chest",)
    assert table.cores == ()
    # What was fitted passes its own test; a bright mask in its place does not.
    dark, bright = (np.full((9, 9, 3), value, np.uint8) for value in (50, 200))
    mask = ObjectMask("left lung", np.full((9, 9), 0.87, np.float32))
    pairs = table.distributions("X-Ray-Chest", "left lung")
    assert presence(mask, dark, pairs) > 0.05 > presence(mask, bright, pairs)
    with pytest.raises(DataError, match=str(LEAST_MASKS)):
        calibrate(Oracle(lungs, rng), [lungs], most=3)


def test_why_nothing_can_be_fitted_is_said(lungs, rng):
    blind = Oracle(lungs, rng)
    found, blind.segment = blind.segment, None
    blind.segment = lambda encoded, prompts: [
        ObjectMask(mask.prompt, 0 * mask.probability) for mask in found(encoded, prompts)
    ]
    with pytest.raises(DataError, match=f"finds too few .* 0 of {LEAST_MASKS} of left lung"):
        calibrate(blind, [lungs])
    with pytest.raises(DataError, match=f"No object of one modality has {LEAST_MASKS} masks"):
        calibrate(blind, [lungs], most=3)


@pytest.mark.parametrize("folder", ["train_mask", "train_instances"])
def test_a_mask_of_another_size_than_its_image_is_named(lungs, rng, predictor, folder):
    path = lungs / folder / "i0_X-Ray_chest_lung.png"
    path.parent.mkdir(exist_ok=True)
    imsave(path, np.full((24, 24), 1, np.uint8), check_contrast=False)
    model = Oracle(lungs, rng)
    # What is asked for inner parts of objects, which the oracle has none of.
    model.model, model.device, model.encoder = predictor.model, predictor.device, predictor.encoder
    with pytest.raises(DataError, match=rf"{folder}.i0_X-Ray_chest_lung\.png is 24 x 24 but its image 48 x 48"):
        calibrate(model, [lungs])


def test_what_is_known_from_grey_images_is_judged_by_its_brightest_channel(lungs, rng):
    table = calibrate(Oracle(lungs, rng), [lungs])
    mask = ObjectMask("left lung", np.full((9, 9), 0.87, np.float32))
    grey, green, dark = (np.full((9, 9, 3), value, np.uint8) for value in (50, (0, 50, 0), (0, 5, 0)))
    known = presence_in(mask, grey, table, "X-Ray-Chest")
    assert known > 0.05
    assert presence_in(mask, green, table, "X-Ray-Chest") == known
    assert presence_in(mask, dark, table, "X-Ray-Chest") < 0.01
    # Of objects known in colours, and of the published tables, all channels count.
    assert presence_in(mask, green, replace(table, classifier=None), "X-Ray-Chest") < 0.01
    pairs = table.distributions("X-Ray-Chest", "left lung")
    coloured = replace(table, presence={("X-Ray-Chest", "left lung"): (*pairs[:3], (3.0, 9.0))})
    assert presence_in(mask, green, coloured, "X-Ray-Chest") < 0.01
    assert presence_in(mask, grey, table, "Dermoscopy-Skin") is None


def test_fitting_recovers_the_distribution(rng):
    truth = [(60.0, 12.0), (3.0, 9.0), (2.0, 2.0), (30.0, 30.0)]
    values = [tuple(row) for row in np.transpose([beta(*pair).rvs(4000, random_state=rng) for pair in truth])]
    np.testing.assert_allclose(fit(values), truth, rtol=0.15)
    # Values that never vary, or lie at the ends, give a distribution all the same.
    for value in (0.0, 0.4, 1.0):
        pairs = np.array(fit([(value,) * 4] * 9))
        assert (pairs > 0).all()
        assert np.isfinite(beta(*pairs.T).cdf(0.5)).all()


def test_the_classifier_tells_modalities_apart_and_survives_the_file(rng, tmp_path):
    centres = {"CT-Abdomen": 0.0, "MRI-Brain": 1.5, "Fundus-Retinal": -1.5}
    direction = rng.normal(size=40)
    names = [name for name in centres for _ in range(30)]
    drawn = np.array([centres[name] * direction + rng.normal(size=40) for name in names])
    lists = dict.fromkeys(centres, ("liver",))
    table = RecognitionTable(lists, {}, fit_classifier(names, drawn), ("nucleus",))
    table.write(tmp_path / "t.json")
    read = RecognitionTable.read(tmp_path / "t.json")
    assert read == table
    others = [(name, centre * direction + rng.normal(size=40)) for name, centre in centres.items() for _ in range(30)]
    guesses = [classify_modality(read.classifier, description) for _, description in others]
    assert np.mean([next(iter(guess)) == name for guess, (name, _) in zip(guesses, others, strict=True)]) > 0.95
    assert all(sum(guess.values()) == pytest.approx(1) for guess in guesses)
    with pytest.raises(ValueError, match="another model"):
        classify_modality(read.classifier, np.zeros(39))
    broken = (tmp_path / "t.json").read_text().replace('"Fundus-Retinal", ', "", 1).replace(', "MRI-Brain"]', "]", 1)
    (tmp_path / "t.json").write_text(broken)
    with pytest.raises(ModalityError, match="do not fit together"):
        RecognitionTable.read(tmp_path / "t.json")


def test_of_few_numbered_images_all_are_looked_at(predictor, fluorescence, tmp_path):
    pixels, truth, numbers = fluorescence
    for part in ("train", "train_mask", "train_instances"):
        (tmp_path / part).mkdir()
    for number in range(2 * LEAST_MASKS):
        part = np.s_[20 * (number // 2) : 20 * (number // 2) + 96, :96]
        name = f"i{number:02d}_fluorescence+microscopy_cell"
        imsave(tmp_path / "train" / f"{name}.png", pixels[part], check_contrast=False)
        kinds = {"mask": truth.astype(np.uint8) * 255, "instances": numbers.astype(np.uint16)}
        for kind in ("mask", "instances") if number < 3 else ("mask",):
            imsave(tmp_path / f"train_{kind}" / f"{name}_nucleus.png", kinds[kind][part], check_contrast=False)
    steps = []
    calibrate(predictor, [tmp_path], LEAST_MASKS, lambda *step: steps.append(step))
    assert steps[-1] == (3 * LEAST_MASKS + 3,) * 2


def test_modalities_are_written_as_the_published_ones(tmp_path):
    def name(modality, site):
        return modality_name(Example("d", tmp_path, modality, site, {}))

    assert name("X-Ray", "chest") == "X-Ray-Chest"
    assert name("electron microscopy", "spinal cord") == "Electron Microscopy-Spinal Cord"
    assert name("MRI-T1-Gd", "brain") == "MRI-T1-Gd-Brain"


def test_the_command_writes_the_table_beside_the_weights(predictor, fluorescence, tmp_path):
    pixels, truth, _ = fluorescence
    data, weights = tmp_path / "Cells", tmp_path / "w.safetensors"
    for part in ("train", "train_mask"):
        (data / part).mkdir(parents=True)
    for number in range(LEAST_MASKS):
        part = np.s_[20 * number : 20 * number + 96, :96]
        name = f"i{number}_fluorescence+microscopy_cell"
        imsave(data / "train" / f"{name}.png", pixels[part], check_contrast=False)
        imsave(data / "train_mask" / f"{name}_nucleus.png", truth[part].astype(np.uint8) * 255, check_contrast=False)
    save_model(predictor.model, weights)
    arguments = ["calibrate", str(data), "--model", str(weights), "--device", "cpu"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "Fluorescence Microscopy-Cell: nucleus" in done.output
    table = Predictor.from_pretrained(weights, "cpu").table
    assert table == RecognitionTable.read(tmp_path / "w.recognition.json")
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    (tmp_path / "w.recognition.json").write_text("{}")
    with pytest.raises(ModalityError, match="not a readable table"):
        Predictor.from_pretrained(weights, "cpu")
