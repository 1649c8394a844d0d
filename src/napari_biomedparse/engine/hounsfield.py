"""Computed tomography in Hounsfield units: which grey values are shown, by the part of the body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.preprocess import ImageError, Intensity, Window, check_window
from napari_biomedparse.ontology import find_modality, normalise

# By site (published readers); where none is named, as for the abdomen: that of soft tissue.
CT_WINDOWS: dict[str, Window] = {
    "abdomen": (-150, 250),
    "lung": (-1000, 1000),
    "pelvis": (-55, 200),
    "liver": (-25, 230),
    "colon": (-68, 187),
    "pancreas": (-100, 200),
}
SOFT_TISSUE = CT_WINDOWS["abdomen"]
_SITES = {"chest": "lung"}
# Air has -1000, what lies outside of a scan up to -3024; 12 bits are usual. Other images that have been computed rarely
# have values as low without having much higher ones.
LOW, REACH = -500, 4096


def named_window(text: str) -> Window:
    """Return the window that is meant by a site's name, or by its lowest and highest value as ``-150,250``.

    Raises
    ------
    ImageError
        If it is neither, or no window.
    """
    name = _SITES.get(normalise(text), normalise(text))
    if name in CT_WINDOWS:
        return CT_WINDOWS[name]
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        known = ", ".join(CT_WINDOWS)
        raise ImageError(
            f"{text!r} is no window: give {known}, or the lowest and highest value, as -150,250."
        ) from None
    check_window(low, high)
    return low, high


def named_intensity(text: str | None) -> Intensity:
    """Return the window that is meant, or the automatic one where none is."""
    return named_window(text) if text else "auto"


def site_window(modality: str) -> Window | None:
    """Return the window for a kind of image such as ``"CT-Abdomen"``; None where it is no CT."""
    kind = find_modality(modality)
    if kind is None or kind.name != "CT":
        return None
    sites = (_SITES.get(word, word) for word in normalise(modality).replace("-", " ").split())
    return next((CT_WINDOWS[site] for site in sites if site in CT_WINDOWS), SOFT_TISSUE)


def window_at(least: float, intensity: Intensity, modality: str | None) -> Intensity:
    """Do :func:`intensity_for` for an image of which the lowest value is known."""
    window = site_window(modality) if intensity == "auto" and modality else None
    return window if window and least < 0 else intensity


def intensity_for(image: NDArray[np.generic], intensity: Intensity, modality: str | None) -> Intensity:
    """Return how an image's values become 0-255: in its site's window if it is told to be a CT and is below zero."""
    return window_at(lowest(image), intensity, modality)


def lowest(image: NDArray[np.generic]) -> float:
    """Return an image's lowest value if that is below zero, else 0."""
    return float(np.min(image, initial=0)) if image.dtype.kind in "if" else 0.0


def is_like_hounsfield(least: float, greatest: float = 0.0) -> bool:
    """Return whether an image with this lowest, and highest, value may be a CT in Hounsfield units."""
    return -REACH <= least <= LOW and greatest <= REACH


def advice(least: float, intensity: Intensity) -> str:
    """Return what to do about an image that may be a CT and is shown in no window; nothing if it is none."""
    if intensity != "auto" or not is_like_hounsfield(least):
        return ""
    return (
        f"its values begin at {least:g}; if they are Hounsfield units, say so with --modality "
        "CT-Abdomen or choose a window, as --window abdomen: else soft tissue has few shades of grey"
    )
