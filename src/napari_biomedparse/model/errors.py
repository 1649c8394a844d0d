"""Errors of weights, apart from what needs torch."""

from __future__ import annotations

from collections.abc import Sequence

from napari_biomedparse.errors import BiomedParseError


class CheckpointError(BiomedParseError):
    """Weights that cannot be used; the message says why and what to do.

    Parameters
    ----------
    message
        One sentence.
    problems
        All that is wrong, where the sentence names the first few only.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
