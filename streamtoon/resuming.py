"""What an earlier run has left of a conversion: whether it can be used, and where the rest begins."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engines.memory import is_want_of_memory
from streamtoon.errors import EngineError, InputError, OutOfMemoryError, UnfinishedError
from streamtoon.identity import difference
from streamtoon.media import Source
from streamtoon.media.work import Work
from streamtoon.pipeline import Progress
from streamtoon.report import EngineReport

JOINED = "joined"
"""The fact that the output only had to be given its name."""
INTERVAL = 0.1
"""Seconds between two calls for progress."""


def discard_if_joined(target: Path, facts: Mapping[str, str]) -> None:
    """Removes work whose file is there: all that a kill between the two has left undone."""
    if not Work.place(target).exists():
        return
    with Work(target) as work:
        before = work.facts()
        if JOINED in before and not difference(before, facts):
            work.discard()


def earlier(work: Work, facts: Mapping[str, str]) -> tuple[EngineReport | None, list[str]]:
    """Loads the parts that can be used; the engine that drew them, and what is to be said."""
    before = work.facts()
    if not before:
        return None, []
    if changed := difference(before, facts):
        return None, [f"The unfinished work in {work.path} is of no use ({changed}): it is begun afresh."]
    work.load()
    return (EngineReport(**json.loads(before["engine"])) if work.parts else None), []


def hold_to(before: EngineReport | None, now: EngineReport) -> None:
    """Raises EngineError where an engine draws otherwise than the one whose parts there are."""
    if before is None:
        return
    for name in ("backend", "device", "precision", "generator", "quality", "scale"):
        was, is_now = getattr(before, name), getattr(now, name)
        if was != is_now:
            raise EngineError(
                f"what is done was drawn with {name} {was}, which is {is_now} now; free memory for it, or "
                "begin afresh with --no-resume"
            )


@contextmanager
def at_the_first_missing(
    source: Source,
    work: Work,
    reopen: Callable[[], Source],
    stopping: Callable[[], bool],
    on_progress: Callable[[Progress], object] | None,
) -> Iterator[Source]:
    """The source, or where it cannot be sought one that `reopen` gives, with the first missing picture next.

    Raises InputError where its pictures are not those of before, KeyboardInterrupt when `stopping` says so.
    """
    if not work.parts:
        yield source
        return
    latest = work.parts[-1]
    assert latest.next_pts is not None and latest.next_check is not None, "a next part is missing"
    if latest.can_seek and source.skip_to(work.pictures, latest.next_pts, latest.next_check):
        yield source
        return
    with reopen() as front:
        watch = _Watch(work.pictures, stopping, on_progress)
        if not front.skip(work.pictures, latest.next_check, watch):
            raise InputError(
                f"{front.opened.name} no longer gives the pictures that it gave before; run the command with "
                "--no-resume, which draws all of them anew."
            )
        yield front


class _Watch:
    """Called with the pictures that were read again so far, tells how far that is."""

    def __init__(
        self, total: int, stopping: Callable[[], bool], on_progress: Callable[[Progress], object] | None
    ) -> None:
        self._total, self._stopping, self._on_progress = total, stopping, on_progress
        self._start = self._latest = time.perf_counter()

    def __call__(self, frames: int) -> None:
        if self._stopping():
            raise KeyboardInterrupt
        now = time.perf_counter()
        if self._on_progress is None or now - self._latest < INTERVAL:
            return
        self._latest, seconds = now, now - self._start
        self._on_progress(Progress(frames, self._total, seconds, frames / seconds, {}, reading=True))


@contextmanager
def kept_is_told(work: Work, source: Source) -> Iterator[None]:
    """Ctrl-C and want of memory, within this block, say what is kept, where something is."""
    try:
        yield
    except KeyboardInterrupt as error:
        if work.parts:
            raise stopped(work, source) from error
        raise
    except Exception as error:
        if work.parts and is_want_of_memory(error):
            ours = (
                str(error) if isinstance(error, OutOfMemoryError) else "there is not enough memory to go on"
            )
            raise OutOfMemoryError(f"{ours}; {_kept(work, source)}") from error
        raise


def stopped(work: Work, source: Source) -> UnfinishedError:
    """Says what is kept."""
    return UnfinishedError(f"stopped: {_kept(work, source)}")


def _kept(work: Work, source: Source) -> str:
    total = source.expected_frames
    of = f" of about {total}" if total else ""
    return (
        f"{work.pictures}{of} pictures are done and kept in {work.path}; the same command goes on from there"
    )
