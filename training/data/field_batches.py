"""Batches of photographs in blocks with their fields, cropped from cached pairs."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engines.frame import Matrix
from engines.imaging.color import rgb_to_yuv_matrix
from engines.imaging.field_blocks import BLOCK, INK_SCALE
from training.data.field_pairs import make_pairs, pair_cache
from training.data.loader import Batch, prefetch, turn
from training.recipe import Data, FieldSettings

CROP_STREAM = 3
"""The stream of random numbers for crops, as part of their seed."""
MATRICES: tuple[Matrix, ...] = ("bt709", "bt601")
"""Chosen with equal probability: paint is returned in the matrix of the image, whichever it is."""
MIN_INK_CODE = INK_SCALE
"""Code value of ink above which a sample counts as part of a line."""


class FieldBatches:
    """The batch of every step, which depends only on the recipe's random seed and the step.

    `source` of a batch is N x 24 x S/4 x S/4 (in the order of `engines.imaging.field_blocks`, code / 127.5 -
    1), `target` N x 56 x S/4 x S/4: the difference of paint from photograph, the ink, and 1 where features of
    faces were drawn, else 0. Half of the photographs get noise, but keep the fields without it: a camera's
    noise should not be drawn.

    Missing pairs are computed first.

    Args:
        data: The folder of photographs, the crops and the scales.
        batch: Number of crops in a step.
        seed: Random seed of the run.
        settings: How the fields are computed.
        folder: Folder of the pairs. Default: the user's own.
        face_models: MediaPipe's wheel, for settings with faces; default: downloaded once.
        rank: Number of this process, from 0. Each process makes its own share of a batch.
        ranks: Number of processes.

    Raises:
        StreamtoonError: As in `make_pairs`.
    """

    def __init__(
        self,
        data: Data,
        *,
        batch: int,
        seed: int,
        settings: FieldSettings,
        folder: Path | None = None,
        face_models: Path | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._data, self._batch, self._seed = data, batch, seed
        self._items = range(rank, batch, ranks)
        self._pairs = make_pairs(
            Path(data.source), pair_cache(folder), settings, data.scales, face_models=face_models
        )

    @property
    def sources(self) -> int:
        """Pairs per epoch."""
        return len(self._pairs)

    def at(self, step: int) -> Batch:
        """Return the batch of step `step`, counted from 0."""
        return _stacked([self._sample(step, item) for item in self._items])

    def from_step(self, step: int) -> Generator[Batch]:
        """Yield the batches of `step`, `step + 1` and so on without end."""
        return prefetch(self._sample, _stacked, self._items, step)

    def _sample(self, step: int, item: int) -> _Sample:
        rng = np.random.default_rng((self._seed, CROP_STREAM, step, item))
        pair = _opened(self._pairs[turn(self._seed, 0, step * self._batch + item, len(self._pairs))])
        side = min(self._data.crop, *(length // 8 * 8 for length in pair.shape[:2]))
        cut = _crop(pair, side, rng)
        if side < self._data.crop:
            lacking = self._data.crop - side
            cut = np.pad(cut, ((0, lacking), (0, lacking), (0, 0)), mode="reflect")
        if rng.integers(2):
            cut = cut[:, ::-1]
        matrix = rgb_to_yuv_matrix(MATRICES[rng.integers(len(MATRICES))], full_range=False)
        photo, paint = cut[..., :3].astype(np.float32), cut[..., 3:6].astype(np.float32)
        sigma = self._data.noise * rng.random() if rng.integers(2) else 0.0
        clean = _blocks(photo, matrix)
        seen = photo
        if sigma:
            seen = photo + rng.standard_normal(photo.shape, np.float32) * np.float32(sigma)
        ink, faces = (_unshuffled(cut[..., channel]) for channel in (6, 7))
        noisy = _blocks(seen, matrix) if sigma else clean
        change = _blocks(paint, matrix) - noisy
        return noisy, change, ink, faces / 255


_Sample = tuple[Tensor, Tensor, Tensor, Tensor]
"""Samples in code values, 24 x h x w; the paint's difference from them; ink codes, 16 x h x w; 1 where
features of faces were drawn, 16 x h x w.
"""


@cache
def _opened(path: Path) -> NDArray[np.uint8]:
    pair: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return pair


def _crop(pair: NDArray[np.uint8], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the crop with more lines out of two random ones: skies fill much of a photograph but teach
    little.
    """
    height, width = pair.shape[:2]
    best, most = None, -1.0
    for _ in range(2):
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        cut = pair[top : top + side, left : left + side]
        inked = float((cut[::4, ::4, 6] > MIN_INK_CODE).mean())
        if inked > most:
            best, most = cut, inked
    assert best is not None
    return best


def _blocks(rgb: NDArray[np.float32], matrix: NDArray[np.float64]) -> Tensor:
    """Convert H x W x 3 in 0..255 to 24 x H/4 x W/4 whole code values of limited range."""
    turned = torch.from_numpy(np.ascontiguousarray(rgb @ matrix[:, :3].T.astype(np.float32)))
    planes = turned.permute(2, 0, 1)[None] + torch.from_numpy(matrix[:, 3].astype(np.float32))[:, None, None]
    luma = planes[:, :1].round().clamp(0, 255)
    chroma = F.avg_pool2d(planes[:, 1:], 2).round().clamp(0, 255)
    return torch.cat([F.pixel_unshuffle(luma, BLOCK), F.pixel_unshuffle(chroma, 2)], 1)[0]


def _unshuffled(plane: NDArray[np.uint8]) -> Tensor:
    """Convert H x W codes to 16 x H/4 x W/4."""
    return F.pixel_unshuffle(torch.from_numpy(np.ascontiguousarray(plane)).float()[None, None], BLOCK)[0]


def _stacked(samples: list[_Sample]) -> Batch:
    source, change, ink, faces = (torch.stack(column) for column in zip(*samples, strict=True))
    target = torch.cat([(change + 0.5) / 127.5, ink / 127.5 - 1, faces], 1)
    last = torch.channels_last
    return Batch((source / 127.5 - 1).contiguous(memory_format=last), target.contiguous(memory_format=last))
