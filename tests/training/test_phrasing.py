"""What a picture is asked for in training: names of what is there and of what is not, slips and nonsense."""

from pathlib import Path

import pytest

from napari_biomedparse.ontology import find_modality, find_object, occurs_in, scale_of
from napari_biomedparse.training.dataset import Example
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
        assert not any(occurs_in(found, find_modality(one.modality)) for found in named)
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


def test_of_a_kind_of_image_that_is_not_known_nothing_is_known_to_be_absent(rng):
    unknown = example("lidar", "street", "nucleus")
    assert not any(find_object(Phrasing([unknown]).absent(unknown, "cell", rng)) for _ in range(200))


def test_slips_change_one_letter_and_nonsense_names_nothing(rng):
    slips = {misspell("hippocampus", rng) for _ in range(200)}
    assert len(slips) > 10
    assert all(abs(len(slip) - 11) <= 1 for slip in slips)
    assert misspell("disc", rng) == "disc"
    assert not any(find_object(nonsense(rng)) for _ in range(300))
