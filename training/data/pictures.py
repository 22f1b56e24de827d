"""Folders of pictures as endless batches of random crops."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.errors import StreamtoonError
from training.data.structure import Image, cached_abstraction

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def list_pictures(folder: Path) -> list[Path]:
    """The pictures in `folder` and below, sorted by name. Raises StreamtoonError when there are none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise StreamtoonError(
            f"{folder}: no pictures there; name a folder with {', '.join(sorted(SUFFIXES))}"
        )
    return paths


def read_picture(path: Path) -> Image:
    """H x W x 3 RGB, 8 bits. Raises StreamtoonError when it cannot be decoded."""
    data = np.fromfile(path, dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise StreamtoonError(f"{path}: not a picture that can be opened; take it out of the folder")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def to_tensor(images: list[Image]) -> Tensor:
    """A batch of equally large RGB images as N x 3 x H x W in [-1, 1], channels last."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return batch.contiguous(memory_format=torch.channels_last)


def random_crop(
    images: list[Image], size: int, smallest: float, generator: np.random.Generator
) -> list[NDArray[np.uint8]]:
    """The same random part of aligned images, flipped alike, at a random scale.

    `smallest` is the lowest scale, 0..1: pictures are shrunk by up to it before they are cut, so that a
    generator meets strokes and objects of many sizes. Pictures too small for the crop are enlarged.
    """
    height, width = images[0].shape[:2]
    scale = generator.uniform(smallest, 1.0)
    scale = max(scale, size / min(height, width))
    target = (max(size, round(width * scale)), max(size, round(height * scale)))
    top = int(generator.integers(target[1] - size + 1))
    left = int(generator.integers(target[0] - size + 1))
    flip = bool(generator.integers(2))
    crops = []
    for image in images:
        if target != (width, height):
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            image = np.asarray(cv2.resize(image, target, interpolation=way), np.uint8)
        crop = image[top : top + size, left : left + size]
        crops.append(np.ascontiguousarray(crop[:, ::-1] if flip else crop))
    return crops


@dataclass(frozen=True)
class Batch:
    """What one step learns from; every tensor is N x 3 x S x S RGB in [-1, 1]."""

    photos: Tensor
    abstractions: Tensor | None
    """The photos' structure, aligned with them; None where nothing is learned from it."""
    cartoons: Tensor


class Batches:
    """An endless iterator of batches, decoded one ahead in a thread of its own.

    The batch of a step depends on the seed and the step alone. `cache` is the folder that abstractions are
    kept in; None leaves them out.
    """

    def __init__(
        self,
        photos: Path,
        cartoons: Path,
        cache: Path | None,
        *,
        batch: int,
        crop: int,
        smallest: float,
        seed: int,
    ) -> None:
        self._photos, self._cartoons = list_pictures(photos), list_pictures(cartoons)
        self._cache, self._batch, self._crop, self._smallest = cache, batch, crop, smallest
        self._seed = seed

    def at(self, step: int) -> Batch:
        """The batch of step `step`, from 0."""
        generator = np.random.default_rng((self._seed, step))
        photos, abstractions, cartoons = [], [], []
        for _ in range(self._batch):
            photo = read_picture(self._photos[generator.integers(len(self._photos))])
            aligned = [photo, cached_abstraction(photo, self._cache)] if self._cache else [photo]
            photo, *abstract = random_crop(aligned, self._crop, self._smallest, generator)
            cartoon = read_picture(self._cartoons[generator.integers(len(self._cartoons))])
            photos.append(photo)
            abstractions += abstract
            cartoons += random_crop([cartoon], self._crop, self._smallest, generator)
        structure = to_tensor(abstractions) if self._cache else None
        return Batch(to_tensor(photos), structure, to_tensor(cartoons))

    def from_step(self, step: int) -> Iterator[Batch]:
        """Batches of `step`, `step + 1` and so on, without end."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            coming = pool.submit(self.at, step)
            while True:
                step += 1
                batch, coming = coming.result(), pool.submit(self.at, step)
                yield batch
