"""The clip of a benchmark, at every size and length that is wanted."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from engines.colour import yuv_to_rgb
from engines.picture import Picture, Plane
from engines.picture_files import Image
from engines.style import SHIPPED
from engines.working_size import fit
from streamtoon.errors import InputError
from streamtoon.media import Passthrough, Sink, Source, probe

SAMPLE = Path(__file__).parent.parent / "samples" / "tour.mp4"
"""Where the project's own clip lies; an installed package comes without it."""
STEP = 8
"""Luma pixels by which every further pass over the clip is shifted sideways."""


def default_clip() -> Path:
    """The project's sample clip, or a picture that every package has, which becomes a slow pan."""
    return SAMPLE if SAMPLE.is_file() else SHIPPED / "comic" / "preview.webp"


@dataclass(frozen=True, slots=True)
class SizedClip:
    """A file at the size wanted."""

    path: Path
    ends: list[Fraction]
    """For each picture, a time after it and before the next: where a cut keeps so many."""

    def cut(self, frames: int) -> str:
        """What `--to` has to say for the first `frames` pictures."""
        return f"{float(self.ends[frames - 1]):.6f}"


class Clip:
    """A video, or a photo, that is to be had at any size and length. Raises InputError if unreadable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        info = probe(path)
        self.rate = info.rate
        """Pictures a second."""
        self.facts: dict[str, object] = {
            "name": path.name,
            "width": info.width,
            "height": info.height,
            "rate": round(float(info.rate), 3),
            "codecs": [info.video_codec, *info.audio_codecs],
        }

    def pictures(self, width: int, height: int, count: int) -> list[Picture]:
        """The first pictures, no two of them alike as long as the clip itself has none."""
        items = self._items(width, height)
        found: list[Picture] = []
        while len(found) < count:
            item = next(items)
            if isinstance(item, Picture):
                found.append(item)
        items.close()
        return found

    def from_all_over(self, count: int) -> dict[str, Image]:
        """At most so many pictures by name, at their own size, upright, no two neighbours alike."""
        info = probe(self.path)
        parts = [(info.duration or 0.0) * (2 * n + 1) / (2 * count) for n in range(count)]
        found: dict[str, Image] = {}
        last: Plane | None = None
        for start in parts:
            try:
                picture = _first(self.path, start)
            except InputError:  # the sound goes on alone, or a photo's time is over
                break
            if last is None or not np.array_equal(last, picture.y):
                found[f"{self.path.name} at {start:.1f} s"] = rgb_of(picture)
            last = picture.y
        found = found or {self.path.name: rgb_of(_first(self.path, None))}
        return {name: np.rot90(image, info.rotation // 90) for name, image in found.items()}

    def write(self, folder: Path, width: int, height: int, frames: int) -> SizedClip:
        """A file of that many pictures, with the clip's sound as far as it goes."""
        suffix = self.path.suffix if self.path.suffix.lower() == ".mp4" else ".mkv"
        target = folder / f"clip-{width}x{height}-{frames}{suffix}"
        ends: list[Fraction] = []
        items = self._items(width, height)
        with (
            Source(self.path) as source,
            Sink(target, source, width=width, height=height, codec="h264") as sink,
        ):
            first: Fraction | None = None
            while len(ends) < frames:
                item = next(items)
                sink.write(item)
                if isinstance(item, Picture):
                    time = item.pts * item.time_base
                    first = time if first is None else first
                    ends.append(time - first + _length(item, source.info.rate) / 2)
            items.close()
        return SizedClip(target, ends)

    def _items(self, width: int, height: int) -> Generator[Picture | Passthrough]:
        """Pass after pass without end; the packets of other streams in the first one only."""
        passes, shift = 0, 0
        while True:
            with Source(self.path) as source:
                begin: int | None = None
                end = 0
                for item in source:
                    if isinstance(item, Picture):
                        begin = item.pts if begin is None else begin
                        end = item.pts + round(_length(item, source.info.rate) / item.time_base)
                        yield _fitted(item, width, height, STEP * passes, shift)
                    elif not passes:
                        yield item
                shift += end - (begin or 0)
            passes += 1


def rgb_of(picture: Picture) -> Image:
    """H x W x 3, chroma spread over luma."""
    planes = [fit(plane, picture.height, picture.width) for plane in (picture.u, picture.v)]
    return yuv_to_rgb(picture.y, planes[0], planes[1], picture.colour)


def _first(path: Path, start: float | None) -> Picture:
    with Source(path, start=start) as source:
        return next(source.pictures())


def _length(picture: Picture, rate: Fraction) -> Fraction:
    """Seconds that a picture is shown."""
    return picture.duration * picture.time_base or 1 / rate


def _fitted(picture: Picture, width: int, height: int, aside: int, later: int) -> Picture:
    """The middle of a picture at the wanted shape, resized, moved aside around the edge, and later."""
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
