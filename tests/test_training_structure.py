"""The structure of a picture: superpixels, their means, and the abstraction that is painted from them."""

from __future__ import annotations

import cv2
import numpy as np

from training.data.structure import abstraction, ink_lines, region_means, superpixels


def test_region_means_paint_each_region_in_its_mean() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((9, 7, 3)).astype(np.float32)
    labels = rng.integers(0, 4, (9, 7)).astype(np.int64)
    painted = region_means(image, labels)
    for label in range(4):
        np.testing.assert_allclose(
            painted[labels == label],
            np.broadcast_to(image[labels == label].mean(0), (int((labels == label).sum()), 3)),
            rtol=1e-5,
        )


def test_abstraction_flattens_texture_and_inks_the_edge() -> None:
    rng = np.random.default_rng(0)
    photo = np.full((96, 96, 3), 170, np.uint8)
    photo[:, 48:] = (60, 90, 140)
    photo = np.clip(photo + rng.normal(0, 4, photo.shape), 0, 255).astype(np.uint8)
    painted = abstraction(photo)
    assert painted[8:88, 8:38].std(axis=(0, 1)).max() < 0.4 * photo[8:88, 8:38].std(axis=(0, 1)).min()
    luma = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY).astype(float)
    assert luma[20:76, 48:51].min(axis=1).mean() < luma[20:76, 60:80].mean() - 15
    assert ink_lines(photo).shape == (96, 96) and superpixels(photo).max() < 100
