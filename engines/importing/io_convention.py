"""Detecting a network's input and output convention (layout, values, order of channels) with a test image.

Every combination that the network does not declare itself is tried. A cartoon resembles its photograph: with
the right reading, the output is close to the image, follows its brightness and spans its range. A wrong one
is pale, dark, clipped, or has complementary colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.errors import StyleError
from engines.importing.probe_image import ProbeImage

Array = NDArray[np.generic]
Network = Callable[[Array], Array]
"""Maps a batch of one image, in the network's own layout and type, to its output. Raises StyleError."""

MIN_CORRELATION = 0.5
"""Lowest correlation with the test image's luma at which the output shows it. Published networks reach 0.9 or
more."""
MIN_SPAN = 0.15
"""Least difference between the output's 2nd and 98th percentile, as a share of the range."""
AMBIGUITY_MARGIN = 0.03
"""Conventions whose distances from the test image differ by less, as a share of the range, are ambiguous."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The numbers that stand for black and white."""

    black: float
    white: float

    def __str__(self) -> str:
        return f"{self.black:g}..{self.white:g}"


RANGES = (ValueRange(-1, 1), ValueRange(0, 1), ValueRange(0, 255))
"""The most common first: if two fit equally well, the first is used."""


@dataclass(frozen=True, slots=True)
class IoConvention:
    """How images are passed to a network and returned."""

    kind_in: str
    """NumPy's name of the input's type."""
    last_in: bool
    """Whether channels come last (NHWC)."""
    last_out: bool
    values_in: ValueRange
    values_out: ValueRange
    bgr_in: bool
    bgr_out: bool

    def encode(self, picture: ProbeImage) -> Array:
        """Return an image as the network's input."""
        return _encode(picture, self.kind_in, self.last_in, self.values_in, self.bgr_in)

    def decode(self, answer: Array) -> ProbeImage:
        """Return the network's output as height x width x 3 RGB, black 0 and white 1, not clipped."""
        planes = np.asarray(answer[0], np.float32)
        rgb = planes if self.last_out else planes.transpose(1, 2, 0)
        scaled = (rgb - self.values_out.black) / (self.values_out.white - self.values_out.black)
        return scaled[..., ::-1] if self.bgr_out else scaled

    def __str__(self) -> str:
        layouts = ["NHWC" if last else "NCHW" for last in (self.last_in, self.last_out)]
        orders = ["BGR" if bgr else "RGB" for bgr in (self.bgr_in, self.bgr_out)]
        ends = [
            f"{a} {b} {c}" for a, b, c in zip(layouts, orders, (self.values_in, self.values_out), strict=True)
        ]
        return ends[0] if ends[0] == ends[1] else f"{ends[0]} in, {ends[1]} out"


def detect(
    network: Network,
    picture: ProbeImage,
    kind: str,
    layouts: tuple[bool, ...],
    *,
    bgr: bool,
    values: str = "",
) -> tuple[IoConvention, tuple[str, ...]]:
    """Return the convention that draws the image best, and other values that fit nearly as well.

    Args:
        network: The network to try.
        picture: The test image.
        kind: NumPy's name of the input's type.
        layouts: The values of `last_in` to try.
        bgr: Whether the network was trained on BGR, which cannot be detected.
        values: The one of `RANGES` to use, as a string; empty to detect it.

    Returns:
        The convention, and the values of black and white that fit nearly as well.

    Raises:
        StyleError: No convention gives an output that resembles the test image.
    """
    found: list[tuple[float, IoConvention]] = []
    problem = "cannot be used: its output is not an image of the input's size"
    for last_in in layouts:
        for values_in in _ranges(kind, values):
            try:
                answer = network(_encode(picture, kind, last_in, values_in, bgr))
            except StyleError as error:
                problem = str(error)
                continue
            given = IoConvention(kind, last_in, last_in, values_in, values_in, bgr, bgr)
            for form in _readings(answer, given, picture, values):
                # Input and output usually have the same values.
                mixed = 0.01 * (form.values_in != form.values_out)
                found.append((_distance(form.decode(answer), picture) + mixed, form))
    if not found:
        raise StyleError(problem)
    distance, form = min(found, key=lambda each: each[0])
    check_likeness(form.decode(network(form.encode(picture))), picture)
    near = {
        str(other.values_in): None
        for far, other in found
        if far < distance + AMBIGUITY_MARGIN and other.values_in == other.values_out != form.values_in
    }
    return form, tuple(near)


def check_likeness(drawn: ProbeImage, picture: ProbeImage) -> None:
    """Raise StyleError if a drawing does not resemble the image."""
    shown = np.clip(np.nan_to_num(drawn), 0, 1)
    low, high = np.percentile(shown @ LUMA, (2, 98))
    likeness = correlation(shown @ LUMA, picture @ LUMA)
    if not np.isfinite(drawn).all():
        raise StyleError("cannot be used: its output for the test image contains NaN or infinity")
    if likeness < MIN_CORRELATION or high - low < MIN_SPAN:
        raise StyleError(
            f"cannot be used: its output does not resemble the test image (correlation {likeness:.2f}, at "
            f"least {MIN_CORRELATION:g} is required; range {high - low:.2f}, at least {MIN_SPAN:g})"
        )


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return Pearson's correlation; 0 if one of the arrays is constant."""
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 1e-9 else 0.0


def _encode(picture: ProbeImage, kind: str, last: bool, values: ValueRange, bgr: bool) -> Array:
    ordered = picture[..., ::-1] if bgr else picture
    scaled = ordered * (values.white - values.black) + values.black
    if not kind.startswith("float"):
        scaled = np.clip(np.round(scaled), 0, 255)
    laid = scaled if last else scaled.transpose(2, 0, 1)
    return np.ascontiguousarray(laid[None], dtype=kind)


def _ranges(kind: str, values: str) -> tuple[ValueRange, ...]:
    """Return the ranges that values of that type may have."""
    if not kind.startswith("float"):
        return RANGES[-1:]
    return tuple(each for each in RANGES if values in ("", str(each)))


def _readings(answer: Array, given: IoConvention, picture: ProbeImage, values: str) -> Iterator[IoConvention]:
    """Return every way to read the network's output for an input in the convention `given`."""
    size = picture.shape[:2]
    for last_out in (given.last_in, not given.last_in):
        if answer.shape != ((1, *size, 3) if last_out else (1, 3, *size)):
            continue
        for values_out in _ranges(str(answer.dtype), values):
            for bgr_out in (given.bgr_in, not given.bgr_in):
                yield replace(given, last_out=last_out, values_out=values_out, bgr_out=bgr_out)


def _distance(drawn: ProbeImage, picture: ProbeImage) -> float:
    """Return the mean absolute difference, with penalties for values out of range; 0 for the image itself."""
    if not np.isfinite(drawn).all():
        return float("inf")
    shown = np.clip(drawn, 0, 1)
    outside = float(np.abs(drawn - shown).mean())
    # Colour differences tell the order of channels, even if the style has a tint of its own.
    hue, own = drawn - drawn.mean(axis=-1, keepdims=True), picture - picture.mean(axis=-1, keepdims=True)
    turned = max(0.0, -correlation(hue, own))
    flat = max(0.0, MIN_SPAN - float(shown.std()))
    return float(np.abs(shown - picture).mean()) + min(outside, 10.0) + 0.2 * turned + flat
