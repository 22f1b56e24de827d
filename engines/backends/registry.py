"""The backends by name. To add one, add a module to this package and a row to `BACKENDS`."""

from __future__ import annotations

from dataclasses import dataclass

from engines.common.extras import install_line


@dataclass(frozen=True, slots=True)
class Backend:
    """The module of a backend and the packages that it needs."""

    name: str
    module: str
    """Module with `version()`, `devices()` and the runner."""
    runner: str
    """The runner's class or factory in `module`; see `engines.backends.selection.open_runner`."""
    requires: tuple[str, ...]
    """Import names of the required packages."""
    extra: str = ""
    """Optional extra that installs them; empty if they are core dependencies."""

    @property
    def install(self) -> str:
        """Return the command that installs the required packages."""
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
            "engines.backends.torch",
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
"""In the order of preference of `auto` on a CPU. TensorRT is never used there."""
