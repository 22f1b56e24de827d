"""A generator run by PyTorch, one image at a time, on the CPU or a GPU."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

from engines.backends.base import pick_device, pick_precision
from engines.backends.torch_devices import devices
from engines.common.arrays import Bytes
from engines.registry.network import load_network
from engines.registry.style import Style
from engines.spec import Precision

_FLAGS = threading.RLock()
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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
