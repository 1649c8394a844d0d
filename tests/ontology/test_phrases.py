"""Phrasings that say where a prompt is looked for."""

import pytest

from napari_biomedparse.ontology import all_modalities, all_objects, find_modality, find_object, occurs_in, scale_of
from napari_biomedparse.ontology.phrases import templates


def test_an_object_is_offered_with_its_modality_and_its_sites():
    assert templates("nuclei", "fluorescence microscopy") == [
        "nuclei in fluorescence microscopy",
        "nuclei in cell fluorescence microscopy",
        "nuclei in tissue fluorescence microscopy",
    ]
    assert templates("nuclei", "histology")[0] == "nuclei in pathology"


def test_the_site_tells_what_a_word_of_several_meanings_means():
    offered = templates("tumor", "CT")
    assert {"tumor in liver CT", "tumor in lung CT", "tumor in pancreas CT"} <= set(offered)
    assert {find_object(phrase).id for phrase in offered} >= {"liver-tumor", "lung-tumor"}
    # Which tumor is meant is not said by the modality alone.
    assert "tumor in CT" not in offered


@pytest.mark.parametrize(
    ("prompt", "modality"),
    [("nuclei", None), ("nuclei", "seismogram"), ("liver", "fluorescence microscopy"), ("  ", "CT")],
)
def test_nothing_is_offered_where_nothing_fits(prompt, modality):
    assert templates(prompt, modality) == []


def test_a_place_that_is_said_already_is_replaced_and_not_offered_again():
    assert templates("nuclei in cell fluorescence microscopy", "fluorescence microscopy") == [
        "nuclei in fluorescence microscopy",
        "nuclei in tissue fluorescence microscopy",
    ]
    assert templates("stromma in breast pathology", "pathology") == ["stromma in pathology"]


def test_free_text_is_offered_with_the_modality():
    assert templates("flux capacitor", "CT") == ["flux capacitor in CT"]
    assert templates("time in flux", "CT") == ["time in flux in CT"]


@pytest.mark.parametrize("modality", [entry.name for entry in all_modalities()])
def test_every_phrasing_keeps_the_object_and_so_its_scale(modality):
    kind = find_modality(modality)
    offered = 0
    for entry in all_objects():
        for phrase in templates(entry.name, modality):
            found = find_object(phrase)
            assert found is not None
            assert occurs_in(found, kind)
            assert scale_of(phrase) == found.scale
            if occurs_in(entry, kind):
                assert found is entry, phrase
            offered += 1
    assert offered
