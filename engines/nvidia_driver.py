"""NVIDIA's driver, asked by its own libraries: whether there is one, which, and what CUDA it serves."""

from __future__ import annotations

import ctypes
import sys


def has_driver() -> bool:
    """Whether the driver's library is there; a GPU may be missing all the same."""
    return _cuda() is not None


def driver_cuda() -> int | None:
    """The CUDA version that the driver serves, as 1000 major + 10 minor; None where there is no driver."""
    cuda, number = _cuda(), ctypes.c_int()
    if cuda is None or cuda.cuDriverGetVersion(ctypes.byref(number)) != 0 or not number.value:
        return None
    return number.value


def driver_version() -> str:
    """The driver's own version; empty where there is none or it does not say."""
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
