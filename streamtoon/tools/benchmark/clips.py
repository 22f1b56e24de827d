"""The clip of a benchmark, at any size and length."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from engines.common.arrays import Image
from engines.frame import Frame, Plane
from engines.imaging.color import yuv_to_rgb
from engines.imaging.working_size import fit
from streamtoon.errors import InputError
from streamtoon.media import Passthrough, VideoReader, VideoWriter, probe

DEFAULT = Path(__file__).with_name("benchmark.mp4")
"""The bundled clip, made by `samples/make_samples.py`."""
SHIFT_PIXELS = 8
"""Each further pass over the clip is shifted sideways by this many luma pixels."""


@dataclass(frozen=True, slots=True)
class SizedClip:
    """A file of the clip at one size."""

    path: Path
    ends: list[Fraction]
    """For each frame, a time between it and the next one, in seconds: where a cut keeps that many frames."""

    def cut(self, frames: int) -> str:
        """Return the `--to` that keeps the first `frames` frames."""
        return f"{float(self.ends[frames - 1]):.6f}"


class Clip:
    """A video or photo at any size and length. Raises InputError if it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        info = probe(path)
        self.rate = info.rate
        """Frames per second."""
        self.facts: dict[str, object] = {
            "name": path.name,
            "width": info.width,
            "height": info.height,
            "rate": round(float(info.rate), 3),
            "codecs": [info.video_codec, *info.audio_codecs],
        }

    def pictures(self, width: int, height: int, count: int) -> list[Frame]:
        """Return the first `count` frames, all different if those of the clip are."""
        items = self._items(width, height)
        found: list[Frame] = []
        while len(found) < count:
            item = next(items)
            if isinstance(item, Frame):
                found.append(item)
        items.close()
        return found

    def from_all_over(self, count: int) -> dict[str, Image]:
        """Return up to `count` images by name, upright, at their own size, with no identical neighbours."""
        info = probe(self.path)
        parts = [(info.duration or 0.0) * (2 * n + 1) / (2 * count) for n in range(count)]
        found: dict[str, Image] = {}
        last: Plane | None = None
        for start in parts:
            try:
                picture = _first(self.path, start)
            except InputError:  # only sound is left, or the source is a photo
                break
            if last is None or not np.array_equal(last, picture.y):
                found[f"{self.path.name} at {start:.1f} s"] = rgb_of(picture)
            last = picture.y
        found = found or {self.path.name: rgb_of(_first(self.path, None))}
        return {name: np.rot90(image, info.rotation // 90) for name, image in found.items()}

    def write(self, folder: Path, width: int, height: int, frames: int) -> SizedClip:
        """Write a file with that many frames, and the clip's sound as far as it goes."""
        suffix = self.path.suffix if self.path.suffix.lower() == ".mp4" else ".mkv"
        target = folder / f"clip-{width}x{height}-{frames}{suffix}"
        ends: list[Fraction] = []
        items = self._items(width, height)
        with (
            VideoReader(self.path) as source,
            VideoWriter(target, source, width=width, height=height, codec="h264") as sink,
        ):
            first: Fraction | None = None
            while len(ends) < frames:
                item = next(items)
                sink.write(item)
                if isinstance(item, Frame):
                    time = item.pts * item.time_base
                    first = time if first is None else first
                    ends.append(time - first + _length(item, source.info.rate) / 2)
            items.close()
        return SizedClip(target, ends)

    def _items(self, width: int, height: int) -> Generator[Frame | Passthrough]:
        """Yield endless passes over the clip; packets of other streams in the first one only."""
        passes, shift = 0, 0
        while True:
            with VideoReader(self.path) as source:
                begin: int | None = None
                end = 0
                for item in source:
                    if isinstance(item, Frame):
                        begin = item.pts if begin is None else begin
                        end = item.pts + round(_length(item, source.info.rate) / item.time_base)
                        yield _fitted(item, width, height, SHIFT_PIXELS * passes, shift)
                    elif not passes:
                        yield item
                shift += end - (begin or 0)
            passes += 1


def rgb_of(picture: Frame) -> Image:
    """H x W x 3, chroma spread over luma."""
    planes = [fit(plane, picture.height, picture.width) for plane in (picture.u, picture.v)]
    return yuv_to_rgb(picture.y, planes[0], planes[1], picture.color)


def _first(path: Path, start: float | None) -> Frame:
    with VideoReader(path, start=start) as source:
        return next(source.frames())


def _length(picture: Frame, rate: Fraction) -> Fraction:
    """Seconds that a picture is shown."""
    return picture.duration * picture.time_base or 1 / rate


def _fitted(picture: Frame, width: int, height: int, aside: int, later: int) -> Frame:
    """Crop the middle of a frame to a shape, resize it, shift it sideways with wrap-around, and delay it."""
    share = min(picture.width / width, picture.height / height)
    planes = []
    for plane, part in ((picture.y, 1), (picture.u, 2), (picture.v, 2)):
        wide, high = -(-width // part), -(-height // part)
        moved = fit(_middle(plane, wide, high, share), high, wide)
        planes.append(np.roll(moved, -aside // part, axis=1) if aside else np.ascontiguousarray(moved))
    y, u, v = planes
    return replace(picture, y=y, u=u, v=v, pts=picture.pts + later)


def _middle(plane: Plane, width: int, height: int, share: float) -> Plane:
    wide, high = min(plane.shape[1], round(width * share)), min(plane.shape[0], round(height * share))
    left, top = (plane.shape[1] - wide) // 2, (plane.shape[0] - high) // 2
    return plane[top : top + high, left : left + wide]
