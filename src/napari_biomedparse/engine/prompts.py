"""What is asked of the model for the words of a prompt, and one answer made of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.ontology import RecognitionTable, find_modality, normalise, resolve


class PromptError(BiomedParseError):
    """Words that cannot be asked; the message says what to do."""


def check_prompts(prompts: Sequence[str]) -> None:
    """Refuse what cannot be asked.

    Raises
    ------
    PromptError
        If there is no prompt, or one without words.
    """
    if isinstance(prompts, str):
        raise PromptError("Pass the prompts as a list of texts, for example ['nuclei'].")
    if not prompts or not all(normalise(prompt) for prompt in prompts):
        raise PromptError("A prompt is empty: name what to look for, for example 'nuclei'.")


def words_for(prompts: Sequence[str], modality: str | None, table: RecognitionTable) -> dict[str, tuple[str, ...]]:
    """Return for each prompt what the model is to be asked.

    A model that takes any words is asked for an object that it looks for by the name in its lists, so that synonyms and
    plurals have one answer, and for all else by the prompt itself. What a word means may hang on the kind of image
    (:func:`hangs_on_place`).

    One with a fixed vocabulary is asked, where the kind of image is said, in the words that it knows the object by, or
    those of its kinds or pieces: a model that knows no nuclei but four types of cells is asked for these on an image of
    pathology.

    Raises
    ------
    ModalityError
        If the kind of image is none that is known, nor one of the table's.
    """
    if modality is not None and find_modality(modality) is None:
        table.modality(modality)
    if table.vocabulary is None:
        return {prompt: (_name_for(prompt, modality, table),) for prompt in prompts}
    if modality is None:
        return {prompt: (prompt,) for prompt in prompts}
    return {prompt: resolve(prompt, modality, vocabulary=table.vocabulary).asked for prompt in prompts}


def hangs_on_place(prompt: str, table: RecognitionTable) -> bool:
    """Return whether the kind of image decides what a model that takes any words is to be asked for a prompt."""
    if table.vocabulary is not None:
        return False
    anywhere = _name_for(prompt, None, table)
    return any(name != anywhere for name in table.names_in_place(prompt).values())


def _name_for(prompt: str, modality: str | None, table: RecognitionTable) -> str:
    called = table.names_in_place(prompt)
    if modality is not None:
        begun = [name for kind, name in called.items() if kind.lower().startswith(modality.lower())]
        if len(set(begun)) == 1:
            return begun[0]
    listed = table.listed_name(prompt)
    if listed is None and len(set(called.values())) == 1:
        (name,) = set(called.values())
        return name if table.means_one(name) else prompt
    return listed or prompt


def unite(prompt: str, words: Sequence[str], answers: Mapping[str, ObjectMask]) -> ObjectMask:
    """Return the union of the answers to some words as the answer to a prompt."""
    masks = [answers[word] for word in words]
    if len(masks) == 1:
        (mask,) = masks
        return mask if mask.prompt == prompt else replace(mask, prompt=prompt)
    probability = np.maximum.reduce([mask.probability for mask in masks])
    controls = [mask.control for mask in masks if mask.control is not None]
    return ObjectMask(prompt, probability, max(controls, default=None), nonsense=masks[0].nonsense)
