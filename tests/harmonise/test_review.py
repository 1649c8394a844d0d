import csv

import pytest

from napari_biomedparse.harmonise.language_model import LanguageModel
from napari_biomedparse.harmonise.mapping import Matching, map_labels, object_of
from napari_biomedparse.harmonise.review import COLUMNS, Review, ReviewError
from tests.harmonise.conftest import dictionary
from tests.harmonise.test_language_model import SOURCE


def edit(path, label, **values):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update(values if row["label"] == label else {})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def fill(path, *labels, matching=None):
    review = Review(path)
    map_labels(dict.fromkeys(labels, 3), SOURCE, review, matching or Matching())
    return review


def test_the_first_pass_proposes_and_decides_what_is_sure(tmp_path):
    rows = fill(tmp_path / "r.csv", "L_kidney", "gallblader", "tumor", "zebra", "background").rows
    assert {label: row.decision for label, row in rows.items()} == {
        **{"L_kidney": "accept", "gallblader": "accept", "tumor": "review", "zebra": "review", "background": "drop"}
    }
    assert rows["zebra"].target == ""
    assert rows["L_kidney"].masks == 3
    strict = fill(tmp_path / "s.csv", "gallblader", matching=Matching(accept_from=2)).rows["gallblader"]
    assert (strict.target, strict.decision) == ("gallbladder", "review")


def test_an_edited_row_always_wins_also_over_a_language_model(tmp_path, server):
    path = tmp_path / "r.csv"
    fill(path, "zebra", "tumor", "liver", "L_kidney")
    edit(path, "zebra", target="Striped Thing")
    edit(path, "liver", decision="drop")
    edit(path, "L_kidney", target="spleen")
    server.answers = [dictionary({"tumor": "liver-tumor", "zebra": "spleen"})]
    rows = fill(path, "zebra", "tumor", "liver", "L_kidney", matching=Matching(LanguageModel(server.address, "m"))).rows
    # Still undecided, but a person wrote what it is.
    assert (rows["zebra"].target, rows["zebra"].decision) == ("Striped Thing", "review")
    assert rows["liver"].decision == "drop"
    assert (rows["L_kidney"].target, object_of(rows["L_kidney"], SOURCE.context).id) == ("spleen", "spleen")
    assert server.labels() == ["tumor"]
    assert (rows["tumor"].target, rows["tumor"].decision) == ("liver tumor", "accept")


def test_a_spreadsheet_may_save_it_with_semicolons_and_a_mark_at_the_beginning(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(
        "\ufefflabel;masks;target;object;found_by;score;decision;phrasings\n"
        "Leber;3;liver;;;0,9;Accept;hepar | the liver\n",
        encoding="utf-8",
    )
    row = Review(path).rows["Leber"]
    assert (row.target, row.decision, row.score, row.phrasings) == ("liver", "accept", 0.9, ("hepar", "the liver"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label,decision\na,drop\n", "lacks the column target"),
        ("label,target,decision\na,liver,yes\n", "row 2: the decision must be accept, drop or review"),
        ("label,target,decision\na,,accept\n", "no target"),
        ("label,target,decision\n,liver,accept\n", "no label"),
        ("label,target,decision\na,x/y,accept\n", "slash"),
        ("label,target,decision\na,x,drop\na,y,drop\n", "row 3: .* twice"),
        ("label,target,decision,masks\na,x,drop,many\n", "numbers"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, text, said):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(ReviewError, match=said):
        Review(tmp_path / "r.csv")


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "r.csv").write_bytes("label,target,decision\nMilz,Ö,drop\n".encode("latin-1"))
    with pytest.raises(ReviewError, match="UTF-8"):
        Review(tmp_path / "r.csv")
