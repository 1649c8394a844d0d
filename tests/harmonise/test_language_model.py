import socket

import pytest

from napari_biomedparse.harmonise.language_model import LanguageModel, LanguageModelError
from napari_biomedparse.harmonise.mapping import Matching, map_labels
from napari_biomedparse.harmonise.review import Review
from napari_biomedparse.harmonise.source import make_source
from tests.harmonise.conftest import dictionary

SOURCE = make_source(
    {
        **{"name": "Trial", "modality": "CT", "site": "abdomen", "images": "{image}.png"},
        "masks": [{"files": "m/{image}.png", "label": "x"}],
    },
    "here",
)


def ask(server, review, *labels, phrasings=0, **options):
    model = LanguageModel(server.address, "tiny", **{"timeout": 5, "pause": 0, **options})
    map_labels(dict.fromkeys(labels, 1), SOURCE, review, Matching(model, phrasings))


def test_labels_that_no_name_fits_are_asked_and_the_answer_is_kept(tmp_path, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    server.answers = [dictionary({"Leber": "liver", "Milz": "spleen"})]
    review = Review(tmp_path / "review.csv")
    ask(server, review, "Leber", "Milz", "Kram", "kidney_left")
    assert server.labels() == ["Kram", "Leber", "Milz"]
    assert server.asked[0]["model"] == "tiny"
    assert "left-kidney" in server.asked[0]["messages"][0]["content"]
    assert server.keys == ["Bearer secret"]
    read = Review(tmp_path / "review.csv").rows
    assert (read["Leber"].target, read["Leber"].found_by, read["Leber"].decision) == (
        *("liver", "language model", "accept"),
    )
    assert read["Leber"].phrasings == ("the leber you see", "leber area")
    # What the ontology does not have becomes free text only if a person accepts it.
    assert (read["Kram"].target, read["Kram"].object, read["Kram"].decision) == ("free kram", "", "review")
    assert (read["kidney_left"].found_by, read["kidney_left"].decision) == ("name", "accept")
    ask(server, Review(tmp_path / "review.csv"), "Leber", "Milz", "Kram", "kidney_left")
    assert len(server.asked) == 1


def test_no_key_is_sent_where_there_is_none(tmp_path, server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.answers = [dictionary({})]
    ask(server, Review(tmp_path / "review.csv"), "Leber")
    assert server.keys == [None]


def test_an_unsure_answer_waits_for_a_person(tmp_path, server):
    server.answers = [dictionary({"Leber": "liver"}, confidence=0.4)]
    review = Review(tmp_path / "review.csv")
    ask(server, review, "Leber")
    assert (review.rows["Leber"].target, review.rows["Leber"].decision) == ("liver", "review")


@pytest.mark.parametrize(
    "malformed",
    [
        "I think it is the liver.",
        '{"labels": [{"label": "Leber", "object": "liver", ',
        '{"labels": []}',
        '{"labels": [{"label": "Leber", "object": "lebber", "confidence": 1}]}',
        '{"labels": [{"label": "Leber", "object": "liver", "confidence": 7}]}',
        '{"labels": "liver"}',
    ],
)
def test_a_malformed_answer_is_asked_again_with_the_reason(tmp_path, server, malformed):
    server.answers = [malformed, dictionary({"Leber": "liver"})]
    review = Review(tmp_path / "review.csv")
    ask(server, review, "Leber")
    assert review.rows["Leber"].target == "liver"
    told = server.asked[1]["messages"]
    assert told[-2] == {"role": "assistant", "content": malformed}
    assert "cannot be used" in told[-1]["content"]


def test_words_around_the_json_do_no_harm(tmp_path, server):
    answer = '{"labels": [{"label": "Leber", "object": "liver", "name": "liver", "confidence": 0.95}]}'
    server.answers = [f"Sure!\n```json\n{answer}\n```\nAnything else?"]
    review = Review(tmp_path / "review.csv")
    ask(server, review, "Leber")
    assert review.rows["Leber"].target == "liver"


def test_a_server_that_never_answers_well_ends_in_a_sentence(tmp_path, server):
    server.answers = ["no"]
    with pytest.raises(LanguageModelError, match="no usable answer in 3 attempts"):
        ask(server, Review(tmp_path / "review.csv"), "Leber")
    assert len(server.asked) == 3


def test_a_busy_server_is_asked_again(tmp_path, server):
    server.answers = [500, 429, dictionary({"Leber": "liver"})]
    review = Review(tmp_path / "review.csv")
    ask(server, review, "Leber")
    assert review.rows["Leber"].target == "liver"
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "said", "asked"),
    [
        (401, "environment variable OPENAI_API_KEY", 1),
        (404, "HTTP 404", 1),
        (302, "points elsewhere", 1),
        (500, "does not answer .HTTP 500", 3),
        (2.0, "nothing came within 0.2 s", 2),
    ],
)
def test_refusals_and_silence_end_in_a_sentence_and_lose_nothing(tmp_path, server, answer, said, asked):
    server.answers = [answer]
    review = Review(tmp_path / "review.csv")
    with pytest.raises(LanguageModelError, match=said):
        ask(server, review, "Leber", timeout=0.2 if answer == 2.0 else 5, attempts=2 if answer == 2.0 else 3)
    assert len(server.asked) == asked
    assert Review(tmp_path / "review.csv").rows["Leber"].decision == "review"


def test_answers_before_a_failure_are_kept(tmp_path, server):
    labels = [f"Ding {letter}" for letter in "abcdefghijklmnopqrstuvwxyzäöü"]
    server.answers = [dictionary(dict.fromkeys(labels, "liver")), 401]
    with pytest.raises(LanguageModelError):
        ask(server, Review(tmp_path / "review.csv"), *labels)
    first = server.labels(0)
    assert 0 < len(first) < len(labels)
    kept = Review(tmp_path / "review.csv").rows
    assert [label for label in labels if kept[label].target == "liver"] == sorted(first)
    server.answers = [dictionary({})]
    ask(server, Review(tmp_path / "review.csv"), *labels)
    assert set(server.labels()) == set(labels) - set(first)


def test_no_server_and_wrong_servers_are_told_apart(tmp_path, server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    server.address = f"http://127.0.0.1:{port}/v1"
    with pytest.raises(LanguageModelError, match="refused"):
        ask(server, Review(tmp_path / "review.csv"), "Leber")
    with pytest.raises(LanguageModelError, match="http://"):
        LanguageModel("file:///etc/passwd", "tiny")


def test_phrasings_are_asked_for_known_labels_too_when_wanted(tmp_path, server):
    server.answers = [dictionary({})]
    review = Review(tmp_path / "review.csv")
    ask(server, review, "liver", phrasings=2)
    assert server.labels() == ["liver"]
    assert review.rows["liver"].phrasings == ("the liver you see", "liver area")
    assert (review.rows["liver"].target, review.rows["liver"].found_by) == ("liver", "name")
    ask(server, review, "liver", phrasings=2)
    assert len(server.asked) == 1
