"""Resuming an interrupted conversion: whether its stored work is usable, and where the rest begins."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engines.common.memory import is_out_of_memory
from streamtoon.convert.resume.fingerprint import difference
from streamtoon.errors import EngineError, InputError, OutOfMemoryError, OutputError, UnfinishedError
from streamtoon.media import VideoReader
from streamtoon.media.segments.packet_store import PacketStore
from streamtoon.pipeline.run import Progress
from streamtoon.reports import EngineReport
from streamtoon.wording import counted

JOINED = "joined"
"""Name of the fact that the output is complete except for its final name."""
PROGRESS_INTERVAL_S = 0.1
"""Seconds between two progress reports."""


def discard_if_joined(target: Path, facts: Mapping[str, str]) -> None:
    """Remove the stored work if its output is already complete, after a kill between the two steps."""
    if not PacketStore.place(target).exists():
        return
    with PacketStore(target) as work:
        before = work.facts()
        if JOINED in before and not difference(before, facts):
            work.discard()


def load_previous_run(work: PacketStore, facts: Mapping[str, str]) -> EngineReport | None:
    """Load the stored segments and return the report of the engine that rendered them, or None.

    Raises OutputError if the stored work belongs to a different request than `facts`: it is never discarded
    without being asked.
    """
    before = work.facts()
    if not before:
        return None
    changed = difference(before, facts)
    if changed and (kept := work.kept):
        raise OutputError(
            f"{work.path} contains {counted(kept, 'frame')} rendered {changed}. Use the same settings and "
            "input to resume, --no-resume to discard that work and start over, or another OUT to leave it "
            "as it is."
        )
    if changed:
        return None
    work.load()
    return EngineReport(**json.loads(before["engine"])) if work.parts else None


def check_same_engine(before: EngineReport | None, now: EngineReport) -> None:
    """Raise EngineError if an engine would render differently from the one that rendered the segments."""
    if before is None:
        return
    for name in ("backend", "device", "precision", "generator", "quality", "scale"):
        was, is_now = getattr(before, name), getattr(now, name)
        if was != is_now:
            raise EngineError(
                f"the finished frames were rendered with {name} {was}, but it is {is_now} now; free memory "
                "for the same engine, or start over with --no-resume"
            )


@contextmanager
def seek_to_first_missing(
    source: VideoReader,
    work: PacketStore,
    reopen: Callable[[], VideoReader],
    stopping: Callable[[], bool],
    on_progress: Callable[[Progress], object] | None,
) -> Iterator[VideoReader]:
    """Yield a reader whose next frame is the first missing one.

    Args:
        source: The open reader. It is used if it can be seeked.
        work: The stored segments.
        reopen: Opens a new reader, which skips the finished frames by decoding them.
        stopping: Returns whether a stop was requested.
        on_progress: Called while frames are skipped.

    Raises:
        InputError: The source's frames have changed.
        KeyboardInterrupt: A stop was requested.
    """
    if not work.parts:
        yield source
        return
    latest = work.parts[-1]
    assert latest.next_pts is not None and latest.next_check is not None, "a next part is missing"
    if latest.can_seek and source.skip_to(work.frames, latest.next_pts, latest.next_check):
        yield source
        return
    with reopen() as front:
        watch = _SkipProgress(work.frames, stopping, on_progress)
        if not front.skip(work.frames, latest.next_check, watch):
            raise InputError(
                f"the frames of {front.opened.name} have changed since the interrupted run. Run the command "
                "with --no-resume to render all of them again."
            )
        yield front


class _SkipProgress:
    """Reports the progress of re-reading frames, and stops it on request."""

    def __init__(
        self, total: int, stopping: Callable[[], bool], on_progress: Callable[[Progress], object] | None
    ) -> None:
        self._total, self._stopping, self._on_progress = total, stopping, on_progress
        self._start = self._latest = time.perf_counter()

    def __call__(self, frames: int) -> None:
        if self._stopping():
            raise KeyboardInterrupt
        now = time.perf_counter()
        if self._on_progress is None or now - self._latest < PROGRESS_INTERVAL_S:
            return
        self._latest, seconds = now, now - self._start
        self._on_progress(Progress(frames, self._total, seconds, frames / seconds, {}, reading=True))


@contextmanager
def report_saved_work(work: PacketStore, source: VideoReader) -> Iterator[None]:
    """Add the state of the stored work to Ctrl-C and out-of-memory errors raised within the block."""
    try:
        yield
    except KeyboardInterrupt as error:
        if work.parts:
            raise stopped_error(work, source) from error
        raise
    except Exception as error:
        if work.parts and is_out_of_memory(error):
            ours = str(error) if isinstance(error, OutOfMemoryError) else "not enough memory to continue"
            raise OutOfMemoryError(f"{ours}; {_saved_work(work, source)}") from error
        raise


def stopped_error(work: PacketStore, source: VideoReader) -> UnfinishedError:
    """Return the error that says how much work is stored."""
    return UnfinishedError(f"stopped: {_saved_work(work, source)}")


def _saved_work(work: PacketStore, source: VideoReader) -> str:
    total = source.expected_frames
    done = f"{work.frames} of about {counted(total, 'frame')}" if total else counted(work.frames, "frame")
    return f"{done} are finished and stored in {work.path}; run the same command to resume"
