"""Hierarchical grouping of regions, as in selective search (Uijlings and others, IJCV 2013, section 3.2).

The two most similar neighbours become one region, again and again. Similarity is the sum of three of that
paper's four measures, each in 0..1: colour, the intersection of the regions' histograms (eq. 1, 2); size,
which lets small regions go first (eq. 4); fill, which lets a region take in what lies within it (eq. 5).
Texture is left out: what is grouped here is about to be painted flat.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

BINS = 25
"""Of a colour channel, as in the paper."""

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Box = tuple[int, int, int, int]
"""Top, left, bottom, right; the last two exclusive."""


def group(image: NDArray[np.uint8], labels: Labels, regions: int) -> Labels:
    """`labels` (H x W, 0..n-1, every region connected) merged to `regions`, renumbered from 0.

    `image` is H x W x 3 of 8 bits; likeness of colour is measured in its channels as they are. Fewer regions
    come back as they are.
    """
    grouping = _Grouping(image, labels)
    grouping.merge(regions)
    _, compact = np.unique(grouping.owners(), return_inverse=True)
    return np.asarray(compact.reshape(-1)[labels], np.int64)


class _Grouping:
    """Regions with what their similarity is computed from; a merged pair becomes a new region at the end.

    Sizes and boxes are plain numbers: most regions have a handful of neighbours, too few for arrays to pay.
    """

    def __init__(self, image: NDArray[np.uint8], labels: Labels) -> None:
        self._area = labels.size
        self._count = count = int(labels.max()) + 1
        sizes = np.bincount(labels.ravel(), minlength=count)
        self._size: list[int] = sizes.tolist()
        self._box = _boxes(labels, count)
        self._colour = np.empty((2 * count - 1, 3 * BINS))
        self._colour[:count] = _histograms(image, labels, count) / (3 * sizes[:, None])
        self._parent = np.arange(2 * count - 1)
        self._beside: list[set[int]] = [set() for _ in range(count)]
        pairs = neighbours(labels)
        colour = np.minimum(self._colour[pairs[:, 0]], self._colour[pairs[:, 1]]).sum(1)
        self._queue: list[tuple[float, int, int]] = []
        for likeness, (a, b) in zip(colour.tolist(), pairs.tolist(), strict=True):
            self._beside[a].add(b)
            self._beside[b].add(a)
            self._queue.append((-likeness - self._size_and_fill(a, b), a, b))
        heapq.heapify(self._queue)

    def merge(self, regions: int) -> None:
        """Joins the most similar pair until `regions` are left."""
        left, gone = self._count, set[int]()
        while left > regions and self._queue:
            _, a, b = heapq.heappop(self._queue)
            if a in gone or b in gone:
                continue  # the queue still knows pairs of regions that have been merged since
            gone |= {a, b}
            self._join(a, b)
            left -= 1

    def _join(self, a: int, b: int) -> None:
        new, size = len(self._size), self._size[a] + self._size[b]
        # Histograms pass on to the union without a look at the pixels (eq. 3).
        merged = (self._size[a] * self._colour[a] + self._size[b] * self._colour[b]) / size
        self._colour[new] = merged
        self._size.append(size)
        self._box.append(_union(self._box[a], self._box[b]))
        self._parent[a] = self._parent[b] = new
        around = (self._beside[a] | self._beside[b]) - {a, b}
        self._beside.append(around)
        others = list(around)
        colour = np.minimum(self._colour[others], merged).sum(1).tolist()
        for likeness, other in zip(colour, others, strict=True):
            self._beside[other] -= {a, b}
            self._beside[other].add(new)
            heapq.heappush(self._queue, (-likeness - self._size_and_fill(other, new), other, new))

    def _size_and_fill(self, a: int, b: int) -> float:
        """What the sizes and boxes of two regions add to their similarity, 0..2."""
        top, left, bottom, right = _union(self._box[a], self._box[b])
        # 1 - (sizes) and 1 - (box - sizes), all as shares of the picture: the sizes cancel out.
        return 2 - (bottom - top) * (right - left) / self._area

    def owners(self) -> Labels:
        """The region that each of the first ones has become part of."""
        owner = self._parent
        while not np.array_equal(owner, owner[owner]):
            owner = owner[owner]
        return owner[: self._count]


def neighbours(labels: Labels) -> Labels:
    """The pairs (a, b), a < b, of labels that touch along a side, each once; P x 2."""
    count = int(labels.max()) + 1
    across = labels[:, :-1] * count + labels[:, 1:]
    down = labels[:-1] * count + labels[1:]
    first, second = np.divmod(np.concatenate([across.ravel(), down.ravel()]), count)
    touching = first != second
    low, high = np.minimum(first, second)[touching], np.maximum(first, second)[touching]
    codes = np.unique(low * count + high)
    return np.stack(np.divmod(codes, count), 1)


def _histograms(image: NDArray[np.uint8], labels: Labels, count: int) -> Floats:
    """How many pixels of each region fall into each of 25 bins of each channel; n x 75."""
    slots = image.reshape(-1, 3).astype(np.int64) * BINS // 256 + np.arange(3) * BINS
    where = labels.reshape(-1, 1) * (3 * BINS) + slots
    counts = np.bincount(where.ravel(), minlength=count * 3 * BINS)
    return counts.reshape(count, 3 * BINS).astype(np.float64)


def _boxes(labels: Labels, count: int) -> list[Box]:
    """The box around each region."""
    rows, columns = np.divmod(np.arange(labels.size), labels.shape[1])
    order = np.argsort(labels, axis=None, kind="stable")
    starts = np.searchsorted(labels.ravel()[order], np.arange(count))
    ends = [
        np.minimum.reduceat(rows[order], starts),
        np.minimum.reduceat(columns[order], starts),
        np.maximum.reduceat(rows[order], starts) + 1,
        np.maximum.reduceat(columns[order], starts) + 1,
    ]
    return list(zip(*(end.tolist() for end in ends), strict=True))


def _union(a: Box, b: Box) -> Box:
    """The box around two boxes."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
