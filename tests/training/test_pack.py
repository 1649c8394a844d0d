"""A small copy of training images: small enough, true to the masks, in the layout that training reads."""

import re
import shutil
import zipfile

import numpy as np
import pytest
import typer
from PIL import Image
from skimage.io import imsave
from typer.testing import CliRunner

from napari_biomedparse.cli.pack import pack as pack_command
from napari_biomedparse.training.dataset import DataError, read_split
from napari_biomedparse.training.pack import pack
from tests.conftest import DATA


@pytest.fixture
def nuclei(tmp_path):
    """A set of a real image with numbered nuclei, as a train split."""
    folder = tmp_path / "data" / "DSB2018-HE"
    for part in ("", "_mask", "_instances"):
        shutil.copytree(DATA / "DSB2018-HE" / f"test{part}", folder / f"train{part}")
    (folder / "LICENSE.md").write_text("CC0")
    return folder


@pytest.fixture
def lungs(tmp_path, rng):
    """A set of two noisy images with a lung, 100 x 200."""
    folder = tmp_path / "data" / "Lungs"
    for part in ("train", "train_mask"):
        (folder / part).mkdir(parents=True)
    for number in range(2):
        image = rng.integers(0, 255, (100, 200), dtype=np.uint8)
        mask = np.zeros_like(image)
        mask[20:60, 40:120] = 1
        imsave(folder / "train" / f"i{number}_X-Ray_chest.png", image)
        imsave(folder / "train_mask" / f"i{number}_X-Ray_chest_left+lung.png", mask, check_contrast=False)
    return folder


def test_organs_are_resized_and_cells_keep_their_pixel_size(nuclei, lungs, tmp_path):
    done = pack([nuclei, lungs], tmp_path / "small", long_side=50, quality=90)
    assert (done.images, done.quality) == (3, 90)
    files = [path for path in (tmp_path / "small").rglob("*") if path.is_file()]
    assert done.size == sum(path.stat().st_size for path in files)
    lung = read_split(tmp_path / "small" / "Lungs", "train")[0]
    assert lung.image.suffix == ".jpg"
    assert lung.read_image().shape == (25, 50)
    mask = np.zeros((25, 50), bool)
    mask[5:15, 10:30] = True
    assert (lung.read_mask("left lung") == mask).all()
    assert Image.open(lung.masks["left lung"]).mode == "1"
    (before,), (after,) = (read_split(folder, "train") for folder in (nuclei, tmp_path / "small" / "DSB2018-HE"))
    assert abs(before.read_image()[..., :3].astype(float) - after.read_image()).mean() < 4
    assert (before.read_mask("nucleus") == after.read_mask("nucleus")).all()
    assert (before.read_instances("nucleus") == after.read_instances("nucleus")).all()
    assert (tmp_path / "small" / "DSB2018-HE" / "LICENSE.md").read_text() == "CC0"


def test_quality_gives_way_until_the_copy_fits(lungs, tmp_path):
    large = pack([lungs], tmp_path / "large", long_side=200)
    small = pack([lungs], tmp_path / "small.zip", long_side=200, budget_bytes=large.size - 1)
    assert (large.quality, small.quality) == (90, 80)
    # What a zip file says about each of its files counts too.
    assert small.size == (tmp_path / "small.zip").stat().st_size < large.size
    with zipfile.ZipFile(tmp_path / "small.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    assert len(read_split(tmp_path / "unpacked" / "Lungs", "train")) == 2
    with pytest.raises(DataError, match=r"2 images take .* MB, more than 0.002 MB, also at JPEG quality 60"):
        pack([lungs], tmp_path / "none", budget_bytes=2000)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "large", "small.zip", "unpacked"}


def test_images_of_16_bits_keep_their_greys(lungs, tmp_path):
    for path in (lungs / "train").iterdir():
        imsave(path, np.linspace(300, 9000, 100 * 200).reshape(100, 200).astype(np.uint16), check_contrast=False)
    pack([lungs], tmp_path / "small")
    after = read_split(tmp_path / "small" / "Lungs", "train")[0].read_image()
    assert (np.diff(after.mean(axis=(1, 2))) > 0).all()
    assert np.ptp(after) > 240


def test_what_a_copy_that_was_cut_off_left_does_not_get_into_another(lungs, tmp_path):
    (tmp_path / "small.partial/Other").mkdir(parents=True)
    pack([lungs], tmp_path / "small")
    assert {path.name for path in (tmp_path / "small").iterdir()} == {"Lungs"}


def test_what_cannot_be_packed_is_refused(lungs, tmp_path):
    twin = shutil.copytree(lungs, tmp_path / "other" / "Lungs")
    with pytest.raises(DataError, match="same name: Lungs, Lungs"):
        pack([lungs, twin], tmp_path / "out")
    with pytest.raises(DataError, match="is there already"):
        pack([lungs], tmp_path / "other")
    with pytest.raises(DataError, match="too small"):
        pack([lungs], tmp_path / "out", long_side=8)
    mask = next((lungs / "train_mask").iterdir())
    imsave(mask, np.ones((200, 100), np.uint8), check_contrast=False)
    with pytest.raises(DataError, match=rf"{re.escape(mask.name)} is 200 x 100 but its image 100 x 200 pixels"):
        pack([lungs], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_reads_sizes_as_people_write_them(lungs, tmp_path):
    app = typer.Typer()
    app.command()(pack_command)
    done = CliRunner().invoke(app, [str(lungs), "--out", str(tmp_path / "a.zip"), "--side", "64", "--most", "1.5 MB"])
    assert done.exit_code == 0, done.output
    assert "2 images" in done.output
    assert (tmp_path / "a.zip").is_file()
    for size, message in (("10 apples", "is not a size; write for example 40MB"), ("1kB", "more than 0.001 MB")):
        refused = CliRunner().invoke(app, [str(lungs), "--out", str(tmp_path / "b"), "--most", size])
        assert refused.exit_code == 2
        assert message in refused.stderr
