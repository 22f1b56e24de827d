"""The output size that a user requests: "1280x720", or "720p", which keeps the aspect ratio."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from streamtoon.media.color import UNSPECIFIED, guess_matrix, is_rgb
from streamtoon.media.orientation import Orientation
from streamtoon.media.reader.opening import MAX_SIDE_PIXELS, check_size
from streamtoon.media.reader.probe import MediaInfo

MIN_SIDE_PIXELS = 16
"""Minimum width and height."""
_MAX_STRETCH = Fraction(1, 50)
"""Change of the aspect ratio that causes a warning. Rounding to even sizes causes smaller ones."""
_CODES = {"bt601": 6, "bt709": 1}
"""ITU-T H.273 codes of the matrices that players guess."""


@dataclass(frozen=True, slots=True)
class FrameSize:
    """A size in pixels as a viewer sees it: upright, with square pixels.

    A single number is the short side. The other side follows from the aspect ratio of the video.
    """

    short: int
    """Pixels of the short side, or of the width if a height is given."""
    height: int | None = None

    @classmethod
    def parse(cls, text: str) -> FrameSize:
        """Parse "1280x720" or "720p". Raises ValueError with a message for the user."""
        match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5})|p)", text.strip().lower())
        if not match:
            raise ValueError(f"invalid size {text!r}: use WIDTHxHEIGHT, such as 1280x720, or 720p")
        numbers = [int(number) for number in match.groups() if number]
        if any(number % 2 for number in numbers):
            even = "x".join(str(number + number % 2) for number in numbers)
            raise ValueError(
                f"{text} is odd, but video needs even sizes; use {even}{'' if match[2] else 'p'}"
            )
        if not all(MIN_SIDE_PIXELS <= number <= MAX_SIDE_PIXELS for number in numbers):
            raise ValueError(
                f"size {text} is out of range: {MIN_SIDE_PIXELS} to {MAX_SIDE_PIXELS} pixels per side"
            )
        return cls(*numbers)

    def __str__(self) -> str:
        return f"{self.short}p" if self.height is None else f"{self.short}x{self.height}"

    def seen(self, width: int, height: int) -> tuple[int, int]:
        """Return even width and height for a video that a viewer sees at `width` x `height`."""
        if self.height is not None:
            return self.short, self.height
        long = round(Fraction(max(width, height) * self.short, 2 * min(width, height))) * 2
        return (long, self.short) if width >= height else (self.short, long)

    def applied(self, info: MediaInfo, warnings: list[str]) -> MediaInfo:
        """Return `info` at this size, and append to `warnings` if the video is stretched or enlarged.

        Raises InputError if the result would be too large.
        """
        turned = Orientation.of(info.display_matrix)
        shape = info.sample_aspect_ratio or Fraction(1)
        wide = max(1, round(info.width * shape)) if shape >= 1 else info.width
        high = info.height if shape >= 1 else max(1, round(info.height / shape))
        before = turned.size(wide, high)
        width, height = self.seen(*before)
        check_size(width, height, f"{info.path} at {self}")
        change = Fraction(width * before[1], height * before[0])
        if max(change, 1 / change) > 1 + _MAX_STRETCH:
            short = min(width, height)
            warnings.append(
                f"--size {self} changes the aspect ratio: the video is {before[0]}x{before[1]} and will be "
                f"stretched. --size {short}p keeps the aspect ratio."
            )
        if width > before[0] and height > before[1]:
            warnings.append(f"The video is enlarged from {before[0]}x{before[1]} to {width}x{height}.")
        coded = turned.size(width, height)
        tags = info.tags
        if tags.matrix == UNSPECIFIED and not is_rgb(info.pixel_format) and not tags.hdr:
            guess = guess_matrix(info.height)
            if guess != guess_matrix(coded[1]):  # players would guess another matrix from the new height
                tags = replace(tags, matrix=_CODES[guess])
        square = None if info.sample_aspect_ratio is None else Fraction(1)
        return replace(info, width=coded[0], height=coded[1], sample_aspect_ratio=square, tags=tags)
