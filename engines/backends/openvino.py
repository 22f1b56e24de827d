"""OpenVINO: the default backend on CPUs; also runs on Intel GPUs and NPUs."""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path

from engines.backends.base import Device, pick_device, pick_precision
from engines.common.arrays import Bytes
from engines.common.cpu import cores
from engines.common.dirs import cache_folder
from engines.common.telemetry import without_telemetry
from engines.errors import EngineError
from engines.registry.style import Style
from engines.spec import Precision

with without_telemetry():
    import openvino as ov
    from openvino import Layout, Type
    from openvino import opset13 as ops
    from openvino.preprocess import PrePostProcessor

CPUINFO_FILE = Path("/proc/cpuinfo")
MAX_STREAMS = 4
"""Most frames computed at the same time in throughput mode. Each has cores and memory of its own, so that
threads do not wait for each other. On two cores next to an encoder: 1.15 times the frame rate."""
_HINT = {"fp32": Type.f32, "bf16": Type.bf16, "fp16": Type.f16}
_NAME: dict[Type, Precision] = {Type.f32: "fp32", Type.bf16: "bf16", Type.f16: "fp16"}


@functools.cache
def get_core() -> ov.Core:
    """Return the only `Core` of the process.

    OpenVINO's CPU plugin replaces the signal stack of the thread that loads it and unmaps it when unloaded.
    Several cores that come and go would leave a dangling stack, and the next Ctrl-C would crash.
    """
    return ov.Core()


def version() -> str:
    """Return the version of the package."""
    return str(ov.get_version()).split("-")[0]


def devices() -> dict[str, Device]:
    """Return the devices, the CPU first. GPUs and NPUs are listed but never preferred: they are untested."""
    core = get_core()
    found = {}
    for name in sorted(core.available_devices, key=lambda name: (name != "CPU", name)):
        capabilities = set(core.get_property(name, "OPTIMIZATION_CAPABILITIES"))
        native: tuple[Precision, ...] = ("fp16", "fp32")
        if name == "CPU":
            native = ("bf16", "fp32") if "BF16" in capabilities else ("fp32",)
        if "INT8" in capabilities:
            # int8 comes first on a CPU: 1.4 times as fast as bf16 with VNNI, 1.7 times as fast as fp32 with
            # AVX2 only. A test compares the int8 graph of a shipped style with its fp32 output.
            native = ("int8", *native) if name == "CPU" else (*native, "int8")
        found[name.lower()] = Device(name.lower(), native)
    return found


@functools.cache
def has_amx() -> bool:
    """Return whether the CPU has AMX tiles for bf16 that oneDNN may use; False if the system does not say.

    OpenVINO's list of capabilities does not include it.
    """
    held = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    if held not in ("", "ALL", "DEFAULT") and "AMX" not in held:
        return False
    try:
        return "amx_bf16" in CPUINFO_FILE.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False


def _hint(device: Device, asked: Precision) -> Type:
    """Return the type of float layers; for an int8 graph, the fastest type for layers between integer ones.

    On a CPU that is bf16 with AMX (0.41 of the time of fp32), otherwise fp32: with AVX-512 only, conversions
    to bf16 cost more than it saves (1.25 times the time).
    """
    if asked != "int8":
        return _HINT[asked]
    if device.name == "cpu" and not has_amx():
        return Type.f32
    return _HINT[next(precision for precision in device.precisions if precision != "int8")]


class OpenVinoRunner:
    """A compiled model. Each thread runs its own inference request."""

    def __init__(
        self, style: Style, device: str, precision: str, height: int, width: int, throughput: bool = False
    ) -> None:
        here = pick_device("openvino", devices(), device)
        self.device = here.name
        asked = pick_precision("openvino", here, precision, style.int8_graph is not None)
        core = get_core()
        name = here.name.upper()
        # Without a hint, OpenVINO silently computes in bf16 where the CPU can.
        hint = _hint(here, asked)
        options: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
        self.concurrency = min(cores(), MAX_STREAMS) if throughput and name == "CPU" else 1
        if self.concurrency > 1:
            # No pinning: a pinned thread cannot leave a core that the encoder is using.
            options |= {"NUM_STREAMS": str(self.concurrency), "ENABLE_CPU_PINNING": False}
        # A CPU compiles in 0.1 to 0.2 s, and half of that from a cached file. That is not worth a file for
        # every frame size, nor the risk of a damaged one. GPUs and NPUs take much longer.
        if name != "CPU" and (folder := cache_folder("openvino")):
            options["CACHE_DIR"] = str(folder)
        graph = style.int8_graph if asked == "int8" else style.graph
        model = _with_code_values(core.read_model(graph), height, width, style.channels[0])
        try:
            self._compiled = core.compile_model(model, name, options)
        except RuntimeError as error:
            others = [p for p in here.precisions if p != asked and (p != "int8" or style.int8_graph)]
            raise EngineError(
                f"openvino cannot run this style in {asked} on {here.name}; "
                f"choose another precision: {', '.join(others)}"
            ) from error
        used = _NAME[self._compiled.get_property("INFERENCE_PRECISION_HINT")]
        self.precision: Precision = "int8" if asked == "int8" else used
        # Allocate all memory now, so that the first frame cannot run out of it.
        self._free = [self._compiled.create_infer_request() for _ in range(self.concurrency)]
        self._local = threading.local()

    def __call__(self, image: Bytes) -> Bytes:
        """Run the generator on height x width x channels code values.

        The result is the request's own buffer.
        """
        pooled: _PooledRequest | None = getattr(self._local, "pooled", None)
        if pooled is None:
            request = self._free.pop() if self._free else self._compiled.create_infer_request()
            pooled = self._local.pooled = _PooledRequest(request, self._free)
        results = pooled.request.infer([image[None]], share_inputs=True, share_outputs=True)
        cartoon: Bytes = results[0][0]
        return cartoon

    def close(self) -> None:
        """Free the model."""
        del self._local, self._free, self._compiled


class _PooledRequest:
    """An inference request that returns to the pool when its thread ends."""

    def __init__(self, request: ov.InferRequest, free: list[ov.InferRequest]) -> None:
        self.request, self._free = request, free

    def __del__(self) -> None:
        self._free.append(self.request)


def _with_code_values(model: ov.Model, height: int, width: int, channels: int) -> ov.Model:
    """Return the model with code values, 1 x height x width x channels, as input and output of fixed size."""
    model.reshape([1, channels, height, width])
    gives_blocks = channels != 3
    steps = PrePostProcessor(_with_quantized_output(model) if gives_blocks else _with_code_output(model))
    steps.input().tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    steps.input().preprocess().convert_element_type(Type.f32).mean(127.5).scale(127.5)
    steps.output().model().set_layout(Layout("NCHW"))
    steps.output().tensor().set_layout(Layout("NHWC"))
    steps.output().postprocess().convert_layout(Layout("NHWC"))
    return steps.build()


def _with_code_output(model: ov.Model) -> ov.Model:
    """Return the model with its output in code values.

    If the model ends in a pixel shuffle, the conversion comes before it: bytes are a quarter of the floats.
    """
    drawn = model.get_results()[0].input_value(0)
    last = drawn.get_node()
    if last.get_type_name() != "DepthToSpace":
        return ov.Model([_to_code_values(drawn)], model.get_parameters())
    how = last.get_attributes()
    codes = _to_code_values(last.input_value(0))
    shuffled = ops.depth_to_space(codes, how["mode"], how["block_size"])
    return ov.Model([shuffled.output(0)], model.get_parameters())


def _with_quantized_output(model: ov.Model) -> ov.Model:
    """Return the model with its output in code values, rounded and clipped by its last convolution.

    For generators of fields, which end in a convolution: 0.9 of the time of separate steps after it.
    """
    ends = (ops.constant(value, Type.f32) for value in (-1.0, 1.0, 0.0, 255.0))
    codes = ops.fake_quantize(model.get_results()[0].input_value(0), *ends, levels=256)
    return ov.Model([ops.convert(codes, "u8").output(0)], model.get_parameters())


def _to_code_values(output: ov.Output) -> ov.Output:
    half = ops.constant(127.5, Type.f32)
    scaled = ops.add(ops.multiply(output, half), half)
    return ops.convert(ops.clamp(ops.round(scaled, "half_to_even"), 0.0, 255.0), "u8").output(0)
