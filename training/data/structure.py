"""The structure of a photograph: what is left when it is drawn with few colours and an ink line.

The papers abstract a picture into superpixels (Felzenszwalb and Huttenlocher 2004, regions merged by
likeness) and paint each in its mean colour. `superpixels` is that. `abstraction` goes on from there to
a picture that a generator can be taught from directly: mean-shift smoothing (Comaniciu and Meer 2002)
under the superpixels, richer colour, and ink where a difference of Gaussians (Winnemoeller et al.,
XDoG, 2012) finds the dark side of an edge.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import felzenszwalb

Image = NDArray[np.uint8]
"""H x W x 3, RGB, 0..255."""

VERSION = 3
"""Part of the cache key: raise it when `abstraction` paints another picture."""


def region_means(image: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Every pixel in the mean colour of its region; `labels` is H x W, 0..n-1."""
    flat = labels.ravel()
    counts = np.maximum(np.bincount(flat), 1)
    means = np.stack(
        [np.bincount(flat, image[..., c].ravel(), counts.size) / counts for c in range(image.shape[-1])], -1
    )
    return means[labels].astype(np.float32)


def superpixels(image: Image, scale: float = 60.0, minimum: int = 24) -> NDArray[np.int64]:
    """Felzenszwalb's regions in CIE Lab, H x W labels from 0; larger `scale`, larger regions."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    labels: NDArray[np.int64] = felzenszwalb(
        lab, scale=scale, sigma=0.4, min_size=minimum, channel_axis=-1
    ).astype(np.int64)
    return labels


def ink_lines(image: Image, sigma: float = 1.2) -> NDArray[np.float32]:
    """Ink in [0, 1], H x W: the dark side of edges by a difference of Gaussians, softly thresholded.

    The difference is taken relative to the brightness: an edge in the shade gets its line too.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    difference = cv2.GaussianBlur(grey, (0, 0), 1.6 * sigma) - cv2.GaussianBlur(grey, (0, 0), sigma)
    return np.asarray(np.clip((difference / (0.25 + grey) - 0.006) / 0.02, 0, 1), np.float32)


def abstraction(image: Image, ink: float = 0.8, saturation: float = 1.3, lift: float = 0.88) -> Image:
    """The photograph as flat, rich colours under ink lines.

    `ink`: how dark the lines are, 0..1. `saturation`: factor on the distance from grey. `lift`: exponent
    on luma; below 1 it opens the shadows, as a painter who fears mud does.
    """
    smooth = np.asarray(cv2.pyrMeanShiftFiltering(image, 9, 30, maxLevel=1), np.uint8)
    labels = superpixels(smooth, scale=90, minimum=40)
    flat = 0.4 * smooth.astype(np.float32) + 0.6 * region_means(image.astype(np.float32), labels)
    flat /= 255
    luma = (flat @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    lifted = np.maximum(luma, 1e-3) ** lift
    painted = lifted + saturation * (flat - luma) * (lifted / np.maximum(luma, 1e-3)) ** 0.5
    painted *= 1 - ink * ink_lines(smooth)[..., None]
    return np.asarray(np.clip(painted * 255 + 0.5, 0, 255), np.uint8)


def cached_abstraction(image: Image, cache: Path) -> Image:
    """`abstraction`, kept in the folder `cache` as a PNG named by the photograph's own pixels."""
    key = hashlib.sha256(image.tobytes() + f"{image.shape}{VERSION}".encode()).hexdigest()[:24]
    path = cache / f"{key}.png"
    if path.exists():
        stored = cv2.imread(str(path))
        if stored is not None and stored.shape == image.shape:
            return np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), np.uint8)
    painted = abstraction(image)
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part.png")
    cv2.imwrite(str(partial), cv2.cvtColor(painted, cv2.COLOR_RGB2BGR))
    partial.replace(path)
    return painted
