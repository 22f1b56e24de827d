"""Where a film cuts from one scene to the next, hard or by a dissolve.

A hard cut is a change between two pictures that stands out from the changes around it (the adaptive
threshold of Yeo and Liu, "Rapid scene analysis on compressed video", 1995) and lasts: after a flash the old
scene is back. Within a dissolve or a fade each picture is a mixture of one before and one after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Luma = NDArray[np.uint8]

WINDOW_S = 0.4
"""Seconds before and after a picture that are looked at to judge it."""
MAX_FLASH_S = 0.15
"""Seconds after which a flash is over."""
MIN_CUT_DIFFERENCE = 9.0
"""Mean absolute difference of luma, 0..255, below which nothing is a cut."""
MIN_CUT_RATIO = 3.0
"""How many times the mean change around it a cut is."""
MIN_MIX_DIFFERENCE = 8.0
"""As LEAST_CUT, between the ends of what may be a dissolve."""
MAX_MIX_RESIDUAL = 0.14
"""Share of that difference which a mixture may leave unexplained; motion leaves a third and more."""
CANDIDATE_SPACING_S = 0.12
"""Seconds of film of which one picture is kept at hand; the others are only looked at."""


@dataclass(frozen=True, slots=True)
class ShotFrame:
    """One picture of a film."""

    time: float
    """Seconds from the film's beginning."""
    luma: Luma
    """A small copy, H x W, 0 black to 255 white, without the film's black bars."""
    picture: Callable[[], Image] | None
    """Gives the whole picture, RGB; valid as long as it is held, which costs that picture's memory."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A picture and its place in the film."""

    frame: ShotFrame
    """Its `picture` is None for most: one in CANDIDATES seconds is held."""
    starts_scene: bool
    mixed: bool
    """Within a dissolve or a fade."""


@dataclass(slots=True)
class _Entry:
    frame: ShotFrame
    small: NDArray[np.float32]
    change: float
    """From the picture before."""


def watch(frames: Iterable[ShotFrame]) -> Iterator[Watched]:
    """Every frame in order with what is said about it, SIDE seconds behind what has been read.

    Looks at SIDE seconds around a frame and at nothing else: begun later in a film, it says the same about
    every frame that lies more than 2 SIDE after that beginning.
    """
    window: deque[_Entry] = deque()
    state = _State()
    at = 0
    last = -1
    for frame in frames:
        slot = int(frame.time / CANDIDATE_SPACING_S)
        held = frame if slot != last else replace(frame, picture=None)
        last = slot
        small = _small(frame.luma)
        change = _distance(window[-1].small, small) if window else 0.0
        window.append(_Entry(held, small, change))
        while window[at].frame.time + WINDOW_S <= frame.time:
            yield _judge(window, at, state)
            at = _forget(window, at)
    while at < len(window):
        yield _judge(window, at, state)
        at = _forget(window, at)


@dataclass(slots=True)
class _State:
    mixing: bool = False
    first: bool = True


def _forget(window: deque[_Entry], at: int) -> int:
    """Go on to the next entry; drop those that lie too far back, and the picture of the one just judged."""
    window[at].frame = replace(window[at].frame, picture=None)
    at += 1
    if at < len(window):
        while window[0].frame.time < window[at].frame.time - WINDOW_S:
            window.popleft()
            at -= 1
    return at


def _judge(window: deque[_Entry], at: int, state: _State) -> Watched:
    mixed = _is_mixed(window, at)
    starts = state.first or _is_cut(window, at) or (state.mixing and not mixed)
    state.first, state.mixing = False, mixed
    return Watched(window[at].frame, starts, mixed)


def _is_cut(window: deque[_Entry], at: int) -> bool:
    change = window[at].change
    if change < MIN_CUT_DIFFERENCE or at == 0:
        return False
    around = [entry.change for n, entry in enumerate(window) if n not in (0, at)]
    if around and change < MIN_CUT_RATIO * sum(around) / len(around):
        return False
    # Both sides of a flash: the old scene is back a little later, or was there a little earlier.
    time, later, earlier = window[at].frame.time, at, at - 1
    while later + 1 < len(window) and window[later].frame.time - time < MAX_FLASH_S:
        later += 1
    while earlier > 0 and time - window[earlier].frame.time < MAX_FLASH_S:
        earlier -= 1
    lasts = _distance(window[at - 1].small, window[later].small) > 0.5 * change
    return lasts and _distance(window[earlier].small, window[at].small) > 0.5 * change


def _is_mixed(window: deque[_Entry], at: int) -> bool:
    before, here, after = window[0].small, window[at].small, window[-1].small
    span = after - before
    difference = float(np.abs(span).mean())
    if difference < MIN_MIX_DIFFERENCE or at in (0, len(window) - 1):
        return False
    share = float(((here - before) * span).sum() / (span * span).sum())
    residual = float(np.abs(here - before - share * span).mean())
    return 0.1 < share < 0.9 and residual < MAX_MIX_RESIDUAL * difference


def _small(luma: Luma) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(luma, (48, 27), interpolation=cv2.INTER_AREA), np.float32)


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).mean())
