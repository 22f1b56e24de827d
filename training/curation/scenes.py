"""Select frames of a scene: evenly spaced, away from its cuts, the sharpest of their time.

The length of a scene is unknown before it ends, and its frames do not all fit into memory. Time is divided
into slots, the sharpest frame of each is kept, and when there are too many slots, pairs of them are merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from training.curation.frame_quality import blur
from training.curation.shots import ShotFrame, Watched

CUT_MARGIN_S = 0.2
"""Seconds after a scene's start and before its end from which no frame is taken: cuts are blended and
recompressed.
"""
MIN_SCENE_S = 0.3
"""Seconds. Anything shorter is not a scene."""
FIRST_SLOT_S = 0.25
"""Initial length of a scene's slots in seconds."""
MAX_SLOTS = 16
"""Most slots in memory, each with one frame."""
SECONDS_PER_FRAME = 2.0
"""Seconds of a scene for each additional frame."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene, or a part of one with `every`, and its selected frames."""

    start: float
    """Seconds."""
    end: float
    taken: tuple[ShotFrame, ...]
    """Ordered by time. Their `picture` is never None."""
    whole: bool = True
    """False for a part after which the scene continues."""


@dataclass(slots=True)
class _Held:
    frame: ShotFrame
    blur: float


def scenes(watched: Iterable[Watched], per_scene: int, every: float | None) -> Iterator[Scene]:
    """Yield the film's scenes, each with up to `per_scene` frames: one, and one more for every two seconds.

    With `every`, a scene is divided into parts of that many seconds, each a Scene with one frame. Dissolves
    belong to no scene. The result for a scene depends only on its own frames.
    """
    sampler: _Sampler | None = None
    for seen in watched:
        time = seen.frame.time
        if sampler and (seen.starts_scene or seen.mixed):
            yield sampler.finish(time)
            sampler = None
        if seen.mixed:
            continue
        if sampler and every and time >= sampler.start + every:
            # The next part begins inside the scene: neither side has a cut to avoid.
            yield replace(sampler.finish(time, away=0), whole=False)
            sampler = _Sampler(time, per_scene=1, away=0)
        if sampler is None:
            sampler = _Sampler(time, per_scene=1 if every else per_scene, away=CUT_MARGIN_S)
        sampler.take(seen.frame)
    if sampler:
        yield sampler.finish(sampler.latest)


class _Sampler:
    """One scene in progress."""

    def __init__(self, start: float, *, per_scene: int, away: float) -> None:
        self.start = self.latest = start
        self._per_scene, self._away, self._slot = per_scene, away, FIRST_SLOT_S
        self._held: dict[int, _Held] = {}

    def take(self, frame: ShotFrame) -> None:
        """Add the scene's next frame."""
        self.latest = frame.time
        if frame.picture is None or frame.time < self.start + self._away:
            return
        self._put(int((frame.time - self.start) / self._slot), _Held(frame, blur(frame.luma)))
        if len(self._held) > MAX_SLOTS:
            self._slot *= 2
            held, self._held = self._held, {}
            for slot, each in held.items():
                self._put(slot // 2, each)

    def _put(self, slot: int, new: _Held) -> None:
        old = self._held.get(slot)
        if old is None or new.blur < old.blur:
            self._held[slot] = new

    def finish(self, end: float, away: float = CUT_MARGIN_S) -> Scene:
        """Return the scene that ended at `end` seconds."""
        first, last = self.start + self._away, end - away
        length = last - first
        inside = [each for each in self._held.values() if first <= each.frame.time <= last]
        if end - self.start < MIN_SCENE_S or not inside:
            return Scene(self.start, end, ())
        count = min(self._per_scene, 1 + int(length / SECONDS_PER_FRAME), len(inside))
        taken = {
            frame.time: frame for frame in (_best(inside, first, length, n, count) for n in range(count))
        }
        return Scene(self.start, end, tuple(taken[time] for time in sorted(taken)))


def _best(held: list[_Held], first: float, length: float, n: int, count: int) -> ShotFrame:
    """Return the sharpest frame in the middle half of the scene's n-th part, or the nearest if there is
    none.
    """
    middle = first + length * (n + 0.5) / count
    near = [each for each in held if abs(each.frame.time - middle) <= length / count / 4]
    if near:
        return min(near, key=lambda each: each.blur).frame
    return min(held, key=lambda each: abs(each.frame.time - middle)).frame
