"""The structure of a photograph: what is left when it is drawn with few colours and an ink line.

The papers abstract a picture into superpixels (Felzenszwalb and Huttenlocher 2004, then grouped by likeness)
and paint each in its mean colour. `superpixel_abstraction` is that, for a batch in training. `abstraction`
is a picture that a generator can be taught from directly: Felzenszwalb's regions over mean-shift smoothing
(Comaniciu and Meer 2002), richer colour, and ink where a difference of Gaussians (Winnemoeller et al., XDoG,
2012) finds the dark side of an edge.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import felzenszwalb

from engines.cache import cache_folder
from engines.errors import StreamtoonError
from engines.picture_files import Image, list_pictures, make_folder, read_picture, write_picture
from training.data.grouping import group
from training.data.many import for_each
from training.recipe import PLAIN, Abstraction

if TYPE_CHECKING:
    from torch import Tensor


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


def felzenszwalb_regions(image: Image, scale: float = 60.0, minimum: int = 24) -> NDArray[np.int64]:
    """Felzenszwalb's regions in CIE Lab, H x W labels from 0; larger `scale`, larger regions."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    labels: NDArray[np.int64] = felzenszwalb(
        lab, scale=scale, sigma=0.4, min_size=minimum, channel_axis=-1
    ).astype(np.int64)
    return labels


def superpixels(image: Image, regions: int = 100) -> NDArray[np.int64]:
    """Felzenszwalb's regions grouped by likeness until `regions` are left for every 256 x 256 pixels.

    H x W labels from 0. The FPT thesis gives no number: at 100 a face keeps its eyes and a meadow its tones.
    """
    found = felzenszwalb_regions(image)
    left = max(1, round(regions * found.size / (256 * 256)))
    return group(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.uint8), found, left)


def ink_lines(image: Image, sigma: float = 1.2) -> NDArray[np.float32]:
    """Ink in [0, 1], H x W: the dark side of edges by a difference of Gaussians, softly thresholded.

    The difference is taken relative to the brightness: an edge in the shade gets its line too.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    difference = cv2.GaussianBlur(grey, (0, 0), 1.6 * sigma) - cv2.GaussianBlur(grey, (0, 0), sigma)
    return np.asarray(np.clip((difference / (0.25 + grey) - 0.006) / 0.02, 0, 1), np.float32)


def abstraction(image: Image, how: Abstraction = PLAIN) -> Image:
    """The photograph as paint under ink lines, as `how` says."""
    smooth = _brushed(image) if how.paint == "brush" else _shifted(image)
    flat = smooth.astype(np.float32)
    if how.paint == "regions":
        labels = felzenszwalb_regions(smooth, scale=90, minimum=40)
        flat = 0.4 * flat + 0.6 * region_means(image.astype(np.float32), labels)
    flat /= 255
    luma = (flat @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    lifted = np.maximum(luma, 1e-3) ** how.lift
    chroma = how.saturation * (flat - luma) * (lifted / np.maximum(luma, 1e-3)) ** 0.5
    painted = (_in_palette(lifted, how.palette) if how.palette else lifted) + chroma
    painted *= 1 - how.ink * ink_lines(smooth)[..., None]
    return np.asarray(np.clip(painted * 255 + 0.5, 0, 255), np.uint8)


def _shifted(image: Image) -> Image:
    return np.asarray(cv2.pyrMeanShiftFiltering(image, 9, 30, maxLevel=1), np.uint8)


def _brushed(image: Image) -> Image:
    once = cv2.bilateralFilter(image, 7, 28, 3)
    return np.asarray(cv2.bilateralFilter(once, 7, 28, 3), np.uint8)


def _in_palette(grey: NDArray[np.floating], palette: tuple[tuple[int, int, int], ...]) -> NDArray[np.float32]:
    """H x W x 1 in [0, 1] as the palette's colours in [0, 1], linear between them."""
    stops = np.linspace(0, 1, len(palette))
    channels = np.asarray(palette, np.float64).T / 255
    return np.stack([np.interp(grey[..., 0], stops, channel) for channel in channels], -1).astype(np.float32)


def superpixel_abstraction(output: Tensor) -> Tensor:
    """F_sr of the FPT thesis: every picture of a batch with its own superpixels in their mean colours.

    N x 3 x H x W RGB in [-1, 1] to the same, on the same device, without gradient.
    """
    import torch  # here alone: a cache of abstractions is filled by processes that never need it

    with torch.no_grad():
        pixels = ((output.detach().float().clamp(-1, 1) + 1) * 127.5 + 0.5).byte()
        pictures = pixels.permute(0, 2, 3, 1).cpu().numpy()
        # Two thirds of the time is Felzenszwalb's, who lets go of the interpreter's lock.
        with ThreadPoolExecutor(max_workers=min(len(pictures), os.cpu_count() or 1)) as pool:
            painted = list(pool.map(_painted, pictures))
        batch = torch.from_numpy(np.stack(painted)).permute(0, 3, 1, 2) / 127.5 - 1
        return batch.to(output.device).contiguous(memory_format=torch.channels_last)


def _painted(picture: Image) -> NDArray[np.float32]:
    picture = np.ascontiguousarray(picture)
    return region_means(picture.astype(np.float32), superpixels(picture))


def default_cache() -> Path:
    """The user's own folder of abstractions. Raises StreamtoonError where none can be made."""
    folder = cache_folder("abstractions")
    if folder is None:
        raise StreamtoonError("no private cache folder can be made; set XDG_CACHE_HOME to a place of yours")
    return folder


def cache_entry(image: Image, cache: Path, how: Abstraction = PLAIN) -> Path:
    """Where `cached_abstraction` keeps what it makes of these pixels."""
    key = hashlib.sha256(image.tobytes() + f"{image.shape}{VERSION}{how}".encode()).hexdigest()[:24]
    return cache / f"{key}.png"


def cached_abstraction(image: Image, cache: Path, how: Abstraction = PLAIN) -> Image:
    """`abstraction`, kept in the folder `cache` as a PNG named by the photograph's own pixels and `how`."""
    path = cache_entry(image, cache, how)
    if path.exists():
        stored = cv2.imread(str(path))
        if stored is not None and stored.shape == image.shape:
            return np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), np.uint8)
    painted = abstraction(image, how)
    make_folder(cache)
    write_picture(path, painted)
    return painted


@dataclass(frozen=True, slots=True)
class Filled:
    """What filling a cache did."""

    cache: Path
    computed: int
    present: int
    """Abstractions that were there already."""
    failed: tuple[str, ...]
    """A sentence for each picture that could not be read."""


def fill_folder(
    folder: Path,
    cache: Path,
    how: Abstraction = PLAIN,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> Filled:
    """The abstractions of all pictures in `folder`, by many processes; what is there already is left.

    Raises StreamtoonError when there is no picture, or when `cache` cannot be written.
    """
    paths = list_pictures(folder)
    make_folder(cache)
    outcomes: list[bool | str] = []
    for _, outcome in for_each(partial(_fill, cache, how), paths, workers):
        outcomes.append(outcome)
        if on_progress:
            on_progress(len(outcomes), len(paths))
    failed = tuple(sorted(outcome for outcome in outcomes if isinstance(outcome, str)))
    return Filled(cache, outcomes.count(True), outcomes.count(False), failed)


def _fill(cache: Path, how: Abstraction, photo: Path) -> bool | str:
    """True when it was computed, False when it was there; a sentence when the picture cannot be read."""
    try:
        image = read_picture(photo)
    except StreamtoonError as error:
        return str(error)
    if cache_entry(image, cache, how).exists():
        return False
    cached_abstraction(image, cache, how)
    return True
