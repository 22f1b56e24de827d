"""What the doctor says of NVIDIA's GPUs; the hardware itself is not needed for how that is read and told."""

from __future__ import annotations

import os
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from engines.common.nvidia import driver_cuda, has_driver
from streamtoon.cli import doctor
from streamtoon.media.devices.capabilities import DecoderInfo, decoders
from streamtoon.tools import system_info as machine
from streamtoon.tools.system_info import Cuda, GpuInfo

SMI = """#!/bin/sh
test "$1" = --query-gpu=name,memory.total,driver_version,compute_cap || exit 1
echo "a warning of the driver"
echo "NVIDIA GeForce RTX 4070, 12282, 575.51.03, 8.9"
echo "NVIDIA GB10, [N/A], 580.95.05, 12.1"
"""
OLD_SMI = """#!/bin/sh
test "$1" = --query-gpu=name,memory.total,driver_version || { echo "Field is not a valid field"; exit 2; }
echo "Tesla K80, 11441, 470.42"
"""


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands on the PATH")
def test_gpus_are_read_off_nvidias_own_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(SMI, encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert machine.nvidia_gpus() == (
        GpuInfo("NVIDIA GeForce RTX 4070", 12.0, "575.51.03", "8.9"),
        GpuInfo("NVIDIA GB10", 0.0, "580.95.05", "12.1"),
    )
    tool.write_text(OLD_SMI, encoding="utf-8")
    assert machine.nvidia_gpus() == (GpuInfo("Tesla K80", 11.2, "470.42"),)
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n", encoding="utf-8")
    assert machine.nvidia_gpus() == ()


@pytest.mark.skipif(has_driver(), reason="there is an NVIDIA driver here")
def test_without_a_driver_nothing_is_made_up() -> None:
    assert driver_cuda() is None
    assert machine._cuda() is None
    assert not any(decoder.works for decoder in decoders())


def test_what_has_to_fit_together_is_told() -> None:
    found = replace(
        machine.examine(),
        gpus=(GpuInfo("NVIDIA GeForce RTX 4070", 12.0, "575.51.03", "8.9"),),
        cuda=Cuda(driver="12.9", torch="13.0", tensorrt="12", plans=3, plans_mb=12.5),
        decoders=(DecoderInfo("h264", "nvdec", True), DecoderInfo("hevc", "nvdec", False)),
    )
    told = _printed(found)
    assert "NVIDIA GeForce RTX 4070, 12.0 GB, compute capability 8.9, driver 575.51.03" in told
    assert "driver supports 12.9, torch built for 13.0, TensorRT built for 12" in told
    assert "3 cached, 12.5 MB" in told
    assert "NVDEC h264" in told and "hevc" not in told
    alone = replace(found, cuda=Cuda("12.2", None, None, 0, 0.0), decoders=())
    assert "driver supports 12.2 TensorRT engines none cached NVDEC not usable here" in _printed(alone)
    old = replace(found, gpus=(GpuInfo("Tesla K80", 11.2, "470.42"),))
    assert "Tesla K80, 11.2 GB, driver 470.42" in _printed(old)
    assert "CUDA" not in _printed(replace(found, cuda=None))


def _printed(found: machine.Machine) -> str:
    screen = Console(file=StringIO(), width=200)
    screen.print(doctor._machine(found))
    file = screen.file
    assert isinstance(file, StringIO)
    return " ".join(file.getvalue().split())
