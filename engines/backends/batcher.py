"""A batching queue for a device, and a pool of host buffers.

Slots form a ring; each has room for one batch. While the host fills one, the device copies another in,
computes a third and copies a fourth out. The device's work is behind the protocol `Slot`, so that all
batching and waiting is in this file and can be tested without a device.
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
"""How long a job waits for its batch to fill: at the end of a video, or if frames arrive slowly."""


class Slot(Protocol):
    """Memory for one batch, on the host and on the device."""

    source: Bytes
    """Host memory with the task's inputs, laid out as by `views_of`."""

    def launch(self, strength: float) -> None:
        """Start copying and computing the batch; do not wait. `source` must not change until `wait`."""
        ...

    def wait(self) -> Bytes:
        """Wait for the batch and return the task's outputs, laid out as by `views_of`.

        The caller owns them.
        """
        ...


def byte_count(shapes: Iterable[Shape]) -> int:
    """Return the number of bytes of the arrays of one frame."""
    return sum(math.prod(shape) for shape in shapes)


def views_of(block: Any, shapes: Iterable[Shape], batch: int) -> tuple[Any, ...]:
    """Return views of a flat array or tensor, one per shape: N x shape each.

    The first arrays of all frames come first, then all second ones.
    """
    views, begin = [], 0
    for shape in shapes:
        end = begin + batch * math.prod(shape)
        views.append(block[begin:end].reshape(batch, *shape))
        begin = end
    return tuple(views)


class _Batch:
    """The frames in one slot, from the first that is put in until the last is fetched."""

    def __init__(self, lane: Slot, strength: float) -> None:
        self.strength = strength
        self.count = 0
        self.launched = threading.Event()
        self._lane: Slot | None = lane
        self._lock = threading.Lock()
        self._drawn: Bytes | None = None
        self._error: Exception | None = None

    def launch(self) -> None:
        """Launch the slot; an exception is kept and raised by `drawn`."""
        assert self._lane is not None
        try:
            self._lane.launch(self.strength)
        except Exception as error:
            self._error = error
        self.launched.set()

    def drawn(self) -> Bytes:
        """Wait for the device and return the outputs; the slot is free afterwards."""
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
    """Collects frames into batches and hands out jobs: the part of a batch runner that all devices share."""

    def __init__(
        self, lanes: Sequence[Slot], task: Task, batch: int, timeout_s: float = BATCH_TIMEOUT_S
    ) -> None:
        """`lanes` are used in turn (those of several devices alternate); each has room for `batch` frames."""
        self._lanes = list(lanes)
        self._takes, self._gives = tuple(task.takes.values()), tuple(task.gives.values())
        self._batch, self._timeout_s = batch, timeout_s
        self._lock = threading.Lock()
        self._on_lane: list[_Batch | None] = [None] * len(self._lanes)
        self._next = 0
        self._filling: _Batch | None = None
        self._room: Samples = ()
        self._closed = False

    def start(self, source: Samples, strength: float) -> Callable[[], Samples]:
        """Put a frame into the current batch; see `BatchRunner.start`."""
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
        """Wait for running batches. Calling it twice is allowed."""
        with self._lock:
            if self._filling is not None:
                self._launch(self._filling)
            for batch in self._on_lane:
                if batch is not None:
                    with suppress(Exception):  # the job of each frame raises it
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
        if not batch.launched.wait(self._timeout_s):
            with self._lock:
                if batch is self._filling:
                    self._launch(batch)
        return tuple(part[at] for part in views_of(batch.drawn(), self._gives, self._batch))


class _PooledBuffer:
    """Memory whose last view is known: NumPy refers to this object while a view of it exists."""

    def __init__(self, memory: Bytes) -> None:
        self.__array_interface__ = memory.__array_interface__


class BufferPool:
    """A pool of equal-sized buffers. A buffer returns when its last view is garbage-collected."""

    def __init__(self, size: int, most: int, make: Callable[[int], Bytes]) -> None:
        """`make` allocates at most `most` buffers, on demand; beyond that, buffers are ordinary memory."""
        self._size, self._to_make, self._make = size, most, make
        self._free: list[Bytes] = []
        self._lock = threading.Lock()

    def take(self) -> Bytes:
        """Return an uninitialised buffer, valid as long as a view of it exists."""
        with self._lock:
            if self._free:
                memory = self._free.pop()
            elif self._to_make:
                memory = self._make(self._size)
                self._to_make -= 1
            else:
                return np.empty(self._size, np.uint8)
        pooled = _PooledBuffer(memory)
        weakref.finalize(pooled, self._free.append, memory).atexit = False
        return np.asarray(pooled)


def device_error(device: str, error: RuntimeError) -> EngineError:
    """Return an EngineError that says that a device failed while rendering."""
    said = " ".join(str(error).split("\n", 1)[0].split()) or type(error).__name__
    return EngineError(
        f"{device} failed while rendering ({said}); run the command again, or use --device cpu"
    )
