"""Building an engine with torch2trt, for TensorRT 10.

torch2trt lets TensorRT choose where to use fp16, with a flag that TensorRT 11 no longer has.
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
    """Return why torch2trt cannot be used, as one sentence; "" if it can."""
    if major_minor(tensorrt) >= (11, 0):
        return (
            f"torch2trt needs TensorRT 10, because it sets the precision by flags that TensorRT {tensorrt} "
            "no longer has; use --via onnx"
        )
    if not installed:
        return f"torch2trt is not installed; install it from {PROJECT}, or use --via onnx"
    if precision not in ("fp16", "fp32"):
        return f"torch2trt builds engines in fp16 and fp32, not in {precision}; use --via onnx"
    return ""


def require_torch2trt(tensorrt: str, precision: str) -> None:
    """Raise EngineError if torch2trt cannot be used."""
    if problem := unavailable_reason(tensorrt, importlib.util.find_spec("torch2trt") is not None, precision):
        raise EngineError(problem)


def build_by_torch2trt(
    network: Network, batch: int, device: torch.device, precision: str, settings: BuilderSettings
) -> bytes:
    """Build the engine of an fp32 network.

    Args:
        network: A task's network, which is moved to `device`.
        batch: Frames in a batch.
        device: The GPU to build on.
        precision: fp16 or fp32.
        settings: Optimisation level and workspace.

    Returns:
        The serialised engine.

    Raises:
        EngineError: The conversion fails.
    """
    from torch2trt import torch2trt

    task = network.task
    given = [values.to(device) for values in example_inputs(task, batch)]
    try:
        with torch.cuda.device(device):
            # torch2trt's own converters have no 8-bit inputs; TensorRT's ONNX parser has.
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
        raise EngineError(f"torch2trt cannot build this style ({error}); use --via onnx") from error
