"""The NVIDIA GPU and its driver: what an engine hangs on, and why there may be none."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engines.common.nvidia import driver_cuda, driver_version
from engines.errors import EngineError

OTHER_ENGINE = "or take another engine"


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """One GPU, in the words of its driver."""

    name: str
    compute_capability: str
    driver: str
    """Its version, such as 575.51.03; empty where it does not say."""
    cuda: str
    """The version of CUDA that torch brings, such as 12.9."""


def gpu_facts(index: int = 0) -> GpuFacts:
    """The facts about GPU `index`. Raises EngineError, in one sentence, where it cannot be used."""
    require_gpu(index)
    major, minor = torch.cuda.get_device_capability(index)
    return GpuFacts(
        name=torch.cuda.get_device_name(index),
        compute_capability=f"{major}.{minor}",
        driver=driver_version(),
        cuda=str(torch.version.cuda),
    )


def require_gpu(index: int = 0) -> None:
    """Raises EngineError, in one sentence, where there is no GPU of that number to be used."""
    count = torch.cuda.device_count() if torch.version.cuda else 0
    if problem := unavailable_reason(driver_cuda(), torch.version.cuda, count, index):
        raise EngineError(problem)


def unavailable_reason(driver: int | None, needed: str | None, count: int, index: int) -> str:
    """What is wrong, in one sentence; empty where all is well.

    `driver` is the CUDA version that the driver serves, as 1000 major + 10 minor, None without one; `needed`
    the version that torch was built for, None for a torch without CUDA; `count` the number of GPUs.
    """
    if driver is None:
        return f"there is no NVIDIA driver here: install the one for your GPU, {OTHER_ENGINE}"
    if needed is None:
        return f"torch is installed here without CUDA: install the build of it that has CUDA, {OTHER_ENGINE}"
    served = (driver // 1000, driver % 1000 // 10)
    # Within one major version a driver serves what was built for a later minor one.
    if served[0] < int(needed.partition(".")[0]):
        here = f"{served[0]}.{served[1]}"
        return f"the NVIDIA driver here is too old, serving CUDA {here} where {needed} is needed: update it"
    if not count:
        return f"the NVIDIA driver here has no GPU that can be used: see what nvidia-smi says, {OTHER_ENGINE}"
    if index >= count:
        known = ", ".join(f"cuda:{number}" for number in range(count))
        return f"there is no GPU cuda:{index} here: available are {known}"
    return ""
