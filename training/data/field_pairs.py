"""Photographs with their fields, computed once and cached: the training data of a fields network.

A pair is one `.npy` file, height x width x 7 uint8: the photograph's RGB, the paint's RGB, the ink response
as code values. Crops are read from it by memory mapping, without decoding.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.common.atomic_write import replace_file
from engines.common.dirs import cache_folder
from engines.common.image_files import list_images, make_folder, read_image
from engines.errors import StreamtoonError
from engines.imaging.field_blocks import ink_code
from training.abstraction.fields import fields_of
from training.data.parallel import parallel_map
from training.recipe import FieldSettings

VERSION = 1
"""Part of the cache key. Increase it when `fields_of` computes something else."""
MIN_SIDE_PIXELS = 200
"""Pixels of the short side: photographs that a scale would make smaller are left out at that scale."""


FileMap = Callable[[Callable[[Path], list[Path]], list[Path]], Iterator[tuple[Path, list[Path]]]]
"""Yields (file, work(file)) for every file, in any order."""


def pair_cache(folder: Path | None = None) -> Path:
    """Return `folder`, created if missing, or the user's own folder of pairs.

    Raises StreamtoonError where it cannot be created.
    """
    if folder:
        make_folder(folder)
        return folder
    folder = cache_folder("field-pairs")
    if folder is None:
        raise StreamtoonError("cannot create a private cache folder; set XDG_CACHE_HOME to a writable folder")
    return folder


def make_pairs(
    photos: Path,
    cache: Path,
    settings: FieldSettings,
    scales: Iterable[float] = (1.0,),
    workers: int | None = None,
    show: Callable[[int, int], object] | None = None,
    map_files: FileMap | None = None,
) -> list[Path]:
    """Return the pairs of all photographs in `photos` at every scale, sorted; compute missing ones.

    A photograph of 1280 x 720 at scales 1 and 0.5 takes about 3 s of a core and 7 MB of disk.

    Args:
        photos: The folder of photographs.
        cache: The folder of pairs.
        settings: How the fields are computed.
        scales: Sizes of the photographs, as shares of their own.
        workers: Processes on this machine; default: one per core.
        show: Called with how many photographs are done and how many there are.
        map_files: What spreads the work instead of this machine's processes, such as `ray_map`.

    Raises:
        StreamtoonError: The folder has no photographs, or one of them cannot be read.
    """
    files = list_images(photos)
    work = partial(_pairs_of, cache=cache.resolve(), settings=settings, scales=tuple(scales))
    found: list[Path] = []
    results = map_files(work, files) if map_files else parallel_map(work, files, workers)
    for done, (_, pairs) in enumerate(results, 1):
        found += pairs
        if show:
            show(done, len(files))
    if not found:
        raise StreamtoonError(f"{photos}: no photograph there has a short side of {MIN_SIDE_PIXELS} pixels")
    return sorted(found)


def make_share(
    photos: Path, cache: Path, settings: FieldSettings, scales: Iterable[float], share: tuple[int, int]
) -> None:
    """Compute the missing pairs of every n-th photograph from the k-th, for `share` = (k, n).

    This is one of n processes on a machine, and takes its share of the cores. Raises as `make_pairs` does.
    """
    first, count = share
    work = partial(_pairs_of, cache=cache, settings=settings, scales=tuple(scales))
    for _ in parallel_map(work, list_images(photos)[first::count], max(1, (os.cpu_count() or 1) // count)):
        pass


def _pairs_of(photo: Path, *, cache: Path, settings: FieldSettings, scales: tuple[float, ...]) -> list[Path]:
    key = hashlib.sha256(photo.read_bytes() + f"{VERSION}{settings}".encode()).hexdigest()[:24]
    wanted = {scale: cache / f"{key}-{round(1000 * scale):04d}.npy" for scale in scales}
    image: Image | None = None
    pairs = []
    for scale, file in wanted.items():
        if not file.exists():
            image = read_image(photo) if image is None else image
            scaled = _scaled(image, scale)
            if scaled is None:
                continue
            replace_file(file, partial(_write, pair_of(scaled, settings)))
        pairs.append(file)
    return pairs


def pair_of(photo: Image, settings: FieldSettings) -> NDArray[np.uint8]:
    """Return the pair of one H x W x 3 RGB photograph, H x W x 7."""
    fields = fields_of(photo, settings)
    return np.dstack([photo, fields.paint, ink_code(fields.ink)])


def _scaled(photo: Image, scale: float) -> Image | None:
    height, width = round(photo.shape[0] * scale), round(photo.shape[1] * scale)
    if min(height, width) < MIN_SIDE_PIXELS:
        return None
    if scale == 1:
        return photo
    return np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _write(pair: NDArray[np.uint8], part: Path) -> None:
    with part.open("wb") as stream:
        np.save(stream, pair)
