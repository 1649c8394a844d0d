"""What the dock says of a finished run."""

from __future__ import annotations

from collections.abc import Sequence

from napari_biomedparse.ontology import find_object
from napari_biomedparse.plugin.result import Result
from napari_biomedparse.plugin.rows import ResultRow

# More names than this are not all told.
NAMED = 6


def sentence_of(result: Result, rows: Sequence[ResultRow]) -> str:
    """Say what was found and what was not, and what to be careful with.

    Parameters
    ----------
    result
        A result all planes of which are painted.
    rows
        Its table.
    """
    by_state: dict[str, list[str]] = {}
    for row in rows:
        words = row.prompt if row.state == "not found" else f"{row.prompt} ({row.probability:.2f})"
        by_state.setdefault(row.state, []).append(words)
    sentences = []
    if result.recipe.recognizes:
        sentences.append(f"{result.findings.modality}{' (guessed)' if result.guesses else ''}.")
    for state, names in by_state.items():
        few = names if len(names) <= NAMED else [*names[: NAMED - 1], f"{len(names) - NAMED + 1} more"]
        sentences.append(f"{state.capitalize()}: {', '.join(few)}.")
    masks = [mask for planes in result.findings.planes.values() for mask in planes]
    deaf = list(dict.fromkeys(mask.prompt for mask in masks if not mask.depends_on_words))
    unknown = [prompt for prompt in result.recipe.prompts if find_object(prompt) is None]
    sentences += [f"Does not depend on your words: {', '.join(deaf)}."] if deaf else []
    sentences += [f"Not in the vocabulary, so less certain: {', '.join(unknown)}."] if unknown else []
    overlap = sum(plane.overlap for plane in result.painted.values())
    if overlap:
        sentences.append(f"{overlap} pixels were claimed by several; {result.recipe.paint.rule} has them.")
    return " ".join(sentences)
