"""PyTorch on NVIDIA's GPUs: planes to planes as one CUDA graph, copies beside it, no waiting in between.

Pinned host memory -> copy stream -> graph -> copy stream -> pinned host memory. All memory is taken when a
runner is opened: four lanes of a batch each and the graph's own. A picture costs the host one copy of its
planes, a batch a few calls into the driver and one event that is waited for, asleep.
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
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.backends.base import Image, PlanesTask, Precision
from engines.backends.batches import Batches, Pool, device_error, picture_bytes, planes_of
from engines.backends.torch import TYPES, TorchRunner, honest_fp32, load_network
from engines.errors import EngineError, OutOfMemoryError
from engines.memory import is_want_of_memory, memory_told
from engines.planes import PlanesNetwork, to_half
from engines.reuse import Planes
from engines.style import Style

LOG = logging.getLogger("streamtoon.engines")
Bytes = NDArray[np.uint8]
LANES = 4
"""Batches under way on a device: one being filled, one copied in, one computed, one copied out."""
BATCHES = (1, 2, 4, 8)
"""Pictures a batch that are tried where pictures a second count."""
LARGEST = 8 * 1280 * 720
"""Pixels of a batch: a few pictures of 1920x1080 fill any GPU."""
WAITING = 8
"""Pictures that wait for an encoder, at most."""
WORTH = 0.97
"""A larger batch is taken where a picture takes less than this share of the time: it costs latency."""
WARM_UPS = 3
RUNS = 9


Network = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""As `PlanesNetwork`, on a device's current stream."""
Make = Callable[[torch.device, int], Network]
"""Device and batch to a network."""


class CudaRunner(TorchRunner):
    """A generator on one GPU or several, and its planes runner. Single pictures are drawn on the first."""

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
        self.planes_at_a_time = _at_a_time(devices, BATCHES[-1] if throughput else 1)
        self._style, self._devices, self._throughput = style, devices, throughput

    def __call__(self, image: Image) -> Image:
        """Height x width x 3 in and out."""
        with device_told(self.device):
            return super().__call__(image)

    def open_planes(self, task: PlanesTask) -> CudaPlanes:
        """As `engines.backends.base.DrawsPlanes`."""
        return CudaPlanes(self._style, self._devices, self.precision, task, self._throughput)


class CudaPlanes:
    """A planes runner: batches go to the devices in turn, and every job finds its own."""

    def __init__(
        self, style: Style, devices: list[str], precision: Precision, task: PlanesTask, throughput: bool
    ) -> None:
        self.device, self.precision = ",".join(devices), precision
        what = f"pictures of {task.width}x{task.height} in style {style.name} on {self.device}"
        with memory_told(what), device_told(self.device):
            make = self.maker(style, task)
            first = Graph.fastest(make, devices[0], task, self.batches(task, throughput))
            rest = (Graph(make, device, task, first.batch) for device in devices[1:])
            self._graphs = [first, *rest]
            self.batch, self.at_a_time = first.batch, _at_a_time(devices, first.batch)
            # Lent for as long as somebody looks at a picture: on the lanes, before and in an encoder.
            jobs = _at_a_time(devices, BATCHES[-1] if throughput else 1)
            most = LANES * len(devices) + -(-(jobs + WAITING) // first.batch)
            pool = Pool(first.bytes, most, _pinned)
            lanes = [CudaLane(graph, pool) for _ in range(LANES) for graph in self._graphs]
        self._batches = Batches(lanes, task, self.batch)

    def maker(self, style: Style, task: PlanesTask) -> Make:
        """What gives the network for a device and a batch."""
        generator = load_network(style)
        if self.precision != "fp32":
            generator = to_half(generator, TYPES[self.precision])
        return partial(_network, generator, task)

    def batches(self, task: PlanesTask, throughput: bool) -> list[int]:
        """Pictures a batch that are worth trying, the smallest first."""
        return [n for n in BATCHES if n == 1 or (throughput and n * task.height * task.width <= LARGEST)]

    def start(self, planes: Planes, strength: float) -> Callable[[], Planes]:
        """As `engines.backends.base.PlanesRunner`."""
        return self._batches.start(planes, strength)

    def seconds(self) -> float:
        """As `engines.backends.base.PlanesRunner`, on the first device."""
        return self._graphs[0].seconds()

    def close(self) -> None:
        """Waits for what is under way and frees the graphs; a second call does nothing."""
        self._batches.close()
        self._graphs = []


class Graph:
    """A planes network captured on one device for one batch, with the memory that it reads and writes."""

    def __init__(self, make: Make, device: str, task: PlanesTask, batch: int) -> None:
        self.name, self.batch, self.task = device, batch, task
        self.bytes = batch * picture_bytes(task)
        # "cuda" is whatever is current in the calling thread, and jobs run in any.
        here = torch.cuda.current_device() if device == "cuda" else int(device.removeprefix("cuda:"))
        self.device = torch.device("cuda", here)
        network = make(self.device, batch)
        # One capture at a time may be under way in a process, which `honest_fp32` sees to.
        with torch.cuda.device(self.device), torch.inference_mode(), honest_fp32("cuda"):
            self.compute, self.copy_in, self.copy_out = (_stream() for _ in range(3))
            self.source = torch.full((self.bytes,), 128, dtype=torch.uint8, device=self.device)
            self.cartoon = torch.empty_like(self.source)
            self.strength = torch.ones(1, device=self.device)
            self.compute.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.compute):
                for _ in range(WARM_UPS):  # in which cuDNN chooses its kernels
                    self._draw(network)
            self.compute.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            # Other threads may be decoding on the same GPU while this one captures.
            with torch.cuda.graph(self._graph, stream=self.compute, capture_error_mode="thread_local"):
                self._draw(network)
        self._network = network  # the graph reads its weights

    @classmethod
    def fastest(cls, make: Make, device: str, task: PlanesTask, batches: Sequence[int]) -> Graph:
        """The graph of the batch in which a picture takes least; one that does not fit the memory is none."""
        best = cls(make, device, task, batches[0])
        cost = best.seconds() if len(batches) > 1 else 0.0
        for batch in batches[1:]:
            took = math.inf
            try:
                larger = cls(make, device, task, batch)
                took = larger.seconds()
            except RuntimeError as error:
                if not is_want_of_memory(error):
                    raise
            if took > WORTH * cost:
                torch.cuda.empty_cache()  # here, where no error holds on to the graph that did not fit
                break
            best, cost = larger, took
        return best

    def replay(self) -> None:
        """Draws what lies in `source` into `cartoon`, on the current stream."""
        self._graph.replay()

    def seconds(self) -> float:
        """A picture's share of a replay, by the device's own clock; the median of a few."""
        took: list[float] = []
        with torch.cuda.device(self.device), torch.cuda.stream(self.compute):
            for _ in range(WARM_UPS + RUNS):
                begin, end = _event(enable_timing=True), _event(enable_timing=True)
                begin.record()
                self.replay()
                end.record()
                end.synchronize()
                took.append(begin.elapsed_time(end) / 1000)
        return statistics.median(took[WARM_UPS:]) / self.batch

    def _draw(self, network: Network) -> None:
        drawn = network(*planes_of(self.source, self.task, self.batch), self.strength)
        for cartoon, plane in zip(planes_of(self.cartoon, self.task, self.batch), drawn, strict=True):
            cartoon.copy_(plane)


class CudaLane:
    """Room for one batch before and after a graph, which serves several lanes in their order."""

    def __init__(self, graph: Graph, pool: Pool) -> None:
        self._graph, self._pool = graph, pool
        self.source: Bytes = _pinned(graph.bytes)
        self._host_source = torch.from_numpy(self.source)
        with torch.cuda.device(graph.device):
            self._source, self._cartoon = (torch.empty_like(graph.source) for _ in range(2))
            # Whoever had this memory before is done with it.
            for stream in (graph.copy_in, graph.compute, graph.copy_out):
                stream.wait_stream(torch.cuda.current_stream())
            self._here, self._drawn = _event(), _event()
            self._done = _event(blocking=True)  # asleep: a spinning thread takes an encoder's core
        self._result: Bytes | None = None

    def launch(self, strength: float) -> None:
        """As `engines.backends.batches.Lane`."""
        graph = self._graph
        with device_told(graph.name), torch.cuda.device(graph.device), torch.inference_mode():
            self._result = self._pool.take()
            with torch.cuda.stream(graph.copy_in):
                self._source.copy_(self._host_source, non_blocking=True)
                self._here.record()
            with torch.cuda.stream(graph.compute):
                self._here.wait()
                graph.source.copy_(self._source)
                graph.strength.fill_(strength)
                graph.replay()
                self._cartoon.copy_(graph.cartoon)
                self._drawn.record()
            with torch.cuda.stream(graph.copy_out):
                self._drawn.wait()
                torch.from_numpy(self._result).copy_(self._cartoon, non_blocking=True)
                self._done.record()

    def wait(self) -> Bytes:
        """As `engines.backends.batches.Lane`."""
        with device_told(self._graph.name):
            self._done.synchronize()
        assert self._result is not None
        result, self._result = self._result, None
        return result


def open_cuda(
    style: Style, devices: list[str], precision: str, height: int, width: int, throughput: bool
) -> CudaRunner:
    """A runner on the GPUs of those names. Raises EngineError where one of them is named twice."""
    if len(devices) > 1 and ("cuda" in devices or len(set(devices)) < len(devices)):
        raise EngineError(f"{','.join(devices)} names no several GPUs: write each once, as cuda:0,cuda:1")
    return CudaRunner(style, devices, precision, height, width, throughput)


def _at_a_time(devices: list[str], batch: int) -> int:
    """Jobs that keep all lanes busy but the one that is being filled."""
    return (LANES - 1) * len(devices) * batch


def _stream() -> torch.cuda.Stream:
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


def _event(*, enable_timing: bool = False, blocking: bool = False) -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing, blocking)  # type: ignore[no-untyped-call]


def _network(generator: nn.Module, task: PlanesTask, device: torch.device, batch: int) -> Network:
    """For any batch, in the layout that the device's convolutions like best."""
    narrow = any(weight.dtype != torch.float32 for weight in generator.parameters())
    layout = torch.channels_last if narrow else torch.contiguous_format
    network = PlanesNetwork(copy.deepcopy(generator), task).eval().to(device)
    network.to(memory_format=layout)  # type: ignore[call-overload]  # a gap in its types
    return network


def _pinned(size: int) -> Bytes:
    """Ordinary memory where the system pins no more: copies then wait for the device, which is said once."""
    try:
        memory: Tensor = torch.empty(size, dtype=torch.uint8, pin_memory=True)
    except RuntimeError:
        _tell_of_ordinary_memory()
        return np.empty(size, np.uint8)
    block: Bytes = memory.numpy()
    return block


@functools.cache
def _tell_of_ordinary_memory() -> None:
    LOG.warning("the system pins no more memory: pictures get to the GPU and back more slowly")


@contextmanager
def device_told(device: str) -> Iterator[None]:
    """Within this block a GPU that fails, or whose memory does not suffice, is one sentence."""
    try:
        yield
    except RuntimeError as error:
        if is_want_of_memory(error):
            raise OutOfMemoryError(f"{device} has too little memory: close what else uses it") from error
        if not any(word in str(error).lower() for word in ("cuda", "cudnn", "cublas")):
            raise
        raise device_error(device, error) from error
