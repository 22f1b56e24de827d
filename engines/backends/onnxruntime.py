"""ONNX Runtime, the portable backend. Needs onnxruntime, and onnx to add the conversion from code values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from engines.backends.base import Device, pick_device, pick_precision
from engines.common.arrays import Bytes
from engines.registry.style import Style
from engines.spec import Precision


def version() -> str:
    """Return the version of the package."""
    return str(onnxruntime.__version__)


def devices() -> dict[str, Device]:
    """Return the devices: the CPU, preceded by CUDA if this build of ONNX Runtime has it."""
    found = {}
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        found["cuda"] = Device("cuda", ("fp32",))
    found["cpu"] = Device("cpu", ("fp32", "int8"))
    return found


class OnnxRuntimeRunner:
    """An inference session for one fixed size."""

    concurrency = 1  # one call keeps every core busy

    def __init__(
        self, style: Style, device: str, precision: str, height: int, width: int, throughput: bool = False
    ) -> None:
        here = pick_device("onnxruntime", devices(), device)
        self.device = here.name
        has_int8 = style.int8_graph is not None
        self.precision: Precision = pick_precision("onnxruntime", here, precision, has_int8)
        options = onnxruntime.SessionOptions()
        # Spinning threads would take the cores that the decoder and the encoder need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[str | tuple[str, dict[str, str]]] = ["CPUExecutionProvider"]
        if here.name == "cuda":
            # TF32, the default on Ampere and later, would keep only ten bits of mantissa.
            providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
        graph = style.int8_graph if self.precision == "int8" else style.graph
        assert graph is not None
        data = _with_code_values(graph, height, width, style.channels)
        self._session = onnxruntime.InferenceSession(data, options, providers=providers)

    def __call__(self, image: Bytes) -> Bytes:
        """Run the generator on height x width x channels code values."""
        (cartoon,) = self._session.run(None, {"code_values": image[None]})
        result: Bytes = np.asarray(cartoon, np.uint8)[0]
        return result

    def close(self) -> None:
        """Free the session."""
        del self._session


def _with_code_values(file: Path, height: int, width: int, channels: tuple[int, int]) -> bytes:
    """Return the graph with code values, 1 x height x width x channels, as input and output of fixed size."""
    model = onnx.load(file)
    graph = model.graph
    picture, cartoon = graph.input[0].name, graph.output[0].name
    constants = {"code_half": 127.5, "code_top": 255.0, "code_zero": 0.0}
    before = [
        helper.make_node("Cast", ["code_values"], ["code_float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["code_float"], ["code_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["code_planes", "code_half"], ["code_centred"]),
        helper.make_node("Div", ["code_centred", "code_half"], [picture]),
    ]
    after = [
        helper.make_node("Mul", [cartoon, "code_half"], ["cartoon_scaled"]),
        helper.make_node("Add", ["cartoon_scaled", "code_half"], ["cartoon_shifted"]),
        helper.make_node("Round", ["cartoon_shifted"], ["cartoon_rounded"]),
        helper.make_node("Clip", ["cartoon_rounded", "code_zero", "code_top"], ["cartoon_clipped"]),
        helper.make_node("Transpose", ["cartoon_clipped"], ["cartoon_last"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["cartoon_last"], ["cartoon_values"], to=TensorProto.UINT8),
    ]
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()
    )
    graph.input.append(
        helper.make_tensor_value_info("code_values", TensorProto.UINT8, [1, height, width, channels[0]])
    )
    graph.output.append(
        helper.make_tensor_value_info("cartoon_values", TensorProto.UINT8, [1, height, width, channels[1]])
    )
    data: bytes = model.SerializeToString()
    return data
