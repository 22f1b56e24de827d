"""OpenVINO: the default on CPUs, and Intel's GPUs and NPUs."""

from __future__ import annotations

import functools
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
"""Pictures drawn at the same time at most, where pictures a second count: each on cores of its own, so that
no threads wait for each other, and in memory of its own. On two cores, beside an encoder: 1.15 times as many
a second."""
_HINT = {"fp32": Type.f32, "bf16": Type.bf16, "fp16": Type.f16}
_NAME: dict[Type, Precision] = {Type.f32: "fp32", Type.bf16: "bf16", Type.f16: "fp16"}


@functools.cache
def get_core() -> ov.Core:
    """The process's one core. Its CPU plugin replaces the loading thread's signal stack and unmaps it when
    unloaded: several cores that come and go leave a dangling one, and the next Ctrl-C is a crash.
    """
    return ov.Core()


def version() -> str:
    """The package's version."""
    return str(ov.get_version()).split("-")[0]


def devices() -> dict[str, Device]:
    """The devices here, the CPU first; GPUs and NPUs are offered and not preferred, being untested."""
    core = get_core()
    found = {}
    for name in sorted(core.available_devices, key=lambda name: (name != "CPU", name)):
        capabilities = set(core.get_property(name, "OPTIMIZATION_CAPABILITIES"))
        native: tuple[Precision, ...] = ("fp16", "fp32")
        if name == "CPU":
            native = ("bf16", "fp32") if "BF16" in capabilities else ("fp32",)
        if "INT8" in capabilities:
            # First on a CPU: measured 1.4 times as fast as bf16 with VNNI, 1.7 times as fast as fp32 with
            # AVX2 alone and as near to it; a test holds a shipped style's int8 graph to its fp32 pictures.
            native = ("int8", *native) if name == "CPU" else (*native, "int8")
        found[name.lower()] = Device(name.lower(), native)
    return found


@functools.cache
def has_amx() -> bool:
    """Whether the CPU multiplies bf16 by the tile; False where the system does not say.

    No word in OpenVINO's list of capabilities stands for it.
    """
    try:
        return "amx_bf16" in CPUINFO_FILE.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False


def _hint(device: Device, asked: Precision) -> Type:
    """What the float layers are computed in; those of an int8 graph in what is fastest between integers.

    On a CPU that is bf16 with AMX (measured in 0.41 of the time with fp32), else fp32: bf16 by AVX-512 costs
    more in conversions than it saves (1.25 times the time, where there is no AMX).
    """
    if asked != "int8":
        return _HINT[asked]
    if device.name == "cpu" and not has_amx():
        return Type.f32
    return _HINT[next(precision for precision in device.precisions if precision != "int8")]


class OpenVinoRunner:
    """One compiled model, run synchronously, each thread with a request of its own."""

    def __init__(
        self, style: Style, device: str, precision: str, height: int, width: int, throughput: bool = False
    ) -> None:
        here = pick_device("openvino", devices(), device)
        self.device = here.name
        asked = pick_precision("openvino", here, precision, style.int8_graph is not None)
        core = get_core()
        name = here.name.upper()
        # Left alone, OpenVINO computes in bf16 wherever the CPU can, without a word.
        hint = _hint(here, asked)
        options: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
        self.concurrency = min(cores(), MAX_STREAMS) if throughput and name == "CPU" else 1
        if self.concurrency > 1:
            # Not pinned: where the encoder's threads lie on the same cores, one that may not move waits.
            options |= {"NUM_STREAMS": str(self.concurrency), "ENABLE_CPU_PINNING": False}
        # A CPU compiles in 0.1 to 0.2 s, and from a file in half of that: not worth one for every size of
        # picture, nor what OpenVINO makes of a damaged one. GPUs and NPUs take long enough.
        if name != "CPU" and (folder := cache_folder("openvino")):
            options["CACHE_DIR"] = str(folder)
        graph = style.int8_graph if asked == "int8" else style.graph
        model = _with_code_values(core.read_model(graph), height, width, style.channels[0])
        try:
            self._compiled = core.compile_model(model, name, options)
        except RuntimeError as error:
            others = [p for p in here.precisions if p != asked and (p != "int8" or style.int8_graph)]
            raise EngineError(
                f"openvino cannot compute this style in {asked} on {here.name} here; "
                f"choose another precision: {', '.join(others)}"
            ) from error
        used = _NAME[self._compiled.get_property("INFERENCE_PRECISION_HINT")]
        self.precision: Precision = "int8" if asked == "int8" else used
        # All the memory that drawing takes is taken here, and not when the first picture comes.
        self._free = [self._compiled.create_infer_request() for _ in range(self.concurrency)]
        self._local = threading.local()

    def __call__(self, image: Bytes) -> Bytes:
        """Height x width x channels in and out; the result is the request's own buffer."""
        lent: _PooledRequest | None = getattr(self._local, "lent", None)
        if lent is None:
            request = self._free.pop() if self._free else self._compiled.create_infer_request()
            lent = self._local.lent = _PooledRequest(request, self._free)
        results = lent.request.infer([image[None]], share_inputs=True, share_outputs=True)
        cartoon: Bytes = results[0][0]
        return cartoon

    def close(self) -> None:
        """Frees the model."""
        del self._local, self._free, self._compiled


class _PooledRequest:
    """A request for as long as its thread lives."""

    def __init__(self, request: ov.InferRequest, free: list[ov.InferRequest]) -> None:
        self.request, self._free = request, free

    def __del__(self) -> None:
        self._free.append(self.request)


def _with_code_values(model: ov.Model, height: int, width: int, channels: int) -> ov.Model:
    """The model with 1 x height x width x channels code values at both ends, fixed in size."""
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
    """The model with its output in code values, made before the pixels are shuffled into their places where
    that comes last: bytes are a quarter of the floats.
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
    """The model with its output in code values, rounded and clipped by its last convolution itself.

    Of a generator of fields, which ends in one: 0.9 of the time of sums and conversions that follow it.
    """
    ends = (ops.constant(value, Type.f32) for value in (-1.0, 1.0, 0.0, 255.0))
    codes = ops.fake_quantize(model.get_results()[0].input_value(0), *ends, levels=256)
    return ov.Model([ops.convert(codes, "u8").output(0)], model.get_parameters())


def _to_code_values(output: ov.Output) -> ov.Output:
    half = ops.constant(127.5, Type.f32)
    scaled = ops.add(ops.multiply(output, half), half)
    return ops.convert(ops.clamp(ops.round(scaled, "half_to_even"), 0.0, 255.0), "u8").output(0)
