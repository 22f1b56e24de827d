"""Pictures gathered to batches on their way through a device, in order, and buffers that come back.

A ring of lanes, each with room for one batch. While the host fills one, the device copies another in,
computes a third and copies a fourth out. What a device has to do is behind one small protocol, so that all of
the gathering and waiting is here and runs, and is tested, without one.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import numpy as np

from engines.common.arrays import Bytes
from engines.errors import EngineError
from engines.export.tasks import Samples, Shape, Task

BATCH_TIMEOUT_S = 0.02
"""Seconds that a job waits for its batch to fill: at the end of a film, or where pictures come slowly."""


class Slot(Protocol):
    """Room for one batch on a device and on its way there and back."""

    source: Bytes
    """Host memory that the device copies from: what the task takes, laid out as `views_of` says."""

    def launch(self, strength: float) -> None:
        """Starts the batch: copies, graph, copies. Does not wait. `source` has to stay until `wait`."""
        ...

    def wait(self) -> Bytes:
        """Waits for the batch: what the task gives, laid out alike, which is the caller's from now on."""
        ...


def byte_count(shapes: Iterable[Shape]) -> int:
    """Bytes of one picture's arrays."""
    return sum(math.prod(shape) for shape in shapes)


def views_of(block: Any, shapes: Iterable[Shape], batch: int) -> tuple[Any, ...]:
    """Views of a flat array or tensor: all pictures' first arrays, then all second ones; N x shape each."""
    views, begin = [], 0
    for shape in shapes:
        end = begin + batch * math.prod(shape)
        views.append(block[begin:end].reshape(batch, *shape))
        begin = end
    return tuple(views)


class _Batch:
    """Pictures on one lane, from the first that is put there until the last is fetched."""

    def __init__(self, lane: Slot, strength: float) -> None:
        self.strength = strength
        self.count = 0
        self.launched = threading.Event()
        self._lane: Slot | None = lane
        self._lock = threading.Lock()
        self._drawn: Bytes | None = None
        self._error: Exception | None = None

    def launch(self) -> None:
        """What goes wrong here is raised by the jobs."""
        assert self._lane is not None
        try:
            self._lane.launch(self.strength)
        except Exception as error:
            self._error = error
        self.launched.set()

    def drawn(self) -> Bytes:
        """Waits for the device; the lane is free afterwards."""
        with self._lock:
            if self._error is None and self._drawn is None:
                assert self._lane is not None
                try:
                    self._drawn = self._lane.wait()
                except Exception as error:
                    self._error = error
            self._lane = None
            if self._error is not None:
                raise self._error
            assert self._drawn is not None
            return self._drawn


class Batcher:
    """What a batch runner does beside its device's own work."""

    def __init__(
        self, lanes: Sequence[Slot], task: Task, batch: int, patience: float = BATCH_TIMEOUT_S
    ) -> None:
        """`lanes` are used in turn, those of several devices alternate; each has room for `batch`."""
        self._lanes = list(lanes)
        self._takes, self._gives = tuple(task.takes.values()), tuple(task.gives.values())
        self._batch, self._patience = batch, patience
        self._lock = threading.Lock()
        self._on_lane: list[_Batch | None] = [None] * len(self._lanes)
        self._next = 0
        self._filling: _Batch | None = None
        self._room: Samples = ()
        self._closed = False

    def start(self, source: Samples, strength: float) -> Callable[[], Samples]:
        """As `BatchRunner.start`."""
        with self._lock:
            if self._closed:
                raise ValueError("the engine is closed")
            if self._filling is not None and self._filling.strength != strength:
                self._launch(self._filling)
            batch = self._filling or self._take_lane(strength)
            at, batch.count = batch.count, batch.count + 1
            for room, part in zip(self._room, source, strict=True):
                room[at] = part
            if batch.count == self._batch:
                self._launch(batch)
        return partial(self._fetch, batch, at)

    def close(self) -> None:
        """Waits for what is under way; a second call does nothing."""
        with self._lock:
            if self._filling is not None:
                self._launch(self._filling)
            for batch in self._on_lane:
                if batch is not None:
                    with suppress(Exception):  # which its jobs raise, for whom it matters
                        batch.drawn()
            self._closed = True
            self._on_lane, self._lanes = [], []

    def _take_lane(self, strength: float) -> _Batch:
        at = self._next
        before = self._on_lane[at]
        if before is not None:
            with suppress(Exception):
                before.drawn()
        self._next = (at + 1) % len(self._lanes)
        batch = self._on_lane[at] = self._filling = _Batch(self._lanes[at], strength)
        self._room = views_of(self._lanes[at].source, self._takes, self._batch)
        return batch

    def _launch(self, batch: _Batch) -> None:
        self._filling = None
        batch.launch()

    def _fetch(self, batch: _Batch, at: int) -> Samples:
        if not batch.launched.wait(self._patience):
            with self._lock:
                if batch is self._filling:
                    self._launch(batch)
        return tuple(part[at] for part in views_of(batch.drawn(), self._gives, self._batch))


class _PooledBuffer:
    """Memory that knows when its last view has gone: numpy keeps this object for as long as there is one."""

    def __init__(self, memory: Bytes) -> None:
        self.__array_interface__ = memory.__array_interface__


class BufferPool:
    """Blocks of one size that are lent and come back by themselves when nobody looks at them any more."""

    def __init__(self, size: int, most: int, make: Callable[[int], Bytes]) -> None:
        """At most `most` are made by `make`, when first needed; what goes beyond is ordinary memory."""
        self._size, self._to_make, self._make = size, most, make
        self._free: list[Bytes] = []
        self._lock = threading.Lock()

    def take(self) -> Bytes:
        """A block with anything in it, the caller's for as long as it keeps it or a view of it."""
        with self._lock:
            if self._free:
                memory = self._free.pop()
            elif self._to_make:
                memory = self._make(self._size)
                self._to_make -= 1
            else:
                return np.empty(self._size, np.uint8)
        lent = _PooledBuffer(memory)
        weakref.finalize(lent, self._free.append, memory).atexit = False
        return np.asarray(lent)


def device_error(device: str, error: RuntimeError) -> EngineError:
    """One sentence for a device that failed while it drew."""
    said = " ".join(str(error).split("\n", 1)[0].split()) or type(error).__name__
    return EngineError(
        f"{device} failed while drawing ({said}): run it again, or on the processor with --device cpu"
    )
