"""What every backend gives: a runner, which takes one generator's work and nothing else."""

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
    """One device as a backend sees it."""

    name: str
    """As asked for and reported: cpu, cuda, gpu, npu."""
    precisions: tuple[Precision, ...]
    """What it computes natively, in the order in which `auto` takes it; int8 where a style has that graph."""


class Runner(Protocol):
    """A generator made runnable at one size.

    Sizes are those of what the generator takes: pixels, or blocks where it gives fields.

    Every runner maps code value x to x / 127.5 - 1 for the generator and its output y to
    round((y + 1) 127.5), halves to even, clipped to 0..255, within its own graph.
    """

    device: str
    precision: Precision
    concurrency: int
    """Threads that may call it at the same time, and that are worth having."""

    def __call__(self, image: Bytes) -> Bytes:
        """What the generator makes of an image of the runner's size; valid until the thread's next call."""
        ...

    def close(self) -> None:
        """Frees the model."""
        ...


class BatchRunner(Protocol):
    """A graph on a device for one task: the picture's whole way, or, of a style that draws by fields, theirs.

    It works on several pictures at the same time; which of them share a batch is its own affair.
    """

    device: str
    precision: Precision
    concurrency: int
    """Jobs that are worth having at the same time."""

    def start(self, source: Samples, strength: float) -> Callable[[], Samples]:
        """Takes the source, which may change once this returns; the job waits for what is made of it.

        Called by one thread at a time, the jobs by any. What a job gives stays as it is. Where every buffer
        is in use, it waits for the oldest picture. Strength runs from 0, the source, to 1, the cartoon, where
        the task has that number.
        A job raises EngineError in one sentence where the device fails.
        """
        ...

    def seconds(self) -> float:
        """A picture's share of a batch by the device's own clock, without copies; a median of several."""
        ...

    def close(self) -> None:
        """Waits for what is under way and frees the model."""
        ...


@runtime_checkable
class SupportsBatches(Protocol):
    """What a runner is, beside a Runner, whose backend draws videos by batch runners."""

    batched_concurrency: int
    """`concurrency` of its batch runners, at most: known before the first picture is."""

    def open_batches(self, task: Task) -> BatchRunner:
        """For the style, device and precision that the runner itself was opened with."""
        ...


def pick_device(backend: str, devices: Mapping[str, Device], wanted: str) -> Device:
    """The device of that name, or the backend's first for `auto`.

    Raises EngineError that lists what is there.
    """
    if wanted == "auto":
        return next(iter(devices.values()))
    if wanted not in devices:
        raise EngineError(f"{backend} has no device {wanted!r} here: available are {', '.join(devices)}")
    return devices[wanted]


def pick_precision(backend: str, device: Device, wanted: str, has_int8: bool) -> Precision:
    """The precision of that name, or for `auto` the device's first that the style can give.

    Raises EngineError that lists what the device offers, or says that the style has no int8 graph.
    """
    offered = [p for p in device.precisions if p != "int8" or has_int8]
    if wanted == "auto":
        return offered[0]
    for precision in offered:
        if precision == wanted:
            return precision
    if wanted == "int8" and "int8" in device.precisions:
        raise EngineError(f"this style has no int8 graph: precision can be {', '.join(offered)}")
    known = ", ".join(offered)
    raise EngineError(f"{backend} does not offer {wanted} on {device.name} here: available are {known}")
