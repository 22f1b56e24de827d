"""The devices that PyTorch has here."""

from __future__ import annotations

import torch

from engines.backends.base import Device


def version() -> str:
    """Return the version of the package."""
    return str(torch.__version__)


def devices() -> dict[str, Device]:
    """Return the devices: CUDA if there is a GPU, then every GPU by number, then the CPU."""
    found = {}
    if torch.cuda.is_available():
        served = [n for n in range(torch.cuda.device_count()) if _is_served(n)]
        for name in (*(("cuda",) if 0 in served else ()), *(f"cuda:{n}" for n in served)):
            found[name] = Device(name, ("fp16", "fp32", "bf16"))
    features = torch.cpu.get_capabilities()
    native = bool(features.get("avx512_bf16") or features.get("amx_tile"))
    found["cpu"] = Device("cpu", ("bf16", "fp32") if native else ("fp32", "bf16"))
    return found


def _is_served(index: int) -> bool:
    """Return whether this build of torch has kernels for GPU `index`; builds leave out old ones."""
    major, minor = torch.cuda.get_device_capability(index)
    for each in torch.cuda.get_arch_list():  # such as sm_90, compute_90 and sm_100a
        kind, _, number = each.partition("_")
        of, at_least = divmod(int("".join(filter(str.isdigit, number))), 10)
        if kind == "sm" and of == major and at_least <= minor:
            return True
        if kind == "compute" and (of, at_least) <= (major, minor):  # PTX, which the driver compiles
            return True
    return False
