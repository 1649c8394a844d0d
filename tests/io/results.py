"""Results to write, for the tests of exporting."""

from napari_biomedparse.engine.frames import Frames
from napari_biomedparse.engine.measure_stack import measure_stack
from napari_biomedparse.io.export import Export

NAMES = {1: "nuclei", 2: "Fluxkondensator <µ>", 5: "nuclei"}
COLOURS = {1: (1.0, 0.0, 0.0, 1.0), 2: (0.0, 0.5, 1.0, 0.5), 5: (0.8, 0.0, 0.0, 1.0)}
SPACING = {"Z": 2.0, "Y": 0.5, "X": 0.25, "T": 30.0}


def result(labels, axes, names=NAMES, **options):
    options = {"colours": COLOURS, "spacing": SPACING, "unit": "micrometer", "title": "cells", **options}
    if "rows" not in options:
        spacing = {letter: size for letter, size in options["spacing"].items() if letter != "T"}
        options["rows"] = list(measure_stack(Frames(labels, axes), names, spacing=spacing, unit=options["unit"]))
    return Export(labels, axes, names, **options)
