"""What the doctor advises: only what makes something faster or possible on the machine it looked at."""

from __future__ import annotations

import pytest

from engines.backends.registry import BACKENDS
from engines.backends.selection import BackendRow
from streamtoon.cli.doctor import _advice
from streamtoon.tools.system_info import Cpu, GpuInfo, Machine

GPU = GpuInfo("NVIDIA GeForce RTX 4070", 12.0, "575.51.03", "8.9")


def _machine(present: set[str], gpus: tuple[GpuInfo, ...]) -> Machine:
    rows = tuple(
        BackendRow(name, name in present, "1", {}, backend.install, "" if name in present else "missing")
        for name, backend in BACKENDS.items()
    )
    return Machine("Linux", "3.12", Cpu("a processor", 2, {}), 8.0, gpus, None, rows, (), (), ())


@pytest.mark.parametrize(
    "present, gpus, advised",
    [
        ({"openvino"}, (), {"onnxruntime"}),
        ({"onnxruntime"}, (), {"openvino"}),
        ({"openvino", "onnxruntime"}, (), set()),
        ({"openvino", "onnxruntime"}, (GPU,), {"torch", "tensorrt"}),
        (set(BACKENDS), (GPU,), set()),
    ],
)
def test_what_is_advised_is_of_use_here(
    present: set[str], gpus: tuple[GpuInfo, ...], advised: set[str]
) -> None:
    text = "\n".join(_advice(_machine(present, gpus)))
    assert {name for name, backend in BACKENDS.items() if backend.install in text} == advised
