"""What a model is asked for a prompt, and which words are suggested."""

import pytest

from napari_biomedparse.ontology import all_objects, find_object, published_vocabulary, resolve, suggest

PUBLISHED = published_vocabulary()


def test_a_model_that_takes_any_words_is_asked_the_users():
    found = resolve("Nuclei ")
    assert (found.kind, found.asked, found.object) == ("object", ("Nuclei",), find_object("nucleus"))


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("liver", "liver"),
        ("Livers", "liver"),
        ("pubic symphysis", "public symphysis"),
        ("inferior vena cava", "postcava"),
        ("lung nodule", "nodule"),
        ("liver tumour", "tumor in liver CT"),
        ("tumor", "tumor"),
        ("liver in abdomen CT", "liver in abdomen CT"),
    ],
)
def test_the_published_model_is_asked_in_its_own_words(prompt, asked):
    found = resolve(prompt, vocabulary=PUBLISHED)
    assert (found.kind, found.asked) == ("object", (asked,))


def test_a_shared_word_gets_the_modality_that_is_looked_at():
    assert resolve("macular edema", "OCT", vocabulary=PUBLISHED).asked == ("edema in retinal OCT",)
    assert resolve("kidney mass", "MRI", vocabulary=PUBLISHED).asked == ("kidney tumor",)
    assert resolve("liver tumor", "MRI", vocabulary=PUBLISHED).asked == ("tumor in liver MRI",)


@pytest.mark.parametrize("prompt", ["nuclei", "cells", "cell nuclei in breast pathology"])
def test_nuclei_on_pathology_are_the_union_of_the_published_cell_types(prompt):
    found = resolve(prompt, "pathology", vocabulary=PUBLISHED)
    assert found.kind == "children"
    assert set(found.asked) == {
        "neoplastic cells",
        "inflammatory cells",
        "connective tissue cells",
        "epithelial cells",
    }
    assert {entry.id for entry in found.parts} == {prompt.replace(" ", "-") for prompt in found.asked}


@pytest.mark.parametrize(
    ("prompt", "modality"), [("cyst in liver CT", "CT"), ("cancer", "MRI"), ("polyp", "ultrasound")]
)
def test_the_published_model_is_not_asked_for_another_organs_object(prompt, modality):
    found = resolve(prompt, modality, vocabulary=PUBLISHED)
    assert (found.kind, found.object, found.asked) == ("free text", None, (prompt,))


def test_children_that_do_not_occur_in_the_modality_are_left_out():
    found = resolve("nuclei", "fluorescence microscopy", vocabulary=PUBLISHED)
    assert (found.kind, found.object, found.asked) == ("free text", find_object("nucleus"), ("nuclei",))


def test_pieces_and_grandchildren_stand_for_the_whole():
    assert resolve("lungs", vocabulary={"left lung", "right lung"}).asked == ("left lung", "right lung")
    lobes = {"left upper lung lobe", "left lower lung lobe", "right lung"}
    assert set(resolve("lung", vocabulary=lobes).asked) == lobes
    known = {"left lung", "right lung", "left upper lung lobe"}
    assert resolve("lung", vocabulary=known).asked == ("left lung", "right lung"), "a piece within a piece adds nothing"


def test_a_family_stands_for_its_members():
    found = resolve("heart anatomies", "ultrasound", vocabulary=PUBLISHED)
    assert (found.kind, found.object) == ("children", None)
    assert set(found.asked) == {"heart"}
    assert len(resolve("eye anatomies", "fundus", vocabulary={"optic cup", "optic disc"}).asked) == 1


def test_free_text_stays_and_the_nearest_known_terms_are_suggested():
    found = resolve("pancras", "CT", vocabulary=PUBLISHED)
    assert (found.kind, found.object, found.asked) == ("free text", None, ("pancras",))
    assert found.suggestions[0] == "pancreas"
    assert resolve("pancras", "fundus", vocabulary=PUBLISHED).suggestions[:1] != ("pancreas",)
    unknown = resolve("mitochondrium", vocabulary=PUBLISHED)
    assert all(find_object(name).published for name in unknown.suggestions), "what the model does not know is no help"
    assert "mitochondria" in resolve("mitochondrium").suggestions
    assert resolve("qqqq").suggestions == ()
    assert resolve("").asked == ("",)


@pytest.mark.parametrize(
    ("typed", "first"),
    [("nuc", "nuclei"), ("nuclie", "nuclei"), ("LIV", "liver"), ("tumuor", "tumor"), ("mitochon", "mitochondria")],
)
def test_suggestions_complete_and_correct(typed, first):
    assert suggest(typed)[0] == first


def test_suggestions_are_limited_distinct_and_of_the_modality():
    found = suggest("l", limit=50)
    assert len(found) == len({find_object(name).id for name in found}) > 5
    assert suggest("l", limit=3) == found[:3]
    assert not {"liver", "lung"} & set(suggest("l", "fundus", limit=50))
    assert "lung" in suggest("lun", "X-Ray-Chest")
    assert suggest("") == suggest("  ") == ()


def test_every_published_word_leads_to_itself():
    assert len(PUBLISHED) > 60
    for entry in all_objects():
        if entry.published:
            found = resolve(entry.published, vocabulary=PUBLISHED)
            assert (found.kind, found.asked) == ("object", (entry.published,))
