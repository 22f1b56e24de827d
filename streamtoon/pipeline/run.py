"""Decode -> engine -> encode: three stages joined by bounded queues.

Decoder and encoder run in one thread each. The engine computes in as many threads as it renders frames
concurrently, and finishes them (temporal filter, look) in order in one more: the encoder waits for its own
threads, and would hold up what comes before it. Every frame of the source is written once and in order. An
error in any thread, or in the caller's own (Ctrl-C), stops all threads and reaches the caller unchanged.

A live run has the same stages, but its queues hold one frame each, and a newer frame replaces a waiting one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from engines.common.memory import can_allocate
from engines.errors import OutOfMemoryError
from engines.frame import Frame
from streamtoon.pipeline.latency_histogram import LatencyHistogram
from streamtoon.pipeline.queues import LiveQueue, NewestQueue, Queue, StoppedError
from streamtoon.pipeline.renderer import FrameRenderer, PendingFrame

NonFrame = TypeVar("NonFrame")
"""An item that travels with the frames and is not a frame."""
Stage = Literal["decode", "run", "encode"]
STAGES: tuple[Stage, ...] = ("decode", "run", "encode")

QUEUE_ITEMS = 4
"""Items that may wait between two stages. Enough to even out slow frames; a 4K frame takes 12 MB."""
FINISHED_ITEMS = 2
"""Items that may wait for the encoder, of those: frames before it wait unfinished."""


@dataclass(frozen=True, slots=True)
class StageTime:
    """The time that one stage works on a frame, without waiting for other stages.

    For a stage with several workers, the working time is divided by their number.
    """

    mean_ms: float
    p95_ms: float
    """95th percentile, at most 1 % too large."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run."""

    frames: int
    """Frames written so far."""
    total: int | None
    """Estimated number of frames in total; None if unknown."""
    seconds: float
    """Time since the pipeline started."""
    fps: float
    """Frames written per second over about the last two seconds, longer for slow runs."""
    stages: dict[Stage, float]
    """Mean milliseconds per frame over the latest frames."""
    dropped: int = 0
    """Frames of a live run that were replaced by newer ones."""
    reading: bool = False
    """Whether the run is still re-reading frames that an earlier run rendered: `frames` of `total` are read.
    This happens when the source cannot be seeked."""
    joining: bool = False
    """Whether rendering is finished: `frames` of `total` are in the output file."""
    size: float | None = None
    """Estimated size of the output file in bytes; None if unknown."""
    stopping: int | None = None
    """After a stop request, the number of frames still to be written at most; else None."""

    @property
    def remaining(self) -> float | None:
        """Seconds until the end at the present rate; None if unknown."""
        if self.total is None or self.fps <= 0:
            return None
        return max(0, self.total - self.frames) / self.fps


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counts and times of a finished run."""

    frames_in: int
    frames_out: int
    stages: dict[Stage, StageTime]
    dropped: int = 0
    """Frames of a live run that were replaced by newer ones."""


def run(
    source: Iterable[Frame | NonFrame],
    renderer: FrameRenderer,
    write: Callable[[Frame | NonFrame], object],
    *,
    pass_by: Callable[[NonFrame], object] | None = None,
    before: int = 0,
    total: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    unblock: Callable[[], object] | None = None,
    interval: float = 0.1,
    newest: bool = False,
) -> Outcome:
    """Read all of `source`, render each frame and pass everything to `write` in order.

    Items that are not frames skip the engine and keep their place. In a live run (`newest`), a frame that
    waits for the engine is dropped when a newer one arrives, and the engine renders one frame at a time;
    other items are never dropped.

    Args:
        source: Frames and other items. Iterated in one thread.
        renderer: Renders the frames. They are submitted in a second thread, and computed in as many
            threads as the renderer's `concurrency`.
        write: Called in a third thread with each rendered frame and each other item, in order.
        pass_by: Called with each other item after the frames before it are finished and before the next one
            is, such as to forget what frames depend on. Not in a live run.
        before: Frames that an earlier run wrote. Progress counts on from there; `total` includes them.
        total: Expected number of frames, for progress; None if unknown.
        on_progress: Called in the caller's thread every `interval` seconds, and once at the end.
        unblock: Called when the run ends early, to make a waiting `source` give up.
        interval: Seconds between two calls of `on_progress`.
        newest: Whether this is a live run.

    Returns:
        The counts and times of the run, after everything is written.

    Raises:
        OutOfMemoryError: There is not enough memory to start the threads.
        BaseException: The first error of any stage, after all threads have ended.
    """
    pipeline = (_LivePipeline if newest else _Pipeline)(source, renderer, write, unblock, pass_by)
    threads = [
        threading.Thread(target=pipeline.guard, args=(work,), name=f"streamtoon-{name}", daemon=True)
        for name, work in pipeline.threads.items()
    ]
    meter = _Meter(pipeline, before, total)
    if not can_allocate():  # without memory for a new thread, Thread.start() waits for ever
        raise OutOfMemoryError("not enough memory to start the pipeline")
    try:
        for thread in threads:
            thread.start()
        while not pipeline.done.wait(interval):
            if on_progress:
                on_progress(meter.read())
    except BaseException:
        pipeline.stop()
        raise
    finally:
        for thread in threads:
            while thread.is_alive():
                # The callers close the writer next. Not even another Ctrl-C may leave a thread behind.
                with suppress(KeyboardInterrupt):
                    thread.join()
    if pipeline.error:
        raise pipeline.error
    if on_progress:
        on_progress(meter.read())
    return Outcome(
        frames_in=len(pipeline.clocks["decode"].durations),
        frames_out=len(pipeline.clocks["encode"].durations),
        stages={stage: pipeline.clocks[stage].summary() for stage in STAGES},
        dropped=pipeline.dropped,
    )


class _Clock:
    """Measures the working time of a stage, frame by frame."""

    def __init__(self, workers: int = 1) -> None:
        self.durations = LatencyHistogram()
        self._workers = workers
        self._open = 0.0

    def lap(self, start: float, *, is_picture: bool, is_shared: bool = True) -> None:
        """Add the time since `start`. The cost of other items is counted with the frame after them.

        `is_shared` says whether all workers do this kind of work, and not one thread alone.
        """
        self._open += (time.perf_counter() - start) / (self._workers if is_shared else 1)
        if is_picture:
            self.durations.add(1000 * self._open)
            self._open = 0.0

    def summary(self) -> StageTime:
        return StageTime(round(self.durations.mean, 3), round(self.durations.quantile(0.95), 3))


class _Pipeline(Generic[NonFrame]):
    """The three stages and their shared state."""

    def __init__(
        self,
        source: Iterable[Frame | NonFrame],
        renderer: FrameRenderer,
        write: Callable[[Frame | NonFrame], object],
        unblock: Callable[[], object] | None,
        pass_by: Callable[[NonFrame], object] | None,
    ) -> None:
        self._source, self._renderer, self._write, self._unblock = source, renderer, write, unblock
        self._pass_by = pass_by
        self._workers = workers = renderer.concurrency
        self._decoded: Queue[Frame | NonFrame] = Queue(QUEUE_ITEMS)
        unfinished = QUEUE_ITEMS - FINISHED_ITEMS + workers - 1
        self._drawn: Queue[Future[PendingFrame] | NonFrame] = Queue(unfinished)
        self._finished: Queue[Frame | NonFrame] = Queue(FINISHED_ITEMS)
        self._lock = threading.Lock()
        self.clocks: dict[Stage, _Clock] = {
            stage: _Clock(workers if stage == "run" else 1) for stage in STAGES
        }
        self.error: BaseException | None = None
        self.done = threading.Event()

    @property
    def dropped(self) -> int:
        """Number of frames that were replaced by newer ones."""
        return 0

    @property
    def threads(self) -> dict[str, Callable[[], None]]:
        """What runs in a thread of its own, by name."""
        return {"decode": self._decode, "run": self._run, "finish": self._finish, "encode": self._encode}

    def guard(self, work: Callable[[], None]) -> None:
        """Do one thread's work. The first error of any of them ends the run and is kept."""
        try:
            work()
        except StoppedError:
            pass
        except BaseException as error:
            with self._lock:
                self.error = self.error or error
            self.stop()

    def stop(self) -> None:
        self.done.set()  # first, so that waiting jobs are cancelled
        if self._unblock:
            self._unblock()
        for queue in (self._decoded, self._drawn, self._finished):
            queue.stop()

    def _decode(self) -> None:
        clock = self.clocks["decode"]
        items = iter(self._source)
        while True:
            start = time.perf_counter()
            item = next(items, None)
            if item is None:
                break
            clock.lap(start, is_picture=isinstance(item, Frame))
            self._decoded.put(item)
        self._decoded.end()

    def _run(self) -> None:
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="streamtoon-run")
        try:
            for item in self._decoded:
                if isinstance(item, Frame):
                    self._drawn.put(pool.submit(self._compute, self._renderer.submit(item)))
                else:
                    self._drawn.put(item)
                del item
            self._drawn.end()
        finally:
            pool.shutdown(cancel_futures=self.done.is_set())

    def _compute(self, pending: PendingFrame) -> PendingFrame:
        start = time.perf_counter()
        pending.compute()
        with self._lock:
            self.clocks["run"].lap(start, is_picture=True)
        return pending

    def _finish(self) -> None:
        for item in self._drawn:
            if isinstance(item, Future):
                pending = item.result()  # waits for the computation
                start = time.perf_counter()
                frame = pending.result()
                with self._lock:
                    self.clocks["run"].lap(start, is_picture=False, is_shared=False)
                del item, pending  # a frame must not live until the next one arrives
                self._finished.put(frame)
                del frame
            else:
                if self._pass_by is not None:
                    self._pass_by(item)
                self._finished.put(item)
        self._finished.end()

    def _encode(self) -> None:
        clock = self.clocks["encode"]
        for item in self._finished:
            start = time.perf_counter()
            self._write(item)
            clock.lap(start, is_picture=isinstance(item, Frame))
            del item
        self.done.set()


class _LivePipeline(_Pipeline[NonFrame]):
    """A pipeline in which a newer frame replaces a waiting one."""

    def __init__(
        self,
        source: Iterable[Frame | NonFrame],
        renderer: FrameRenderer,
        write: Callable[[Frame | NonFrame], object],
        unblock: Callable[[], object] | None,
        pass_by: Callable[[NonFrame], object] | None,
    ) -> None:
        super().__init__(source, renderer, write, unblock, pass_by)
        self._decoded = self._newest = NewestQueue[Frame | NonFrame]()
        self._finished = self._latest = LiveQueue[Frame | NonFrame]()

    @property
    def threads(self) -> dict[str, Callable[[], None]]:
        return {"decode": self._decode, "run": self._run, "encode": self._encode}

    @property
    def dropped(self) -> int:
        return self._newest.dropped

    def _run(self) -> None:
        for item in self._decoded:
            if isinstance(item, Frame):
                self._finished.put(self._compute(self._renderer.submit(item)).result())
                del item
                self._latest.wait_for_room()  # take the next frame only then, so that it is the newest
            else:
                self._finished.put(item)
        self._finished.end()


class _Meter:
    """Reads the progress of a running pipeline."""

    def __init__(self, pipeline: _Pipeline[Any], before: int, total: int | None) -> None:
        self._pipeline, self._clocks = pipeline, pipeline.clocks
        self._before = before
        self._total = total
        self._start = time.perf_counter()
        self._marks: deque[tuple[float, int]] = deque([(self._start, 0)], maxlen=20)

    def read(self) -> Progress:
        now, frames = time.perf_counter(), len(self._clocks["encode"].durations)
        then, before = self._marks[0]
        if frames != self._marks[-1][1]:  # otherwise two seconds without a frame would read as 0 fps
            self._marks.append((now, frames))
        return Progress(
            frames=self._before + frames,
            total=self._total,
            seconds=now - self._start,
            fps=(frames - before) / max(1e-9, now - then),
            stages={stage: clock.durations.recent for stage, clock in self._clocks.items()},
            dropped=self._pipeline.dropped,
        )
