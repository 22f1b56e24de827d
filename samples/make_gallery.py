"""Draw the images of the README and every style's preview: `python samples/make_gallery.py`.

It needs only the samples in this folder and takes about a minute. The stills are photographs in the shipped
styles. The animation is a part of tour.mp4, half original and half comic.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engines.registry.style import SHIPPED, shipped_names
from streamtoon import Cartoonizer
from streamtoon.images.convert import read_rgb
from streamtoon.tools.film import Film

Rgb = NDArray[np.uint8]
HERE = Path(__file__).parent
IMAGES = HERE.parent / "docs" / "images"
PHOTOS = {"person": ("astronaut", 0.0), "animal": ("osprey", 0.35), "street": ("city", 0.75)}
"""Name in the README -> photograph, and the part of its height that is shown: 0 the top, 1 the bottom."""
SHORT_SIDE = 540
"""Short side in pixels at which photographs are drawn."""
SHOWN = (400, 300)
"""Width and height of an image in the README's table, in pixels."""
PREVIEW = (480, 320)
"""Width and height of each half of a style's preview, in pixels."""
MOVING = (640, 360)
MOVING_PART = (0.5, 3.5)
"""Start and end in tour.mp4, in seconds."""
MOVING_STEP = 2
"""Every second frame is shown, for twice as long."""
SPLIT = 3
"""Width of the line between both halves, in pixels."""


def main() -> None:
    """Draw and write everything."""
    photos = {name: _photo(HERE / "photos" / f"{file}.jpg") for name, (file, _) in PHOTOS.items()}
    for name, photo in photos.items():
        _write(IMAGES / f"{name}_photo.webp", _cut(photo, SHOWN, PHOTOS[name][1]))
    for style in shipped_names():
        with Cartoonizer(style, quality="full") as cartoonize:
            drawn = {name: cartoonize(photo) for name, photo in photos.items()}
        for name, cartoon in drawn.items():
            _write(IMAGES / f"{name}_{style}.webp", _cut(cartoon, SHOWN, PHOTOS[name][1]))
        halves = [_cut(each, PREVIEW) for each in (photos["animal"], drawn["animal"])]
        _write(SHIPPED / style / "preview.webp", np.hstack(halves))
    _moving(IMAGES / "moving.webp")


def _photo(path: Path) -> Rgb:
    photo = read_rgb(path)
    scale = SHORT_SIDE / min(photo.shape[:2])
    size = round(photo.shape[1] * scale), round(photo.shape[0] * scale)
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


def _cut(image: Rgb, size: tuple[int, int], part: float = 0.5) -> Rgb:
    """Return a part of an image with that width and height; `part` positions it vertically, 0 is the top."""
    width, height = size
    scale = max(width / image.shape[1], height / image.shape[0])
    whole = round(image.shape[1] * scale), round(image.shape[0] * scale)
    image = np.asarray(cv2.resize(image, whole, interpolation=cv2.INTER_AREA), np.uint8)
    top, left = round((image.shape[0] - height) * part), (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _moving(path: Path) -> None:
    film = Film(HERE / "tour.mp4")
    frames: list[Image.Image] = []
    start, end = MOVING_PART
    count = 0
    with Cartoonizer("comic", quality="full") as cartoonize:
        for frame in film.frames(film.whole(), start):
            if frame.time >= end:
                break
            count += 1
            if count % MOVING_STEP:
                continue
            assert frame.picture is not None, "a seek returned no frame"
            source = frame.picture()
            frames.append(
                Image.fromarray(_split(source, cartoonize(source), (frame.time - start) / (end - start)))
            )
    lasting = round(1000 * MOVING_STEP / Fraction(film.info.rate))
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=lasting, loop=0, quality=62, method=6
    )


def _split(source: Rgb, cartoon: Rgb, progress: float) -> Rgb:
    """Return the source on the left and the cartoon on the right of a line that moves back and forth."""
    left, right = _cut(source, MOVING), _cut(cartoon, MOVING)
    at = round(MOVING[0] * (0.5 + 0.28 * np.sin(2 * np.pi * progress)))
    both = np.hstack([left[:, :at], right[:, at:]])
    both[:, max(0, at - SPLIT) : at] = 255
    return both


def _write(path: Path, image: Rgb) -> None:
    Image.fromarray(image).save(path, quality=84, method=6)
    sys.stdout.write(f"{path}: {path.stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    main()
