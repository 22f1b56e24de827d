"""PyTorch on NVIDIA GPUs: a task's network as a CUDA graph, with overlapping copies.

Pinned host memory -> copy stream -> graph -> copy stream -> pinned host memory. Opening a runner allocates
all memory: four slots of one batch each, and that of the graph. A frame costs the host one copy; a batch
costs a few driver calls and one blocking wait for an event, without spinning.
"""

from __future__ import annotations

import copy
import functools
import logging
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from engines.backends.batcher import Batcher, BufferPool, byte_count, device_error, views_of
from engines.backends.torch_runner import TYPES, TorchRunner, no_tf32
from engines.common.arrays import Bytes
from engines.common.memory import is_out_of_memory, translate_oom
from engines.errors import EngineError, OutOfMemoryError
from engines.export.frame_graph import network_for, to_half
from engines.export.tasks import Samples, Task
from engines.registry.network import load_network
from engines.registry.style import Style
from engines.spec import Precision

LOG = logging.getLogger("streamtoon.engines")
SLOTS = 4
"""Batches in flight on a device: one being filled, one copied in, one computed, one copied out."""
BATCH_SIZES = (1, 2, 4, 8)
"""Batch sizes that are tried in throughput mode."""
MAX_BATCH_PIXELS = 8 * 1280 * 720
"""Most pixels in a batch: a few frames of 1920x1080 fill any GPU."""
MAX_QUEUED_FRAMES = 8
"""Most frames that wait for an encoder."""
MIN_BATCH_GAIN = 0.97
"""A larger batch is used if the time per frame falls below this share; it adds latency."""
WARMUP_RUNS = 3
TIMED_RUNS = 9


Network = Callable[..., tuple[Tensor, ...]]
"""Maps the task's inputs and numbers to its outputs, on the device's current stream."""
MakeNetwork = Callable[[torch.device, int], Network]
"""Maps a device and a batch size to a network."""


class CudaRunner(TorchRunner):
    """A generator on one or several GPUs, and its batch runners. Single images run on the first GPU."""

    def __init__(
        self,
        style: Style,
        devices: list[str],
        precision: str,
        height: int,
        width: int,
        throughput: bool = False,
    ) -> None:
        super().__init__(style, devices[0], precision, height, width, throughput)
        self.device = ",".join(devices)
        self.batched_concurrency = _concurrency(devices, BATCH_SIZES[-1] if throughput else 1)
        self._style, self._devices, self._throughput = style, devices, throughput

    def __call__(self, image: Bytes) -> Bytes:
        """Run the generator on height x width x channels code values."""
        with translate_device_errors(self.device):
            return super().__call__(image)

    def open_batches(self, task: Task) -> CudaBatcher:
        """Open a batch runner; see `engines.backends.base.SupportsBatches`."""
        return CudaBatcher(self._style, self._devices, self.precision, task, self._throughput)


class CudaBatcher:
    """A batch runner that distributes batches over its devices in turn."""

    def __init__(
        self, style: Style, devices: list[str], precision: Precision, task: Task, throughput: bool
    ) -> None:
        self.device, self.precision = ",".join(devices), precision
        what = f"rendering {task.width}x{task.height} in style {style.name} on {self.device}"
        with translate_oom(what), translate_device_errors(self.device):
            make = self.maker(style, task)
            first = Graph.fastest(make, devices[0], task, self.batches(task, throughput))
            rest = (Graph(make, device, task, first.batch) for device in devices[1:])
            self._graphs = [first, *rest]
            self.batch, self.concurrency = first.batch, _concurrency(devices, first.batch)
            # A buffer is in use while any view of it exists: in a slot, in the queue, or in an encoder.
            jobs = _concurrency(devices, BATCH_SIZES[-1] if throughput else 1)
            most = SLOTS * len(devices) + -(-(jobs + MAX_QUEUED_FRAMES) // first.batch)
            pool = BufferPool(first.given_bytes, most, _pinned)
            lanes = [CudaSlot(graph, pool) for _ in range(SLOTS) for graph in self._graphs]
        self._batches = Batcher(lanes, task, self.batch)

    def maker(self, style: Style, task: Task) -> MakeNetwork:
        """Return a factory of networks for a device and a batch size."""
        generator = load_network(style)
        if self.precision != "fp32":
            generator = to_half(generator, TYPES[self.precision])
        return partial(_network, generator, task)

    def batches(self, task: Task, throughput: bool) -> list[int]:
        """Return the batch sizes to try, the smallest first."""
        return [
            n
            for n in BATCH_SIZES
            if n == 1 or (throughput and n * task.height * task.width <= MAX_BATCH_PIXELS)
        ]

    def start(self, source: Samples, strength: float) -> Callable[[], Samples]:
        """Start a job; see `engines.backends.base.BatchRunner`."""
        return self._batches.start(source, strength)

    def seconds(self) -> float:
        """Return the seconds per frame on the first device; see `engines.backends.base.BatchRunner`."""
        return self._graphs[0].seconds()

    def close(self) -> None:
        """Wait for running jobs and free the graphs. Calling it twice is allowed."""
        self._batches.close()
        self._graphs = []


class Graph:
    """A task's network captured on one device for one batch size, with its input and output memory."""

    def __init__(self, make: MakeNetwork, device: str, task: Task, batch: int) -> None:
        self.name, self.batch, self.task = device, batch, task
        self.taken_bytes = batch * byte_count(task.takes.values())
        self.given_bytes = batch * byte_count(task.gives.values())
        # "cuda" means the current device of the calling thread, and jobs run in any thread.
        here = torch.cuda.current_device() if device == "cuda" else int(device.removeprefix("cuda:"))
        self.device = torch.device("cuda", here)
        network = make(self.device, batch)
        # A process may capture one graph at a time; `no_tf32` holds a lock.
        with torch.cuda.device(self.device), torch.inference_mode(), no_tf32("cuda"):
            self.compute, self.copy_in, self.copy_out = (_stream() for _ in range(3))
            self.source = torch.full((self.taken_bytes,), 128, dtype=torch.uint8, device=self.device)
            self.drawn = torch.empty(self.given_bytes, dtype=torch.uint8, device=self.device)
            self.numbers = [torch.ones(1, device=self.device) for _ in task.numbers]
            self.compute.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.compute):
                for _ in range(WARMUP_RUNS):  # cuDNN chooses its kernels here
                    self._draw(network)
            self.compute.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            # Other threads may be decoding on the same GPU while this one captures.
            with torch.cuda.graph(self._graph, stream=self.compute, capture_error_mode="thread_local"):
                self._draw(network)
        self._network = network  # the graph reads its weights

    @classmethod
    def fastest(cls, make: MakeNetwork, device: str, task: Task, batches: Sequence[int]) -> Graph:
        """Return the graph with the batch size of least time per frame, among those that fit into memory."""
        best = cls(make, device, task, batches[0])
        cost = best.seconds() if len(batches) > 1 else 0.0
        for batch in batches[1:]:
            took = math.inf
            try:
                larger = cls(make, device, task, batch)
                took = larger.seconds()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            if took > MIN_BATCH_GAIN * cost:
                torch.cuda.empty_cache()  # here, where no exception refers to the failed graph any more
                break
            best, cost = larger, took
        return best

    def replay(self) -> None:
        """Compute `drawn` from `source` on the current stream."""
        self._graph.replay()

    def seconds(self) -> float:
        """Return the seconds per frame of a replay, by the device's clock; the median of several."""
        took: list[float] = []
        with torch.cuda.device(self.device), torch.cuda.stream(self.compute):
            for _ in range(WARMUP_RUNS + TIMED_RUNS):
                begin, end = _event(enable_timing=True), _event(enable_timing=True)
                begin.record()
                self.replay()
                end.record()
                end.synchronize()
                took.append(begin.elapsed_time(end) / 1000)
        return statistics.median(took[WARMUP_RUNS:]) / self.batch

    def _draw(self, network: Network) -> None:
        given = views_of(self.source, self.task.takes.values(), self.batch)
        room = views_of(self.drawn, self.task.gives.values(), self.batch)
        for part, drawn in zip(room, network(*given, *self.numbers), strict=True):
            part.copy_(drawn)


class CudaSlot:
    """Host and device memory for one batch. Several slots share a graph and use it in order."""

    def __init__(self, graph: Graph, pool: BufferPool) -> None:
        self._graph, self._pool = graph, pool
        self.source: Bytes = _pinned(graph.taken_bytes)
        self._host_source = torch.from_numpy(self.source)
        with torch.cuda.device(graph.device):
            self._source, self._drawn = torch.empty_like(graph.source), torch.empty_like(graph.drawn)
            # Earlier work on this memory must have finished.
            for stream in (graph.copy_in, graph.compute, graph.copy_out):
                stream.wait_stream(torch.cuda.current_stream())
            self._here, self._ready = _event(), _event()
            self._done = _event(blocking=True)  # sleeps: a spinning thread would take a core from the encoder
        self._result: Bytes | None = None

    def launch(self, strength: float) -> None:
        """Start the batch; see `engines.backends.batcher.Slot`."""
        graph = self._graph
        with translate_device_errors(graph.name), torch.cuda.device(graph.device), torch.inference_mode():
            self._result = self._pool.take()
            with torch.cuda.stream(graph.copy_in):
                self._source.copy_(self._host_source, non_blocking=True)
                self._here.record()
            with torch.cuda.stream(graph.compute):
                self._here.wait()
                graph.source.copy_(self._source)
                for number in graph.numbers:
                    number.fill_(strength)
                graph.replay()
                self._drawn.copy_(graph.drawn)
                self._ready.record()
            with torch.cuda.stream(graph.copy_out):
                self._ready.wait()
                torch.from_numpy(self._result).copy_(self._drawn, non_blocking=True)
                self._done.record()

    def wait(self) -> Bytes:
        """Wait for the batch; see `engines.backends.batcher.Slot`."""
        with translate_device_errors(self._graph.name):
            self._done.synchronize()
        assert self._result is not None
        result, self._result = self._result, None
        return result


def open_cuda(
    style: Style, devices: list[str], precision: str, height: int, width: int, throughput: bool
) -> CudaRunner:
    """Open the runner of a style on the named GPUs; arguments as `engines.backends.torch_runner.open_torch`.

    Raises EngineError if a GPU is named twice.
    """
    if len(devices) > 1 and ("cuda" in devices or len(set(devices)) < len(devices)):
        raise EngineError(f"{','.join(devices)} must name each GPU once, for example cuda:0,cuda:1")
    return CudaRunner(style, devices, precision, height, width, throughput)


def _concurrency(devices: list[str], batch: int) -> int:
    """Return the number of jobs that fill every slot except the one being filled."""
    return (SLOTS - 1) * len(devices) * batch


def _stream() -> torch.cuda.Stream:
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


def _event(*, enable_timing: bool = False, blocking: bool = False) -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing, blocking)  # type: ignore[no-untyped-call]


def _network(generator: nn.Module, task: Task, device: torch.device, batch: int) -> Network:
    """Return a network for any batch size, in the memory layout that suits the device's convolutions."""
    narrow = any(weight.dtype != torch.float32 for weight in generator.parameters())
    layout = torch.channels_last if narrow else torch.contiguous_format
    network = network_for(copy.deepcopy(generator), task).eval().to(device)
    network.to(memory_format=layout)  # type: ignore[call-overload]  # a gap in its types
    return network


def _pinned(size: int) -> Bytes:
    """Return pinned memory; if the system refuses more, pageable memory, and warn once."""
    try:
        memory: Tensor = torch.empty(size, dtype=torch.uint8, pin_memory=True)
    except RuntimeError:
        _warn_of_pageable_memory()
        return np.empty(size, np.uint8)
    block: Bytes = memory.numpy()
    return block


@functools.cache
def _warn_of_pageable_memory() -> None:
    LOG.warning("the system cannot pin more memory: copies to and from the GPU will be slower")


@contextmanager
def translate_device_errors(device: str) -> Iterator[None]:
    """Turn a CUDA error or a lack of GPU memory into an EngineError of one sentence."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(f"{device} ran out of memory; close other programs that use it") from error
        if not any(word in str(error).lower() for word in ("cuda", "cudnn", "cublas")):
            raise
        raise device_error(device, error) from error
