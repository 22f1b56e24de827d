"""The interface of a backend: runners, which run one generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from engines.common.arrays import Bytes
from engines.errors import EngineError
from engines.export.tasks import Samples, Task
from engines.spec import Precision


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a backend can use."""

    name: str
    """As given and reported: cpu, cuda, gpu, npu."""
    precisions: tuple[Precision, ...]
    """Native precisions, in the order of preference of `auto`; int8 needs a style with an int8 graph."""


class Runner(Protocol):
    """A generator that is ready to run at one size.

    Height and width are those of the generator's input: pixels, or blocks for a generator of fields.

    A runner maps a code value x to x / 127.5 - 1 for the generator, and the generator's output y to
    round((y + 1) 127.5), halves to even, clipped to 0..255. Both conversions are part of its graph.
    """

    device: str
    precision: Precision
    concurrency: int
    """Number of threads that may call it at the same time and gain from it."""

    def __call__(self, image: Bytes) -> Bytes:
        """Run the generator on height x width x channels code values.

        The result is valid until the same thread's next call.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class BatchRunner(Protocol):
    """A graph on a device for one task: whole frames, or the fields of a frame.

    It processes several frames at the same time and decides which of them share a batch.
    """

    device: str
    precision: Precision
    concurrency: int
    """Number of jobs that may be pending at the same time and gain from it."""

    def start(self, source: Samples, strength: float) -> Callable[[], Samples]:
        """Start one frame and return a job that waits for its result.

        `source` may be changed after this returns. Only one thread may call `start`; any thread may call a
        job. If every buffer is in use, this waits for the oldest frame. The arrays that a job returns stay
        valid.

        `strength` runs from 0 (the source) to 1 (the cartoon), for tasks that have that number.

        A job raises EngineError if the device fails.
        """
        ...

    def seconds(self) -> float:
        """Return the seconds per frame of a batch by the device's clock, without copies; a median."""
        ...

    def close(self) -> None:
        """Wait for running jobs and free the model."""
        ...


@runtime_checkable
class SupportsBatches(Protocol):
    """Implemented by runners whose backend renders videos with batch runners."""

    batched_concurrency: int
    """Largest `concurrency` of its batch runners, known before the first frame."""

    def open_batches(self, task: Task) -> BatchRunner:
        """Open a batch runner for the style, device and precision of this runner."""
        ...


def pick_device(backend: str, devices: Mapping[str, Device], requested: str) -> Device:
    """Return the named device, or the backend's first for "auto".

    Raises EngineError with the list of available devices.
    """
    if requested == "auto":
        return next(iter(devices.values()))
    if requested not in devices:
        raise EngineError(f"{backend} has no device {requested!r} here; available: {', '.join(devices)}")
    return devices[requested]


def pick_precision(backend: str, device: Device, requested: str, has_int8: bool) -> Precision:
    """Return the named precision, or for "auto" the device's first that the style supports.

    Raises EngineError if the device does not offer it or the style has no int8 graph.
    """
    offered = [p for p in device.precisions if p != "int8" or has_int8]
    if requested == "auto":
        return offered[0]
    for precision in offered:
        if precision == requested:
            return precision
    if requested == "int8" and "int8" in device.precisions:
        raise EngineError(f"this style has no int8 graph; choose one of: {', '.join(offered)}")
    known = ", ".join(offered)
    raise EngineError(f"{backend} does not offer {requested} on {device.name} here; available: {known}")
