"""A worker's side: an open engine that draws stretches of videos, and whole short ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from engines.common.memory import release_memory, translate_oom
from streamtoon.cluster.jobs import SegmentFacts, Stretch, StretchResult, VideoJob
from streamtoon.cluster.segment_folder import SegmentFolder
from streamtoon.cluster.storage import LocalCopies, StorageError, is_transient, local_target, size_of
from streamtoon.convert.reporting import report_of
from streamtoon.convert.resume.resume import check_same_engine
from streamtoon.engine_holder import EngineHolder
from streamtoon.errors import EngineError, InputError, OutOfMemoryError, StreamtoonError, UnfinishedError
from streamtoon.media.segments.segment_file import DrawnSegment, SegmentBuffer
from streamtoon.media.segments.segments import SegmentWriter, in_segments
from streamtoon.media.writer.containers import kind_of
from streamtoon.media.writer.encoders import choose_encoder
from streamtoon.pipeline.run import Progress, run
from streamtoon.reports import EngineReport, Report

Result = TypeVar("Result")


class CutError(InputError):
    """A stretch does not begin where the packets of the file said. The file has to be drawn as a whole."""


class Drawer:
    """Draws for one driver. One thread calls `open`, `draw` and `convert`; any thread calls the rest.

    Args:
        device: The device of this worker's engine; None for that of each job.
    """

    def __init__(self, device: str | None = None) -> None:
        self._device = device
        self._holder = EngineHolder()
        self._copies = LocalCopies()
        self._stop = threading.Event()
        self._drawn = 0
        self._drawing = 0

    @property
    def drawn(self) -> int:
        """Number of frames that this worker has drawn, those of the present task included."""
        return self._drawn + self._drawing

    def stop(self) -> None:
        """End the present task with its current segment."""
        self._stop.set()

    def close(self) -> None:
        """Free the engine and remove copies of sources."""
        self._holder.close()
        self._copies.close()

    def open(self, job: VideoJob) -> EngineReport:
        """Open the engine for a video, and return what it is: all workers then draw with the same one.

        Raises InputError, StyleError, EngineError and StorageError.
        """
        return self._guarded(lambda: self._open(job))

    def draw(self, job: VideoJob, stretch: Stretch, like: EngineReport) -> StretchResult:
        """Draw the segments of a stretch that are not on the storage yet.

        Raises CutError if the stretch does not begin where the plan says, and the errors of `open`.
        """
        return self._guarded(lambda: self._draw(job, stretch, like))

    def convert(self, job: VideoJob) -> Report:
        """Convert a whole video, as on one machine. Raises StreamtoonError."""
        return self._guarded(lambda: self._convert(job))

    def _guarded(self, work: Callable[[], Result]) -> Result:
        try:
            with translate_oom("this worker's engine"):
                return work()
        except KeyboardInterrupt as error:  # how a conversion ends that cannot keep its parts
            raise UnfinishedError("stopped") from error
        except OutOfMemoryError:
            self._holder.close()  # the next attempt begins with all the memory there is
            release_memory()
            raise
        except StreamtoonError as error:
            if is_transient(error.__cause__) and not isinstance(error, StorageError):
                raise StorageError(f"storage fails: {error}") from error
            raise
        finally:
            self._drawn, self._drawing = self.drawn, 0

    def _open(self, job: VideoJob) -> EngineReport:
        conversion = job.conversion(self._holder, self._copies.path(job.source), job.target, self._device)
        with conversion.open_source() as source:
            return conversion.renderer.open(source.info, None).report

    def _draw(self, job: VideoJob, stretch: Stretch, like: EngineReport) -> StretchResult:
        folder = SegmentFolder(job.work)
        done = folder.known(range(stretch.number, stretch.number + stretch.count))
        if len(done) == stretch.count:
            return StretchResult(tuple(done), 0, 0, 0, {})
        conversion = job.conversion(self._holder, self._copies.path(job.source), job.target, self._device)
        if self._device is not None:
            like = replace(like, device=self._device)
        before = stretch.frames_before + sum(segment.ends.part.frames for segment in done)
        pts, check = stretch.pts, None
        if done:
            last = done[-1].ends.part
            if last.next_pts is None:
                return StretchResult(tuple(done), 0, 0, 0, {})
            pts, check = last.next_pts, last.next_check
        with ExitStack() as stack:
            source = stack.enter_context(conversion.open_source())
            if before and not source.skip_to(before, pts, check):
                source = stack.enter_context(conversion.open_source())
                if not source.skip(before, check, lambda _: None):  # a container that cannot seek there
                    raise CutError(f"{source.opened.name} has no frame where its index says.")
            opened = conversion.renderer.open(source.info, like)
            check_same_engine(like, opened.report)
            if opened.warnings:  # it does not draw as asked, unlike the other workers
                raise EngineError(opened.warnings[0])

            def publish(segment: DrawnSegment) -> None:
                number = stretch.number + len(done)
                folder.put(number, segment)
                done.append(SegmentFacts(number, segment.ends, segment.facts))

            buffer = SegmentBuffer(publish)
            left = stretch.count - len(done)

            def is_last() -> bool:
                nonlocal left
                left -= 1
                return left == 0 or self._stop.is_set()

            kind = kind_of(Path(job.target))
            writing = job.writing
            choice = choose_encoder(kind, writing.codec, writing.crf, writing.preset)
            reused, partly = opened.reused, opened.partly_reused
            size = conversion.renderer.size(source.info)
            with SegmentWriter(buffer, kind, choice, source.info, size) as writer:
                outcome = run(
                    buffer.watch(in_segments(source, is_last)),
                    opened,
                    writer.write,
                    pass_by=lambda _: opened.start_segment(),
                    on_progress=self._watch,
                    unblock=source.stop,
                )
                if not writer.is_between_parts:
                    writer.finish(source.warnings)
        stages = {str(name): (spent.mean_ms, spent.p95_ms) for name, spent in outcome.stages.items()}
        reused, partly = opened.reused - reused, opened.partly_reused - partly
        return StretchResult(tuple(done), outcome.frames_out, reused, partly, stages)

    def _convert(self, job: VideoJob) -> Report:
        began = time.perf_counter()
        with local_target(job.target) as target:
            writing = replace(job.writing, overwrite=True)  # the driver has looked, and this may be a retry
            job = replace(job, writing=writing)
            source = self._copies.path(job.source)
            conversion = job.conversion(self._holder, source, target, self._device)
            done = conversion.run(
                resume=job.resume, stop=self._stop, on_progress=self._watch, on_warning=None
            )
        return report_of(
            job.source,
            job.target,
            done,
            seconds=time.perf_counter() - began,
            chosen_fps=job.reading.fps,
            size_bytes=size_of(job.target),
        )

    def _watch(self, progress: Progress) -> None:
        if not (progress.joining or progress.reading):
            self._drawing = progress.frames
