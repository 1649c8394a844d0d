"""Names of controls: for programs, for people who hear them, and in their tips."""

from __future__ import annotations

from typing import TypeVar

from qtpy.QtWidgets import QWidget

Control = TypeVar("Control", bound=QWidget)


def named(widget: Control, name: str, description: str) -> Control:
    """Give a control its name and its description."""
    widget.setObjectName(name)
    widget.setAccessibleName(description)
    widget.setToolTip(description)
    return widget
