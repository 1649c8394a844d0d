"""What kind of image is this? A linear rule on what the image encoder makes of the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_biomedparse.errors import SettingError
from napari_biomedparse.model.mask_decoder import ImageFeatures
from napari_biomedparse.ontology import ModalityClassifier


def describe(features: ImageFeatures) -> NDArray[np.float64]:
    """Return numbers that tell kinds of images apart, from an image encoded as a whole.

    They are the means over the image of the decoder's values at each level, and mean and standard deviation of the
    finest map.

    Returns
    -------
    ndarray
        float64 (F,); F depends on the network's width only.
    """
    values = features.values[: len(features.resized)]
    levels: list[Tensor] = [value[0].float().mean(dim=1).flatten() for value in values]
    finest = features.finest[0].float()
    parts = [*levels, finest.mean(dim=(1, 2)), finest.std(dim=(1, 2))]
    return np.concatenate([part.cpu().numpy().astype(np.float64) for part in parts])


def classify_modality(rule: ModalityClassifier, description: NDArray[np.float64]) -> dict[str, float]:
    """Return the probability of each modality, most probable first.

    Raises
    ------
    SettingError
        If the rule belongs to a network of another width.
    """
    weights = np.asarray(rule.weights)
    if weights.shape[1] != len(description):
        raise SettingError("The table for recognition belongs to another model; run calibrate for this one.")
    scores = weights @ description + np.asarray(rule.bias)
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    return {rule.modalities[n]: float(shares[n]) for n in order}


def fit_classifier(
    modalities: list[str], descriptions: NDArray[np.float64], shrinkage: float = 0.05
) -> ModalityClassifier:
    """Fit the rule: linear discriminant analysis with equal priors.

    Parameters
    ----------
    modalities
        Of N images.
    descriptions
        float64 (N, F), from :func:`describe`.
    shrinkage
        Share by which the covariance within modalities is moved towards its diagonal, as there are few images for so
        many numbers (Friedman, Regularized Discriminant Analysis, 1989).
    """
    names = sorted(set(modalities))
    place = np.array([names.index(name) for name in modalities])
    centres = np.stack([descriptions[place == n].mean(axis=0) for n in range(len(names))])
    rest = descriptions - centres[place]
    covariance = rest.T @ rest / max(1, len(rest) - len(names))
    variances = np.maximum(covariance.diagonal(), 1e-6 * max(covariance.trace() / len(covariance), 1e-9))
    covariance = (1 - shrinkage) * covariance + shrinkage * np.diag(variances)
    weights = np.linalg.solve(covariance, centres.T).T
    bias = -(weights * centres).sum(axis=1) / 2
    rows = tuple(tuple(float(f"{value:.5g}") for value in row) for row in weights)
    return ModalityClassifier(tuple(names), rows, tuple(float(f"{value:.6g}") for value in bias))
