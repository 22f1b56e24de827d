"""Hierarchical grouping of regions, as in selective search (Uijlings and others, IJCV 2013, section 3.2).

The two most similar neighbours are merged, repeatedly. Similarity is the sum of three of that paper's four
measures, each in 0..1: colour, the intersection of the regions' histograms (eq. 1, 2); size, which merges
small regions first (eq. 4); fill, which merges a region with those inside it (eq. 5). Texture is not used,
since the regions will be painted flat.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

BINS = 25
"""Bins per colour channel, as in the paper."""

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Box = tuple[int, int, int, int]
"""Top, left, bottom, right. The last two are exclusive."""


def group(image: NDArray[np.uint8], labels: Labels, regions: int) -> Labels:
    """Merge `labels` (H x W, 0..n-1, every region connected) to `regions` regions, numbered from 0.

    `image` is H x W x 3 of 8 bits. Colour similarity is measured in its channels without conversion. If there
    are fewer regions, they are returned unchanged.
    """
    grouping = _Grouping(image, labels)
    grouping.merge(regions)
    _, compact = np.unique(grouping.owners(), return_inverse=True)
    return np.asarray(compact.reshape(-1)[labels], np.int64)


class _Grouping:
    """Regions with the data of their similarity. A merged pair becomes a new region at the end.

    Sizes and boxes are Python numbers: most regions have too few neighbours for arrays to be faster.
    """

    def __init__(self, image: NDArray[np.uint8], labels: Labels) -> None:
        self._area = labels.size
        self._count = count = int(labels.max()) + 1
        sizes = np.bincount(labels.ravel(), minlength=count)
        self._size: list[int] = sizes.tolist()
        self._box = _boxes(labels, count)
        self._color = np.empty((2 * count - 1, 3 * BINS))
        self._color[:count] = _histograms(image, labels, count) / (3 * sizes[:, None])
        self._parent = np.arange(2 * count - 1)
        self._beside: list[set[int]] = [set() for _ in range(count)]
        pairs = neighbours(labels)
        color = np.minimum(self._color[pairs[:, 0]], self._color[pairs[:, 1]]).sum(1)
        self._queue: list[tuple[float, int, int]] = []
        for likeness, (a, b) in zip(color.tolist(), pairs.tolist(), strict=True):
            self._beside[a].add(b)
            self._beside[b].add(a)
            self._queue.append((-likeness - self._size_and_fill(a, b), a, b))
        heapq.heapify(self._queue)

    def merge(self, regions: int) -> None:
        """Merge the most similar pair until `regions` are left."""
        left, gone = self._count, set[int]()
        while left > regions and self._queue:
            _, a, b = heapq.heappop(self._queue)
            if a in gone or b in gone:
                continue  # the queue still contains pairs of regions that have been merged
            gone |= {a, b}
            self._join(a, b)
            left -= 1

    def _join(self, a: int, b: int) -> None:
        new, size = len(self._size), self._size[a] + self._size[b]
        # The histogram of the union needs no access to the pixels (eq. 3).
        merged = (self._size[a] * self._color[a] + self._size[b] * self._color[b]) / size
        self._color[new] = merged
        self._size.append(size)
        self._box.append(_union(self._box[a], self._box[b]))
        self._parent[a] = self._parent[b] = new
        around = (self._beside[a] | self._beside[b]) - {a, b}
        self._beside.append(around)
        others = list(around)
        color = np.minimum(self._color[others], merged).sum(1).tolist()
        for likeness, other in zip(color, others, strict=True):
            self._beside[other] -= {a, b}
            self._beside[other].add(new)
            heapq.heappush(self._queue, (-likeness - self._size_and_fill(other, new), other, new))

    def _size_and_fill(self, a: int, b: int) -> float:
        """Return what sizes and boxes of two regions add to their similarity, 0..2."""
        top, left, bottom, right = _union(self._box[a], self._box[b])
        # 1 - (sizes) and 1 - (box - sizes), all as shares of the image: the sizes cancel out.
        return 2 - (bottom - top) * (right - left) / self._area

    def owners(self) -> Labels:
        """Return the final region of each of the original regions."""
        owner = self._parent
        while not np.array_equal(owner, owner[owner]):
            owner = owner[owner]
        return owner[: self._count]


def neighbours(labels: Labels) -> Labels:
    """Return the pairs (a, b), a < b, of labels that share a side, each once; P x 2."""
    count = int(labels.max()) + 1
    across = labels[:, :-1] * count + labels[:, 1:]
    down = labels[:-1] * count + labels[1:]
    first, second = np.divmod(np.concatenate([across.ravel(), down.ravel()]), count)
    touching = first != second
    low, high = np.minimum(first, second)[touching], np.maximum(first, second)[touching]
    codes = np.unique(low * count + high)
    return np.stack(np.divmod(codes, count), 1)


def _histograms(image: NDArray[np.uint8], labels: Labels, count: int) -> Floats:
    """Return the number of pixels of each region in each of 25 bins of each channel; n x 75."""
    slots = image.reshape(-1, 3).astype(np.int64) * BINS // 256 + np.arange(3) * BINS
    where = labels.reshape(-1, 1) * (3 * BINS) + slots
    counts = np.bincount(where.ravel(), minlength=count * 3 * BINS)
    return counts.reshape(count, 3 * BINS).astype(np.float64)


def _boxes(labels: Labels, count: int) -> list[Box]:
    """Return the bounding box of each region."""
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
    """Return the bounding box of two boxes."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
