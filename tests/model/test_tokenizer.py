"""The tokenizer against transformers' CLIP tokenizer built from the same public table."""

import gzip
from importlib.resources import files

import pytest

from napari_biomedparse.model.tokenizer import END, START, tokenize

TEXTS = [
    "nuclei",
    "  Left   KIDNEY in abdomen CT ",
    "COVID-19 infection",
    "lower-grade glioma, T1 12.5mm",
    "adrenal's gland",
    "Zellkerne über α-Tubulin",
    "日本",
    "it'll we've don't",
]


@pytest.fixture(scope="module")
def reference():
    transformers = pytest.importorskip("transformers")
    table = files("napari_biomedparse").joinpath("resources/tokenizer/bpe_simple_vocab_16e6.txt.gz").read_bytes()
    merges = gzip.decompress(table).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    # The letters of GPT-2's byte table in CLIP's order, written out independently of the code under test.
    ranges = [(33, 126), (161, 172), (174, 255)]
    shown = [b for low, high in ranges for b in range(low, high + 1)]
    letters = [chr(b) for b in shown]
    letters += [chr(256 + n) for n, _ in enumerate(b for b in range(256) if b not in shown)]
    words = [*letters, *(x + "</w>" for x in letters), *("".join(m.split()) for m in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    pairs = [tuple(m.split()) for m in merges]
    return transformers.CLIPTokenizer(vocab={w: n for n, w in enumerate(words)}, merges=pairs)


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_equal_clips(reference, text):
    assert tokenize([text])[0].tolist() == reference(text)["input_ids"]


def test_known_ids():
    # "a diagram" in CLIP's public vocabulary.
    assert tokenize(["a diagram"])[0].tolist() == [START, 320, 22697, END]


def test_long_texts_are_cut_to_the_context_and_still_end():
    row = tokenize(["word " * 200])[0].tolist()
    assert len(row) == 77
    assert (row[0], row[-1]) == (START, END)


def test_shorter_rows_are_padded_with_the_end_token():
    ids = tokenize(["nuclei", "a much longer prompt about nuclei"])
    first = ids[0].tolist()
    assert set(first[first.index(END) :]) == {END}
