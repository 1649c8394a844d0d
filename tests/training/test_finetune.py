"""A short run on one's own labels: what is kept back, what is measured, what is left behind."""

import numpy as np
import pytest

from napari_biomedparse import CheckpointError, Predictor
from napari_biomedparse.model.checkpoint import load_model, save_model
from napari_biomedparse.ontology import RecognitionTable
from napari_biomedparse.training.dataset import DataError, read_split
from napari_biomedparse.training.finetune import FinetuneConfig, finetune
from napari_biomedparse.training.own_labels import Picture, can_name_absent, context_of, keep_back, write_dataset

# A run that takes a moment.
SMALL = {"steps": 2, "batch": 2, "device": "cpu"}


def squares(count: int = 1, side: int = 64) -> list[Picture]:
    """Planes with a bright square in each quarter, in noise."""
    rng = np.random.default_rng(3)
    pictures = []
    for _ in range(count):
        labels = np.zeros((side, side), np.int64)
        for number, (top, left) in enumerate(((4, 4), (4, 40), (40, 4), (40, 40)), start=1):
            y, x = rng.integers(0, 4, 2)
            labels[top + y : top + y + 14, left + x : left + x + 14] = number
        plane = np.where(labels > 0, 200, 60) + rng.integers(-9, 9, labels.shape)
        pictures.append(Picture(plane.astype(np.uint8), labels, dict.fromkeys(range(1, 5), "bright square")))
    return pictures


@pytest.fixture
def base(tmp_path, tiny_model):
    """Weights to begin with, and a table for recognition beside them."""
    path = tmp_path / "base" / "tiny.safetensors"
    save_model(tiny_model, path)
    RecognitionTable({"CT-Abdomen": ("liver",)}).write(path.with_suffix(".recognition.json"))
    return path


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def nuclei(fluorescence):
    pixels, _, numbers = fluorescence
    return Picture(pixels, numbers.astype(int), dict.fromkeys(range(1, int(numbers.max()) + 1), "Nucleus"))


def run(pictures, base, workspace, **changes):
    """Run to the end; return what came of it, and the steps."""
    steps = finetune(pictures, base, workspace, FinetuneConfig(**{**SMALL, **changes}))
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return end.value, seen


def dice_in(part, weights, picture: Picture, prompt: str) -> float:
    found = Predictor(load_model(weights), "cpu").segment(picture.plane, [prompt])[0].mask()[part]
    truth = picture.labels[part] > 0
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def test_both_figures_are_what_the_predictor_finds_on_the_part_kept_back(nuclei, base, workspace):
    tuned, seen = run([nuclei], base, workspace)
    assert [step.step for step in seen if step.loss is not None] == [1, 2]
    assert all(step.total == 2 for step in seen)
    _, (kept,) = keep_back([nuclei])
    target = workspace / "mine.safetensors"
    tuned.save(target)
    assert list(tuned.before) == list(tuned.after) == ["nucleus"]
    assert tuned.before["nucleus"] == pytest.approx(dice_in(kept.part, base, nuclei, "nucleus"))
    assert tuned.after["nucleus"] == pytest.approx(dice_in(kept.part, target, nuclei, "nucleus"))
    assert tuned.better == (tuned.after["nucleus"] >= tuned.before["nucleus"])


def test_a_run_learns_what_was_labelled(base, workspace):
    tuned, seen = run(squares(4), base, workspace, steps=50, batch=4, rate=5e-3)
    assert tuned.before["bright square"] < 0.5 < tuned.after["bright square"]
    assert tuned.better
    assert seen[-2].loss is None or seen[-2].loss < seen[1].loss


def test_the_same_seed_gives_the_same_weights(base, workspace):
    saved = []
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        tuned, _ = run(squares(), base, workspace, seed=seed)
        tuned.save(workspace / f"{name}.safetensors")
        saved.append((workspace / f"{name}.safetensors").read_bytes())
    assert saved[0] == saved[1] != saved[2]


@pytest.mark.parametrize("method", ["frozen", "adapters"])
def test_the_image_encoder_changes_only_with_adapters(base, workspace, method):
    tuned, _ = run(squares(), base, workspace, method=method)
    tuned.save(workspace / "mine.safetensors")
    before, after = (load_model(path).state_dict() for path in (base, workspace / "mine.safetensors"))
    changed = {name.split(".")[0] for name in before if not before[name].equal(after[name])}
    assert ("image_encoder" in changed) == (method == "adapters")
    assert "mask_decoder" in changed
    assert before.keys() == after.keys()


def test_saving_takes_the_table_along_and_leaves_nothing_else(base, workspace):
    tuned, _ = run(squares(), base, workspace)
    tuned.save(workspace / "mine.safetensors")
    assert sorted(path.name for path in workspace.iterdir()) == ["mine.recognition.json", "mine.safetensors"]
    predictor = Predictor.from_pretrained(workspace / "mine.safetensors", "cpu")
    assert list(predictor.table.lists) == ["CT-Abdomen"]


def test_nothing_is_overwritten_and_nothing_lost(base, workspace):
    tuned, _ = run(squares(), base, workspace)
    target = workspace / "mine.safetensors"
    target.write_text("earlier")
    with pytest.raises(CheckpointError, match="there already"):
        tuned.save(target)
    assert target.read_text() == "earlier"
    tuned.save(workspace / "other.safetensors")
    load_model(workspace / "other.safetensors")


def test_a_model_that_is_not_wanted_leaves_nothing(base, workspace):
    tuned, _ = run(squares(), base, workspace)
    assert list(workspace.iterdir())
    tuned.discard()
    assert not list(workspace.iterdir())


@pytest.mark.parametrize("steps_done", [0, 1, 2])
def test_a_run_that_is_abandoned_leaves_nothing(base, workspace, steps_done):
    steps = finetune(squares(), base, workspace, FinetuneConfig(steps=5, batch=2, device="cpu"))
    while next(steps).step < steps_done:
        assert list(workspace.iterdir())
    steps.close()
    assert not list(workspace.iterdir())


def test_a_run_that_fails_leaves_nothing(base, workspace):
    with pytest.raises(ValueError, match="no device 'abacus'"):
        run(squares(), base, workspace, device="abacus")
    assert not list(workspace.iterdir())


def test_of_several_planes_a_stretch_is_kept_back():
    trained, kept = keep_back(squares(8))
    assert (len(trained), len(kept)) == (6, 2)
    assert all(not np.array_equal(one.rgb, other.rgb) for one in trained for other in kept)


def test_of_one_plane_a_quarter_is_neither_seen_nor_labelled_in_training():
    (picture,) = squares()
    (trained,), (kept,) = keep_back([picture])
    assert kept.mask("bright square").shape == (32, 32)
    assert kept.pixels("bright square") == 14 * 14
    assert trained.pixels("bright square") == 3 * 14 * 14
    assert len(np.unique(trained.rgb[kept.part])) == 1
    rest = np.ones((64, 64), bool)
    rest[kept.part] = False
    assert np.array_equal(trained.rgb[rest], kept.rgb[rest])


def test_planes_without_labels_are_left_out():
    pictures = squares(3)
    pictures[1].labels[:] = 0
    trained, kept = keep_back(pictures)
    assert len(trained) == len(kept) == 1


def test_a_prompt_on_one_of_several_planes_is_trained_on():
    pictures = squares(4)
    pictures[3] = Picture(pictures[3].plane, pictures[3].labels, {**pictures[3].names, 4: "dark square"})
    trained, kept = keep_back(pictures)
    assert "dark square" in {prompt for shown in trained for prompt in shown.numbers}
    assert kept[0].pixels("bright square")


@pytest.mark.parametrize(
    ("labels", "names", "sentence"),
    [
        (np.zeros((64, 64), int), {1: "cell"}, "Nothing is labelled"),
        (np.pad(np.ones((20, 20), int), (0, 44)), {1: "cell"}, "Too little is labelled.*'cell' in two planes"),
        (np.tile([[1, 0]], (64, 32)), {2: "cell"}, "No words are given for the label 1"),
        (np.tile([[1, 0]], (64, 32)), {1: "  "}, "No words are given for the label 1"),
        (np.tile([[1, 0]], (64, 32)), {1: "CD8+/x_y"}, "cannot be trained on: use up to 100 letters"),
        (np.ones((1, 1), int), {1: "cell"}, "Too little is labelled"),
    ],
)
def test_labels_that_are_of_no_use_are_refused_with_what_to_do(labels, names, sentence, base, workspace):
    picture = Picture(np.zeros(labels.shape, np.uint8), labels, names)
    with pytest.raises(DataError, match=sentence):
        run([picture], base, workspace)
    assert not workspace.exists()


def test_pictures_are_written_as_a_data_set(tmp_path, histology):
    pixels, _, numbers = histology
    half = numbers.max() // 2
    names = {value: "nucleus" if value <= half else "lymphocyte" for value in range(1, int(numbers.max()) + 1)}
    trained, _ = keep_back([Picture(pixels, numbers, names, "Pathology")])
    write_dataset(trained, tmp_path / "set")
    (example,) = read_split(tmp_path / "set", "train")
    assert (example.modality, example.site) == ("pathology", "any")
    assert set(example.masks) == set(example.instances) == {"nucleus", "lymphocyte"}
    assert np.array_equal(example.read_image(), trained[0].rgb)
    for prompt in example.masks:
        assert np.array_equal(example.read_mask(prompt), trained[0].numbers[prompt] > 0)
        assert np.array_equal(example.read_instances(prompt), trained[0].numbers[prompt])


def test_the_kind_of_image_is_read_and_absent_things_are_asked_only_where_it_is_known():
    assert context_of("CT-Abdomen") == ("CT", "abdomen")
    assert context_of("X-Ray-Chest") == ("X-Ray", "chest")
    assert context_of(None) == context_of("holiday") == ("image", "any")
    (picture,) = squares()
    for modality, prompt, known in ((None, "nucleus", False), ("pathology", "nucleus", True), ("CT", "nucleus", False)):
        shown, _ = keep_back([Picture(picture.plane, picture.labels, dict.fromkeys(range(1, 5), prompt), modality)])
        assert can_name_absent(shown) == known
