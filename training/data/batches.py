"""Folders of pictures as endless batches of random crops, decoded ahead of the trainer by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.errors import StreamtoonError
from engines.picture_files import Image, list_pictures, read_picture
from training.data.pictures import random_crop, to_tensor
from training.data.structure import cached_abstraction
from training.recipe import PLAIN, Abstraction, Data

CUT, ORDER = 1, 2
"""What chance is drawn for, as part of its seed."""
AHEAD = 2
"""Batches that are decoded while one is learned from."""


@dataclass(frozen=True)
class Batch:
    """What one step learns from; every tensor is N x 3 x S x S RGB in [-1, 1]."""

    source: Tensor
    target: Tensor
    """Where data is paired, each source's own, cut alike."""
    abstraction: Tensor | None = None
    """The sources' structure, cut alike; None where nothing is learned from it."""
    smoothed: Tensor | None = None
    """The targets with smoothed edges, cut alike; None where the recipe has none."""

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        parts = (self.source, self.target, self.abstraction, self.smoothed)
        return Batch(*(None if part is None else part.to(device) for part in parts))  # type: ignore[arg-type]


class Batches:
    """The batch of every step, each a function of the recipe's seed and the step alone.

    An epoch shows every source once, in an order of its own; targets, where they are not paired, go round
    in theirs. `cache` is the folder that abstractions, made as `how` says, are kept in; None leaves them
    out. Of `ranks` processes, each decodes its own share of a batch.

    Raises StreamtoonError for a folder without pictures or a source without its target.
    """

    def __init__(
        self,
        data: Data,
        *,
        batch: int,
        seed: int,
        how: Abstraction = PLAIN,
        cache: Path | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._data, self._batch, self._seed, self._cache = data, batch, seed, cache
        self._how = how
        self._items = range(rank, batch, ranks)
        self._sources = list_pictures(Path(data.source))
        if data.paired:
            self._targets = _partners(self._sources, Path(data.source), Path(data.target), "target")
        else:
            self._targets = list_pictures(Path(data.target))
        self._smoothed = (
            _partners(self._targets, Path(data.target), Path(data.smoothed), "smoothed copy")
            if data.smoothed
            else None
        )

    @property
    def sources(self) -> int:
        """Pictures in an epoch."""
        return len(self._sources)

    def at(self, step: int) -> Batch:
        """The batch of step `step`, from 0."""
        with ThreadPoolExecutor(len(self._items)) as pool:
            return _stacked(list(pool.map(lambda item: self._sample(step, item), self._items)))

    def from_step(self, step: int) -> Generator[Batch]:
        """Batches of `step`, `step + 1` and so on, without end."""
        with ThreadPoolExecutor(max(2, min(8, torch.get_num_threads()))) as pool:
            coming: deque[list[Future[_Sample]]] = deque()
            while True:
                while len(coming) <= AHEAD:
                    coming.append([pool.submit(self._sample, step, item) for item in self._items])
                    step += 1
                try:
                    yield _stacked([sample.result() for sample in coming.popleft()])
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise

    def _sample(self, step: int, item: int) -> _Sample:
        data, at = self._data, step * self._batch + item
        dice = np.random.default_rng((self._seed, CUT, step, item))
        source = read_picture(self._sources[_turn(self._seed, 0, at, len(self._sources))])
        aligned = [source]
        if self._cache:
            aligned.append(cached_abstraction(source, self._cache, self._how))
        if data.paired:
            target = read_picture(self._targets[_turn(self._seed, 0, at, len(self._targets))])
            if target.shape != source.shape:
                size = (source.shape[1], source.shape[0])
                target = np.asarray(cv2.resize(target, size, interpolation=cv2.INTER_AREA), np.uint8)
            *cut, drawn = random_crop([*aligned, target], data.crop, data.smallest, dice)
            return _Sample(cut[0], drawn, cut[1] if self._cache else None, None)
        cut = random_crop(aligned, data.crop, data.smallest, dice)
        turn = _turn(self._seed, 1, at, len(self._targets))
        drawings = [read_picture(self._targets[turn])]
        if self._smoothed:
            drawings.append(read_picture(self._smoothed[turn]))
        drawn, *smoothed = random_crop(drawings, data.crop, data.smallest, dice)
        return _Sample(cut[0], drawn, cut[1] if self._cache else None, smoothed[0] if smoothed else None)


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
    return np.random.default_rng((seed, ORDER, kind, epoch)).permutation(count)


def _turn(seed: int, kind: int, at: int, count: int) -> int:
    """Which of `count` pictures comes at place `at` of an endless row in which each comes once an epoch."""
    epoch, place = divmod(at, count)
    return int(_order(seed, kind, epoch, count)[place])


def _partners(pictures: list[Path], folder: Path, other: Path, kind: str) -> list[Path]:
    """The pictures of the same relative names, whatever their formats, in `other`."""
    there = {path.relative_to(other).with_suffix(""): path for path in list_pictures(other)}
    found = [there.get(path.relative_to(folder).with_suffix("")) for path in pictures]
    missing = [path for path, partner in zip(pictures, found, strict=True) if partner is None]
    if missing:
        raise StreamtoonError(
            f"{missing[0]} has no {kind} of its name in {other}, and {len(missing) - 1} others have none; "
            "give every picture one, or take it out"
        )
    return [partner for partner in found if partner is not None]
