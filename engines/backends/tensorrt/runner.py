"""The TensorRT backend."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import torch

from engines.backends.base import Device, pick_device, pick_precision
from engines.backends.tensorrt.engine_spec import EngineSpec, batch_size
from engines.backends.tensorrt.gpu import require_gpu
from engines.backends.tensorrt.library import Messages, new_runtime, version
from engines.backends.tensorrt.load import LOG, open_plan
from engines.backends.torch_cuda import CudaBatcher, CudaRunner, MakeNetwork, Network
from engines.errors import EngineError, OutOfMemoryError
from engines.export.tasks import Task
from engines.registry.style import Style
from engines.spec import Precision

__all__ = ["TensorRtRunner", "devices", "version"]

MIN_CAPABILITY = (7, 5)
"""Compute capability of Turing, the oldest GPUs that TensorRT builds for since 10.5."""
MIN_FP8_CAPABILITY = (8, 9)
"""Compute capability of Ada, the oldest GPUs that multiply in fp8."""


def devices() -> dict[str, Device]:
    """Return the GPUs. Raises EngineError if none can be used."""
    version()
    require_gpu()
    new_runtime(Messages())  # raises if TensorRT's CUDA is newer than the driver
    found = {}
    for index in range(torch.cuda.device_count()):
        precisions: tuple[Precision, ...] = ("fp16", "fp32", "int8")
        capability = torch.cuda.get_device_capability(index)
        if capability < MIN_CAPABILITY:
            continue
        if capability >= MIN_FP8_CAPABILITY:
            precisions = (*precisions, "fp8")
        for name in ("cuda", f"cuda:{index}") if index == 0 else (f"cuda:{index}",):
            found[name] = Device(name, precisions)
    if not found:
        least = ".".join(map(str, MIN_CAPABILITY))
        raise EngineError(f"TensorRT needs a GPU of compute capability {least} or later; use another engine")
    return found


class TensorRtRunner(CudaRunner):
    """A style on one or several GPUs. Engines are built when the first video's size is known."""

    def __init__(
        self, style: Style, device: str, precision: str, height: int, width: int, throughput: bool = False
    ) -> None:
        here = devices()
        chosen = [pick_device("tensorrt", here, name) for name in device.split(",")]
        if len({_index(each.name) for each in chosen}) < len(chosen):
            raise EngineError(f"{device} names a GPU twice: name each once, for example cuda:0,cuda:1")
        asked, *_ = [pick_precision("tensorrt", each, precision, has_int8=True) for each in chosen]
        alone = "fp32" if asked == "fp32" else "fp16"
        super().__init__(style, [each.name for each in chosen], alone, height, width, throughput)
        self.precision = asked

    def open_batches(self, task: Task) -> TensorRtBatcher:
        """Open a batch runner; see `engines.backends.base.SupportsBatches`."""
        many = self._throughput
        make = partial(TensorRtBatcher, self._style, self._devices, self.precision, task, many)
        batch = batch_size(task, many)
        while batch > 1:
            with suppress(OutOfMemoryError):
                return make(batch)
            LOG.info("the GPU has too little memory for batches of %d: trying half of that", batch)
            torch.cuda.empty_cache()  # here, where no exception refers to the failed runner any more
            batch //= 2
        return make(1)


class TensorRtBatcher(CudaBatcher):
    """A batch runner whose graphs run a TensorRT engine for `batch` frames at a time."""

    def __init__(
        self,
        style: Style,
        devices: list[str],
        precision: Precision,
        task: Task,
        throughput: bool,
        batch: int,
    ) -> None:
        self._asked = batch
        super().__init__(style, devices, precision, task, throughput)

    def maker(self, style: Style, task: Task) -> MakeNetwork:
        """Return a factory of loaded engines for a device and a batch size."""

        def make(device: torch.device, batch: int) -> Network:
            return open_plan(EngineSpec(style, task, batch, self.precision, gpu=device.index))

        return make

    def batches(self, task: Task, throughput: bool) -> list[int]:
        """Return the one batch size of this runner: each is an engine of its own, too slow to try several."""
        return [self._asked]


def _index(device: str) -> int:
    return int(device.removeprefix("cuda").removeprefix(":") or 0)
