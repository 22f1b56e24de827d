"""The driver: gives the stretches of many videos to workers, and joins what is finished.

Only a few videos are open at a time, so that finished segments of thousands do not fill a disk. An idle
worker gets a stretch of the open video that the fewest workers have. So a long film does not keep short
videos waiting, and one video alone gets all workers.

A video is joined while it is drawn. One thread of the driver does that, in the order of the segments.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from streamtoon.cluster.arrivals import Arrivals, MisfitError
from streamtoon.cluster.drawer import CutError
from streamtoon.cluster.file_run import FileRun, VideoResult
from streamtoon.cluster.jobs import Stretch, VideoJob
from streamtoon.cluster.joining import join_video
from streamtoon.cluster.planning import MIN_SEGMENTS, MIN_SEGMENTS_BUSY, plan
from streamtoon.cluster.pool import MAX_RETRIES, Pool
from streamtoon.cluster.progress import ClusterProgress, Meter
from streamtoon.cluster.seats import Seats, Task
from streamtoon.cluster.segment_folder import SegmentFolder
from streamtoon.cluster.storage import size_of
from streamtoon.errors import StreamtoonError, UnfinishedError
from streamtoon.reports import EngineReport

READERS = 2
"""Threads of the driver that read headers and indexes."""
JOINERS = 4
"""Threads of the driver that join outputs. Most of the time they wait for segments."""
MIN_OPEN_FILES = 4
"""Videos that are open at a time, even if their stretches would be enough for all workers."""
EXTRA_OPEN_FILES = 4
"""Open videos beyond the number of workers at most: they are being read or joined."""
POLL_S = 0.2
"""Seconds between two looks at the workers."""
NO_WORKER_S = 600.0
"""Seconds without any worker after which the remaining videos fail. A cluster may take minutes to grow."""
NO_FIT = (
    "the file does not decode from its key frames as its index says, so one worker has drawn all of it again"
)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the dispatcher calls in its thread."""

    on_result: Callable[[VideoResult], object]
    """With every video that is finished or failed."""
    on_progress: Callable[[ClusterProgress], object] | None = None
    """A few times a second."""


class Dispatcher:
    """Converts videos with the workers of a pool. One thread calls `run`, once."""

    def __init__(
        self, jobs: Sequence[VideoJob], pool: Pool, callbacks: Callbacks, stop: threading.Event
    ) -> None:
        self._files = [FileRun(job, size_of(job.source) or 1) for job in jobs]
        self._waiting = iter(list(self._files))
        self._next: FileRun | None = next(self._waiting, None)
        self._pool, self._callbacks, self._stop = pool, callbacks, stop
        self._seats = Seats(pool)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="streamtoon-reader")
        self._joiners = ThreadPoolExecutor(JOINERS, thread_name_prefix="streamtoon-joiner")
        self._pending: dict[Future[Any], Callable[[Future[Any]], None]] = {}
        self._engines: dict[tuple[int, int], EngineReport] = {}
        """By frame size: what all workers draw with."""
        self._opening: set[tuple[int, int]] = set()
        self._meter = Meter()

    def run(self) -> bool:
        """Convert all videos. Return whether it went to the end; False if it was stopped before."""
        try:
            while True:
                self._admit()
                self._dispatch()
                if not self._pending and not self._has_more():
                    return not any(file.stage in ("waiting", "stopped") for file in self._files)
                done, _ = wait(self._pending, POLL_S, FIRST_COMPLETED)
                if not self._pending:
                    time.sleep(POLL_S)
                for future in done:
                    self._pending.pop(future)(future)
                self._look_at_workers()
                self._tell()
        finally:
            for file in self._files:
                file.close()
            self._readers.shutdown(cancel_futures=True)
            self._joiners.shutdown(cancel_futures=True)

    # --- files -------------------------------------------------------------------------------------

    def _has_more(self) -> bool:
        if self._stop.is_set():
            for file in self._files:
                if file.is_open:
                    file.stage = "stopped"
            return False
        return self._next is not None or any(file.is_open for file in self._files)

    def _admit(self) -> None:
        """Begin to read the next videos, as far as there is room for them."""
        while self._next is not None and not self._stop.is_set():
            opened = [file for file in self._files if file.is_open]
            queued = sum(max(len(file.queue), file.stage == "reading" or file.has_work) for file in opened)
            workers = len(self._pool.workers)
            is_short = queued < workers and len(opened) < workers + EXTRA_OPEN_FILES
            if len(opened) >= MIN_OPEN_FILES and not is_short:
                return
            file, self._next = self._next, next(self._waiting, None)
            file.stage, file.began = "reading", time.perf_counter()
            is_busy = sum(each.stage == "waiting" for each in self._files) > workers
            least = MIN_SEGMENTS_BUSY if is_busy else MIN_SEGMENTS
            work = self._readers.submit(plan, file.job, file.copies, least)
            self._pending[work] = partial(self._planned, file)

    def _planned(self, file: FileRun, future: Future[Any]) -> None:
        with self._failing(file):
            found = future.result()
            if file.stage != "reading":
                return
            if found.is_finished:
                self._end(file, VideoResult(file.job, None))
                return
            file.begin(found)
            if file.arrivals is not None:
                work = self._joiners.submit(join_video, file, file.arrivals)
                self._pending[work] = partial(self._joined, file, file.arrivals)
            self._look_if_drawn(file)

    def _look_if_drawn(self, file: FileRun) -> None:
        """Go on with a video of which no stretch is left: its join ends, or one worker draws all of it."""
        if file.stage != "drawing" or file.arrivals is None or file.queue or file.running:
            return
        if file.arrivals.is_complete:
            file.stage = "joining"
        elif not self._stop.is_set():
            file.make_whole(NO_FIT)

    def _joined(self, file: FileRun, arrivals: Arrivals, future: Future[Any]) -> None:
        if file.arrivals is not arrivals:
            return  # the cut was given up
        with self._failing(file):
            try:
                future.result()
            except MisfitError:
                if file.is_open:
                    file.make_whole(NO_FIT)
                return
        self._converted(file, future)

    def _converted(self, file: FileRun, future: Future[Any]) -> None:
        if not file.is_open:
            return
        with self._failing(file):
            report = future.result()
            self._end(file, VideoResult(file.job, report, warnings=tuple(file.warnings)))

    def _end(self, file: FileRun, result: VideoResult) -> None:
        file.stage = "failed" if result.error else "done"
        file.close()
        self._callbacks.on_result(result)

    @contextmanager
    def _failing(self, file: FileRun) -> Iterator[None]:
        """Report the video as failed if the block raises an error."""
        try:
            yield
        except Exception as raised:
            error = self._pool.error_of(raised)
            text = str(error)
            if not isinstance(error, StreamtoonError):  # a bug must not end the other thousand videos
                text = f"unexpected {type(error).__name__}: {text}"
            if file.is_open and isinstance(error, UnfinishedError):
                file.stage = "stopped"
            elif file.is_open:
                self._end(file, VideoResult(file.job, None, text))

    # --- workers -----------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Give every idle worker a task, if there is one."""
        while not self._stop.is_set() and (seat := self._seats.idle()) is not None:
            task = self._next_task()
            if task is None:
                return
            task.file.running += 1
            future = self._seats.give(seat, task)
            self._pending[future] = partial(self._worked, task)

    def _next_task(self) -> Task | None:
        """Return a task of the video that the fewest workers have, or None if there is none."""
        files = [file for file in self._files if file.has_work]
        for file in sorted(files, key=lambda file: file.running):
            with self._failing(file):
                task = self._task_of(file)
                if task is not None:
                    return task
        return None

    def _task_of(self, file: FileRun) -> Task | None:
        """Return the next task of a video; None if it waits for the engine that another task opens.

        Raises StorageError.
        """
        assert file.plan is not None, "a video with work has been planned"
        if file.is_whole:
            if file.plan.stretches:
                SegmentFolder(file.job.work).remove()
            return Task(file, "convert", (file.job,))
        if file.engine is None:
            engine = self._engines.get(file.plan.size)
            if engine is None and file.plan.size in self._opening:
                return None
            if engine is None:
                self._opening.add(file.plan.size)
                return Task(file, "open", (file.job,))
            SegmentFolder(file.job.work).note("engine", json.dumps(asdict(engine)))
            file.engine = engine
        return Task(file, "draw", (file.job, file.queue.popleft(), file.engine))

    def _worked(self, task: Task, future: Future[Any]) -> None:
        """Take the result of a worker's task."""
        file = task.file
        self._seats.leave(future)
        file.running -= 1
        if task.method == "convert":
            self._converted(file, future)
            return
        assert file.plan is not None, "a video with a task has been planned"
        with self._failing(file):
            try:
                result = future.result()
            except Exception as raised:
                if not isinstance(self._pool.error_of(raised), CutError):
                    raise
                if file.stage == "drawing" and not file.is_whole:
                    file.make_whole(NO_FIT)
            else:
                if task.method == "open":
                    self._engines[file.plan.size] = result
                elif not file.is_whole:
                    file.add(result)
            finally:
                if task.method == "open":
                    self._opening.discard(file.plan.size)
            self._look_if_drawn(file)

    def _look_at_workers(self) -> None:
        """Ask workers whether they are there, and queue the tasks of those that are not."""
        if self._stop.is_set():
            self._seats.stop()
            for file in self._files:
                if file.arrivals is not None and not (file.running or file.arrivals.is_complete):
                    file.arrivals.give_up()
        for future, task in self._seats.lost():
            del self._pending[future]
            file = task.file
            file.running -= 1
            file.lost += 1
            with self._failing(file):
                if file.lost > MAX_RETRIES:
                    raise StreamtoonError(f"workers were lost {file.lost} times while they drew this file")
                if task.method == "open":
                    assert file.plan is not None, "a video with a task has been planned"
                    self._opening.discard(file.plan.size)
                if task.method == "draw" and not file.is_whole:
                    stretch = task.arguments[1]
                    assert isinstance(stretch, Stretch), "as _next_task gave it"
                    file.queue.appendleft(stretch)
        if self._seats.absent_s() > NO_WORKER_S:
            why = f"no worker answered for {NO_WORKER_S:.0f} s: does the cluster have what one needs?"
            for file in self._files:
                if file.stage in ("waiting", "reading", "drawing"):
                    self._end(file, VideoResult(file.job, None, why))
            self._next = None
            for future in self._seats.futures:
                self._pending.pop(future, None)

    def _tell(self) -> None:
        if self._callbacks.on_progress is not None:
            self._callbacks.on_progress(self._meter.read(self._files, self._seats, self._stop.is_set()))
