"""Detect where a film changes from one scene to the next, by a hard cut or a dissolve.

A hard cut is a change between two frames that is much larger than the changes around it (the adaptive
threshold of Yeo and Liu, "Rapid scene analysis on compressed video", 1995) and permanent: after a flash the
old scene returns. In a dissolve or fade each frame is a mixture of an earlier and a later one.
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
"""Seconds before and after a frame that are used to judge it."""
MAX_FLASH_S = 0.15
"""Seconds after which a flash is over."""
MIN_CUT_DIFFERENCE = 9.0
"""Least mean absolute difference of luma at a cut, 0..255."""
MIN_CUT_RATIO = 3.0
"""Least ratio of a cut to the mean change around it."""
MIN_MIX_DIFFERENCE = 8.0
"""Like `MIN_CUT_DIFFERENCE`, between the ends of a possible dissolve."""
MAX_MIX_RESIDUAL = 0.14
"""Largest share of that difference that a mixture may leave unexplained. Motion leaves a third and more."""
CANDIDATE_SPACING_S = 0.12
"""Seconds of film per frame that is kept in full; of the others only luma is read."""


@dataclass(frozen=True, slots=True)
class ShotFrame:
    """One frame of a film."""

    time: float
    """Seconds from the start of the film."""
    luma: Luma
    """A small copy, H x W, 0 black to 255 white, without the film's black bars."""
    picture: Callable[[], Image] | None
    """Returns the whole frame, RGB. It is valid as long as it is referenced, which keeps the frame in
    memory.
    """


@dataclass(frozen=True, slots=True)
class Watched:
    """A frame and its place in the film."""

    frame: ShotFrame
    """Its `picture` is usually None: one frame per CANDIDATE_SPACING_S is kept."""
    starts_scene: bool
    mixed: bool
    """It is part of a dissolve or a fade."""


@dataclass(slots=True)
class _Entry:
    frame: ShotFrame
    small: NDArray[np.float32]
    change: float
    """Difference to the frame before."""


def watch(frames: Iterable[ShotFrame]) -> Iterator[Watched]:
    """Yield every frame in order with its judgement, WINDOW_S seconds behind what has been read.

    Only WINDOW_S seconds around a frame are used. Starting later in a film thus gives the same result for
    every frame more than 2 WINDOW_S after that start.
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
    """Go to the next entry. Drop entries that are too old, and the picture of the one just judged."""
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
    # Both sides of a flash: the old scene returns a little later, or was there a little earlier.
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
