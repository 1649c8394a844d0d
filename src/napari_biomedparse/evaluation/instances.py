"""How many of the separate objects are found: matches of two label images by overlap over union."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

# From 0.5 to 0.95 in steps of 0.05, as in the 2018 Data Science Bowl.
THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))


class ObjectCounts(NamedTuple):
    """How the objects of one image, or of several, were found.

    Attributes
    ----------
    truth, found
        Number of annotated and of found objects.
    matched
        Number of pairs at each of :data:`THRESHOLDS`.
    """

    truth: int
    found: int
    matched: tuple[int, ...]

    @property
    def precisions(self) -> tuple[float, ...]:
        """TP / (TP + FP + FN) at each threshold, what the 2018 Data Science Bowl calls precision; 1 without objects.

        Caicedo et al., Nature Methods 16, 1247-1253, 2019.
        """
        return tuple(n / (self.truth + self.found - n) if self.truth + self.found else 1.0 for n in self.matched)

    @property
    def ap_50(self) -> float:
        """The precision at 0.5."""
        return self.precisions[0]

    @property
    def ap_mean(self) -> float:
        """The mean of the precisions over all thresholds."""
        return sum(self.precisions) / len(self.precisions)

    @property
    def f1_50(self) -> float:
        """Twice the pairs at 0.5 over all objects of both; 1 without objects."""
        objects = self.truth + self.found
        return 2 * self.matched[0] / objects if objects else 1.0


def count_objects(found: NDArray[np.integer], truth: NDArray[np.integer]) -> ObjectCounts:
    """Match found objects with annotated ones, each with one at most.

    Two objects can be a pair where their overlap over union is at least the threshold; as many pairs are made as
    possible.

    Parameters
    ----------
    found, truth
        Label images (H, W), 0 is background; numbers may have gaps.
    """
    overlaps, n_truth, n_found = _overlaps(found, truth)
    matched = []
    for threshold in THRESHOLDS:
        # A hair below, so that a ratio that is the threshold does not fail by rounding.
        pairs = overlaps.copy()
        pairs.data = (pairs.data >= threshold - 1e-9).astype(np.int8)
        pairs.eliminate_zeros()
        matched.append(int((maximum_bipartite_matching(pairs, perm_type="column") >= 0).sum()) if pairs.nnz else 0)
    return ObjectCounts(n_truth, n_found, tuple(matched))


def add_counts(counts: Iterable[ObjectCounts]) -> ObjectCounts:
    """Add the counts of several images."""
    every = list(counts)
    matched = tuple(sum(each) for each in zip(*(count.matched for count in every), strict=True))
    return ObjectCounts(sum(c.truth for c in every), sum(c.found for c in every), matched or (0,) * len(THRESHOLDS))


def _overlaps(found: NDArray[np.integer], truth: NDArray[np.integer]) -> tuple[csr_matrix, int, int]:
    """Return overlap over union of every annotated with every found object that touch, and the number of both."""
    true_numbers, one = np.unique(truth, return_inverse=True)
    found_numbers, two = np.unique(found, return_inverse=True)
    shape = (len(true_numbers), len(found_numbers))
    shared = coo_matrix((np.ones(truth.size, np.int64), (one.ravel(), two.ravel())), shape).tocsr()
    keep_true, keep_found = true_numbers != 0, found_numbers != 0
    areas_true = np.asarray(shared.sum(axis=1)).ravel()[keep_true]
    areas_found = np.asarray(shared.sum(axis=0)).ravel()[keep_found]
    inside = shared[keep_true][:, keep_found].tocoo()
    unions = areas_true[inside.row] + areas_found[inside.col] - inside.data
    ratios = csr_matrix((inside.data / unions, (inside.row, inside.col)), inside.shape)
    return ratios, int(keep_true.sum()), int(keep_found.sum())
