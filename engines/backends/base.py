"""What every backend gives: a runner, which takes one generator's work and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.picture import Matrix
from engines.reuse import Planes
from engines.working_size import WorkingSize

Precision = Literal["fp32", "bf16", "fp16", "int8", "fp8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8", "fp8")
Image = NDArray[np.uint8]
"""Height x width x 3 RGB, 0..255."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device as a backend sees it."""

    name: str
    """As asked for and reported: cpu, cuda, gpu, npu."""
    precisions: tuple[Precision, ...]
    """What it computes natively, in the order in which `auto` takes it; int8 where a style has that graph."""


class Runner(Protocol):
    """A generator made runnable at one size.

    Every runner maps code value x to x / 127.5 - 1 for the generator and its output y to
    round((y + 1) 127.5), halves to even, clipped to 0..255, within its own graph.
    """

    device: str
    precision: Precision
    at_a_time: int
    """Threads that may call it at the same time, and that are worth having."""

    def __call__(self, image: Image) -> Image:
        """The cartoon of an image of the runner's size; valid until the same thread's next call."""
        ...

    def close(self) -> None:
        """Frees the model."""
        ...


@dataclass(frozen=True, slots=True)
class PlanesTask:
    """All that a graph from planes to planes is made for, but its weights and its precision."""

    size: WorkingSize
    height: int
    """Of the picture's luma, pixels; may be odd, as the width may."""
    width: int
    chroma_height: int
    """Of both chroma planes: ceil(height / 2) in 4:2:0."""
    chroma_width: int
    matrix: Matrix
    full_range: bool
    radius: int
    """Of the guided filter, in pixels of the working size."""
    eps: float
    """Of the guided filter, as a fraction of 255 squared."""
    lines: float
    """Share, 0 to 1, that is kept of what the guided filter would smooth away."""


class PlanesRunner(Protocol):
    """The picture's whole way on a device, for pictures of one size and colour.

    It works on several pictures at the same time; which of them share a batch is its own affair.
    """

    device: str
    precision: Precision
    at_a_time: int
    """Jobs that are worth having at the same time."""

    def start(self, planes: Planes, strength: float) -> Callable[[], Planes]:
        """Takes the source's planes, which may change once this returns; the job waits for the cartoon's.

        Called by one thread at a time, the jobs by any. The cartoon's planes stay as they are. Where every
        buffer is in use, it waits for the oldest picture. Strength runs from 0, the source, to 1, the
        cartoon.
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
class DrawsPlanes(Protocol):
    """What a runner is, beside a Runner, whose backend has a planes runner in place of the host's work."""

    planes_at_a_time: int
    """`at_a_time` of its planes runners, at most: known before the first picture is."""

    def open_planes(self, task: PlanesTask) -> PlanesRunner:
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
