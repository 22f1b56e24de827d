"""The TensorRT library: differences between 10.12 and 11, and its messages.

TensorRT 11 removed the builder's precision flags: the types in the graph decide. TensorRT 10.12 does the same
if asked to, so one graph serves both versions.
"""

from __future__ import annotations

import tensorrt as trt

from engines.backends.tensorrt.versions import check_version, major_minor
from engines.common.extras import install_line
from engines.common.memory import OUT_OF_MEMORY_WORDS
from engines.errors import EngineError


def version() -> str:
    """Return the version of TensorRT. Raises EngineError if it is missing or not supported."""
    found = getattr(trt, "__version__", None)
    if found is None:  # type stubs without the library, or a folder of that name
        raise EngineError(
            f"a package named tensorrt is installed, but it is not NVIDIA's; run: {install_line('tensorrt')}"
        )
    check_version(str(found))
    return str(found)


def new_network(builder: trt.Builder) -> trt.INetworkDefinition:
    """Return an empty network that takes its types from the graph."""
    if major_minor(version()) >= (11, 0):
        return builder.create_network()
    return builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))


class Messages(trt.ILogger):
    """Collects TensorRT's messages for error messages, instead of printing them."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)  # the binding of the C++ base class requires this explicit call
        self.errors: list[str] = []
        self._warning = ""

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Record a message. TensorRT calls this from any thread."""
        text = " ".join(msg.split())
        if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
            self.errors.append(text)
        elif severity == trt.ILogger.Severity.WARNING:
            self._warning = text

    def last(self) -> str:
        """Return the last error, or else the last warning, at most 200 characters."""
        text = self.errors[-1] if self.errors else self._warning or "no reason given"
        return text if len(text) <= 200 else f"...{text[-200:]}"

    def is_out_of_memory(self) -> bool:
        """Return whether any error was a lack of memory; the last one does not always say so."""
        return any(word in error.lower() for error in self.errors for word in OUT_OF_MEMORY_WORDS)


def new_runtime(messages: Messages) -> trt.Runtime:
    """Return a runtime, which loads engines. Raises EngineError if TensorRT cannot use the GPU."""
    try:
        return trt.Runtime(messages)
    except TypeError as error:  # the binding raises it for a null pointer
        raise _unusable(messages) from error


def new_builder(messages: Messages) -> trt.Builder:
    """Return a builder. Raises EngineError if TensorRT cannot use the GPU."""
    try:
        return trt.Builder(messages)
    except TypeError as error:
        raise _unusable(messages) from error


def _unusable(messages: Messages) -> EngineError:
    return EngineError(
        f"TensorRT cannot use the GPU ({messages.last()}); its CUDA may be newer than the driver: "
        "update the driver, or install tensorrt-cu12 instead of tensorrt"
    )
