"""Reference calculations: the rate of the machine's matrix units and the bandwidth of its memory.

They are timed in turns with what is measured and serve two purposes. They are the limit to which a row is
compared. They also show whether the machine was busy, as their time should never change.
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
"""Channels, width and height, and number of the convolutions: deep enough to fill matrix units, small enough
for a core's cache. Of several shapes tried on a Xeon with AMX, this one came closest to the rated speed.
"""
REPEATS = 4
"""Passes of one call. A single pass takes half a millisecond, of which starting threads is a large part."""
COPY_BYTES = 1 << 28
"""Bytes to copy. This is larger than a processor's caches."""
MATRIX_SIDE = 4096
"""Rows and columns of the square matrices that a GPU multiplies."""
MEMORY_KERNEL = "a copy of main memory"


@dataclass(frozen=True, slots=True)
class ReferenceKernel:
    """A calculation to time."""

    amount: int
    """Multiply-accumulates, or bytes read and written, of one call."""
    call: Callable[[], object]
    """Runs the calculation and returns when it is finished."""


class ReferenceKernels:
    """The reference calculations of a whole run. Each is made when it is first needed."""

    def __init__(self) -> None:
        self.turns = InterleavedTimer()
        self._memory = memory_kernel()
        self._matrix: dict[tuple[str, str], ReferenceKernel | None] = {}

    def of(self, wanted: set[tuple[str, str]]) -> dict[str, Callable[[], object]]:
        """Return the calls for these pairs of device and precision, by name."""
        calls: dict[str, Callable[[], object]] = {MEMORY_KERNEL: self._memory.call}
        for device, precision in sorted(wanted):
            if (device, precision) not in self._matrix:
                self._matrix[device, precision] = matrix_kernel(device, precision)
            gauge = self._matrix[device, precision]
            if gauge:
                calls[_sum_name(device, precision)] = gauge.call
        return calls

    def rate(self, device: str, precision: str) -> float | None:
        """Return the multiply-accumulates per second of the fastest run, which is the limit."""
        gauge = self._matrix.get((device, precision))
        return gauge.amount / self.turns.fastest(_sum_name(device, precision)) if gauge else None

    @property
    def bandwidth(self) -> float:
        """Return the bytes of main memory read and written per second, of the fastest run."""
        return self._memory.amount / self.turns.fastest(MEMORY_KERNEL)

    def matrix_tmacs(self) -> dict[str, float]:
        """Return every rate in 10^12 multiply-accumulates per second, by name."""
        rates = {key: self.rate(*key) for key in self._matrix}
        return {" ".join(key): round(rate / 1e12, 4) for key, rate in rates.items() if rate}

    def noise(self, rows: Iterable[bool]) -> str:
        """Return a sentence if the machine was busy, otherwise "". `rows` says for each row whether it was
        noisy.
        """
        return noise_sentence({name: spread(took) for name, took in self.turns.took.items()}, rows)


def matrix_kernel(device: str, precision: str) -> ReferenceKernel | None:
    """Return convolutions in OpenVINO for a CPU, or a matrix product in torch for CUDA.

    `precision` is fp32, bf16, fp16 or int8. The convolutions are four layers of 3x3 with 256 channels, which
    spend nearly all of their time in the matrix units. Returns None if neither is available.
    """
    try:
        return _convolutions(precision) if device == "cpu" else _product(device, precision)
    except (ImportError, RuntimeError):  # the package is missing, or it does not support the precision
        return None


def memory_kernel() -> ReferenceKernel:
    """Return a copy of a quarter of a gigabyte of main memory, split among all cores."""
    source, target = np.ones(COPY_BYTES, np.uint8), np.zeros(COPY_BYTES, np.uint8)
    count = cores()
    parts = [slice(COPY_BYTES * n // count, COPY_BYTES * (n + 1) // count) for n in range(count)]
    pool = ThreadPoolExecutor(count)

    def copy(part: slice) -> None:
        np.copyto(target[part], source[part])  # releases the GIL

    return ReferenceKernel(2 * COPY_BYTES, lambda: list(pool.map(copy, parts)))


def _sum_name(device: str, precision: str) -> str:
    return f"convolutions in {precision}" if device == "cpu" else f"a product in {precision} on {device}"


@functools.cache
def _core() -> Any:
    """Return OpenVINO's core, which lives as long as the process, like that of the engines.

    A core that is deleted takes its plugin with it.
    """
    with without_telemetry():
        import openvino

        return openvino.Core()


def _convolutions(precision: str) -> ReferenceKernel:
    core = _core()
    import openvino
    from openvino import Type, opset13

    rng = np.random.default_rng(0)
    image = opset13.parameter([1, CHANNELS, SIDE, SIDE], Type.f32)
    values = image
    for _ in range(LAYERS):
        if precision == "int8":
            # OpenVINO's form of int8: 256 levels of the input, integer weights with a scale.
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
    # The output is one number, so that copying the result takes no time.
    total = opset13.reduce_max(values, np.array([0, 1, 2, 3]), keep_dims=False)
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
    compiled = core.compile_model(openvino.Model([total], [image]), "CPU", options)
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
        raise RuntimeError(f"{device} does not multiply matrices in {precision}")
    a, b = (torch.rand(MATRIX_SIDE, MATRIX_SIDE, device=device).to(kind) for _ in range(2))
    out = torch.empty_like(a)

    def multiply() -> None:
        torch.mm(a, b, out=out)
        torch.cuda.synchronize(device)

    return ReferenceKernel(MATRIX_SIDE**3, multiply)
