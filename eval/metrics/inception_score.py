"""Inception score: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved techniques for training
GANs", NeurIPS 2016.
"""

from __future__ import annotations

import numpy as np

from eval.scoring.results import Spread
from eval.statistics.feature_sets import Array, Features, Indices, blocks, require_features

SPLITS = 10

MINIMUM_PER_SPLIT = 2
"""A split of one picture scores 1 whatever it shows."""


def inception_score(probabilities: Features, *, splits: int = SPLITS, seed: int) -> Spread:
    """exp(mean of KL(p(y|x) || p(y))) with the natural logarithm, mean and deviation over the splits.

    `probabilities` is N x C, each row a distribution over the classes. From 1, every picture alike to the
    classifier, to C. The pictures are shuffled with the seed, then cut into splits of equal numbers but
    for one. The score grows with the pictures in a split: compare equal numbers only.

    Raises StreamtoonError for fewer than 2 pictures a split and for values that are not finite, ValueError
    where a row is no distribution.
    """
    if splits < 1:
        raise ValueError(f"{splits} splits, expected at least 1")
    require_features(probabilities, f"The inception score in {splits} splits", MINIMUM_PER_SPLIT * splits)
    order = np.random.default_rng(seed).permutation(len(probabilities))
    scores = [_score(probabilities, np.sort(split)) for split in np.array_split(order, splits)]
    return Spread(float(np.mean(scores)), float(np.std(scores)))


def _score(probabilities: Features, chosen: Indices) -> float:
    """exp(H(mean of p) - mean of H(p)), which is the same."""
    total: Array = np.zeros(probabilities.shape[1])
    entropy = 0.0
    for _, rows in blocks(probabilities, chosen):
        if rows.min() < 0 or not np.allclose(rows.sum(1), 1, rtol=0, atol=1e-3):
            raise ValueError("rows are no distributions, expected values of at least 0 with a sum of 1")
        total += rows.sum(0)
        entropy += _entropy(rows)
    return float(np.exp(_entropy(total / len(chosen)) - entropy / len(chosen)))


def _entropy(p: Array) -> float:
    """-sum of p log p, where 0 log 0 is 0."""
    positive = p[p > 0]
    return -float((positive * np.log(positive)).sum())
