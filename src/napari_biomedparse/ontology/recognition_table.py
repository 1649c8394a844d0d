"""What is looked for in each modality, and what a present object looks like there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.ontology.lookup import find_object, normalise, place_of
from napari_biomedparse.ontology.resolve import published_vocabulary

# Alpha and beta of the Beta distributions of mean probability, red, green and blue inside an object's mask.
Distributions = tuple[tuple[float, float], ...]


class ModalityError(BiomedParseError):
    """A modality that has no list of objects; the message names those that have."""


@dataclass(frozen=True)
class ModalityClassifier:
    """A linear rule that tells modalities apart by numbers that describe an image.

    Attributes
    ----------
    modalities
        Names, M of them.
    weights
        M rows of F numbers, one for each that describes an image.
    bias
        M numbers.
    """

    modalities: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]


@dataclass(frozen=True)
class RecognitionTable:
    """What a model looks for when it is to recognise everything, and what else it is known to tell apart.

    Attributes
    ----------
    lists
        Modality -> the objects looked for, in their order.
    presence
        (modality, object) -> the distributions of a present object's four statistics.
    classifier
        How the modality of an image is recognised by the model's description of it; None if it is not known.
    cores
        Identifiers of the objects whose inner parts the model was taught, which part touching ones.
    vocabulary
        The only words that the model was trained with; None for one that was taught to take others too.
    """

    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    presence: Mapping[tuple[str, str], Distributions] = field(default_factory=dict)
    classifier: ModalityClassifier | None = None
    cores: tuple[str, ...] = ()
    vocabulary: frozenset[str] | None = None

    @classmethod
    def published(cls) -> RecognitionTable:
        """Return the table published with BiomedParse v1: 14 modalities, 61 pairs of modality and object."""
        return cls(
            _lists(_published("recognition_lists.json")),
            _presence(_published("target_dist.json")),
            vocabulary=published_vocabulary(),
        )

    @classmethod
    def read(cls, path: Path) -> RecognitionTable:
        """Read a table that :meth:`write` wrote.

        Raises
        ------
        ModalityError
            If the file is no such table.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            words = content.get("vocabulary")
            return cls(
                _lists(content["lists"]),
                _presence(content["presence"]),
                _classifier(content.get("classifier")),
                tuple(content.get("cores", [])),
                None if words is None else frozenset(words),
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModalityError(f"{path} is not a readable table for recognition ({error}); make it again.") from error

    def write(self, path: Path) -> None:
        """Write the table as JSON."""
        presence: dict[str, dict[str, Distributions]] = {}
        for (modality, name), pairs in self.presence.items():
            presence.setdefault(modality, {})[name] = pairs
        lists = {modality: list(names) for modality, names in self.lists.items()}
        classifier = self.classifier and asdict(self.classifier)
        content = {"lists": lists, "presence": presence, "cores": self.cores, "classifier": classifier}
        if self.vocabulary is not None:
            content["vocabulary"] = sorted(self.vocabulary)
        entries = (f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
        path.write_text("{\n" + ",\n".join(entries) + "\n}\n", encoding="utf-8")

    def modality(self, name: str) -> str:
        """Return the modality that a name means: in any case, and also the beginning of just one.

        Raises
        ------
        ModalityError
            If it means none or several.
        """
        if not self.lists:
            raise without_lists()
        words = name.lower().strip()
        exact = [known for known in self.lists if known.lower() == words]
        begun = [known for known in self.lists if words and known.lower().startswith(words)]
        if len(exact or begun) != 1:
            known = ", ".join(begun or self.lists)
            raise ModalityError(f"There is no list of objects for {name!r}; choose one of: {known}.")
        return (exact or begun)[0]

    def meant(self, name: str) -> str:
        """Return :meth:`modality`, or the name itself where that is of none or several."""
        try:
            return self.modality(name)
        except ModalityError:
            return name

    def listed_name(self, prompt: str) -> str | None:
        """Return the name in the lists of the object that a prompt names; None if it is not in them.

        A phrasing as "nucleus in brain MRI" says more than a name does, and has none here.
        """
        found = None if " in " in normalise(prompt) else find_object(prompt)
        return self._names.get(found.id) if found else None

    def names_in_place(self, prompt: str) -> dict[str, str]:
        """Return what the object that a prompt names in each modality is called there, where the table knows it there.

        A "lesion" is the "tumor" of breast ultrasound, and a "lesion" in dermoscopy.
        """
        if " in " in normalise(prompt):
            return {}
        called = {}
        for modality, names in self._called.items():
            kind, site = place_of(modality)
            found = find_object(prompt, kind.name if kind else None, site or None)
            if found and found.id in names:
                called[modality] = names[found.id]
        return called

    def means_one(self, name: str) -> bool:
        """Return whether a name of the table is of one object in all modalities that have it."""
        return len({found for names in self._called.values() for found, known in names.items() if known == name}) == 1

    @cached_property
    def _called(self) -> dict[str, dict[str, str]]:
        """Modality -> identifier of each object known there -> its name there."""
        called: dict[str, dict[str, str]] = {}
        listed = [(modality, name) for modality, names in self.lists.items() for name in names]
        for modality, name in [*listed, *self.presence]:
            kind, site = place_of(modality)
            if found := find_object(name, kind.name if kind else None, site or None):
                called.setdefault(modality, {}).setdefault(found.id, name)
        return called

    @cached_property
    def _names(self) -> dict[str, str]:
        """Identifier of each object in the lists -> its first name there."""
        names: dict[str, str] = {}
        for name in (name for listed in self.lists.values() for name in listed):
            found = find_object(name)
            if found:
                names.setdefault(found.id, name)
        return names

    def distributions(self, modality: str, name: str) -> Distributions | None:
        """Return an object's distributions, by its name or another one of it in any case; None if not known."""
        place, meant = modality.lower(), find_object(name)
        by_words = self._looks.get((place, normalise(name)))
        return by_words or (self._looks.get((place, meant.id)) if meant else None)

    @cached_property
    def _looks(self) -> dict[tuple[str, str], Distributions]:
        """Modality, and words or identifier of an object -> its distributions."""
        looks: dict[tuple[str, str], Distributions] = {}
        for (modality, name), pairs in self.presence.items():
            place, meant = modality.lower(), find_object(name)
            looks[place, normalise(name)] = pairs
            if meant:
                looks.setdefault((place, meant.id), pairs)
        return looks


def _published(name: str) -> Any:
    return json.loads(files("napari_biomedparse").joinpath(f"resources/published/{name}").read_text(encoding="utf-8"))


def _lists(content: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {modality: tuple(names) for modality, names in content.items()}


def _presence(content: Mapping[str, Mapping[str, list[list[float]]]]) -> dict[tuple[str, str], Distributions]:
    return {
        (modality, name): tuple((float(alpha), float(beta)) for alpha, beta in pairs)
        for modality, objects in content.items()
        for name, pairs in objects.items()
    }


def _classifier(content: Mapping[str, Any] | None) -> ModalityClassifier | None:
    if content is None:
        return None
    weights = tuple(tuple(map(float, row)) for row in content["weights"])
    rule = ModalityClassifier(tuple(content["modalities"]), weights, tuple(map(float, content["bias"])))
    if len({len(rule.modalities), len(weights), len(rule.bias)}) != 1 or len(set(map(len, weights))) != 1:
        raise ValueError("the classifier's rows do not fit together")
    return rule


@lru_cache(maxsize=1)
def meta_objects() -> tuple[str, ...]:
    """Return the published meta-objects by their training number, from 1 (liver) to 16 (other)."""
    return tuple(_published("meta_objects.json"))


def without_lists() -> ModalityError:
    """Return the error that says how a model without a table gets one."""
    return ModalityError(
        "This model has no table of what to look for in which kind of image: "
        "make it with `napari-biomedparse calibrate DATA --model FILE`."
    )
