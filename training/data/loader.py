"""Endless batches of random crops from folders of images, decoded ahead of the trainer by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.common.arrays import Image
from engines.common.image_files import list_images, read_image
from engines.errors import StreamtoonError
from engines.looks.look import Look
from training.data.drawings import photo_and_drawing
from training.data.field_pairs import make_pairs, pair_cache
from training.data.tensors import random_crop, to_tensor
from training.recipe import Data, FieldSettings

Sample = TypeVar("Sample")

CROP_STREAM, ORDER_STREAM = 1, 2
"""The streams of random numbers, as part of their seed."""
PREFETCHED_BATCHES = 2
"""Batches that are decoded while another is being used."""


@dataclass(frozen=True)
class Batch:
    """The data of one step. Every tensor is N x 3 x S x S RGB in [-1, 1]."""

    source: Tensor
    target: Tensor
    """For paired data, each source's own target with the same crop."""
    abstraction: Tensor | None = None
    """The abstraction program's drawings of the sources with the same crops. None if not used."""
    smoothed: Tensor | None = None
    """The targets with smoothed edges and the same crops. None if not used."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        parts = (self.source, self.target, self.abstraction, self.smoothed)
        return Batch(*(None if part is None else part.to(device) for part in parts))  # type: ignore[arg-type]


class BatchLoader:
    """The batch of every step, which depends only on the recipe's random seed and the step.

    An epoch contains every source once, in random order. Unpaired targets have their own order.

    Args:
        data: The folders and the crops.
        batch: Number of source crops in a step.
        seed: Random seed of the run.
        look: With a look, sources come with the abstraction program's drawing in that look.
        settings: How the fields of these drawings are computed, if they are not in `cache`.
        cache: Folder of the fields. Default: the user's own.
        face_models: MediaPipe's wheel, for settings with faces; default: downloaded once.
        rank: Number of this process, from 0. Each process decodes its own share of a batch.
        ranks: Number of processes.

    Raises:
        StreamtoonError: A folder has no images, or a source has no target.
    """

    def __init__(
        self,
        data: Data,
        *,
        batch: int,
        seed: int,
        look: Look | None = None,
        settings: FieldSettings | None = None,
        cache: Path | None = None,
        face_models: Path | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._data, self._batch, self._seed, self._look = data, batch, seed, look
        self._items = range(rank, batch, ranks)
        if look is None:
            self._sources = list_images(Path(data.source))
        else:
            how = settings or FieldSettings()
            self._sources = make_pairs(
                Path(data.source), pair_cache(cache), how, data.scales, face_models=face_models
            )
        if data.paired:
            self._targets = _partners(self._sources, Path(data.source), Path(data.target), "target")
        else:
            self._targets = list_images(Path(data.target))
        self._smoothed = (
            _partners(self._targets, Path(data.target), Path(data.smoothed), "smoothed copy")
            if data.smoothed
            else None
        )

    @property
    def sources(self) -> int:
        """Images per epoch. With drawings, a photograph counts once for each of its sizes."""
        return len(self._sources)

    def at(self, step: int) -> Batch:
        """Return the batch of step `step`, counted from 0."""
        with ThreadPoolExecutor(len(self._items)) as pool:
            return _stacked(list(pool.map(lambda item: self._sample(step, item), self._items)))

    def from_step(self, step: int) -> Generator[Batch]:
        """Yield the batches of `step`, `step + 1` and so on without end."""
        return prefetch(self._sample, _stacked, self._items, step)

    def _sample(self, step: int, item: int) -> _Sample:
        data, at = self._data, step * self._batch + item
        rng = np.random.default_rng((self._seed, CROP_STREAM, step, item))
        path = self._sources[turn(self._seed, 0, at, len(self._sources))]
        if data.paired:
            source = read_image(path)
            target = read_image(self._targets[turn(self._seed, 0, at, len(self._targets))])
            if target.shape != source.shape:
                size = (source.shape[1], source.shape[0])
                target = np.asarray(cv2.resize(target, size, interpolation=cv2.INTER_AREA), np.uint8)
            cut, drawn = random_crop([source, target], data.crop, data.smallest, rng)
            return _Sample(cut, drawn, None, None)
        if self._look is None:
            (cut,), abstraction = random_crop([read_image(path)], data.crop, data.smallest, rng), None
        else:  # not resized: lines would lose the width that the look gives them
            both = list(photo_and_drawing(path, self._look))
            cut, abstraction = random_crop(both, data.crop, 1.0, rng)
        place = turn(self._seed, 1, at, len(self._targets))
        drawings = [read_image(self._targets[place])]
        if self._smoothed:
            drawings.append(read_image(self._smoothed[place]))
        drawn, *smoothed = random_crop(drawings, data.crop, data.smallest, rng)
        return _Sample(cut, drawn, abstraction, smoothed[0] if smoothed else None)


def prefetch(
    sample: Callable[[int, int], Sample], stacked: Callable[[list[Sample]], Batch], items: range, step: int
) -> Generator[Batch]:
    """Yield `stacked` of every item's `sample(step, item)` for `step` and all later steps, ahead of use by
    threads.
    """
    with ThreadPoolExecutor(max(2, min(8, torch.get_num_threads()))) as pool:
        coming: deque[list[Future[Sample]]] = deque()
        while True:
            while len(coming) <= PREFETCHED_BATCHES:
                coming.append([pool.submit(sample, step, item) for item in items])
                step += 1
            try:
                yield stacked([each.result() for each in coming.popleft()])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


@dataclass(frozen=True)
class _Sample:
    source: NDArray[np.uint8]
    target: NDArray[np.uint8]
    abstraction: NDArray[np.uint8] | None
    smoothed: NDArray[np.uint8] | None


def _stacked(samples: list[_Sample]) -> Batch:
    def column(images: list[Image | None]) -> Tensor | None:
        return None if any(image is None for image in images) else to_tensor(images)  # type: ignore[arg-type]

    return Batch(
        to_tensor([sample.source for sample in samples]),
        to_tensor([sample.target for sample in samples]),
        column([sample.abstraction for sample in samples]),
        column([sample.smoothed for sample in samples]),
    )


@lru_cache(maxsize=8)
def _order(seed: int, kind: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, ORDER_STREAM, kind, epoch)).permutation(count)


def turn(seed: int, kind: int, at: int, count: int) -> int:
    """Return which of `count` images is at place `at` of an endless sequence with each image once per
    epoch.
    """
    epoch, place = divmod(at, count)
    return int(_order(seed, kind, epoch, count)[place])


def _partners(pictures: list[Path], folder: Path, other: Path, kind: str) -> list[Path]:
    """Return the images in `other` with the same relative names, whatever their formats."""
    there = {path.relative_to(other).with_suffix(""): path for path in list_images(other)}
    found = [there.get(path.relative_to(folder).with_suffix("")) for path in pictures]
    missing = [path for path, partner in zip(pictures, found, strict=True) if partner is None]
    if missing:
        raise StreamtoonError(
            f"{missing[0]} has no {kind} with its name in {other}, nor have {len(missing) - 1} "
            "other images; add one for every image, or remove the image"
        )
    return [partner for partner in found if partner is not None]
