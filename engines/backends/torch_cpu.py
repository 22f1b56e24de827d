"""PyTorch on the CPU, and the entry to PyTorch on NVIDIA GPUs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

from engines.backends.base import Device, pick_device, pick_precision
from engines.common.arrays import Bytes
from engines.errors import EngineError
from engines.registry.network import load_network
from engines.registry.style import Style
from engines.spec import Precision

_FLAGS = threading.RLock()
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def version() -> str:
    """Return the version of the package."""
    return str(torch.__version__)


def devices() -> dict[str, Device]:
    """Return the devices: CUDA if there is a GPU, then every GPU by number, then the CPU."""
    found = {}
    if torch.cuda.is_available():
        served = [n for n in range(torch.cuda.device_count()) if _is_served(n)]
        for name in (*(("cuda",) if 0 in served else ()), *(f"cuda:{n}" for n in served)):
            found[name] = Device(name, ("fp16", "fp32", "bf16"))
    features = torch.cpu.get_capabilities()
    native = bool(features.get("avx512_bf16") or features.get("amx_tile"))
    found["cpu"] = Device("cpu", ("bf16", "fp32") if native else ("fp32", "bf16"))
    return found


def _is_served(index: int) -> bool:
    """Return whether this build of torch has kernels for GPU `index`; builds leave out old ones."""
    major, minor = torch.cuda.get_device_capability(index)
    for each in torch.cuda.get_arch_list():  # such as sm_90, compute_90 and sm_100a
        kind, _, number = each.partition("_")
        of, at_least = divmod(int("".join(filter(str.isdigit, number))), 10)
        if kind == "sm" and of == major and at_least <= minor:
            return True
        if kind == "compute" and (of, at_least) <= (major, minor):  # PTX, which the driver compiles
            return True
    return False


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
        from engines.backends.torch_cuda import open_cuda  # which is made of this module

        return open_cuda(style, chosen, precision, height, width, throughput)
    if len(chosen) > 1:
        raise EngineError(f"torch cannot use {device} together: name one device, or several GPUs")
    return TorchRunner(style, chosen[0], precision, height, width, throughput)


class TorchRunner:
    """A generator in PyTorch, in the memory layout that suits the device's convolutions."""

    concurrency = 1  # one call keeps every core busy

    def __init__(
        self, style: Style, device: str, precision: str, height: int, width: int, throughput: bool = False
    ) -> None:
        here = pick_device("torch", devices(), device)
        self.device = self._place = here.name
        self.precision: Precision = pick_precision("torch", here, precision, has_int8=False)
        network = load_network(style)
        self._dtype = TYPES[self.precision]
        # In reduced precision, channels-last spares oneDNN and cuDNN the reordering of every layer's input.
        self._format = torch.contiguous_format if self.precision == "fp32" else torch.channels_last
        network = network.to(here.name, self._dtype)
        self._network = network.to(memory_format=self._format)  # type: ignore[call-overload]  # a gap in its types

    @torch.inference_mode()
    def __call__(self, image: Bytes) -> Bytes:
        """Run the generator on height x width x channels code values."""
        values = torch.from_numpy(image).to(self._place).permute(2, 0, 1)[None]
        picture = ((values.float() - 127.5) / 127.5).to(self._dtype, memory_format=self._format)
        with no_tf32(self._place):
            cartoon = self._network(picture).float()
        out = (cartoon * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
        result: Bytes = out[0].permute(1, 2, 0).contiguous().cpu().numpy()
        return result

    def close(self) -> None:
        """Free the network."""
        del self._network


@contextlib.contextmanager
def no_tf32(device: str) -> Iterator[None]:
    """Turn off TF32, in which cuDNN's fp32 convolutions keep ten bits of mantissa by default.

    Only one thread at a time is inside such a block on a GPU, because the flags belong to the process.
    """
    if not device.startswith("cuda"):
        yield
        return
    with (
        _FLAGS,
        torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=False),
    ):
        yield
