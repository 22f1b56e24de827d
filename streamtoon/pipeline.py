"""Decode -> engine -> encode: three stages joined by two bounded queues.

Decoder and encoder have a thread each, the engine as many as it draws pictures at a time. The promise to
callers: every picture that the source gives is written once and in order; an error in any of the threads, or
in the caller's own (Ctrl-C), stops all of them and reaches the caller as itself.

A live run has the same three stages, and no time: queues hold one picture, and the newest one wins.
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

from engines.errors import OutOfMemoryError
from engines.memory import has_room
from engines.picture import Picture
from streamtoon.durations import Durations
from streamtoon.queues import LiveQueue, NewestQueue, Queue, StoppedError

Other = TypeVar("Other")
"""What travels with the pictures and is none."""
Stage = Literal["decode", "run", "encode"]
STAGES: tuple[Stage, ...] = ("decode", "run", "encode")

DEPTH = 4
"""Items that may wait between two stages: evens out uneven frames, and a 4K picture weighs 12 MB."""


@dataclass(frozen=True, slots=True)
class StageTime:
    """What one stage spends on a picture: time at work, not time waiting for its neighbours.

    Of a stage that works on several at a time, that time by their number.
    """

    mean_ms: float
    p95_ms: float
    """To 1 %."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    frames: int
    """Pictures written so far."""
    total: int | None
    """Pictures to expect, where that is known; an estimate."""
    seconds: float
    """Since the pipeline started."""
    fps: float
    """Pictures written per second over about the last two seconds, longer where they come slowly."""
    stages: dict[Stage, float]
    """Mean milliseconds per picture over the latest pictures."""
    dropped: int = 0
    """Pictures of a live run that a newer one took the place of."""
    reading: bool = False
    """Whether nothing is drawn yet: `frames` of the `total` that an earlier run drew are read again, because
    the source gives those after them in no other way."""

    @property
    def remaining(self) -> float | None:
        """Seconds until the end at the present rate; None where that cannot be said."""
        if self.total is None or self.fps <= 0:
            return None
        return max(0, self.total - self.frames) / self.fps


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run did."""

    frames_in: int
    frames_out: int
    stages: dict[Stage, StageTime]
    dropped: int = 0
    """Pictures of a live run that a newer one took the place of."""


def run(
    source: Iterable[Picture | Other],
    start: Callable[[Picture], Callable[[], Picture]],
    write: Callable[[Picture | Other], object],
    *,
    workers: int = 1,
    before: int = 0,
    total: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    unblock: Callable[[], object] | None = None,
    interval: float = 0.1,
    newest: bool = False,
) -> Outcome:
    """Pull everything out of `source`, put each picture through the engine and give all of it to `write`.

    `source` is iterated in one thread. `start` is called in a second, picture by picture in their order, and
    gives the job that makes the picture's cartoon; jobs run in `workers` threads of their own. `write` is
    called in one more, again in order. What is no picture goes past the engine untouched and keeps its
    place. `before` pictures were written by an earlier run: progress counts on from there, and `total` has
    them. `on_progress` is called in the caller's own thread every `interval` seconds and once at the end.
    `unblock` is called when the run has to end early: it makes a `source` give up that waits for more.

    `newest` is for live runs: a picture that waits for the engine is dropped when a newer one comes, the
    engine takes one only when the one before is out of the way, and draws one at a time. What is no picture
    is never dropped.

    Returns when all is written. Raises whatever the first failing part raised, after all threads have ended.
    """
    pipeline = (_LivePipeline if newest else _Pipeline)(source, start, write, workers, unblock)
    threads = [
        threading.Thread(target=pipeline.guard, args=(stage,), name=f"streamtoon-{stage}", daemon=True)
        for stage in STAGES
    ]
    meter = _Meter(pipeline, before, total)
    if not has_room():  # Python waits for ever for a thread that want of memory ends before it begins
        raise OutOfMemoryError("there is not enough memory to begin")
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
                # What they write to is closed after this: not even one more Ctrl-C may leave them behind.
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
    """Sums a stage's time at work, picture by picture."""

    def __init__(self, workers: int = 1) -> None:
        self.durations = Durations()
        self._workers = workers
        self._open = 0.0

    def lap(self, start: float, item: object) -> None:
        """Count the time since `start`; what other items cost is counted with the picture after them."""
        self._open += time.perf_counter() - start
        if isinstance(item, Picture):
            self.durations.add(1000 * self._open / self._workers)
            self._open = 0.0

    def summary(self) -> StageTime:
        return StageTime(round(self.durations.mean, 3), round(self.durations.quantile(0.95), 3))


class _Pipeline(Generic[Other]):
    """The three stages and what they share."""

    def __init__(
        self,
        source: Iterable[Picture | Other],
        start: Callable[[Picture], Callable[[], Picture]],
        write: Callable[[Picture | Other], object],
        workers: int,
        unblock: Callable[[], object] | None,
    ) -> None:
        self._source, self._start, self._write, self._unblock = source, start, write, unblock
        self._workers = workers
        self._decoded: Queue[Picture | Other] = Queue(DEPTH)
        self._drawn: Queue[Future[Picture] | Picture | Other] = Queue(DEPTH + workers - 1)
        self._lock = threading.Lock()
        self.clocks: dict[Stage, _Clock] = {
            stage: _Clock(workers if stage == "run" else 1) for stage in STAGES
        }
        self.error: BaseException | None = None
        self.done = threading.Event()

    @property
    def dropped(self) -> int:
        """Pictures that a newer one took the place of."""
        return 0

    def guard(self, stage: Stage) -> None:
        """Run one stage in this thread; its error ends the run, and the first error is the one kept."""
        try:
            {"decode": self._decode, "run": self._run, "encode": self._encode}[stage]()
        except StoppedError:
            pass
        except BaseException as error:
            with self._lock:
                self.error = self.error or error
            self.stop()

    def stop(self) -> None:
        self.done.set()  # first: what waits to be drawn is dropped
        if self._unblock:
            self._unblock()
        self._decoded.stop()
        self._drawn.stop()

    def _decode(self) -> None:
        clock = self.clocks["decode"]
        items = iter(self._source)
        while True:
            start = time.perf_counter()
            item = next(items, None)
            if item is None:
                break
            clock.lap(start, item)
            self._decoded.put(item)
        self._decoded.end()

    def _run(self) -> None:
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="streamtoon-run")
        try:
            for item in self._decoded:
                if isinstance(item, Picture):
                    self._drawn.put(pool.submit(self._draw, self._start(item)))
                else:
                    self._drawn.put(item)
                del item
            self._drawn.end()
        finally:
            pool.shutdown(cancel_futures=self.done.is_set())

    def _draw(self, job: Callable[[], Picture]) -> Picture:
        start = time.perf_counter()
        picture = job()
        with self._lock:
            self.clocks["run"].lap(start, picture)
        return picture

    def _encode(self) -> None:
        clock = self.clocks["encode"]
        for pending in self._drawn:
            item = pending.result() if isinstance(pending, Future) else pending
            start = time.perf_counter()
            self._write(item)
            clock.lap(start, item)
            del pending, item  # a picture that is written must not live until the next one comes
        self.done.set()


class _LivePipeline(_Pipeline[Other]):
    """Whose pictures do not wait for one another."""

    def __init__(
        self,
        source: Iterable[Picture | Other],
        start: Callable[[Picture], Callable[[], Picture]],
        write: Callable[[Picture | Other], object],
        workers: int,
        unblock: Callable[[], object] | None,
    ) -> None:
        super().__init__(source, start, write, workers, unblock)
        self._decoded = self._newest = NewestQueue[Picture | Other]()
        self._drawn = self._latest = LiveQueue[Future[Picture] | Picture | Other]()

    @property
    def dropped(self) -> int:
        return self._newest.dropped

    def _run(self) -> None:
        for item in self._decoded:
            if isinstance(item, Picture):
                self._drawn.put(self._draw(self._start(item)))
                del item
                self._latest.wait_for_room()  # only then the next one is taken, to be the newest there is
            else:
                self._drawn.put(item)
        self._drawn.end()


class _Meter:
    """Reads a running pipeline."""

    def __init__(self, pipeline: _Pipeline[Any], before: int, total: int | None) -> None:
        self._pipeline, self._clocks = pipeline, pipeline.clocks
        self._before = before
        self._total = total
        self._start = time.perf_counter()
        self._marks: deque[tuple[float, int]] = deque([(self._start, 0)], maxlen=20)

    def read(self) -> Progress:
        now, frames = time.perf_counter(), len(self._clocks["encode"].durations)
        then, before = self._marks[0]
        if frames != self._marks[-1][1]:  # else two seconds without a picture would read as a standstill
            self._marks.append((now, frames))
        return Progress(
            frames=self._before + frames,
            total=self._total,
            seconds=now - self._start,
            fps=(frames - before) / max(1e-9, now - then),
            stages={stage: clock.durations.recent for stage, clock in self._clocks.items()},
            dropped=self._pipeline.dropped,
        )
