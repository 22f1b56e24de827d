"""Patterns that are fixed to the screen (dots, lines, hatching, paper, pigment), from a fixed random seed.

Each pattern covers the whole frame, so that nothing repeats. Lengths are pixels of a frame with a short side
of 720. All patterns are cached and read-only.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frame import Plane

MADE_FOR = 720
"""Short side of a frame at scale 1, pixels."""
SMALLEST_SCALE = 0.5
"""Patterns of smaller frames stay at this scale to remain visible."""

Field = NDArray[np.float32]


def scale_of(height: int, width: int) -> float:
    """Return the scale of a frame: its short side divided by 720, at least `SMALLEST_SCALE`."""
    return max(SMALLEST_SCALE, min(height, width) / MADE_FOR)


def _kept(pattern: Field) -> Plane:
    plane = np.clip(np.rint(pattern), 0, 255).astype(np.uint8)
    plane.flags.writeable = False
    return plane


def _canvas(height: int, width: int) -> tuple[int, int]:
    scale = scale_of(height, width)
    return math.ceil(height / scale), math.ceil(width / scale)


def _fitted(pattern: Field, height: int, width: int) -> Field:
    if pattern.shape == (height, width):
        return pattern
    shrinks = pattern.shape[0] > height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pattern, (width, height), interpolation=how), np.float32)


def _noise(rows: int, columns: int, sigma: float, seed: int) -> Field:
    """Return normal noise of standard deviation 1, smoothed by a Gaussian of `sigma` pixels."""
    step = max(1.0, sigma / 2)
    small_rows, small_columns = math.ceil(rows / step) + 1, math.ceil(columns / step) + 1
    noise = np.random.default_rng(seed).standard_normal((small_rows, small_columns), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma / step) if sigma else noise
    smooth = (smooth - smooth.mean()) / (smooth.std() + 1e-6)
    if step > 1:
        smooth = cv2.resize(smooth, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth[:rows, :columns], np.float32)


def _turned(height: int, width: int, angle: float) -> tuple[Field, Field]:
    """Return the coordinates of every pixel along and across a direction, in pixels at scale 1."""
    scale, turn = scale_of(height, width), math.radians(angle)
    x = (np.arange(width, dtype=np.float32) - width / 2)[None, :] / scale
    y = (np.arange(height, dtype=np.float32) - height / 2)[:, None] / scale
    return x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)


@lru_cache(maxsize=8)
def dots(height: int, width: int, size: float, angle: float) -> Plane:
    """Return thresholds of a screen of round dots; all values are equally frequent."""
    turn = 2 * math.pi / size
    along, across = _turned(height, width, angle)
    bump = np.cos(along * turn) + np.cos(across * turn)
    one = np.cos(np.linspace(0, 2 * np.pi, 512, endpoint=False))
    all_values = np.sort((one[:, None] + one[None, :]).ravel())
    at = np.linspace(-2, 2, 1024)
    rank = (np.searchsorted(all_values, at) / all_values.size * 255).astype(np.float32)
    return _kept(rank[np.clip((bump + 2) / 4 * 1023, 0, 1023).astype(np.int32)])


@lru_cache(maxsize=8)
def lines(height: int, width: int, size: float, angle: float) -> Plane:
    """Return thresholds of a screen of parallel lines."""
    across = _turned(height, width, angle)[1] / size
    return _kept(np.abs(across - np.floor(across) - 0.5) * 2 * 255)


LAYERS = ((0.0, 0.98, 0.50), (58.0, 0.62, 0.30), (-38.0, 0.36, 0.08))
"""The layers of hatching: rotation in degrees, and the tones (0 to 1) of the first and the last stroke."""

POINT_BITS = 4
VALUE_STEP = 3
"""Difference between two successive tones at which strokes start, in code values."""


@lru_cache(maxsize=4)
def hatching(height: int, width: int, size: float, angle: float) -> Plane:
    """Return thresholds of graphite strokes in three layers: the darker the tone, the more strokes.

    The strokes of a tone are also drawn for every darker tone, as in the tonal art maps of Praun, Hoppe, Webb
    and Finkelstein (Real-Time Hatching, 2001).
    """
    rows, columns = _canvas(height, width)
    rng = np.random.default_rng(7)
    layers = [_strokes(rng, rows, columns, size, angle + turn, first, last) for turn, first, last in LAYERS]
    values = np.concatenate([value for value, _ in layers])
    points = np.concatenate([points for _, points in layers])
    thick = 1 + (rng.random(len(values)) < 0.55)
    canvas = np.zeros((rows, columns), np.uint8)
    for value in np.unique(values):  # from dark to light tones; earlier strokes stay on top
        for thickness in (1, 2):
            now = list(points[(values == value) & (thick == thickness)])
            cv2.polylines(canvas, now, False, float(value), thickness, cv2.LINE_AA, POINT_BITS)
    tooth = np.clip(1 - 0.22 * np.maximum(_noise(rows, columns, 0.7, 8), -0.5), 0.2, 1.1)
    soft = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), 0.5)
    return _kept(_fitted(np.asarray(soft * tooth, np.float32), height, width))


def _strokes(
    rng: np.random.Generator, rows: int, columns: int, size: float, angle: float, first: float, last: float
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return strokes in rows along a direction: the tone of each, 0 to 255, and its five points.

    Points are fixed-point numbers with `POINT_BITS` fractional bits.
    """
    along, normal = (math.cos(math.radians(angle)), math.sin(math.radians(angle))), math.radians(angle + 90)
    direction, across = np.array(along), np.array([math.cos(normal), math.sin(normal)])
    reach = math.hypot(rows, columns) / 2 + 2 * size
    lines_, each = math.ceil(2 * reach / size), math.ceil((2 * reach + 20 * size) / (6.75 * size))
    shape = lines_, each
    length = size * rng.uniform(9, 24, shape)
    start = np.cumsum(length * rng.uniform(0.75, 1.0, shape), axis=1) - length
    start -= reach + rng.uniform(0, 20 * size, (lines_, 1))
    row = np.arange(lines_)[:, None]
    offset = size * (row + rng.normal(0, 0.25, shape)) - reach
    lean, bow = rng.normal(0, 0.025, shape), length * rng.normal(0.012, 0.010, shape)
    order = (row * 0.618034 + rng.uniform(0, 0.35, shape)) % 1.0
    value = np.rint(255 * (first + (last - first) * order) / VALUE_STEP).astype(np.int64) * VALUE_STEP
    middle = (start + length / 2)[..., None] * direction + offset[..., None] * across
    seen = (np.abs(middle) <= np.array([columns, rows]) / 2 + length[..., None]).all(axis=-1)
    middle, length, lean, bow, value = (part[seen] for part in (middle, length, lean, bow, value))
    steps = np.linspace(-0.5, 0.5, 5)
    far = steps * length[:, None]
    sideways = far * lean[:, None] + (4 * steps**2 - 1) * bow[:, None]
    points = middle[:, None, :] + far[..., None] * direction + sideways[..., None] * across
    points += [columns / 2, rows / 2]
    return value, np.rint(points * (1 << POINT_BITS)).astype(np.int32)


@lru_cache(maxsize=2)
def paper_light(height: int, width: int) -> Field:
    """Return light from the upper left on rough paper: mean 0, standard deviation 1."""
    rows, columns = _canvas(height, width)
    rough = _noise(rows + 2, columns + 2, 1.0, 1) + 1.3 * _noise(rows + 2, columns + 2, 2.2, 2)
    rough += 0.8 * _noise(rows + 2, columns + 2, 5.0, 3)
    light = rough[2:, 2:] - rough[:-2, :-2]
    light = light / light.std() + 0.35 * _noise(rows, columns, 0.6, 4)
    light = _fitted(light / light.std(), height, width)
    light.flags.writeable = False
    return light


@lru_cache(maxsize=2)
def grain(height: int, width: int) -> Field:
    """Return the height of the paper where pigment and graphite settle: mean 0, standard deviation 1."""
    rows, columns = _canvas(height, width)
    rough = (
        0.8 * _noise(rows, columns, 0.8, 5)
        + _noise(rows, columns, 1.6, 6)
        + 0.5 * _noise(rows, columns, 4, 9)
    )
    rough = _fitted(rough / rough.std(), height, width)
    rough.flags.writeable = False
    return rough


@lru_cache(maxsize=2)
def wash(height: int, width: int) -> Field:
    """Return the density of a dried wash, with clouds and dark rims: standard deviation 1."""
    rows, columns = _canvas(height, width)
    clouds = _noise(rows, columns, 42, 10) + 0.55 * _noise(rows, columns, 16, 11)
    pool = (
        _noise(rows, columns, 30, 12)
        + 0.35 * _noise(rows, columns, 9, 13)
        + 0.1 * _noise(rows, columns, 3, 14)
    )
    rim = np.exp(-np.maximum(pool - 0.7, 0) / 0.10) * (pool > 0.7) - 0.5 * (pool > 0.7)
    rim = cv2.GaussianBlur(rim.astype(np.float32), (0, 0), 0.9)
    density = clouds + 0.9 * rim
    density = _fitted((density - density.mean()) / density.std(), height, width)
    density.flags.writeable = False
    return density


@lru_cache(maxsize=4)
def frame(height: int, width: int, margin: float) -> Plane:
    """Return 255 inside the drawing and 0 on the blank paper around it, with a rough edge."""
    rows, columns = _canvas(height, width)
    x, y = np.arange(columns, dtype=np.float32)[None, :], np.arange(rows, dtype=np.float32)[:, None]
    far = np.minimum(np.minimum(x, columns - 1 - x), np.minimum(y, rows - 1 - y))
    rough = 0.30 * margin * _noise(rows, columns, 22, 15) + 0.06 * margin * _noise(rows, columns, 5, 16)
    rough += 0.7 * _noise(rows, columns, 0.9, 17)
    inside = np.clip((far - margin + rough) / 2 + 0.5, 0, 1) * 255
    return _kept(_fitted(inside.astype(np.float32), height, width))
