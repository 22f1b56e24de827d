"""The range of every channel of a tensor, without the few values that would make 8-bit steps coarse."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class ChannelPeaks:
    """For each channel, the least absolute value that only a given share of the values exceeds.

    Exact over any number of images; only the largest values are kept.
    """

    def __init__(self, share: float, positions: int) -> None:
        """Prepare for images of at most `positions` pixels together; a `share` of 0 gives the maximum."""
        self._share, self._room = share, math.floor(share * positions) + 1
        self._seen = 0
        self._kept: NDArray[np.floating] | None = None

    def add(self, values: NDArray[np.floating]) -> None:
        """Take 1 x channels x H x W into account."""
        new = np.abs(values.reshape(values.shape[1], -1))
        self._seen += new.shape[1]
        if self._kept is not None:
            new = np.concatenate([self._kept, new], axis=1)
        self._kept = _largest(new, self._room)

    def peaks(self) -> NDArray[np.floating]:
        """Return one value per channel. Raises ValueError if there were no images."""
        if self._kept is None:
            raise ValueError("no image was added")
        return np.asarray(_largest(self._kept, math.floor(self._share * self._seen) + 1).min(axis=1))


def _largest(values: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    """Return the `count` largest of each row, in any order."""
    count = min(count, values.shape[1])
    return np.partition(values, -count, axis=1)[:, -count:]
