"""The NVIDIA GPU and its driver: their versions, and why a GPU may be unusable."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engines.common.nvidia import driver_cuda, driver_version
from engines.errors import EngineError

OTHER_ENGINE = "or take another engine"


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """Facts about a GPU, as its driver reports them."""

    name: str
    compute_capability: str
    driver: str
    """Version, for example 575.51.03; empty if unknown."""
    cuda: str
    """Version of CUDA that torch contains, for example 12.9."""


def gpu_facts(index: int = 0) -> GpuFacts:
    """Return the facts about GPU `index`. Raises EngineError if it cannot be used."""
    require_gpu(index)
    major, minor = torch.cuda.get_device_capability(index)
    return GpuFacts(
        name=torch.cuda.get_device_name(index),
        compute_capability=f"{major}.{minor}",
        driver=driver_version(),
        cuda=str(torch.version.cuda),
    )


def require_gpu(index: int = 0) -> None:
    """Raise EngineError if GPU `index` cannot be used."""
    count = torch.cuda.device_count() if torch.version.cuda else 0
    if problem := unavailable_reason(driver_cuda(), torch.version.cuda, count, index):
        raise EngineError(problem)


def unavailable_reason(driver: int | None, needed: str | None, count: int, index: int) -> str:
    """Return why GPU `index` cannot be used, as one sentence; "" if it can.

    Args:
        driver: CUDA version of the driver as 1000 * major + 10 * minor; None without a driver.
        needed: CUDA version of torch; None if torch was built without CUDA.
        count: Number of GPUs.
        index: Index of the GPU.

    """
    if driver is None:
        return f"no NVIDIA driver found: install the one for your GPU, {OTHER_ENGINE}"
    if needed is None:
        return f"the installed torch has no CUDA: install a build with CUDA, {OTHER_ENGINE}"
    served = (driver // 1000, driver % 1000 // 10)
    # A driver supports all minor versions of its major version of CUDA.
    if served[0] < int(needed.partition(".")[0]):
        here = f"{served[0]}.{served[1]}"
        return (
            f"the NVIDIA driver is too old: it supports CUDA {here}, torch needs {needed}; update the driver"
        )
    if not count:
        return f"the NVIDIA driver reports no usable GPU: run nvidia-smi to see why, {OTHER_ENGINE}"
    if index >= count:
        known = ", ".join(f"cuda:{number}" for number in range(count))
        return f"there is no GPU cuda:{index}; available: {known}"
    return ""
