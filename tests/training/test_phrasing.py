"""What a picture is asked for in training: names of what is there and of what is not, slips and nonsense."""

from pathlib import Path

import pytest

from napari_biomedparse.ontology import all_objects, find_modality, find_object, occurs_at, occurs_in, scale_of
from napari_biomedparse.training.calibrate import modality_name
from napari_biomedparse.training.dataset import Example
from napari_biomedparse.training.kinds import absent_from
from napari_biomedparse.training.phrasing import Phrasing, misspell, nonsense


def example(modality: str, site: str, *targets: str) -> Example:
    return Example("Set", Path("image.png"), modality, site, {target: Path("mask.png") for target in targets})


def test_present_objects_are_called_by_their_names_but_not_by_those_of_another_place(rng):
    brain = example("MRI-T1-Gd", "brain", "tumor")
    said = {Phrasing([brain]).present("tumor", brain, rng).partition(" in ")[0] for _ in range(300)}
    assert {"tumor", "tumour"} < said
    assert not any("breast" in words for words in said)


@pytest.mark.parametrize("scale", ["organ", "tissue", "cell"])
def test_absent_objects_are_never_ones_annotated_in_the_modality(rng, scale):
    shown = [
        example("X-Ray", "chest", "left lung", "right lung"),
        example("fluorescence microscopy", "cell", "nucleus"),
        example("fundus", "retinal", "vessel"),
    ]
    phrasing = Phrasing(shown)
    assert any(find_object(phrasing.absent(shown[0], "cell", rng)) for _ in range(50))
    for one in shown:
        annotated = {find_object(target).id for target in one.masks}
        asked = [phrasing.absent(one, scale, rng) for _ in range(200)]
        named = [found for found in map(find_object, asked) if found]
        assert not annotated & {found.id for found in named}
        assert all(scale_of(found.name) == scale for found in named)


def test_a_word_for_another_organs_object_is_no_name_of_what_is_there(rng):
    def said(modality, site, target):
        one = example(modality, site, target)
        return {Phrasing([one]).present(target, one, rng).partition(" in ")[0] for _ in range(200)}

    for place, target in (("CT", "liver"), "cancer"), (("pathology", "prostate"), "gland"), (("CT", "liver"), "cyst"):
        assert not {
            words for words in said(*place, target) if "breast" in words or "colon" in words or "kidney" in words
        }
    assert "cysts" in said("CT", "kidney", "cyst")
    assert not {"tumor", "mass"} & said("CT", "abdomen", "liver tumor")


def test_absent_objects_are_never_ones_that_may_be_there_by_another_name(rng):
    shown = [
        example("CT", "liver", "tumor", "liver"),
        example("ultrasound", "breast", "tumor"),
        example("MRI", "abdomen", "Spleen", "scar"),
        example("MRI-T1", "heart", "left ventricle"),
        example("ultrasound", "heart", "valve leaflet"),
        example("pathology", "tissue", "nuclei"),
        example("brightfield microscopy", "cell", "nucleus"),
    ]
    phrasing = Phrasing(shown)
    for one in shown:
        asked = [phrasing.absent(one, scale, rng) for scale in ("organ", "tissue", "cell") for _ in range(300)]
        named = [found for words in asked if (found := find_object(words, one.modality, one.site))]
        assert len({found.id for found in named}) > 40
        here = [found for found in named if occurs_in(found, find_modality(one.modality))]
        assert not any(not found.sites or occurs_at(found, one.site) for found in here)
        # These are the breast's, the kidney's and the lung's only where nothing else is said.
        assert not {"tumor", "mass", "cancer", "cyst", "nodule", "lesion"} & {w.partition(" in ")[0] for w in asked}
    heart, abdomen = shown[3], shown[2]
    words = {phrasing.absent(one, "organ", rng).partition(" in ")[0] for one in (heart, abdomen) for _ in range(300)}
    assert "scar" not in words, "an MRI may show what is annotated on another"
    asked = {phrasing.absent(heart, "organ", rng).partition(" in ")[0] for _ in range(300)}
    assert "valve leaflet" not in asked, "a heart may show what is annotated on another"
    assert "valve leaflet" in {phrasing.absent(shown[0], "organ", rng).partition(" in ")[0] for _ in range(300)}


def test_absent_objects_are_never_ones_that_what_is_there_is_a_kind_of(rng):
    # The ontology knows kidneys in endoscopy as little as lobes: what is annotated counts.
    picture = example("endoscope", "retroperitoneum", "left kidney")
    phrasing = Phrasing([picture])
    named = {found.id for _ in range(1500) if (found := find_object(phrasing.absent(picture, "organ", rng)))}
    assert {"right-kidney", "prostate"} <= named
    assert not {"left-kidney", "kidney"} & named


def absent(shown: Example, *others: Example) -> set[str]:
    """Return identifiers of all objects that an image is taken not to show."""
    annotated = {modality_name(one): list(one.masks) for one in (shown, *others)}
    return {find_object(name).id for name in absent_from(shown, [entry.name for entry in all_objects()], annotated)}


def test_absent_objects_are_never_kinds_or_pieces_of_what_is_there():
    cells = absent(example("fluorescence microscopy", "cell", "nucleus"))
    kinds = {"neoplastic-cells", "epithelial-cells", "dead-cells", "plasma-cell", "mitotic-figure", "adipocyte"}
    assert not kinds & cells
    assert {"melanoma", "nevus"}.isdisjoint(absent(example("dermoscopy", "skin", "lesion")))
    fundus = absent(example("fundus", "retinal", "vessel"))
    assert {"retinal-artery", "artery"}.isdisjoint(fundus)
    breast = absent(example("ultrasound", "breast", "tumor"), example("MRI", "brain", "tumor"))
    assert {"benign-breast-tumor", "malignant-breast-tumor", "tumor"}.isdisjoint(breast)
    # These are kinds of tumor too, but elsewhere.
    assert {"whole-brain-tumor", "glioma"} <= breast


@pytest.mark.parametrize(
    ("modality", "site", "there", "missing"),
    [
        ("MRI", "heart", "lung|left-upper-lung-lobe|bronchus|rib|sternum|pleural-effusion|skin", "brain|uterus"),
        ("MRI", "cardiac", "lung|rib", "brain|uterus"),
        ("CT", "rectal", "prostate|femur|kidney", "lung|heart"),
        ("MRI-T1-Gd", "brain", "skin|lens|retina|tooth|airway|tongue", "lung|liver|myocardium"),
        ("CT", "abdomen", "skin|breast|cartilage|lung|prostate|heart", "brain|optic-disc|glomerulus"),
        ("X-Ray", "chest", "aorta|bronchus|pulmonary-artery|lung-vessel|stomach|liver|spinal-cord|fat|skin", "femur"),
        ("ultrasound", "abdomen", "skull|thalamus|brain-ventricles|corpus-callosum|cerebellum", "optic-disc"),
        ("ultrasound", "breast", "skin|rib|bone", "prostate|retina"),
        ("ultrasound", "whole body", "liver", "lung-nodule"),
        ("endoscope", "colon", "colon|lumen|rectum|capillary|bowel|hemorrhage", "lung|femur"),
        ("pathology", "oesophagus", "esophagus|red-blood-cell|monocyte|platelet|fat|muscle", "lung|breast"),
        ("pathology", "tissue", "breast|left-lung|prostate|cartilage|extracellular-space", "optic-cup|pneumothorax"),
        ("electron microscopy", "spinal cord", "spinal-cord|white-matter|nerve|endothelial-cell", "retinal-vessel"),
        ("fundus", "retinal", "eye|retinal-layer|retinal-nerve-fiber-layer|capillary", "tooth|nucleus"),
        ("fluorescence microscopy", "cell", "myelinated-axon|epithelium|stroma|lumen", "liver|kidney-stone"),
        ("brightfield microscopy", "cell", "epithelium|stroma|lumen|glial-cell", "mitochondrion"),
    ],
)
def test_what_lies_at_or_next_to_the_site_may_be_there(modality, site, there, missing):
    named = absent(example(modality, site, "zebra"))
    assert not {*there.split("|")} & named
    assert {*missing.split("|")} <= named


def test_what_is_annotated_at_the_site_is_there_and_what_another_scan_annotates_far_away_is_not():
    chest, brain = example("CT", "chest", "brain"), example("MRI", "brain", "pons")
    assert "brain" in absent(example("CT", "thorax", "zebra"), brain)
    assert "brain" not in absent(example("CT", "chest", "zebra"), chest)
    assert "pons" in absent(example("MRI", "heart", "zebra"), brain)


def test_what_is_annotated_means_what_it_does_in_its_own_place():
    # The "tumor" of a brain, not the breast's, which the word alone means.
    assert "breast-tumor" in absent(example("MRI", "brain", "tumor"))
    assert "brain-tumor-edema" in absent(example("OCT", "retinal", "edema"))


def test_of_a_kind_of_image_that_is_not_known_nothing_is_known_to_be_absent(rng):
    unknown = example("lidar", "street", "nucleus")
    assert not any(find_object(Phrasing([unknown]).absent(unknown, "cell", rng)) for _ in range(200))


def test_slips_change_one_letter_and_nonsense_names_nothing(rng):
    slips = {misspell("hippocampus", rng) for _ in range(200)}
    assert len(slips) > 10
    assert all(abs(len(slip) - 11) <= 1 for slip in slips)
    assert misspell("disc", rng) == "disc"
    assert not any(find_object(nonsense(rng)) for _ in range(300))
