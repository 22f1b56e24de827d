"""Choosing a backend. A backend's module is imported only when it may be used."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from engines.backends.base import Device, Runner
from engines.backends.registry import BACKENDS, Backend
from engines.backends.untrusted_graph import open_untrusted
from engines.common.memory import translate_oom
from engines.common.nvidia import has_driver
from engines.errors import EngineError
from engines.registry.style import Style
from engines.spec import PRECISIONS, Precision


@dataclass(frozen=True, slots=True)
class BackendRow:
    """What this machine can run with one backend, for display."""

    name: str
    present: bool
    version: str
    """Empty if it is not present."""
    devices: dict[str, tuple[Precision, ...]]
    """Device -> precisions; the preferred one comes first in both."""
    install: str
    problem: str
    """Why it is missing or cannot be used; empty if it can."""


def available() -> list[BackendRow]:
    """Return a row for every backend, present or not. Imports all installed backends, which takes seconds."""
    return [_row(backend) for backend in BACKENDS.values()]


def _row(backend: Backend) -> BackendRow:
    try:
        module = _load(backend)
        devices = {name: device.precisions for name, device in module.devices().items()}
        return BackendRow(backend.name, True, module.version(), devices, backend.install, "")
    except EngineError as error:
        return BackendRow(backend.name, False, "", {}, backend.install, str(error))


def open_runner(
    style: Style,
    *,
    backend: str,
    device: str,
    precision: str,
    height: int,
    width: int,
    throughput: bool = False,
) -> tuple[str, Runner]:
    """Open the style's generator in a backend. Return the backend's name and the runner.

    A GPU that torch can use comes first, then the backends in the order of `BACKENDS`.

    Args:
        style: The style whose generator is run.
        backend: A key of `BACKENDS`, or "auto".
        device: A device of the backend, several GPUs separated by commas, or "auto".
        precision: One of `PRECISIONS`, or "auto".
        height: Rows of the generator's input, a multiple of `style.size_multiple`.
        width: Columns of the generator's input, a multiple of `style.size_multiple`.
        throughput: Optimise for frames per second and not for the latency of one frame.

    Returns:
        The name of the backend and the runner.

    Raises:
        EngineError: The backend is unknown or not installed (the message has the command that installs it),
            or the device or precision is not available (the message lists those that are).
    """
    if precision not in ("auto", *PRECISIONS):
        raise EngineError(f"unknown precision {precision!r}; choose one of: auto, {', '.join(PRECISIONS)}")
    name = _choose(device, precision, style) if backend == "auto" else backend
    if name not in BACKENDS:
        raise EngineError(f"unknown engine {name!r}; choose one of: auto, {', '.join(BACKENDS)}")
    module = _load(BACKENDS[name])
    make = getattr(module, BACKENDS[name].runner)
    open_it = partial(make, style, device, precision, height, width, throughput)
    with translate_oom(f"rendering {width}x{height} in style {style.name}"):
        runner: Runner = open_it() if style.shipped else open_untrusted(style, open_it, height, width)
    return name, runner


def _choose(device: str, precision: str, style: Style) -> str:
    """Return the first installed backend that has the device and the precision and can run the style."""
    present = [
        name
        for name, backend in BACKENDS.items()
        if not _missing(backend) and not (style.graph_alone and "torch" in backend.requires)
    ]
    if not present:
        raise EngineError(f"no engine is installed; run: {BACKENDS['openvino'].install}")
    present = _gpu_first(present, device)
    if device == "auto" and precision == "auto":
        return present[0]
    seen = []
    for name in present:
        devices: dict[str, Device] = _load(BACKENDS[name]).devices()
        offers = "; ".join(f"{found.name} {' '.join(found.precisions)}" for found in devices.values())
        seen.append(f"{name} ({offers})")
        fits = list(devices.values())
        if device != "auto":  # every device of a list must be present
            fits = [devices[part] for part in device.split(",") if part in devices]
            fits = fits[:1] if len(fits) == len(device.split(",")) else []
        if any(precision in ("auto", *found.precisions) for found in fits):
            return name
    wanted = " ".join(word for word in (device, precision) if word != "auto")
    raise EngineError(f"no installed engine offers {wanted}; available: {', '.join(seen)}")


def _gpu_first(present: list[str], device: str) -> list[str]:
    """Move the backends for NVIDIA GPUs to the front if one can be used; drop TensorRT otherwise."""
    gpus = []
    if (device == "auto" or device.startswith("cuda")) and "torch" in present and _torch_uses_cuda():
        gpus = ["torch"]
        if "tensorrt" in present:
            with suppress(EngineError):  # TensorRT or the driver is too old: torch reports the driver itself
                gpus = ["tensorrt", "torch"] if load_backend("tensorrt").devices() else gpus
    return [*gpus, *(name for name in present if name not in (*gpus, "tensorrt"))]


def load_backend(name: str) -> ModuleType:
    """Import the module of a backend. Raises EngineError with the install command if it is missing."""
    return _load(BACKENDS[name])


def _missing(backend: Backend) -> list[str]:
    return [name for name in backend.requires if not _is_installed(name)]


def _is_installed(package: str) -> bool:
    try:
        spec = importlib.util.find_spec(package)
        return spec is not None and spec.origin is not None  # a folder with type stubs only has no origin
    except (ImportError, ValueError):  # raised by an import hook, or a blocked entry in sys.modules
        return False


def _load(backend: Backend) -> ModuleType:
    if missing := _missing(backend):
        packages = ("packages " if len(missing) > 1 else "package ") + " and ".join(missing)
        raise EngineError(f"{backend.name} needs the {packages}, not installed here; run: {backend.install}")
    try:
        return importlib.import_module(backend.module)
    except (ImportError, OSError) as error:  # OSError: a shared library of the package does not load
        _raise_interruption(error)
        raise EngineError(
            f"{backend.name} is installed but does not load ({error}); reinstall it: {backend.install}"
        ) from error


def _torch_uses_cuda() -> bool:
    """Return whether torch finds a GPU. Imports torch, which takes seconds, only if it could find one."""
    with suppress(importlib.metadata.PackageNotFoundError):
        if importlib.metadata.version("torch").endswith("+cpu"):
            return False
    return has_driver() and "cuda" in _load(BACKENDS["torch"]).devices()


def _raise_interruption(error: BaseException) -> None:
    """Raise the KeyboardInterrupt or SystemExit that an extension module turned into an ImportError."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt | SystemExit):
            raise seen
        seen = seen.__cause__ or seen.__context__
