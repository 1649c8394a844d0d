"""From words to objects."""

import re

import pytest

from napari_biomedparse.ontology import all_objects, find_object, normalise, scale_of


def test_identifiers_and_names_are_unique_and_colours_valid():
    objects = all_objects()
    assert len({entry.id for entry in objects}) == len(objects)
    names = [normalise(name) for entry in objects for name in entry.names]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("#[0-9a-f]{6}", entry.colour) for entry in objects)


def test_the_published_objects_are_there(shared):
    import json

    published = json.loads((shared / "published/hierarchy.json").read_text())
    targets = [t for sector in published.values() for group in sector["child"].values() for t in group["child"]]
    assert len(targets) == 82
    assert [target for target in targets if find_object(target) is None] == []


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("nuclei", "nucleus"),
        ("  Cell   NUCLEI ", "nucleus"),
        ("nucleus in tissue pathology", "nucleus"),
        ("pubic symphysis", "public-symphysis"),
        ("flux capacitor", None),
        ("", None),
    ],
)
def test_prompts_find_their_object(prompt, found):
    entry = find_object(prompt)
    assert (entry.id if entry else None) == found


def test_scale():
    assert scale_of("nuclei in fluorescence microscopy") == "cell"
    assert scale_of("liver") == "organ"
    assert scale_of("flux capacitor") == "organ"
