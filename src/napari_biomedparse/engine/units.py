"""Units of length, by their short names."""

from __future__ import annotations

from typing import NamedTuple


class Unit(NamedTuple):
    """A unit of length.

    Attributes
    ----------
    name
        In full, as pint and OME-Zarr have it.
    symbol
        As OME-TIFF has it.
    millimetres
        Its length.
    """

    name: str
    symbol: str
    millimetres: float


# Short names hold ASCII only, for they become parts of column names.
UNITS = {
    "pm": Unit("picometer", "pm", 1e-9),
    "angstrom": Unit("angstrom", "Å", 1e-7),
    "nm": Unit("nanometer", "nm", 1e-6),
    "um": Unit("micrometer", "µm", 1e-3),
    "mm": Unit("millimeter", "mm", 1.0),
    "cm": Unit("centimeter", "cm", 10.0),
    "m": Unit("meter", "m", 1000.0),
    "in": Unit("inch", "in", 25.4),
}
_SHORT = {text: short for short, unit in UNITS.items() for text in (unit.name, unit.symbol)}
# The Greek letter beside the micro sign, and British spelling.
_SHORT |= {"μm": "um", "micron": "um"} | {unit.name.replace("meter", "metre"): short for short, unit in UNITS.items()}


def short_unit(unit: str) -> str:
    """Return the short name of a unit: ``"um"`` for micrometer and µm; what is not known stays as it is."""
    return _SHORT.get(unit, unit)
