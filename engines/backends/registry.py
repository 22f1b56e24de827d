"""The backends by name. Adding one is a file beside this and a row here."""

from __future__ import annotations

from dataclasses import dataclass

from engines.common.extras import install_line


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a backend's code is and what it needs."""

    name: str
    module: str
    """Has `version()`, `devices()` and the runner."""
    runner: str
    """The runner's class in `module`, or what makes one."""
    requires: tuple[str, ...]
    """Import names of the packages it needs."""
    extra: str = ""
    """The optional extra that brings them; empty where they belong to the core."""

    @property
    def install(self) -> str:
        """The command that installs them."""
        return install_line(self.extra) if self.extra else install_line(packages=self.requires)


BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend(
            "openvino",
            "engines.backends.openvino",
            "OpenVinoRunner",
            ("openvino",),
        ),
        Backend(
            "onnxruntime",
            "engines.backends.onnxruntime",
            "OnnxRuntimeRunner",
            ("onnxruntime", "onnx"),
            "onnxruntime",
        ),
        Backend(
            "torch",
            "engines.backends.torch_cpu",
            "open_torch",
            ("torch", "safetensors"),
            "torch",
        ),
        Backend(
            "tensorrt",
            "engines.backends.tensorrt.runner",
            "TensorRtRunner",
            ("tensorrt", "torch", "onnx", "onnxruntime", "onnxscript", "ml_dtypes", "safetensors"),
            "tensorrt",
        ),
    )
}
"""In the order in which `auto` prefers them on a CPU; TensorRT is never taken there."""
