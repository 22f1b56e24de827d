"""Inception score: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved techniques for training
GANs", NeurIPS 2016.
"""

from __future__ import annotations

import numpy as np

from eval.scoring.results import Spread
from eval.statistics.feature_sets import Array, Features, Indices, blocks, require_features

SPLITS = 10

MINIMUM_PER_SPLIT = 2
"""A split of one image scores 1 whatever it shows."""


def inception_score(probabilities: Features, *, splits: int = SPLITS, seed: int) -> Spread:
    """Return exp(mean of KL(p(y|x) || p(y))) with the natural logarithm, as mean and deviation over splits.

    `probabilities` is N x C, each row a distribution over the classes. The score ranges from 1 (all images
    are alike to the classifier) to C. The images are shuffled with the seed and cut into splits of equal
    size, give or take one. The score grows with the number of images per split: compare equal numbers only.

    Raises StreamtoonError for fewer than 2 images per split and for values that are not finite, ValueError if
    a row is not a distribution.
    """
    if splits < 1:
        raise ValueError(f"{splits} splits, expected at least 1")
    require_features(probabilities, f"The inception score in {splits} splits", MINIMUM_PER_SPLIT * splits)
    order = np.random.default_rng(seed).permutation(len(probabilities))
    scores = [_score(probabilities, np.sort(split)) for split in np.array_split(order, splits)]
    return Spread(float(np.mean(scores)), float(np.std(scores)))


def _score(probabilities: Features, chosen: Indices) -> float:
    """Return exp(H(mean of p) - mean of H(p)), which equals the definition."""
    total: Array = np.zeros(probabilities.shape[1])
    entropy = 0.0
    for _, rows in blocks(probabilities, chosen):
        if rows.min() < 0 or not np.allclose(rows.sum(1), 1, rtol=0, atol=1e-3):
            raise ValueError("rows are not distributions, expected values >= 0 with a sum of 1")
        total += rows.sum(0)
        entropy += _entropy(rows)
    return float(np.exp(_entropy(total / len(chosen)) - entropy / len(chosen)))


def _entropy(p: Array) -> float:
    """Return -sum of p log p, where 0 log 0 is 0."""
    positive = p[p > 0]
    return -float((positive * np.log(positive)).sum())
