"""Perceptual hashes: 63 bits that hardly change when an image is resized, brightened or recompressed.

After Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), section 3.2.1: each
of the lowest frequencies of a discrete cosine transform is compared with their median.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

REDUCED_SIDE = 32
LOW_FREQUENCIES = 8


def perceptual_hash(luma: NDArray[np.uint8]) -> int:
    """Return the hash of an H x W luma image: an integer below 2**64 whose lowest bit is 0."""
    small = cv2.resize(luma, (REDUCED_SIDE, REDUCED_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    waves = cv2.dct(small)[:LOW_FREQUENCIES, :LOW_FREQUENCIES].ravel()[
        1:
    ]  # without the mean, since brightness is not similarity
    bits = waves > np.median(waves)
    return int(np.packbits(np.concatenate([bits, [False]])).view(">u8")[0])


class Seen:
    """The hashes seen so far, with a search for similar ones."""

    def __init__(self) -> None:
        self._hashes = np.zeros(1024, np.uint64)
        self._count = 0

    def nearest(self, value: int, within: int) -> int | None:
        """Return the index (in order of `add`) of the hash with the fewest different bits.

        Returns None if all differ from `value` in more than `within` bits.
        """
        if not self._count:
            return None
        distances = np.bitwise_count(self._hashes[: self._count] ^ np.uint64(value))
        best = int(distances.argmin())
        return best if distances[best] <= within else None

    def add(self, value: int) -> None:
        """Add a hash."""
        if self._count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[self._count] = value
        self._count += 1
