"""The shipped table is whole, agrees with what was published, and a contradictory one is refused."""

import copy
import json
from importlib.resources import files

import pytest

from napari_biomedparse.ontology import (
    Ontology,
    OntologyError,
    RecognitionTable,
    all_families,
    all_modalities,
    all_objects,
    ancestors_of,
    find_modality,
    find_object,
    meta_objects,
    normalise,
    occurs_in,
    published_vocabulary,
)
from tests.ontology.colours import site_of

CONTENT = json.loads(files("napari_biomedparse").joinpath("resources/ontology/objects.json").read_text("utf-8"))
# The nine modalities of BiomedParse v1 (Zhao et al., 2025).
NINE = {"CT", "MRI", "X-Ray", "pathology", "ultrasound", "endoscope", "fundus", "dermoscopy", "OCT"}


def test_names_are_unique_whatever_their_spelling():
    names = [normalise(name) for entry in all_objects() for name in entry.names]
    assert len(set(names)) == len(names)
    for entry in all_objects():
        assert {find_object(name) for name in entry.names} == {entry}


def test_names_in_context_lead_to_their_object_or_where_several_fit_to_the_general_one():
    for entry in filter(lambda entry: entry.modalities, all_objects()):
        for name in entry.in_context:
            found = {find_object(name, modality, site) for modality in entry.modalities for site in entry.sites}
            assert found & {entry, *ancestors_of(entry)}, (entry.id, name)


def test_the_published_modalities_and_meta_objects_are_complete():
    assert {modality.name for modality in all_modalities() if modality.published} == NINE
    assert [family.meta for family in all_families() if family.meta] == list(meta_objects())
    assert {entry.group for entry in all_objects()} == {family.name for family in all_families()}


def test_everything_that_recognition_asks_for_is_published_and_occurs_there():
    for name, targets in RecognitionTable.published().lists.items():
        for target in targets:
            entry = find_object(target, name, site_of(name))
            assert entry.published == target, (name, target)
            assert occurs_in(entry, find_modality(name)), (name, target)


def test_the_82_published_objects_are_there_with_their_places(shared):
    published = json.loads((shared / "published/hierarchy.json").read_text())
    groups = {
        target: (group["name"], place["site"], place["modalities"])
        for sector in published.values()
        for group in sector["child"].values()
        for target, place in group["child"].items()
    }
    assert len(groups) == 82
    for target, (group, sites, modalities) in groups.items():
        entry = find_object(target)
        assert entry is not None, target
        assert entry.published and entry.group == group, target
        assert {"retinal" if site == "eye" else site for site in sites} <= {
            "retinal" if site == "eye" else site for site in entry.sites
        }, target
        assert {find_modality(name).name for name in modalities} <= set(entry.modalities), target
    trained = {find_object(target) for target in groups}
    # The published lists and tests also have the plain "lesion" of the skin, which the hierarchy leaves out.
    assert {entry for entry in all_objects() if entry.published} - trained == {find_object("skin lesion")}


def test_every_published_test_task_is_understood(shared):
    for task in json.loads((shared / "ontology.json").read_text())["tasks"]:
        target = task["target"].partition("-COVID")[0].partition("-Normal")[0]
        assert target in published_vocabulary(), target
        entry = find_object(target, task["modality"], task["site"])
        assert entry is not None and find_modality(task["modality"]), task


def test_published_alternative_names_of_meta_objects_are_known(shared):
    content = json.loads((shared / "published/label_base.json").read_text())
    families = {name for family in all_families() for name in (family.name, *family.synonyms)}
    for meta in content.values():
        for name in meta.get("alternative name", []):
            assert find_object(name) or name in families, name


MICROSCOPY = (
    "nucleus, nucleolus, cell, cytoplasm, membrane, mitochondrion, endoplasmic reticulum, Golgi apparatus, lysosome, "
    "vesicle, axon, dendrite, myelin, synapse, white blood cell, red blood cell, platelet, bacterium, spheroid, "
    "organoid, lipid droplet, chromosome, centrosome, actin filament, microtubule, nuclear envelope"
)


@pytest.mark.parametrize("name", MICROSCOPY.split(", "))
def test_microscopy_is_covered_with_plurals(name):
    entry = find_object(name)
    assert entry.name == name
    assert entry.plurals
    assert any("microscopy" in modality for modality in entry.modalities)


def broken(**changes):
    """Return the shipped content with fields of the first object (or parts of the file) changed."""
    content = copy.deepcopy(CONTENT)
    content["objects"][0].update(changes)
    return content


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (broken(id="lung"), "identifier 'lung' occurs twice: entry 1, entry 2"),
        (broken(name="Lungs"), "name 'lungs' occurs twice: liver, lung"),
        (broken(synonyms=["grey matter"]), "name 'gray matter' occurs twice: liver, gray-matter"),
        (broken(adjectives=["renal"]), "adjective 'renal' occurs twice: liver, kidney"),
        (broken(parents=["moon"]), "liver refers to the unknown object moon"),
        (broken(parents=["liver"]), "circle: liver > liver"),
        (broken(parents=["liver-tumor"], id="tumor-host"), "unknown object liver"),
        (broken(scale="galaxy"), "liver has the scale 'galaxy'; choose one of organ, tissue, cell, organelle"),
        (broken(group="garden"), "liver refers to the unknown family garden"),
        (broken(modalities=["smell"]), "liver refers to the unknown modality smell"),
        (broken(sites=[]), "liver has a published word; name its modalities and sites"),
        (broken(colour="red"), "liver has the colour 'red'; write it as #rrggbb"),
        (broken(codes=["UBERON:1"]), "liver has the code 'UBERON:1'"),
        (broken(smell="sweet"), "incomplete or has one field too many"),
        ({**CONTENT, "objects": [{"id": "liver"}]}, "incomplete or has one field too many"),
        ({**CONTENT, "shown_together": {"x": ["moon"]}}, "x refers to the unknown object moon"),
        ({**CONTENT, "modalities": [{"name": "CT", "parent": "moon"}]}, "unknown modality"),
        ({key: part for key, part in CONTENT.items() if key != "families"}, "no part 'families'"),
    ],
)
def test_contradictions_are_refused_with_their_place(content, sentence):
    with pytest.raises(OntologyError, match=sentence.replace("(", r"\(")):
        Ontology.from_json(content)


def test_a_longer_circle_is_named():
    content = copy.deepcopy(CONTENT)
    rows = {row["id"]: row for row in content["objects"]}
    rows["lung"]["parents"] = ["left-lower-lung-lobe"]
    with pytest.raises(OntologyError, match="circle: lung > left-lower-lung-lobe > left-lung > lung"):
        Ontology.from_json(content)
