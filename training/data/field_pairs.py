"""Photographs with their fields, computed once and cached: the training data of a fields network.

With `FieldSettings.faces`, a photograph that shows faces also gives a sheet of its heads, as another
photograph.

A pair is one `.npy` file, height x width x 8 uint8: the photograph's RGB, the paint's RGB, the ink response
as code values, and 255 where features of faces were drawn. Crops are read from it by memory mapping, without
decoding.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
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
from engines.pretrained.downloads import FILES, find_weights
from training.abstraction.face_finder import Face, FaceFinder
from training.abstraction.face_ink import with_face_ink
from training.abstraction.fields import fields_of
from training.data.head_sheets import head_sheet
from training.data.parallel import parallel_map
from training.recipe import FieldSettings

VERSION = 3
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
    face_models: Path | None = None,
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
        face_models: MediaPipe's wheel, for settings with faces; default: downloaded once.

    Raises:
        StreamtoonError: The folder has no photographs, one of them cannot be read, or the face models cannot.
    """
    files = list_images(photos)
    work = _work(cache.resolve(), settings, scales, face_models)
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
    photos: Path,
    cache: Path,
    settings: FieldSettings,
    scales: Iterable[float],
    share: tuple[int, int],
    face_models: Path | None = None,
) -> None:
    """Compute the missing pairs of every n-th photograph from the k-th, for `share` = (k, n).

    This is one of n processes on a machine, and takes its share of the cores. Raises as `make_pairs` does.
    """
    first, count = share
    work = _work(cache, settings, scales, face_models)
    for _ in parallel_map(work, list_images(photos)[first::count], max(1, (os.cpu_count() or 1) // count)):
        pass


def _work(
    cache: Path, settings: FieldSettings, scales: Iterable[float], face_models: Path | None
) -> Callable[[Path], list[Path]]:
    """Return the work on one photograph, which may be done in another process or on another machine."""
    wheel = find_weights(FILES["faces"], face_models).resolve() if settings.faces else None
    return partial(_pairs_of, cache=cache, settings=settings, scales=tuple(scales), wheel=wheel)


def _pairs_of(
    photo: Path, *, cache: Path, settings: FieldSettings, scales: tuple[float, ...], wheel: Path | None
) -> list[Path]:
    """Return the pairs of a photograph, and of its sheet of heads; compute missing ones."""
    content = photo.read_bytes()
    key = hashlib.sha256(content + f"{VERSION}{settings}".encode()).hexdigest()[:24]
    image: Image | None = None
    faces: list[Face] = []
    pairs = []
    for scale in scales:
        own, heads = (cache / f"{key}{name}-{round(1000 * scale):04d}.npy" for name in ("", "-heads"))
        if not own.exists():
            if image is None:
                image = read_image(photo)
                faces = _finder(wheel)(image) if wheel else []
            scaled = _scaled(image, scale)
            if scaled is None:
                continue
            if faces:  # before the photograph's own pair, which tells that both are complete
                dice = np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest()))
                replace_file(heads, partial(_write, _pair_of_heads(image, faces, scale, dice, settings)))
            replace_file(own, partial(_write, pair_of(scaled, settings, _moved(faces, scale))))
        pairs += [own, heads] if heads.exists() else [own]
    return pairs


def pair_of(
    photo: Image, settings: FieldSettings, faces: Sequence[Face] = (), clear: Image | None = None
) -> NDArray[np.uint8]:
    """Return the pair of one H x W x 3 RGB photograph, H x W x 8.

    Args:
        photo: The photograph.
        settings: How the fields are computed.
        faces: The faces whose features are drawn.
        clear: A clearer version of the photograph, on which these features are measured.
    """
    fields = fields_of(photo, settings)
    ink, where = with_face_ink(fields.ink, photo if clear is None else clear, faces)
    return np.dstack([photo, fields.paint, ink_code(ink), where])


def _pair_of_heads(
    photo: Image, faces: list[Face], scale: float, rng: np.random.Generator, settings: FieldSettings
) -> NDArray[np.uint8]:
    """Return the pair of a sheet of heads; with the same random numbers, it shows the same at every scale."""
    seen, clear, found = head_sheet(photo, faces, rng)
    if scale != 1:
        seen, clear = (_resized(sheet, scale) for sheet in (seen, clear))
    return pair_of(seen, settings, _moved(found, scale), clear)


def _moved(faces: list[Face], scale: float) -> list[Face]:
    """Return faces of a photograph at a scale; the centre of the first pixel is at 0."""
    shift = (scale - 1) / 2
    return [face.moved(np.array([[scale, 0, shift], [0, scale, shift]])) for face in faces]


@lru_cache(maxsize=1)
def _finder(wheel: Path) -> FaceFinder:
    """Return this process's finder."""
    return FaceFinder(wheel)


def _scaled(photo: Image, scale: float) -> Image | None:
    if round(min(photo.shape[:2]) * scale) < MIN_SIDE_PIXELS:
        return None
    return photo if scale == 1 else _resized(photo, scale)


def _resized(photo: Image, scale: float) -> Image:
    height, width = (round(side * scale) for side in photo.shape[:2])
    return np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _write(pair: NDArray[np.uint8], part: Path) -> None:
    with part.open("wb") as stream:
        np.save(stream, pair)
