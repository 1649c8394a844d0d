"""The first pass over a source's labels: a row of the review file for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from napari_biomedparse.harmonise.language_model import LanguageModel, Messages
from napari_biomedparse.harmonise.names import Context, Proposal, propose, resolve, target_name
from napari_biomedparse.harmonise.review import Review, Row
from napari_biomedparse.harmonise.source import Source
from napari_biomedparse.ontology import BiomedicalObject, all_objects, normalise

# Labels asked about in one question.
BATCH = 25
# Where the language model is less sure than this, a person decides.
SURE = 0.7


@dataclass(frozen=True)
class Matching:
    """How labels are matched.

    Attributes
    ----------
    model
        The language model, or None to match by names and spelling alone.
    phrasings
        Further phrasings to ask the model for, per label.
    accept_from
        Similarity from which a similar name is accepted without a person; above 1 for never.
    """

    model: LanguageModel | None = None
    phrasings: int = 0
    accept_from: float = 0.92


def map_labels(
    labels: Mapping[str, int],
    source: Source,
    review: Review,
    matching: Matching,
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Fill and write the review: labels that have a row keep it, others get one.

    Only rows that nobody decided, edited or asked a language model about are proposed anew where one is given.

    Parameters
    ----------
    labels
        The source's labels, and how many masks may have each.
    source
        The source.
    review
        The review; written after each answer of the language model, so that none is lost.
    matching
        How to match.
    report
        Called with the number of labels asked about, and of all to ask about.

    Raises
    ------
    LanguageModelError
        If the language model gives no usable answer; the answers before are kept.
    """
    context = source.context
    for label, masks in labels.items():
        if label not in review.rows:
            review.rows[label] = _row(propose(label, context), masks, context, matching.accept_from)
    review.count(labels)
    review.write()
    if matching.model is None:
        return
    waiting = [label for label in sorted(labels) if _is_open(review.rows[label], context, matching.phrasings)]
    done = 0
    for batch in _batches(waiting):
        if report:
            report(done, len(waiting))
        for label, answer in _ask(matching.model, batch, source, matching.phrasings).items():
            review.rows[label] = _answered(review.rows[label], answer, context)
        review.write()
        done += len(batch)
    if report:
        report(done, len(waiting))


def _row(proposal: Proposal, masks: int, context: Context, accept_from: float) -> Row:
    found = proposal.found
    sure = proposal.how in ("name", "spelling", "site") or (proposal.how == "similar" and proposal.score >= accept_from)
    return Row(
        label=proposal.label,
        masks=masks,
        target=target_name(found, context) if found else "",
        object=found.id if found else "",
        found_by=proposal.how,
        score=proposal.score,
        decision="drop" if proposal.how == "background" else "accept" if sure else "review",
    )


def _is_open(row: Row, context: Context, phrasings: int) -> bool:
    """Return whether to ask about a row: nobody decided it, or its phrasings are wanted and missing."""
    if row.decision == "review" and row.found_by in ("similar", "elsewhere", "nothing"):
        proposed = _row(propose(row.label, context), row.masks, context, 2.0)
        return row.target == proposed.target
    return row.decision == "accept" and phrasings > 0 and not row.phrasings


class _Answer(BaseModel):
    label: str
    object: str | None = None
    name: str = ""
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    phrasings: list[str] = []


class _Answers(BaseModel):
    labels: list[_Answer]


def _ask(model: LanguageModel, labels: Sequence[str], source: Source, phrasings: int) -> dict[str, _Answer]:
    return model.ask(_question(labels, source, phrasings), partial(_understand, labels=labels))


def _understand(content: Any, labels: Sequence[str]) -> dict[str, _Answer]:
    try:
        answers = {answer.label: answer for answer in _Answers.model_validate(content).labels}
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    missing = [label for label in labels if label not in answers]
    if missing:
        raise ValueError(f"these labels have no answer: {', '.join(missing)}")
    known = {entry.id for entry in all_objects()}
    for label in labels:
        identifier = answers[label].object
        if identifier and identifier not in known:
            raise ValueError(f"{identifier!r} is no id of the list; use one of it, or null")
    return {label: answers[label] for label in labels}


def _question(labels: Sequence[str], source: Source, phrasings: int) -> Messages:
    objects = "\n".join(f"{entry.id}: {'; '.join(entry.names[:4])}" for entry in all_objects())
    extra = (
        f' and "phrasings", a list of {phrasings} further ways in which a clinician or biologist would name it'
        if phrasings
        else ""
    )
    system = (
        "You harmonise the labels of biomedical image data sets. Each line below is an object: its id, then names.\n"
        f"{objects}\n"
        'Answer with JSON only: {"labels": [{"label": ..., "object": ..., "name": ..., "confidence": ...}]}, with one '
        'entry per label: "label" as given, "object" the id of the object that it means exactly, or null if none does '
        '(not a wider or narrower one), "name" a short plain name in lower case, "confidence" from 0 to 1'
        f"{extra}. Mind left and right, and the site: a tumor of the liver is no tumor of the breast."
    )
    about = {
        "data set": source.name,
        "modality": source.modality,
        "site": source.site,
        "labels": list(labels),
    }
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": json.dumps(about, ensure_ascii=False)},
    ]


def _answered(row: Row, answer: _Answer, context: Context) -> Row:
    phrasings = tuple(dict.fromkeys(filter(None, (_plain(words) for words in answer.phrasings))))
    if row.decision == "accept":
        return replace(row, phrasings=phrasings)
    found = next((entry for entry in all_objects() if entry.id == answer.object), None)
    sure = found is not None and answer.confidence >= SURE
    return replace(
        row,
        target=target_name(found, context) if found else _plain(answer.name),
        object=found.id if found else "",
        found_by="language model",
        score=round(answer.confidence, 2),
        decision="accept" if sure else "review",
        phrasings=phrasings,
    )


def _plain(words: str) -> str:
    """Return words without what a file name or the review file gives a meaning to."""
    return normalise("".join(" " if sign in "_+/\\|\n" else sign for sign in words))


def _batches(labels: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(labels)
    while batch := list(islice(rest, BATCH)):
        yield batch


def object_of(row: Row, context: Context) -> BiomedicalObject | None:
    """Return the object that a row's target means; the identifier counts where the target is still that object's."""
    found = next((entry for entry in all_objects() if entry.id == row.object), None)
    if found and row.target.lower() in (target_name(found, context).lower(), *map(str.lower, found.names)):
        return found
    return resolve(row.target, context)
