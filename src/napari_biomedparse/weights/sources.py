"""Each preset's licence, and where its weights come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HubFile:
    """A file of the Hugging Face hub: a repository and a name in it."""

    repository: str
    name: str


@dataclass(frozen=True)
class Source:
    """A preset's licence and its file on the hub; without one, it comes with the package."""

    licence: str
    hub_file: HubFile | None = None


SOURCES = {
    "mini": Source("CC BY-SA 4.0"),
    "biomedparse-v1": Source("CC BY-NC-SA 4.0", HubFile("microsoft/BiomedParse", "biomedparse_v1.pt")),
}
