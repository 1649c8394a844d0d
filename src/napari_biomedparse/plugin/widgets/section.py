"""A part of the dock that is closed until its title is clicked."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget
from superqt import QCollapsible


def section(title: str, content: QWidget) -> QCollapsible:
    """Return a closed section; programs find it as ``section_`` and its title."""
    closed = QCollapsible(title)
    closed.setObjectName(f"section_{title.lower().replace(' ', '_')}")
    closed.setDuration(0)
    closed.layout().setContentsMargins(0, 0, 0, 0)
    closed.addWidget(content)
    return closed
