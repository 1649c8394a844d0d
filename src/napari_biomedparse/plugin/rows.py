"""What the table of results says about a prompt, without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["found", "doubtful", "not found"]
Review = Literal["", "accepted", "rejected"]


@dataclass(frozen=True)
class ResultRow:
    """What was found for one prompt.

    Attributes
    ----------
    prompt
        The words asked, which name the row.
    name
        What the object is called.
    colour
        Red, green, blue and opacity of its label, each in [0, 1].
    state
        Whether it is there.
    reason
        Why the state is what it is, in a sentence; may be empty.
    presence
        How sure it is that the object is there at all, in [0, 1]; None where that was not judged.
    probability
        Mean probability of its pixels, in [0, 1].
    size
        Area or volume, in ``size_unit``.
    size_unit
        "µm²", "mm³" or "px", for example.
    count
        Number of separate objects; None where they were not counted.
    visible
        Whether its label is shown.
    threshold
        Probability above which a pixel is labelled, for this prompt only; None for the threshold of all.
    review
        The user's judgement.
    """

    prompt: str
    name: str
    colour: tuple[float, float, float, float]
    state: State
    reason: str
    presence: float | None
    probability: float
    size: float
    size_unit: str
    count: int | None
    visible: bool
    threshold: float | None
    review: Review

    @property
    def state_text(self) -> str:
        """The state and how sure it is: "found 0.94"."""
        return self.state if self.presence is None else f"{self.state} {self.presence:.2f}"

    @property
    def size_text(self) -> str:
        """The size and its unit, "12.4 µm²", in three digits or thousands parted by narrow spaces; "" for nothing."""
        if not self.size:
            return ""
        digits = f"{self.size:,.0f}".replace(",", "\u202f") if 1000 <= self.size < 1e6 else f"{self.size:.3g}"
        return f"{digits} {self.size_unit}".strip()

    def sentence(self) -> str:
        """Return all of it in words, for people who hear the table."""
        parts = [self.state_text, f"mean probability {self.probability:.2f}", self.size_text]
        if self.count is not None:
            parts.append("1 object" if self.count == 1 else f"{self.count} objects")
        if self.threshold is not None:
            parts.append(f"own threshold {self.threshold:.2f}")
        parts += ["shown" if self.visible else "hidden", self.review]
        return " ".join([f"{self.name}: {', '.join(filter(None, parts))}.", self.reason]).strip()
