"""The workers of a pool as the dispatcher sees them: who is there, and who does what."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from streamtoon.cluster.file_run import FileRun
from streamtoon.cluster.pool import Pool

ASK_EVERY_S = 0.5
"""Seconds between two questions to a worker."""
LOST_AFTER_S = 60.0
"""Seconds without an answer after which a worker counts as lost. Others then get its task."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task for a worker: a method of its Drawer."""

    file: FileRun
    method: str
    arguments: tuple[object, ...]


@dataclass(slots=True)
class Seat:
    """One place of a pool."""

    number: int
    is_ready: bool = False
    """Whether the worker has answered since it was started."""
    future: Future[Any] | None = None
    task: Task | None = None
    answer: Future[int] | None = None
    asked: float = 0.0
    heard: float = 0.0
    """Time of the latest answer."""
    drawn: int = 0
    """Frames drawn since the worker started."""
    drawn_before: int = 0
    """Frames drawn by workers that were here before."""


class Seats:
    """All places of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._seats = [Seat(number) for number in range(len(pool.workers))]
        self._present = time.monotonic()
        self._is_stopping = False

    @property
    def ready(self) -> int:
        """Number of workers that are there."""
        return sum(seat.is_ready for seat in self._seats)

    @property
    def total(self) -> int:
        """Number of workers that were asked for."""
        return len(self._seats)

    @property
    def drawn(self) -> int:
        """Frames drawn in this run, those of unfinished segments included."""
        return sum(seat.drawn_before + seat.drawn for seat in self._seats)

    @property
    def futures(self) -> list[Future[Any]]:
        """The tasks that workers have."""
        return [seat.future for seat in self._seats if seat.future is not None]

    def idle(self) -> Seat | None:
        """Return a worker without a task, or None."""
        self._listen()
        return next((seat for seat in self._seats if seat.is_ready and seat.future is None), None)

    def give(self, seat: Seat, task: Task) -> Future[Any]:
        """Begin a task."""
        seat.task = task
        seat.future = self._pool.workers[seat.number].call(task.method, *task.arguments)
        return seat.future

    def leave(self, future: Future[Any]) -> None:
        """End the task of this future."""
        for seat in self._seats:
            if seat.future is future:
                seat.future = seat.task = None

    def lost(self) -> list[tuple[Future[Any], Task]]:
        """Return the tasks of workers that no longer answer, and start others in their places."""
        self._listen()
        tasks = []
        for seat in self._seats:
            if seat.is_ready and time.monotonic() - seat.heard > LOST_AFTER_S:
                if seat.future is not None and seat.task is not None:
                    tasks.append((seat.future, seat.task))
                self._pool.replace(seat.number)
                seat.future, seat.task, seat.answer, seat.is_ready = None, None, None, False
        return tasks

    def absent_s(self) -> float:
        """Return the seconds since any worker was there; 0 if one is."""
        if self.ready:
            self._present = time.monotonic()
        return time.monotonic() - self._present

    def stop(self) -> None:
        """Ask every worker, once, to end with its current segment."""
        if not self._is_stopping:
            self._is_stopping = True
            for seat in self._seats:
                if seat.future is not None:
                    self._pool.workers[seat.number].stop()

    def _listen(self) -> None:
        """Take the answers that have come, and ask again."""
        now = time.monotonic()
        for seat in self._seats:
            if seat.answer is not None and seat.answer.done():
                if seat.answer.exception() is None:
                    drawn = seat.answer.result()
                    if drawn < seat.drawn:  # another process, which counts from 0
                        seat.drawn_before += seat.drawn
                    seat.drawn, seat.heard, seat.is_ready = drawn, now, True
                seat.answer = None
            if seat.answer is None and now - seat.asked > ASK_EVERY_S:
                seat.asked = now
                seat.answer = self._pool.workers[seat.number].drawn()
                if not seat.heard and seat.answer.done():  # a thread answers at once
                    seat.drawn, seat.heard, seat.is_ready = seat.answer.result(), now, True
