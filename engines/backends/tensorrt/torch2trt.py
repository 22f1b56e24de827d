"""The other way to a plan: torch2trt, for TensorRT 10.

It lets TensorRT choose where fp16 is worth it, by a flag that TensorRT 11 no longer has.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from engines.backends.tensorrt.settings import BuilderSettings
from engines.backends.tensorrt.versions import major_minor
from engines.errors import EngineError
from engines.export.onnx_graph import OPSET
from engines.export.typed_onnx import Network, example_inputs

PROJECT = "https://github.com/NVIDIA-AI-IOT/torch2trt"


def unavailable_reason(tensorrt: str, installed: bool, precision: str) -> str:
    """Why torch2trt cannot be used, in one sentence that says what can; empty where it can."""
    if major_minor(tensorrt) >= (11, 0):
        return (
            f"torch2trt needs TensorRT 10, for it sets precision by flags that TensorRT {tensorrt} no longer "
            "has: use --via onnx"
        )
    if not installed:
        return f"torch2trt is not installed here: install it from {PROJECT}, or use --via onnx"
    if precision not in ("fp16", "fp32"):
        return f"torch2trt builds here in fp16 and fp32, not in {precision}: use --via onnx"
    return ""


def require_torch2trt(tensorrt: str, precision: str) -> None:
    """Raises EngineError where it cannot be used."""
    if problem := unavailable_reason(tensorrt, importlib.util.find_spec("torch2trt") is not None, precision):
        raise EngineError(problem)


def build_by_torch2trt(
    network: Network, batch: int, device: torch.device, precision: str, settings: BuilderSettings
) -> bytes:
    """The plan of a network in fp32, which is left on `device`. Raises EngineError where it fails."""
    from torch2trt import torch2trt

    task = network.task
    given = [values.to(device) for values in example_inputs(task, batch)]
    try:
        with torch.cuda.device(device):
            # Its own converters know no 8-bit inputs; through ONNX, TensorRT's parser does.
            module: Any = torch2trt(
                network.to(device),
                given,
                input_names=[*task.takes, *task.numbers],
                output_names=[*task.gives],
                fp16_mode=precision == "fp16",
                max_workspace_size=settings.workspace << 20,
                use_onnx=True,
                onnx_opset=OPSET,
            )
            return bytes(module.state_dict()["engine"])
    except (RuntimeError, AttributeError, TypeError, KeyError) as error:
        raise EngineError(f"torch2trt cannot build this style ({error}): use --via onnx") from error
