"""The backend: a style on NVIDIA's GPUs by TensorRT."""

from __future__ import annotations

import torch

from engines.backends.base import Device, PlanesTask, Precision, pick_device, pick_precision
from engines.backends.tensorrt.gpu import demand_gpu
from engines.backends.tensorrt.library import version
from engines.backends.tensorrt.open import open_plan
from engines.backends.tensorrt.wanted import Wanted, batch_of
from engines.backends.torch_cuda import CudaPlanes, CudaRunner, Make, Network
from engines.errors import EngineError
from engines.style import Style

__all__ = ["TensorRtRunner", "devices", "version"]

FP8_FROM = (8, 9)
"""Compute capability of the first GPUs that multiply in fp8."""


def devices() -> dict[str, Device]:
    """The GPUs. Raises EngineError, in one sentence, where there is none that can be used."""
    version()
    demand_gpu()
    found = {}
    for index in range(torch.cuda.device_count()):
        precisions: tuple[Precision, ...] = ("fp16", "fp32", "int8")
        if torch.cuda.get_device_capability(index) >= FP8_FROM:
            precisions = (*precisions, "fp8")
        for name in ("cuda", f"cuda:{index}") if index == 0 else (f"cuda:{index}",):
            found[name] = Device(name, precisions)
    return found


class TensorRtRunner(CudaRunner):
    """A style on one GPU or several; its engines are built when the first video's size is known."""

    def __init__(
        self, style: Style, device: str, precision: str, height: int, width: int, throughput: bool = False
    ) -> None:
        here = devices()
        chosen = [pick_device("tensorrt", here, name) for name in device.split(",")]
        if len({_index(each.name) for each in chosen}) < len(chosen):
            raise EngineError(f"{device} names one GPU twice: write each once, as cuda:0,cuda:1")
        asked = pick_precision("tensorrt", chosen[0], precision, has_int8=True)
        alone = "fp32" if asked == "fp32" else "fp16"
        super().__init__(style, [each.name for each in chosen], alone, height, width, throughput)
        self.precision = asked

    def open_planes(self, task: PlanesTask) -> TensorRtPlanes:
        """As `engines.backends.base.DrawsPlanes`."""
        return TensorRtPlanes(self._style, self._devices, self.precision, task, self._throughput)


class TensorRtPlanes(CudaPlanes):
    """A planes runner whose graphs run a plan."""

    def maker(self, style: Style, task: PlanesTask) -> Make:
        """What gives the plan for a device and a batch."""

        def make(device: torch.device, batch: int) -> Network:
            return open_plan(Wanted(style, task, batch, self.precision, gpu=device.index))

        return make

    def batches(self, task: PlanesTask, throughput: bool) -> list[int]:
        """One number."""
        return [batch_of(task, throughput)]


def _index(device: str) -> int:
    return int(device.removeprefix("cuda").removeprefix(":") or 0)
