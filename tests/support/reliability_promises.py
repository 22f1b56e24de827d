"""What can be promised of a conversion, and how it is seen: each promise asserts, and says what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from media_clips import Facts, facts, luma_frames

LIMIT = 30
"""Seconds in which an error has to be told."""
TICK = Fraction(1, 1000) + Fraction(1, 90000)
"""What Matroska's clock, in which all outputs here are written, and a broadcast's may round."""


@dataclass(frozen=True)
class Ended:
    """One conversion, ended."""

    source: Path
    target: Path
    error: str | None
    """The sentence of a StreamtoonError; anything else would have ended the run."""
    warnings: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Promise:
    """`says` is for the table; `holds` asserts it and gives what was seen."""

    says: str
    holds: Callable[[Ended], str]


Made = Path | str | Iterable[Path]


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    group: str
    name: str
    make: Callable[[Path], Made]
    """Writes the files into a folder."""
    promise: Promise
    options: dict[str, Any] = field(default_factory=dict)
    """For Cartoonizer.video."""
    target: str = ""
    """Where to write; a folder of the case's own where nothing is said."""


def refused(words: str, also: str = "") -> Promise:
    """One clear sentence with `words` in it, within half a minute, and nothing written."""

    def holds(ended: Ended) -> str:
        assert ended.error is not None, f"{ended.source.name} was converted"
        assert words in ended.error, ended.error
        return _sentence(ended)

    return Promise(("one sentence" + (f": “… {words} …”" if words else "")) + also, holds)


def _sentence(ended: Ended) -> str:
    assert ended.error is not None
    assert ended.error.endswith(".") and "Errno" not in ended.error and "Traceback" not in ended.error
    assert ended.seconds < LIMIT
    assert not ended.target.exists()
    return "one sentence"


def whole(
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    warns: str | None = None,
    *,
    same: bool = False,
) -> Promise:
    """Every picture, at its time, with all its sound beside it; with `same`, nearly the same samples."""

    def holds(ended: Ended) -> str:
        assert ended.error is None, ended.error
        before, after = facts(ended.source), facts(ended.target)
        assert len(after.times) == (frames or len(before.times))
        assert after.size == (size or before.size)
        if not frames:
            _assert_moved_as_one(before, after)
        if warns is None:
            assert not [each for each in ended.warnings if "timestamps are rounded" not in each], (
                ended.warnings
            )
        else:
            assert any(warns in each for each in ended.warnings), ended.warnings
        if same:
            pairs = zip(luma_frames(ended.source), luma_frames(ended.target), strict=True)
            assert max(np.abs(a.astype(int) - b[: a.shape[0], : a.shape[1]]).mean() for a, b in pairs) < 4
        return _pictures(len(after.times))

    said = f"all pictures ({frames})" if frames else "every picture and its sound, in sync"
    said += f" at {size[0]}x{size[1]}" if size else ""
    return Promise(said + (f"; a warning: “… {warns} …”" if warns else ""), holds)


def _assert_moved_as_one(before: Facts, after: Facts) -> None:
    """All streams of `after` are those of `before`, moved by one and the same time."""
    shift = after.times[0] - before.times[0]
    pairs = [(sorted(before.times), sorted(after.times))]
    tracks = (
        [s for s in each.others if s.type in ("audio", "video", "subtitle") and not s.disposition & 1024]
        for each in (before, after)
    )
    for old, new in zip(*tracks, strict=True):
        assert len(new.digests) == len(old.digests), (old.codec, new.codec)
        pairs.append(([t or Fraction(0) for t in old.times], [t or Fraction(0) for t in new.times]))
    for old_times, new_times in pairs:
        for a, b in zip(old_times, new_times, strict=True):
            assert abs(b - a - shift) <= 2 * TICK, (float(a), float(b), float(shift))


def survived(original: Callable[[Path], Path], unsaid: float = 0.0, least: int = 0) -> Promise:
    """What can be decoded, each picture at the time it has in the undamaged file, its sound in sync.

    Or, where nothing can, one sentence. A warning says what is missing, where it is more than `unsaid`
    seconds: not every container knows how much it should hold. With `least` pictures no sentence will do.
    """

    def holds(ended: Ended) -> str:
        if ended.error is not None:
            assert not least, ended.error
            return _sentence(ended)
        true, after = facts(original(ended.source.parent)), facts(ended.target)
        assert max(1, least) <= len(after.times) <= len(true.times)
        near = 2 * TICK
        for each in after.times:
            assert min(abs(each - time) for time in true.times) <= near, float(each)
        sound = [s for s in after.others if s.type == "audio"]
        if sound and sound[0].times:
            known = [t for t in true.others[0].times if t is not None]
            for time in sound[0].times:
                # A single packet before 0 is all that Matroska's reader gives no time.
                assert time is None or min(abs(time - each) for each in known) <= near, float(time)
        if len(after.times) < len(true.times) and max(true.times) - max(after.times) > unsaid:
            assert ended.warnings, "pictures are missing, and nothing is said"
        return _pictures(len(after.times))

    other = f"no fewer than {least} pictures" if least else "or one sentence"
    return Promise(f"what can be decoded, at its own time, counted; {other}", holds)


def ended_well() -> Promise:
    """A playable file or one sentence: for damage that may change what the file means."""

    def holds(ended: Ended) -> str:
        if ended.error is not None:
            return _sentence(ended)
        return _pictures(len(facts(ended.target).times))

    return Promise("a playable file or one sentence", holds)


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def continuous(frames: int, gap: Fraction = Fraction(1, 10)) -> Promise:
    """`frames` pictures one after the other without a hole, and the sound ending where they end."""

    def holds(ended: Ended) -> str:
        assert ended.error is None, ended.error
        after = facts(ended.target)
        steps = [b - a for a, b in pairwise(after.times)]
        assert len(after.times) == frames
        assert max(steps) <= gap and min(steps) > 0, (float(min(steps)), float(max(steps)))
        sound: list[Any] = [s.times for s in after.others if s.type == "audio"]
        for times in sound:
            assert abs(times[-1] - after.times[-1]) <= gap, (float(times[-1]), float(after.times[-1]))
            assert max(b - a for a, b in pairwise(times)) <= gap
        return _pictures(frames)

    return Promise(f"all {frames} pictures one after the other, sound and pictures joined alike", holds)
