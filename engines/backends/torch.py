"""PyTorch: the CPU, one NVIDIA GPU or several."""

from __future__ import annotations

from engines.backends.base import pick_device
from engines.backends.torch_cuda import open_cuda
from engines.backends.torch_devices import devices, version
from engines.backends.torch_runner import TorchRunner
from engines.errors import EngineError
from engines.registry.style import Style

__all__ = ["devices", "open_torch", "version"]


def open_torch(
    style: Style, device: str, precision: str, height: int, width: int, throughput: bool = False
) -> TorchRunner:
    """Open the runner of a style on a device or on several GPUs.

    Args:
        style: The style whose generator is run.
        device: A device of `devices`, several GPUs such as "cuda:0,cuda:1", or "auto".
        precision: A precision of the device, or "auto".
        height: Height of single images, pixels or blocks.
        width: Width of single images, pixels or blocks.
        throughput: Whether frames per second matter more than the time of one frame.

    Raises:
        EngineError: The device or precision is not available, or several devices are not all GPUs.
    """
    chosen = [pick_device("torch", devices(), name).name for name in device.split(",")]
    if all(name.startswith("cuda") for name in chosen):
        return open_cuda(style, chosen, precision, height, width, throughput)
    if len(chosen) > 1:
        raise EngineError(f"torch cannot use {device} together: name one device, or several GPUs")
    return TorchRunner(style, chosen[0], precision, height, width, throughput)
