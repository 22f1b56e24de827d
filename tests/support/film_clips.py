"""Films drawn on the spot whose cuts, bars, blurs and repetitions are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
SIZE = (320, 180)
RATE = 24


def painting(seed: int, moved: float = 0.0, size: tuple[int, int] = SIZE) -> Picture:
    """Shapes of many colours, H x W x 3 RGB, different for every seed; one of them moves."""
    width, height = size
    rng = np.random.default_rng(seed)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = rng.integers(60, 200, 3)
    for _ in range(24):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        color = tuple(int(c) for c in rng.integers(20, 255, 3))
        axes = (int(rng.integers(4, max(9, width // 5))), int(rng.integers(4, max(9, height // 4))))
        cv2.ellipse(picture, centre, axes, float(rng.integers(180)), 0, 360, color, -1)
    at = (int(20 + moved), height // 2)
    cv2.circle(picture, at, 14, (250, 240, 30), -1)
    return picture


def shot(seed: int, frames: int, size: tuple[int, int] = SIZE) -> Iterator[Picture]:
    """A scene of that many pictures."""
    for n in range(frames):
        yield painting(seed, 2.0 * n, size)


def blurred(pictures: Iterable[Picture], sigma: float = 9.0) -> Iterator[Picture]:
    for picture in pictures:
        yield np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def dissolve(first: int, second: int, frames: int) -> Iterator[Picture]:
    for n in range(frames):
        share = (n + 1) / (frames + 1)
        yield np.asarray(cv2.addWeighted(painting(first), 1 - share, painting(second), share, 0), np.uint8)


def plain(frames: int, level: int = 0, size: tuple[int, int] = SIZE) -> Iterator[Picture]:
    for _ in range(frames):
        yield np.full((size[1], size[0], 3), level, np.uint8)


def credit_roll(frames: int) -> Iterator[Picture]:
    """White names on black, rolling up."""
    names = ["Directed by Anna Berg", "Written by Carl Dorn", "Music by Eva Frank", "Cut by Gus Hahn"]
    for n in range(frames):
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        for line, name in enumerate(names):
            place = (50, 60 + 30 * line - n // 2)
            cv2.putText(picture, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
        yield picture


def boxed(pictures: Iterable[Picture], rows: int = 0, columns: int = 0) -> Iterator[Picture]:
    """Black bars above and below, and beside."""
    for picture in pictures:
        yield np.pad(picture, ((rows, rows), (columns, columns), (0, 0)))


def write_film(path: Path, pictures: Iterable[Picture], rate: int = RATE) -> Path:
    """H.264, 4:2:0, nearly lossless; the sizes have to be even."""
    with av.open(str(path), "w") as out:
        stream = None
        for n, picture in enumerate(pictures):
            if stream is None:
                stream = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "8"})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, rate)
            out.mux(stream.encode(frame))
        assert stream is not None
        out.mux(stream.encode(None))
    return path
