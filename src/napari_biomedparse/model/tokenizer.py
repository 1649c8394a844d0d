"""CLIP's byte-pair tokenizer over the public vocabulary table (Radford et al., 2021; OpenAI CLIP, MIT licence)."""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.resources import files
from itertools import chain

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

START = 49406
END = 49407
_MERGES = 49152 - 256 - 2
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def _byte_letters() -> list[str]:
    """Return one printable letter per byte, in the order of the vocabulary: printable bytes first."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in set(printable)]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(hidden))]


@lru_cache(maxsize=1)
def byte_pair_model() -> Tokenizer:
    """Return the tokenizer with its vocabulary, which is read once, in a fifth of a second."""
    packed = files("napari_biomedparse").joinpath("resources/tokenizer/bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().split("\n")[1 : _MERGES + 1]
    merges = [(first, second) for first, second in map(str.split, lines)]
    letters = _byte_letters()
    words = chain(letters, (letter + "</w>" for letter in letters), map("".join, merges))
    vocabulary = {word: place for place, word in enumerate(words)}
    vocabulary |= {"<|startoftext|>": START, "<|endoftext|>": END}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=merges,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token="<|endoftext|>",
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer


def tokenize(texts: list[str], context: int = 77) -> Tensor:
    """Turn texts into token ids.

    Parameters
    ----------
    texts
        The prompts; they are lower-cased and their white space is folded.
    context
        Most tokens kept, start and end included; longer texts are cut.

    Returns
    -------
    Tensor
        int64 (len(texts), n): start, words, end, padded with the end token to the longest text of the call.
        Padding never changes an embedding, because the text encoder's attention is causal.
    """
    encodings = byte_pair_model().encode_batch(texts, add_special_tokens=False)
    rows = [[START, *encoding.ids[: context - 2], END] for encoding in encodings]
    longest = max(map(len, rows))
    return torch.tensor([row + [END] * (longest - len(row)) for row in rows])


@lru_cache(maxsize=1)
def class_phrasings() -> tuple[str, ...]:
    """Return the phrasings, each with a ``{}``, that a class's name is embedded in: itself and CLIP's for ImageNet."""
    table = files("napari_biomedparse").joinpath("resources/tokenizer/clip_templates.txt")
    return tuple(table.read_text(encoding="utf-8").splitlines())
