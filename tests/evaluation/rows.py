"""Rows of figures, without the command."""

from napari_biomedparse.evaluation.figures import Figures
from napari_biomedparse.evaluation.run import Evaluation, Measures


def rows(predictor, folder, *prompts):
    """Return a row per target and prompt of a set's test images."""
    evaluation = Evaluation(predictor, [folder], "test", Measures(prompts))
    figures = Figures()
    for example in evaluation.examples:
        figures.add(evaluation.measure(example))
    return figures.targets().rows
