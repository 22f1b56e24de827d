"""The NVIDIA driver, queried through its own libraries: presence, version, supported CUDA."""

from __future__ import annotations

import ctypes
import sys


def has_driver() -> bool:
    """Return whether the driver's library is installed. There may still be no GPU."""
    return _cuda() is not None


def driver_cuda() -> int | None:
    """Return the CUDA version that the driver supports, as 1000 major + 10 minor; None without a driver."""
    cuda, number = _cuda(), ctypes.c_int()
    if cuda is None or cuda.cuDriverGetVersion(ctypes.byref(number)) != 0 or not number.value:
        return None
    return number.value


def driver_version() -> str:
    """Return the version of the driver; empty where it is missing or unknown."""
    nvml = _library("nvml.dll", "libnvidia-ml.so.1")
    text = ctypes.create_string_buffer(96)
    if nvml is None or nvml.nvmlInit_v2() != 0:
        return ""
    try:
        done = nvml.nvmlSystemGetDriverVersion(text, ctypes.c_uint(len(text)))
    finally:
        nvml.nvmlShutdown()
    return text.value.decode("ascii", "replace") if done == 0 else ""


def _cuda() -> ctypes.CDLL | None:
    return _library("nvcuda.dll", "libcuda.so.1")


def _library(windows: str, others: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(windows if sys.platform == "win32" else others)
    except OSError:
        return None
