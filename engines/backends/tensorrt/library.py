"""TensorRT 10.12 and later, and 11: what differs between the two, and its messages.

TensorRT 11 took the builder's precision flags away: every network is as its graph is typed. TensorRT 10.12
does the same when asked to, so one graph serves both; only the asking differs.
"""

from __future__ import annotations

import tensorrt as trt

from engines.backends.tensorrt.versions import check_version, major_minor
from engines.common.extras import install_line
from engines.common.memory import OUT_OF_MEMORY_WORDS
from engines.errors import EngineError


def version() -> str:
    """The package's version; raises EngineError where what is there is no TensorRT, or one not known here."""
    found = getattr(trt, "__version__", None)
    if found is None:  # types without the library, or a folder that happens to have the name
        raise EngineError(
            f"a package named tensorrt is installed, but not the library; run: {install_line('tensorrt')}"
        )
    check_version(str(found))
    return str(found)


def new_network(builder: trt.Builder) -> trt.INetworkDefinition:
    """An empty network whose types are those of the graph that will be read into it."""
    if major_minor(version()) >= (11, 0):
        return builder.create_network()
    return builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))


class Messages(trt.ILogger):
    """What TensorRT says, kept for the sentence of an error instead of printed."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)  # the base is a C++ class, and wants this very call
        self.errors: list[str] = []
        self._warning = ""

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Called by TensorRT, in any thread."""
        text = " ".join(msg.split())
        if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
            self.errors.append(text)
        elif severity == trt.ILogger.Severity.WARNING:
            self._warning = text

    def last(self) -> str:
        """The last error, or else the last warning, short enough for a sentence."""
        text = self.errors[-1] if self.errors else self._warning or "it does not say why"
        return text if len(text) <= 200 else f"...{text[-200:]}"

    def is_out_of_memory(self) -> bool:
        """Whether it is for want of memory that something failed: the last error does not always say so."""
        return any(word in error.lower() for error in self.errors for word in OUT_OF_MEMORY_WORDS)


def new_runtime(messages: Messages) -> trt.Runtime:
    """What loads plans. Raises EngineError where TensorRT cannot use the GPU."""
    try:
        return trt.Runtime(messages)
    except TypeError as error:  # what its binding makes of a null pointer
        raise _unusable(messages) from error


def new_builder(messages: Messages) -> trt.Builder:
    """What builds plans. Raises EngineError where TensorRT cannot use the GPU."""
    try:
        return trt.Builder(messages)
    except TypeError as error:
        raise _unusable(messages) from error


def _unusable(messages: Messages) -> EngineError:
    return EngineError(
        f"TensorRT cannot use the GPU here ({messages.last()}): its CUDA may be newer than the driver; "
        "update the driver, or install tensorrt-cu12 in place of tensorrt"
    )
