"""How a backend is chosen. Each is one file beside this, imported when it is asked for."""

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
    """What this machine can run with one backend, for people."""

    name: str
    present: bool
    version: str
    """Empty where not present."""
    devices: dict[str, tuple[Precision, ...]]
    """Device -> precisions, the preferred of both first."""
    install: str
    problem: str
    """Why it is not present or cannot be used; empty where all is well."""


def available() -> list[BackendRow]:
    """One row for every backend, present or not. Imports every package that is there: takes seconds."""
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
    """The backend's name and the style's generator in it, at height x width (multiples of `size_multiple`).

    Each of backend, device and precision may be "auto". A GPU that torch can use comes first, then the
    backends in the order of `BACKENDS`. `throughput`: pictures a second count, not the time of one.

    Raises EngineError in one sentence: an unknown or missing backend (with the install line), or a device or
    precision that is not there (with those that are).
    """
    if precision not in ("auto", *PRECISIONS):
        raise EngineError(f"unknown precision {precision!r}: known are auto, {', '.join(PRECISIONS)}")
    name = _choose(device, precision, style) if backend == "auto" else backend
    if name not in BACKENDS:
        raise EngineError(f"unknown backend {name!r}: known are auto, {', '.join(BACKENDS)}")
    module = _load(BACKENDS[name])
    make = getattr(module, BACKENDS[name].runner)
    open_it = partial(make, style, device, precision, height, width, throughput)
    with translate_oom(f"a picture of {width}x{height} in style {style.name}"):
        runner: Runner = open_it() if style.shipped else open_untrusted(style, open_it, height, width)
    return name, runner


def _choose(device: str, precision: str, style: Style) -> str:
    """The first backend that is installed, has the device and the precision, and can run such a style."""
    present = [
        name
        for name, backend in BACKENDS.items()
        if not _missing(backend) and not (style.graph_alone and "torch" in backend.requires)
    ]
    if not present:
        raise EngineError(f"no backend is installed: {BACKENDS['openvino'].install}")
    present = _gpu_first(present, device)
    if device == "auto" and precision == "auto":
        return present[0]
    seen = []
    for name in present:
        devices: dict[str, Device] = _load(BACKENDS[name]).devices()
        offers = "; ".join(f"{found.name} {' '.join(found.precisions)}" for found in devices.values())
        seen.append(f"{name} ({offers})")
        fits = list(devices.values())
        if device != "auto":  # of several devices, all have to be here
            fits = [devices[part] for part in device.split(",") if part in devices]
            fits = fits[:1] if len(fits) == len(device.split(",")) else []
        if any(precision in ("auto", *found.precisions) for found in fits):
            return name
    wanted = " ".join(word for word in (device, precision) if word != "auto")
    raise EngineError(f"nothing installed here offers {wanted}: available are {', '.join(seen)}")


def _gpu_first(present: list[str], device: str) -> list[str]:
    """Those of NVIDIA's GPUs before all others where one is to be used; TensorRT nowhere else."""
    gpus = []
    if (device == "auto" or device.startswith("cuda")) and "torch" in present and _torch_uses_cuda():
        gpus = ["torch"]
        if "tensorrt" in present:
            with suppress(EngineError):  # too old, or the driver is: torch says the same where it matters
                gpus = ["tensorrt", "torch"] if load_backend("tensorrt").devices() else gpus
    return [*gpus, *(name for name in present if name not in (*gpus, "tensorrt"))]


def load_backend(name: str) -> ModuleType:
    """A backend's code. Raises EngineError, with the install line, where that is missing."""
    return _load(BACKENDS[name])


def _missing(backend: Backend) -> list[str]:
    return [name for name in backend.requires if not _is_installed(name)]


def _is_installed(package: str) -> bool:
    try:
        spec = importlib.util.find_spec(package)
        return spec is not None and spec.origin is not None  # types alone are a folder without a module
    except (ImportError, ValueError):  # an import hook's word, or a blocked entry in sys.modules
        return False


def _load(backend: Backend) -> ModuleType:
    if missing := _missing(backend):
        packages = ("packages " if len(missing) > 1 else "package ") + " and ".join(missing)
        raise EngineError(f"{backend.name} needs the {packages}, not installed here: {backend.install}")
    try:
        return importlib.import_module(backend.module)
    except (ImportError, OSError) as error:  # OSError: a library that the package needs does not load
        _raise_interruption(error)
        raise EngineError(
            f"{backend.name} is installed but does not load ({error}); reinstall it: {backend.install}"
        ) from error


def _torch_uses_cuda() -> bool:
    """Whether torch finds a GPU; torch, which takes seconds to import, is asked only where it could."""
    with suppress(importlib.metadata.PackageNotFoundError):
        if importlib.metadata.version("torch").endswith("+cpu"):
            return False
    return has_driver() and "cuda" in _load(BACKENDS["torch"]).devices()


def _raise_interruption(error: BaseException) -> None:
    """Raises the interruption by a signal that an extension module has made an ImportError of."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt | SystemExit):
            raise seen
        seen = seen.__cause__ or seen.__context__
