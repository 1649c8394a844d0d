"""What triples are made of: words, movements, cores of touching objects, and a network that gains a part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi
from skimage.io import imsave
from skimage.measure import regionprops
from skimage.segmentation import clear_border

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import CheckpointError, save_model
from napari_biomedparse.ontology import find_object, scale_of
from napari_biomedparse.training.augment import Placement, empty_field, is_grey, move, paste, recolour, tint
from napari_biomedparse.training.cores import cores
from napari_biomedparse.training.dataset import DataError, Example, read_split
from napari_biomedparse.training.losses import LossConfig, prompt_losses
from napari_biomedparse.training.start import start_from
from napari_biomedparse.training.triples import SamplingConfig, Triple, TripleSampler

DATA = Path(__file__).parents[1] / "data"


def example(modality: str, site: str, *targets: str) -> Example:
    return Example("Set", Path("image.png"), modality, site, {target: Path("mask.png") for target in targets})


def test_a_mask_of_another_size_than_its_image_is_named(tmp_path, tiny_config):
    for size, numbered in ((48, False), (64, True)):
        files = {part: tmp_path / f"{part}.png" for part in ("image", "mask", "numbers")}
        imsave(files["image"], np.full((64, 64), 90, np.uint8), check_contrast=False)
        imsave(files["mask"], np.full((64, size), 255, np.uint8), check_contrast=False)
        imsave(files["numbers"], np.ones((48, 64), np.uint8), check_contrast=False)
        more = {"liver": files["numbers"]} if numbered else {}
        one = Example("Set", files["image"], "CT", "abdomen", {"liver": files["mask"]}, more)
        sampler = TripleSampler([one], tiny_config, 32, SamplingConfig(), seed=0)
        wrong = "numbers.png is 48 x 64" if numbered else "mask.png is 64 x 48"
        with pytest.raises(DataError, match=f"{wrong} but its image 64 x 64 pixels: make them one size"):
            sampler.batch(0, 1)


@pytest.mark.parametrize("name", ["left lung", "Left lung", "left-lung", "LEFT_LUNG", "lung"])
def test_what_is_left_or_right_is_not_mirrored_however_it_is_written(name):
    assert Triple(example("ultrasound", "chest", name), 64).mirrored == (name == "lung")


def test_scans_of_the_trunk_are_not_mirrored_for_its_organs_have_sides():
    cases = [("CT", "abdomen"), ("MRI-T1", "heart"), ("X-Ray", "chest"), ("MRI", "brain"), ("pathology", "lung")]
    mirrored = [Triple(example(modality, site, "vessel"), 64).mirrored for modality, site in cases]
    assert mirrored == [False, False, False, True, True]


def test_movement_takes_image_and_mask_along_and_flips_only_where_told():
    image = torch.zeros(3, 40, 60)
    image[:, 5:15, 5:20] = 200.0
    layers = torch.cat([image, (image[:1] > 0).float()])
    still = move(layers, 60, Placement(1.0, 0.0, (30.0, 20.0), (1, 1), 0.0), np.random.default_rng(0))
    assert torch.allclose(still[:, 10:50], layers, atol=1e-3)
    bent = move(layers, 60, Placement(1.3, 0.7, (25.0, 18.0), (-1, 1), 0.05), np.random.default_rng(0))
    assert torch.equal(bent[0] > 100, bent[3] > 0.5)
    assert not torch.equal(bent[3] > 0.5, still[3] > 0.5)
    mirrored = move(layers, 60, Placement(1.0, 0.0, (30.0, 20.0), (-1, 1), 0.0), np.random.default_rng(0))
    assert torch.allclose(mirrored, still.flip(2), atol=1e-3)


def test_grey_stays_grey_and_padding_black():
    grey = torch.full((3, 32, 32), 120.0)
    grey[:, :8] = 0
    for seed in range(20):
        varied = recolour(grey, np.random.default_rng(seed))
        assert torch.equal(varied[0], varied[1])
        assert torch.equal(varied[0], varied[2])
        assert varied[:, :6].max() == 0
        assert 0 < varied[:, 12:].min() <= varied.max() <= 255


def test_variation_grows_with_its_strength_and_none_changes_nothing():
    image = torch.rand(3, 40, 40) * 200 + 20

    def change(strength: float) -> float:
        varied = [recolour(image, np.random.default_rng(seed), strength) for seed in range(12)]
        return float(torch.stack([(each - image).abs().mean() for each in varied]).mean())

    assert change(0) < 1e-3
    assert 1 < change(0.2) < 0.7 * change(1)


def test_a_tinted_image_keeps_its_objects_whatever_their_colour():
    grey = torch.full((3, 60, 60), 8.0)
    grey[:, 20:40, 20:40] = 180.0
    grey[:, :6] = 0
    shown = [tint(grey, np.random.default_rng(seed)) for seed in range(60)]
    assert torch.equal(shown[3], tint(grey, np.random.default_rng(3)))
    for image in shown:
        assert 0 <= image.min() <= image.max() <= 255
        assert not image[:, :6].any()
        assert image[:, 20:40, 20:40].mean() > 1.5 * image[:, 48:, 48:].mean()
    pure = {tuple((image[:, 30, 30] > 1).tolist()) for image in shown}
    assert {(True, False, False), (False, True, False), (False, False, True), (True, True, True)} <= pure
    brightest = torch.stack([image.max() for image in shown])
    assert brightest.min() < 90
    assert brightest.max() > 150
    # Some have another colour around than within.
    hues = torch.stack(
        [image[:, 15, 30] / image[:, 15, 30].sum() - image[:, 30, 30] / image[:, 30, 30].sum() for image in shown]
    )
    assert 5 < (hues.abs().max(dim=1).values > 0.1).sum() < 40


def test_a_pasted_piece_leaves_the_objects_of_both_images_alone():
    image, other = torch.full((3, 80, 80), 60.0), torch.full((3, 80, 80), 200.0)
    masks, masked = torch.zeros(1, 80, 80), torch.zeros(2, 80, 80)
    masks[:, 20:40, 20:40] = 1
    masked[1, 50:70, 45:60] = 1
    image[:, 20:40, 20:40] = 90
    other[:, 50:70, 45:60] = 20
    image[:, :, :8] = 0
    pasted = [paste(image, masks, other, masked, np.random.default_rng(seed)) for seed in range(40)]
    assert torch.equal(pasted[5], paste(image, masks, other, masked, np.random.default_rng(5)))
    for shown in pasted:
        assert torch.equal(shown[:, 20:40, 20:40], image[:, 20:40, 20:40])
        assert shown[:, :, 8:].min() >= 60
        assert not shown[:, :, :8].any()
    changed = torch.stack([(shown[0] > 150).float().mean() for shown in pasted])
    assert 0.03 < changed.median() < 0.5
    assert all(((shown[0] > 60) & (shown[0] < 200)).any() for shown in pasted if (shown[0] > 150).any())


def test_touching_objects_have_separate_cores():
    y, x = np.mgrid[:40, :70]
    numbers = np.where(np.hypot(y - 20, x - 20) < 14, 1, 0)
    numbers[(np.hypot(y - 20, x - 46) < 14) & (numbers == 0)] = 7
    assert ndi.label(numbers > 0)[1] == 1
    core = cores(numbers)
    assert ndi.label(core)[1] == 2
    assert set(np.unique(numbers[core])) == {1, 7}
    assert 0.1 < core.sum() / (numbers > 0).sum() < 0.5


def test_cores_come_with_the_masks_of_numbered_objects_and_are_unknown_for_others(tiny_config):
    shown = [e for name in ("DSB2018-Fluorescence", "DSB2018-HE") for e in read_split(DATA / name, "test")]
    batch = TripleSampler(shown, tiny_config, 64, SamplingConfig(foreign=0), seed=3).batch(0, 8)
    known = (batch.cores >= 0).all(dim=-1).all(dim=-1)
    assert 0 < known.sum() < known.numel()
    assert torch.equal(known, ~(batch.cores < 0).any(dim=-1).any(dim=-1))
    # Present objects have cores, which lie inside them; absent ones have none that are known.
    assert not batch.masks[~known].any()
    whole, core = batch.masks[known] > 0, batch.cores[known] > 0
    assert 0 < (core & whole).sum() == core.sum() < 0.6 * whole.sum()


def discs(folder: Path, name: str, diameter: int, *, numbered: bool) -> Example:
    """An image of many discs of one size, with or without their numbers."""
    y, x = np.mgrid[:300, :300]
    inside = np.hypot(y % 60 - 30, x % 60 - 30) < diameter / 2
    numbers = np.where(inside, y // 60 * 5 + x // 60 + 1, 0)
    files = {part: folder / f"{name}_{part}.png" for part in ("image", "mask", "numbers")}
    for part, pixels in {"image": inside * 200 + 20, "mask": inside * 255, "numbers": numbers}.items():
        imsave(files[part], pixels.astype(np.uint8), check_contrast=False)
    more = {"nucleus": files["numbers"]} if numbered else {}
    return Example("Discs", files["image"], "pathology", "cell", {"nucleus": files["mask"]}, more)


def test_only_grey_fluorescence_is_tinted(tmp_path, tiny_config):
    def coloured(shown: list[Example], share: float) -> int:
        config = SamplingConfig(foreign=0, recolour=(0, 0), tint=share)
        images = TripleSampler(shown, tiny_config, 64, config, seed=3).batch(0, 8).images
        return sum(not is_grey(image) for image in images)

    fluorescence = read_split(DATA / "DSB2018-Fluorescence", "test")
    assert coloured(fluorescence, 0) == 0
    assert coloured(fluorescence, 1) > 5
    assert coloured([discs(tmp_path, "these", 30, numbered=True)], 1) == 0


def test_only_images_shown_as_a_whole_get_pieces_of_others_of_their_set(tmp_path, tiny_config):
    def taken(target: str, level: int, *, together: bool) -> Example:
        files = [tmp_path / f"{target}_{level}_{part}.png" for part in ("image", "mask")]
        for file, pixels in zip(files, (np.full((64, 64, 3), level), np.zeros((64, 64))), strict=True):
            imsave(file, pixels.astype(np.uint8), check_contrast=False)
        return Example("Set" if together else str(level), files[0], "dermoscopy", "skin", {target: files[1]})

    def levels(target: str, share: float, *, together: bool = True) -> set[int]:
        shown = [taken(target, level, together=together) for level in (80, 200)]
        config = SamplingConfig(
            foreign=0, recolour=(0, 0), recolour_organs=(0, 0), pasted=share, organ_zoom=(1, 1), bend=0
        )
        images = TripleSampler(shown, tiny_config, 64, config, seed=3).batch(0, 24).images
        return {int((image == 80).any()) + 2 * int((image == 200).any()) for image in images}

    assert scale_of("lesion") == "organ"
    assert levels("lesion", 0) == {1, 2}
    assert levels("lesion", 1) == {1, 2, 3}
    assert levels("lesion", 1, together=False) == {1, 2}
    assert levels("nucleus", 1) == {1, 2}


def test_organs_are_recoloured_as_their_own_setting_says(tmp_path, tiny_config):
    discs(tmp_path, "these", 30, numbered=False)
    files = {part: tmp_path / f"these_{part}.png" for part in ("image", "mask")}

    def change(target: str, **config: tuple[float, float]) -> float:
        shown = [Example("Set", files["image"], "pathology", "cell", {target: files["mask"]})]
        still = {"recolour": (0.0, 0.0), "recolour_organs": (0.0, 0.0)}
        plain, varied = (
            TripleSampler(shown, tiny_config, 64, SamplingConfig(foreign=0, **(still | more)), seed=3).batch(0, 6)
            for more in ({}, config)
        )
        return float((plain.images - varied.images).abs().mean())

    assert change("kidney", recolour_organs=(1, 1)) > 1 > change("kidney", recolour=(1, 1))
    assert change("nucleus", recolour=(1, 1)) > 1 > change("nucleus", recolour_organs=(1, 1))


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize(
    ("diameter", "sized", "shown"), [(40, 1, 20), (20, 1, 20), (10, 1, 12), (40, 0, 40), (10, 0, 10)]
)
def test_cells_are_shown_in_the_size_that_the_network_is_to_know(
    tmp_path, tiny_config, diameter, sized, shown, numbered
):
    known = [discs(tmp_path, "these", diameter, numbered=numbered)]
    config = SamplingConfig(1, foreign=0, tile_zoom=(1, 1), bend=0, recolour=(0, 0), sized=sized)
    sampler = TripleSampler(known, replace(tiny_config, sized=("nucleus",), cell_diameter=20.0), 128, config, seed=0)
    found = [
        region.equivalent_diameter_area
        for mask in sampler.batch(0, 6).masks[:, 0].numpy()
        for region in regionprops(clear_border(ndi.label(mask > 0)[0]))
    ]
    assert np.median(found) == pytest.approx(shown, rel=0.08)


def test_a_share_of_images_are_pictures_of_nothing_asked_for_what_is_elsewhere(tmp_path, tiny_config):
    known = [discs(tmp_path, "these", 10, numbered=True)]

    def drawn(share: float):
        config = SamplingConfig(4, foreign=0, absent=0.5, recolour=(0, 0), empty=share)
        return TripleSampler(known, tiny_config, 64, config, seed=0).batch(0, 24)

    assert 5 < sum(bool(masks.any()) for masks in drawn(0.5).masks) < 19
    empty = drawn(1)
    assert not empty.masks.any()
    assert (empty.cores == -1).all()
    asked = [find_object(prompt.partition(" in ")[0]) for prompt in empty.prompts]
    assert 20 < sum(found is not None and found.id == find_object("nucleus").id for found in asked) < 76


def test_pictures_of_nothing_are_of_many_kinds():
    shown = [empty_field(48, np.random.default_rng(seed)) for seed in range(60)]
    assert torch.equal(shown[3], empty_field(48, np.random.default_rng(3)))
    assert all(image.shape == (3, 48, 48) and 0 <= image.min() <= image.max() <= 255 for image in shown)
    assert 20 < sum(is_grey(image) for image in shown) < 52
    spread = sorted(float(image[:, 20:28, 20:28].std(dim=(1, 2)).mean()) for image in shown)
    assert spread[5] < 5
    assert spread[-5] > 30


@pytest.mark.parametrize(("share", "least", "most"), [(0, 9, 11), (1, 14, 62)])
def test_cells_shown_close_up_are_several_times_larger(tmp_path, tiny_config, share, least, most):
    known = [discs(tmp_path, "these", 10, numbered=False)]
    config = SamplingConfig(1, foreign=0, tile_zoom=(1, 1), bend=0, recolour=(0, 0), close_up=share)
    masks = TripleSampler(known, tiny_config, 256, config, seed=0).batch(0, 12).masks[:, 0].numpy()
    found = [
        region.equivalent_diameter_area
        for mask in masks
        for region in regionprops(clear_border(ndi.label(mask > 0)[0]))
        if region.area > 50
    ]
    assert least < min(found) <= max(found) < most
    assert max(found) > 1.8 * min(found) or not share


def test_a_network_with_cores_is_taught_them_where_they_are_known(tiny_config, rng):
    torch.manual_seed(0)
    model = BiomedParse(replace(tiny_config, cores=True, detail=8)).train()
    image = model.encode_image(torch.rand(1, 3, 64, 64) * 255)
    text = model.encode_text(["nucleus", "liver"])
    target = torch.zeros(1, 2, 64, 64)
    target[:, 0, 16:48, 16:48] = 1
    inner = torch.full_like(target, -1)
    heads = model.mask_decoder(image, text)

    def core_loss() -> torch.Tensor:
        torch.manual_seed(1)
        return prompt_losses(model, image, text, heads, target, LossConfig(points=256), inner)["core"]

    assert core_loss() == 0
    inner[:, 0] = 0
    inner[:, 0, 24:40, 24:40] = 1
    some = core_loss()
    assert some > 0
    torch.autograd.backward(some)
    assert model.mask_decoder.core_head[0].weight.grad.abs().sum() > 0
    inner[:, 1] = 0
    assert core_loss() != some
    decoded = model.eval().decode(image, text, cores=True)
    assert decoded.cores.shape == decoded.logits.shape == (1, 2, 32, 32)
    assert model.decode(image, text).cores is None


def test_images_at_a_foreign_scale_are_asked_for_nothing_that_is_there(tiny_config):
    shown = read_split(DATA / "DSB2018-HE", "test")
    batch = TripleSampler(shown, tiny_config, 64, SamplingConfig(foreign=1), seed=3).batch(0, 8)
    assert not batch.masks.any()
    assert batch.images.any()
    assert not any(found and found.scale == "cell" for found in map(find_object, batch.prompts))


def test_a_network_that_gains_a_detail_path_answers_as_before_on_finer_masks(tiny_config, tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "coarse.safetensors", torch.float32)
    finer, fresh = start_from(tmp_path / "coarse.safetensors", replace(tiny_config, detail=8))
    assert fresh
    assert all(name.startswith("detail_path.") for name in fresh)
    image = torch.rand(1, 3, 64, 64) * 255
    coarse, fine = (
        net.eval().decode(net.encode_image(image), net.encode_text(["cell"])).logits for net in (tiny_model, finer)
    )
    assert fine.shape[2:] == (32, 32)
    enlarged = torch.nn.functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
    assert torch.allclose(fine, enlarged, atol=1e-4)


def test_a_start_that_does_not_fit_is_refused(tiny_config, tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "tiny.safetensors")
    with pytest.raises(CheckpointError, match="has shape"):
        start_from(tmp_path / "tiny.safetensors", replace(tiny_config, dim=2 * tiny_config.dim))
    with pytest.raises(ValueError, match="Give a configuration"):
        start_from(None, None)
    assert isinstance(start_from(None, tiny_config)[0], BiomedParse)
