"""Facts about this machine and what it can run, for `streamtoon doctor`."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from engines.backends.selection import BackendRow, available
from engines.backends.tensorrt.engine_cache import PlanCache
from engines.common.cpu import cores
from engines.common.nvidia import driver_cuda, has_driver
from streamtoon.media.devices.capabilities import (
    CameraInfo,
    DecoderInfo,
    EncoderInfo,
    cameras,
    decoders,
    encoders,
)

X86 = {
    "AVX2": ("avx2",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "AVX512-BF16": ("avx512_bf16",),
    "AMX": ("amx_bf16", "amx_int8"),
}
"""Name of a CPU feature that speeds up networks -> its flags in /proc/cpuinfo, one of which is enough."""
ARM = {"NEON": ("asimd", "neon"), "I8MM": ("i8mm",), "BF16": ("bf16",)}


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor."""

    model: str
    cores: int
    """Number of cores that this process may use."""
    features: dict[str, bool | None]
    """None if the system does not say."""


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """A GPU with a working driver."""

    name: str
    memory_gb: float
    driver: str
    compute_capability: str = ""
    """CUDA compute capability, such as 8.9; empty if the driver does not say."""


@dataclass(frozen=True, slots=True)
class Cuda:
    """CUDA versions that must match on a machine with an NVIDIA driver; None if unknown."""

    driver: str | None
    """Newest version that the driver supports."""
    torch: str | None
    """Version that torch was built for."""
    tensorrt: str | None
    """Major version that the TensorRT package was built for."""
    plans: int
    """Number of cached TensorRT engines."""
    plans_mb: float


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts about the machine."""

    system: str
    python: str
    cpu: Cpu
    memory_gb: float | None
    """Main memory; None if the system does not say."""
    gpus: tuple[GpuInfo, ...]
    cuda: Cuda | None
    """None without an NVIDIA driver."""
    engines: tuple[BackendRow, ...]
    encoders: tuple[EncoderInfo, ...]
    decoders: tuple[DecoderInfo, ...]
    cameras: tuple[CameraInfo, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def examine() -> Machine:
    """Examine this machine. Takes seconds, as it imports every installed engine."""
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        cpu=examine_cpu(),
        memory_gb=memory_gb(),
        gpus=nvidia_gpus(),
        cuda=_cuda(),
        engines=tuple(available()),
        encoders=tuple(encoders()),
        decoders=tuple(decoders()),
        cameras=tuple(cameras()),
    )


def examine_cpu() -> Cpu:
    """Examine the CPU only, which is fast."""
    info = _read("/proc/cpuinfo")
    wanted = ARM if platform.machine().lower() in ("arm64", "aarch64") else X86
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", info, re.MULTILINE)
    words = set(flags[1].split()) if flags else None
    return Cpu(
        model=_cpu_model(info),
        cores=cores(),
        features={
            name: None if words is None else not words.isdisjoint(any_of) for name, any_of in wanted.items()
        },
    )


def _cpu_model(info: str) -> str:
    if named := re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE):
        return named[1].strip()
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine()


def memory_gb() -> float | None:
    """Return the main memory in GiB; None if the system does not say."""
    if sys.platform == "win32":
        size = ctypes.c_ulonglong()
        if not ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(size)):
            return None
        return round(size.value / 2**20, 1)
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (OSError, ValueError):
        return None


def nvidia_gpus() -> tuple[GpuInfo, ...]:
    """Return the GPUs that nvidia-smi lists."""
    known = "--query-gpu=name,memory.total,driver_version"
    # Drivers from before 2021 do not know compute_cap and then answer nothing.
    for wanted in (f"{known},compute_cap", known):
        if query := _output("nvidia-smi", wanted, "--format=csv,noheader,nounits"):
            rows = [[cell.strip() for cell in line.split(",")] for line in query.splitlines()]
            return tuple(
                GpuInfo(row[0], round(_number(row[1]) / 1024, 1), *row[2:])
                for row in rows
                if len(row) in (3, 4)
            )
    return ()


def _cuda() -> Cuda | None:
    if not has_driver():
        return None
    served, kept = driver_cuda(), PlanCache.of_user().entries()
    return Cuda(
        driver=None if served is None else f"{served // 1000}.{served % 1000 // 10}",
        torch=_torch_cuda(),
        tensorrt=_tensorrt_cuda(),
        plans=len(kept),
        plans_mb=round(sum(entry.size for entry in kept) / 1e6, 1),
    )


def _torch_cuda() -> str | None:
    try:
        from torch.version import cuda
    except (ImportError, OSError):  # OSError: one of its libraries cannot be loaded
        return None
    return cuda


def _tensorrt_cuda() -> str | None:
    """Read the version from the name of the package with the library: tensorrt_cu12, tensorrt_cu13."""
    names = [str(found.name).lower() for found in distributions()]
    majors = [match[1] for name in names if (match := re.fullmatch(r"tensorrt[-_]cu(\d+)", name))]
    return max(majors, default=None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # "[N/A]": a GPU that shares main memory
        return 0.0


def _output(*command: str) -> str:
    """Return the output of a command; empty if it is missing, fails or hangs."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
