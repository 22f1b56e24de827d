"""Superpixels grouped by likeness, and painted for a loss."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest
from film_clips import painting
from numpy.typing import NDArray

pytest.importorskip("skimage")
from skimage.measure import label
from skimage.segmentation import felzenszwalb

from training.data.segmentation import group, neighbours
from training.data.superpixels import (
    felzenszwalb_regions,
    region_means,
    superpixel_abstraction,
    superpixels,
)

Labels = NDArray[np.int64]


def _same_parts(a: Labels, b: Labels) -> bool:
    """True when both label the same parts, whatever their numbers."""
    pairs = len(np.unique(np.stack([a.ravel(), b.ravel()]), axis=1).T)
    return pairs == len(np.unique(a)) == len(np.unique(b))


def _grouped_by_hand(image: NDArray[np.uint8], labels: Labels, regions: int) -> Labels:
    """Uijlings and others, equations 1, 2, 4 and 5, all computed anew from the pixels at every step."""
    labels = labels.copy()
    area = labels.size

    def histogram(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        counts = [np.histogram(image[mask][:, c], bins=25, range=(0, 256))[0] for c in range(3)]
        return np.concatenate(counts) / (3 * mask.sum())

    def box(mask: NDArray[np.bool_]) -> int:
        rows, columns = np.nonzero(mask)
        return int((np.ptp(rows) + 1) * (np.ptp(columns) + 1))

    def likeness(a: int, b: int) -> float:
        first, second = labels == a, labels == b
        both = first | second
        color = np.minimum(histogram(first), histogram(second)).sum()
        size = 1 - both.sum() / area
        fill = 1 - (box(both) - both.sum()) / area
        return float(color + size + fill)

    while len(np.unique(labels)) > regions:
        touching = {
            tuple(sorted(pair))
            for a, b in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:]))
            for pair in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
            if pair[0] != pair[1]
        }
        a, b = max(touching, key=lambda pair: likeness(*pair))
        labels[labels == b] = a
    return labels


def test_grouping_is_selective_searchs() -> None:
    for seed in (1, 2):
        image = painting(seed, size=(40, 30))
        labels = felzenszwalb_regions(image, scale=5, minimum=6)
        assert labels.max() > 20
        for regions in (12, 4):
            grouped = group(image, labels, regions)
            assert grouped.max() + 1 == regions
            assert _same_parts(grouped, _grouped_by_hand(image, labels, regions))


def test_grouping_joins_neighbours_alone_and_stops_at_one() -> None:
    image = painting(3, size=(64, 48))
    labels = felzenszwalb_regions(image)
    grouped = group(image, labels, 6)
    assert label(grouped + 1, connectivity=2).max() == 6  # no region in two pieces
    assert group(image, labels, 1).max() == 0
    np.testing.assert_array_equal(group(image, labels, 10_000), labels)


def test_neighbours_are_those_that_share_a_side() -> None:
    labels = np.array([[0, 0, 1], [2, 3, 3], [2, 2, 4]])
    expected = {(a, b) for a, b in combinations(range(5), 2)} - {(0, 4), (1, 2), (1, 4)}
    assert {tuple(pair) for pair in neighbours(labels).tolist()} == expected


def test_superpixels_are_as_many_for_a_size_and_felzenszwalbs_where_those_are_fewer() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    busy = np.asarray(cv2.resize(noise, (192, 192), interpolation=cv2.INTER_NEAREST), np.uint8)
    assert superpixels(busy).max() + 1 == round(100 * 192 * 192 / 65536)
    calm = np.full((64, 64, 3), 120, np.uint8)
    assert superpixels(calm).max() == 0


def test_regions_are_felzenszwalbs_in_lab() -> None:
    photo = painting(5, size=(96, 64))
    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)
    theirs = felzenszwalb(lab, scale=90, sigma=0.4, min_size=40, channel_axis=-1)
    np.testing.assert_array_equal(felzenszwalb_regions(photo, 90, 40), theirs)


def test_a_batch_is_painted_picture_by_picture() -> None:
    torch = pytest.importorskip("torch")
    pictures = [painting(seed, size=(64, 48)) for seed in range(3)]
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 127.5 - 1
    batch = batch.requires_grad_()
    painted = superpixel_abstraction(batch)
    assert painted.shape == batch.shape
    assert not painted.requires_grad
    for picture, result in zip(pictures, painted, strict=True):
        labels = superpixels(picture)
        for number in np.unique(labels):
            mean = picture[labels == number].astype(np.float64).mean(0) / 127.5 - 1
            there = result.permute(1, 2, 0).numpy()[labels == number]
            assert np.abs(there - mean).max() < 1e-5


def test_values_beyond_the_range_are_clipped() -> None:
    torch = pytest.importorskip("torch")
    batch = torch.tensor([-3.0, 3.0]).view(2, 1, 1, 1).repeat(1, 3, 32, 32)
    painted = superpixel_abstraction(batch)
    assert (painted[0] == -1).all()
    assert (painted[1] == 1).all()


def test_region_means_paint_each_region_in_its_mean() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((9, 7, 3)).astype(np.float32)
    labels = rng.integers(0, 4, (9, 7)).astype(np.int64)
    painted = region_means(image, labels)
    for number in range(4):
        np.testing.assert_allclose(
            painted[labels == number],
            np.broadcast_to(image[labels == number].mean(0), (int((labels == number).sum()), 3)),
            rtol=1e-5,
        )


def test_region_means_bear_empty_labels() -> None:
    image = np.array([[[1.0, 2, 3], [3, 2, 1]]], np.float32)
    painted = region_means(image, np.array([[5, 5]]))
    np.testing.assert_array_equal(painted, [[[2, 2, 2], [2, 2, 2]]])
