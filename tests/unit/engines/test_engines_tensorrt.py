"""What surrounds TensorRT: versions, drivers, progress, and what a plan is held to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from engines.backends.registry import BACKENDS  # noqa: E402
from engines.backends.selection import available  # noqa: E402
from engines.backends.tensorrt import checks, engine_spec, gpu, torch2trt  # noqa: E402
from engines.backends.tensorrt.build_phases import Phases  # noqa: E402
from engines.backends.tensorrt.settings import BuilderSettings  # noqa: E402
from engines.backends.tensorrt.versions import check_version  # noqa: E402
from engines.common.extras import install_line  # noqa: E402
from engines.errors import EngineError  # noqa: E402
from engines.registry.style import Style, load_style  # noqa: E402


@pytest.fixture(scope="module")
def style(style_folder: Path) -> Style:
    return load_style(style_folder)


@pytest.mark.parametrize("found", ["10.12.0.36", "10.13.3.9", "10.99", "11.0.0", "11.4.1"])
def test_versions_that_serve(found: str) -> None:
    check_version(found)


@pytest.mark.parametrize(
    "found, said",
    [
        ("8.6.1", "too old"),
        ("10.11.0.33", "too old"),
        ("12.0.0", "newer than"),
        ("", "too old"),
        ("x", "too old"),
    ],
)
def test_versions_that_do_not(found: str, said: str) -> None:
    with pytest.raises(
        EngineError, match=rf"TensorRT {found} is {said}.*{re.escape(install_line('tensorrt'))}"
    ):
        check_version(found)


@pytest.mark.parametrize(
    "driver, needed, count, index, said",
    [
        (None, "12.8", 0, 0, "no NVIDIA driver found: install"),
        (12080, None, 1, 0, "no CUDA"),
        (11040, "12.8", 1, 0, "too old: it supports CUDA 11.4, torch needs 12.8; update"),
        (12080, "12.8", 0, 0, "no usable GPU: run nvidia-smi"),
        (12080, "12.8", 2, 2, "no GPU cuda:2; available: cuda:0, cuda:1"),
        (12040, "12.8", 1, 0, ""),
        (13000, "12.8", 2, 1, ""),
    ],
)
def test_why_a_gpu_cannot_be_used(
    driver: int | None, needed: str | None, count: int, index: int, said: str
) -> None:
    told = gpu.unavailable_reason(driver, needed, count, index)
    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_this_machine_without_a_gpu_is_told_so() -> None:
    with pytest.raises(EngineError, match=r"no NVIDIA driver|no CUDA|no usable GPU|no GPU"):
        gpu.gpu_facts()


def test_a_backend_without_its_library_names_the_install_line(tmp_path: Path) -> None:
    # Types without the library, as tensorrt-stubs leaves them: a folder without a module in it.
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "tensorrt" / "__init__.pyi").touch()
    code = "from engines.backends.selection import load_backend\nload_backend('tensorrt')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    if "needs the package tensorrt" not in last:
        pytest.skip("TensorRT itself is installed here")
    assert last.endswith(install_line("tensorrt"))


def test_the_list_of_backends_has_it_and_its_problem() -> None:
    row = next(row for row in available() if row.name == "tensorrt")
    assert row.install == BACKENDS["tensorrt"].install
    assert row.present == (not row.problem)
    assert row.problem.count("\n") == 0


@pytest.mark.parametrize(
    "found, installed, precision, said",
    [
        ("11.0.0", True, "fp16", "needs TensorRT 10, .* TensorRT 11.0.0 no longer has; use --via onnx"),
        ("10.13.0", False, "fp16", "not installed; install it from https://.*, or use --via onnx"),
        ("10.13.0", True, "int8", "in fp16 and fp32, not in int8; use --via onnx"),
    ],
)
def test_why_torch2trt_cannot_be_used(found: str, installed: bool, precision: str, said: str) -> None:
    told = torch2trt.unavailable_reason(found, installed, precision)
    assert re.search(said, told)
    assert torch2trt.unavailable_reason("10.13.0", True, "fp16") == ""


def test_settings_out_of_range_are_one_sentence() -> None:
    assert str(BuilderSettings(5, 1024)) == "level 5, workspace 1024 MiB"
    with pytest.raises(EngineError, match="level must be 0 to 5, not 6"):
        BuilderSettings(6)
    with pytest.raises(EngineError, match="workspace must be 16 to 1048576 MiB, not 1"):
        BuilderSettings(3, 1)


def test_the_figure_of_a_build_rises_from_nothing_to_all() -> None:
    phases = Phases()
    phases.start("Building Engine", None, 4)
    told = [phases.step("Building Engine", 0)]
    phases.start("Tactics", "Building Engine", 10)
    told += [phases.step("Tactics", step) for step in range(5)]
    assert told[-1] == pytest.approx((1 + 0.5) / 4)
    phases.start("Again", "Tactics", 2)
    told += [phases.step("Again", 0), phases.finish("Again")]
    told += [phases.finish("Tactics"), phases.step("Building Engine", 1), phases.step("unknown", 3)]
    phases.start("Late", "Building Engine", 1000)
    told += [phases.step("Late", 0), phases.finish("Late"), phases.finish("Building Engine")]
    assert told == sorted(told)
    assert told[-1] == 1


def _engine_10(*types: str) -> str:
    layers = [
        {"Name": f"conv{n}", "Outputs": [{"Name": "x", "Format/Datatype": t}]} for n, t in enumerate(types)
    ]
    return json.dumps({"Layers": layers, "Bindings": ["y"]})


def _engine_11(*types: str) -> str:
    layers = [
        {
            "Name": f"conv{n}",
            "Outputs": [{"Name": "x", "Format": "Row major linear (kLINEAR)", "DataType": t}],
        }
        for n, t in enumerate(types)
    ]
    return json.dumps({"Layers": layers, "I/O Tensors": []})


@pytest.mark.parametrize("make", [_engine_10, _engine_11])
def test_layers_tell_their_precision_in_both_versions_words(make: object) -> None:
    assert callable(make)
    counts = checks.layer_types(
        make("Half", "Channel major FP16 format where channel % 8 == 0", "Float", "Int8", "FP8")
    )
    assert counts == {"fp16": 2, "fp32": 1, "int8": 1, "fp8": 1}


@pytest.mark.parametrize(
    "information", ["", "{}", "[]", '{"Layers": ["conv1", "conv2"]}', '{"Layers": [{}]}']
)
def test_an_engine_that_tells_nothing_is_not_used(information: str) -> None:
    with pytest.raises(EngineError, match="does not report the precision"):
        checks.layer_types(information)


def test_an_engine_of_another_precision_is_not_used() -> None:
    counts = {"fp16": 0, "fp32": 9, "int8": 0, "fp8": 0}
    checks.check_precision(counts, "fp32")
    checks.check_precision(counts | {"fp16": 5}, "fp16")
    with pytest.raises(EngineError, match="should be fp16 but its layers are 9 fp32"):
        checks.check_precision(counts, "fp16")
    with pytest.raises(EngineError, match="should be fp32 but its layers are 1 fp16, 9 fp32"):
        checks.check_precision(counts | {"fp16": 1}, "fp32")
    with pytest.raises(EngineError, match="should be int8"):
        checks.check_precision(counts | {"fp16": 5}, "int8")


def test_an_engine_with_other_ends_is_not_used(style: Style) -> None:
    task = engine_spec.spec_for(style, 65, 33).task
    ends = checks.expected_io(task, 4)
    assert ends["y"] == ("input", "UINT8", (4, 33, 65))
    assert ends["cartoon_v"] == ("output", "UINT8", (4, 17, 33))
    checks.check_io(dict(ends), ends)
    other = ends | {"y": ("input", "FLOAT", (4, 33, 65))}
    with pytest.raises(EngineError, match="y is input float 4x33x65, expected input uint8 4x33x65"):
        checks.check_io(other, ends)
    with pytest.raises(EngineError, match="cartoon_u is missing"):
        checks.check_io({name: end for name, end in ends.items() if name != "cartoon_u"}, ends)
    with pytest.raises(EngineError, match="more is output uint8 1, expected missing"):
        checks.check_io(ends | {"more": ("output", "UINT8", (1,))}, ends)


def test_a_plan_of_another_machine_says_what_differs() -> None:
    same = {"GPU": ("NVIDIA H200", "NVIDIA H200"), "driver": ("575.51", "575.51")}
    assert checks.machine_difference(same) == ""
    told = checks.machine_difference(same | {"GPU": ("GTX 1060", "NVIDIA H200"), "driver": ("575.51", "")})
    assert (
        told
        == "it was built for GPU GTX 1060 (here NVIDIA H200), driver 575.51 (here none); it is not used here"
    )
