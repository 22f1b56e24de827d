"""Sums that show what the machine can do: the rate of its matrix units, the bandwidth of its memory.

Timed in turns with what is measured, they serve twice: as the limit that a row is held to, and as a
standard that should take the same time whenever it is asked.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.common.cpu import cores
from engines.common.telemetry import without_telemetry
from eval.bench.interleaved_timer import InterleavedTimer, noise_sentence, spread

CHANNELS, SIDE, LAYERS = 256, 24, 4
"""Of the convolutions: deep enough to fill matrix units, small enough to stay in a core's cache. Of several
shapes tried on a Xeon with AMX these came nearest to what its matrix units are said to do."""
REPEATS = 4
"""Passes of one call: a single one is over in half a millisecond, where starting threads counts."""
COPY_BYTES = 1 << 28
"""Bytes, more than a processor's caches hold."""
MATRIX_SIDE = 4096
"""Side of the square matrices that a GPU multiplies."""
MEMORY_KERNEL = "a copy of main memory"


@dataclass(frozen=True, slots=True)
class ReferenceKernel:
    """A sum that can be timed."""

    amount: int
    """Multiply-accumulates, or bytes read and written, of one call."""
    call: Callable[[], object]
    """Returns when it is done."""


class ReferenceKernels:
    """The sums that the whole run is held to, made when first asked for."""

    def __init__(self) -> None:
        self.turns = InterleavedTimer()
        self._memory = memory_kernel()
        self._matrix: dict[tuple[str, str], ReferenceKernel | None] = {}

    def of(self, wanted: set[tuple[str, str]]) -> dict[str, Callable[[], object]]:
        """The calls for these devices and precisions, by name."""
        calls: dict[str, Callable[[], object]] = {MEMORY_KERNEL: self._memory.call}
        for device, precision in sorted(wanted):
            if (device, precision) not in self._matrix:
                self._matrix[device, precision] = matrix_kernel(device, precision)
            gauge = self._matrix[device, precision]
            if gauge:
                calls[_sum_name(device, precision)] = gauge.call
        return calls

    def rate(self, device: str, precision: str) -> float | None:
        """Multiply-accumulates a second, of the fastest run: a limit is what was seen to be possible."""
        gauge = self._matrix.get((device, precision))
        return gauge.amount / self.turns.fastest(_sum_name(device, precision)) if gauge else None

    @property
    def bandwidth(self) -> float:
        """Bytes of main memory a second, of the fastest run."""
        return self._memory.amount / self.turns.fastest(MEMORY_KERNEL)

    def matrix_tmacs(self) -> dict[str, float]:
        """Every rate, for the record."""
        rates = {key: self.rate(*key) for key in self._matrix}
        return {" ".join(key): round(rate / 1e12, 4) for key, rate in rates.items() if rate}

    def noise(self, rows: Iterable[bool]) -> str:
        """What to say of a busy machine; empty where it was quiet. `rows`: whether each was noisy."""
        return noise_sentence({name: spread(took) for name, took in self.turns.took.items()}, rows)


def matrix_kernel(device: str, precision: str) -> ReferenceKernel | None:
    """Convolutions in OpenVINO on a CPU, a product in torch on CUDA; None where neither can be had.

    `precision` is fp32, bf16, fp16 or int8. Four layers of 3x3 from 256 channels to 256: nearly all of their
    time is spent in the matrix units.
    """
    try:
        return _convolutions(precision) if device == "cpu" else _product(device, precision)
    except (ImportError, RuntimeError):  # the package is missing, or it refuses the precision
        return None


def memory_kernel() -> ReferenceKernel:
    """A copy of a quarter of a gigabyte of main memory, every core at a part of it."""
    source, target = np.ones(COPY_BYTES, np.uint8), np.zeros(COPY_BYTES, np.uint8)
    count = cores()
    parts = [slice(COPY_BYTES * n // count, COPY_BYTES * (n + 1) // count) for n in range(count)]
    pool = ThreadPoolExecutor(count)

    def copy(part: slice) -> None:
        np.copyto(target[part], source[part])  # lets other threads run

    return ReferenceKernel(2 * COPY_BYTES, lambda: list(pool.map(copy, parts)))


def _sum_name(device: str, precision: str) -> str:
    return f"convolutions in {precision}" if device == "cpu" else f"a product in {precision} on {device}"


@functools.cache
def _core() -> Any:
    """Kept for the life of the process, as the engines' own is: a core that goes takes its plugin along."""
    with without_telemetry():
        import openvino

        return openvino.Core()


def _convolutions(precision: str) -> ReferenceKernel:
    core = _core()
    import openvino
    from openvino import Type, opset13

    rng = np.random.default_rng(0)
    picture = opset13.parameter([1, CHANNELS, SIDE, SIDE], Type.f32)
    values = picture
    for _ in range(LAYERS):
        if precision == "int8":
            # What OpenVINO reads as eight-bit: 256 levels on the way in, whole weights with a scale.
            ends = [np.float32(end) for end in (0, 255, 0, 255)]
            values = opset13.fake_quantize(values, *ends, 256)
            whole = rng.integers(-127, 128, (CHANNELS, CHANNELS, 3, 3)).astype(np.int8)
            weights = opset13.convert(opset13.constant(whole), Type.f32)
            weights = opset13.multiply(weights, opset13.constant(np.float32(1e-4)))
        else:
            drawn = rng.normal(0, (9 * CHANNELS) ** -0.5, (CHANNELS, CHANNELS, 3, 3))
            weights = opset13.constant(drawn.astype(np.float32))
        values = opset13.relu(opset13.convolution(values, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    hint = {"bf16": Type.bf16, "fp16": Type.f16}.get(precision, Type.f32)
    # One number out: handing the planes over is no part of the sum.
    total = opset13.reduce_max(values, np.array([0, 1, 2, 3]), keep_dims=False)
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
    compiled = core.compile_model(openvino.Model([total], [picture]), "CPU", options)
    if precision != "int8" and compiled.get_property("INFERENCE_PRECISION_HINT") != hint:
        raise RuntimeError(f"this processor does not compute in {precision}")
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(rng.random((1, CHANNELS, SIDE, SIDE), np.float32)))

    def passes() -> None:
        for _ in range(REPEATS):
            request.infer()

    return ReferenceKernel(REPEATS * LAYERS * 9 * CHANNELS**2 * SIDE**2, passes)


def _product(device: str, precision: str) -> ReferenceKernel:
    import torch

    kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    if kind is None or not device.startswith("cuda") or not torch.cuda.is_available():
        raise RuntimeError(f"no product in {precision} on {device}")
    a, b = (torch.rand(MATRIX_SIDE, MATRIX_SIDE, device=device).to(kind) for _ in range(2))
    out = torch.empty_like(a)

    def multiply() -> None:
        torch.mm(a, b, out=out)
        torch.cuda.synchronize(device)

    return ReferenceKernel(MATRIX_SIDE**3, multiply)
