"""Which pictures of a scene are taken: spread inside it, away from its cuts, the sharpest of their time.

A scene's length is not known before it ends, and its pictures cannot all be held. They are put into slots of
time, the sharpest of each is held, and when the slots grow too many, two and two become one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from training.curation.frame_quality import blur
from training.curation.shots import ShotFrame, Watched

CUT_MARGIN_S = 0.2
"""Seconds from a scene's beginning and end that nothing is taken from: cuts are blended and recompressed."""
MIN_SCENE_S = 0.3
"""Seconds; what flashes by more quickly is no scene."""
FIRST_SLOT_S = 0.25
"""Seconds of a scene's first slots."""
MAX_SLOTS = 16
"""As many slots are held at most, each with one picture."""
SECONDS_PER_FRAME = 2.0
"""Seconds of a scene for each further picture."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene, or with `every` a part of one, and what is taken from it."""

    start: float
    """Seconds."""
    end: float
    taken: tuple[ShotFrame, ...]
    """By time; their `picture` is never None."""
    whole: bool = True
    """False for a part after which the scene goes on."""


@dataclass(slots=True)
class _Held:
    frame: ShotFrame
    blur: float


def scenes(watched: Iterable[Watched], per_scene: int, every: float | None) -> Iterator[Scene]:
    """The film's scenes, each with up to `per_scene` pictures: one, and one more for every two seconds.

    With `every`, a scene is cut into parts of that many seconds, each a Scene with one picture. Dissolves
    belong to no scene. A scene depends on its own pictures alone.
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
            # The next part begins inside the scene: no cut to keep away from, on either side.
            yield replace(sampler.finish(time, away=0), whole=False)
            sampler = _Sampler(time, per_scene=1, away=0)
        if sampler is None:
            sampler = _Sampler(time, per_scene=1 if every else per_scene, away=CUT_MARGIN_S)
        sampler.take(seen.frame)
    if sampler:
        yield sampler.finish(sampler.latest)


class _Sampler:
    """One scene while it runs."""

    def __init__(self, start: float, *, per_scene: int, away: float) -> None:
        self.start = self.latest = start
        self._per_scene, self._away, self._slot = per_scene, away, FIRST_SLOT_S
        self._held: dict[int, _Held] = {}

    def take(self, frame: ShotFrame) -> None:
        """Look at the scene's next picture."""
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
        """The scene that ended at `end` seconds."""
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
    """The sharpest in the middle half of the scene's n-th part; where that is empty, the nearest to it."""
    middle = first + length * (n + 0.5) / count
    near = [each for each in held if abs(each.frame.time - middle) <= length / count / 4]
    if near:
        return min(near, key=lambda each: each.blur).frame
    return min(held, key=lambda each: abs(each.frame.time - middle)).frame
