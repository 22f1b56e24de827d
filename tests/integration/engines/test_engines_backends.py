"""All backends draw the same picture, say what they compute in, and refuse in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from skimage import data

from engines.backends import openvino as openvino_backend
from engines.backends.base import Device, pick_device, pick_precision
from engines.backends.registry import BACKENDS
from engines.backends.selection import available, load_backend, open_runner
from engines.errors import EngineError
from engines.generators import create
from engines.registry.style import Style, load_style
from engines.spec import Precision

Image = NDArray[np.uint8]
HEIGHT, WIDTH = 96, 128
PHOTOS = ["astronaut", "coffee", "chelsea", "rocket"]
OFFERED = [
    (row.name, device, precision)
    for row in available()
    for device, precisions in row.devices.items()
    for precision in precisions
    if precision not in ("int8", "fp8")
]


@pytest.fixture(scope="module")
def style(style_folder: Path) -> Style:
    return load_style(style_folder)


@pytest.fixture(scope="module")
def photos() -> list[Image]:
    return [
        np.asarray(cv2.resize(getattr(data, name)(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
        for name in PHOTOS
    ]


@pytest.fixture(scope="module")
def exact(style: Style, photos: list[Image]) -> list[NDArray[np.float64]]:
    """The network in torch and float64, without rounding: what every backend approximates."""
    network = create(style.generator)
    network.load_state_dict(load_file(style.weights))
    network = network.double().eval()
    cartoons = []
    for photo in photos:
        picture = torch.from_numpy(photo).permute(2, 0, 1)[None].double() / 127.5 - 1
        with torch.inference_mode():
            cartoon = (network(picture)[0].permute(1, 2, 0).numpy() + 1) * 127.5
        cartoons.append(cartoon.clip(0, 255))
    return cartoons


@pytest.mark.parametrize("backend, device, precision", OFFERED, ids=["-".join(row) for row in OFFERED])
def test_every_backend_draws_the_same_picture(
    backend: str,
    device: str,
    precision: str,
    style: Style,
    photos: list[Image],
    exact: list[NDArray[np.float64]],
) -> None:
    name, runner = open_runner(
        style, backend=backend, device=device, precision=precision, height=HEIGHT, width=WIDTH
    )
    assert (name, runner.device, runner.precision) == (backend, device, precision)
    for photo, expected in zip(photos, exact, strict=True):
        cartoon = runner(photo)
        assert cartoon.dtype == np.uint8
        assert cartoon.shape == photo.shape
        assert np.abs(photo - expected).mean() > 4  # the generator does something
        difference = np.abs(cartoon - expected)
        if precision == "fp32":
            assert difference.max() <= 0.55  # rounding's half and a little
        else:
            assert difference.mean() <= 3
    runner.close()


def test_every_backend_rounds_and_clips_alike(style: Style) -> None:
    # Noise drives the network out of -1..1, where code values are clipped at both ends.
    noise = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (HEIGHT, WIDTH, 3))
    cartoons = []
    for backend, device, precision in OFFERED:
        if precision == "fp32":
            _, runner = open_runner(
                style, backend=backend, device=device, precision=precision, height=HEIGHT, width=WIDTH
            )
            cartoons.append(runner(noise).astype(int))
            runner.close()
    assert (cartoons[0] == 0).any()
    assert (cartoons[0] == 255).any()
    for cartoon in cartoons[1:]:
        assert np.abs(cartoon - cartoons[0]).max() <= 1
        assert (cartoon == cartoons[0]).mean() > 0.999


@pytest.mark.parametrize("backend", BACKENDS)
def test_auto_precision_is_named(backend: str, style: Style) -> None:
    row = next(row for row in available() if row.name == backend)
    if backend == "tensorrt" and not row.present:
        pytest.skip(row.problem)
    _, runner = open_runner(style, backend=backend, device="auto", precision="auto", height=32, width=32)
    offered = row.devices[runner.device]
    assert style.int8_graph is None
    assert runner.precision == next(precision for precision in offered if precision != "int8")
    runner.close()


def test_openvino_computes_fp32_where_fp32_was_asked_for(style: Style, photos: list[Image]) -> None:
    """On CPUs with bf16, OpenVINO takes bf16 unless told otherwise: the two must differ where both exist."""
    if ("openvino", "cpu", "bf16") not in OFFERED:
        pytest.skip("this CPU has no bf16")
    cartoons = []
    for precision in ("fp32", "bf16"):
        _, runner = open_runner(
            style, backend="openvino", device="cpu", precision=precision, height=HEIGHT, width=WIDTH
        )
        cartoons.append(runner(photos[0]).copy())
    assert (cartoons[0] != cartoons[1]).any()


@pytest.mark.parametrize(
    "flags, asked, computed",
    [
        ("avx512_bf16 amx_bf16 amx_tile", "int8", "bf16"),
        ("avx512_bf16", "int8", "fp32"),
        (None, "int8", "fp32"),
        ("avx512_bf16", "bf16", "bf16"),
        ("avx512_bf16", "fp32", "fp32"),
        ("amx_bf16", "fp32", "fp32"),
    ],
)
def test_float_layers_between_integers_take_bf16_only_with_amx(
    flags: str | None, asked: Precision, computed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "cpuinfo"
    if flags is not None:
        facts.write_text(f"processor : 0\nflags : fpu {flags} ss\n")
    monkeypatch.setattr(openvino_backend, "CPUINFO_FILE", facts)
    openvino_backend.has_amx.cache_clear()
    try:
        hint = openvino_backend._hint(Device("cpu", ("int8", "bf16", "fp32")), asked)
        assert openvino_backend._NAME[hint] == computed
        gpu = openvino_backend._hint(Device("gpu", ("fp16", "fp32", "int8")), "int8")
        assert openvino_backend._NAME[gpu] == "fp16"
    finally:
        openvino_backend.has_amx.cache_clear()


@pytest.mark.parametrize(
    "held, there", [("", True), ("all", True), ("AVX512_CORE_AMX_FP16", True), ("AVX512_CORE_VNNI", False)]
)
def test_amx_that_onednn_may_not_use_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str, there: bool
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("flags : fpu amx_bf16 ss\n")
    monkeypatch.setattr(openvino_backend, "CPUINFO_FILE", facts)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", held)
    openvino_backend.has_amx.cache_clear()
    try:
        assert openvino_backend.has_amx() == there
    finally:
        openvino_backend.has_amx.cache_clear()


def test_auto_takes_the_first_that_can(style: Style) -> None:
    name, runner = open_runner(style, backend="auto", device="cpu", precision="fp32", height=32, width=32)
    assert (name, runner.precision) == ("openvino", "fp32")


@pytest.mark.parametrize(
    "choice, sentence",
    [
        ({"backend": "abacus"}, "unknown engine 'abacus'; choose one of: auto, openvino, onnxruntime, torch"),
        ({"precision": "fp4"}, "unknown precision 'fp4'; choose one of: auto, fp32"),
        (
            {"backend": "onnxruntime", "precision": "bf16"},
            "does not offer bf16 on cpu here; available: fp32",
        ),
        ({"backend": "openvino", "device": "tpu"}, "openvino has no device 'tpu' here; available: cpu"),
        ({"device": "tpu"}, "no installed engine offers tpu; available: openvino"),
        ({"backend": "openvino", "precision": "int8"}, "this style has no int8 graph"),
    ],
)
def test_what_is_not_here_is_refused(choice: dict[str, str], sentence: str, style: Style) -> None:
    asked: dict[str, Any] = {"backend": "auto", "device": "auto", "precision": "auto"} | choice
    with pytest.raises(EngineError, match=sentence):
        open_runner(style, height=32, width=32, **asked)


def test_a_missing_package_names_its_install_line(monkeypatch: pytest.MonkeyPatch, style: Style) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = r"needs the package onnxruntime.*pip install .*'onnxruntime>="
    with pytest.raises(EngineError, match=said):
        open_runner(style, backend="onnxruntime", device="auto", precision="auto", height=32, width=32)
    row = next(row for row in available() if row.name == "onnxruntime")
    assert not row.present
    assert not row.devices
    assert row.problem


def test_a_package_that_does_not_load_says_why(monkeypatch: pytest.MonkeyPatch, style: Style) -> None:
    def broken(name: str) -> None:
        raise ImportError("libstrange.so.6: cannot open shared object file")

    monkeypatch.setattr("engines.backends.selection.importlib.import_module", broken)
    with pytest.raises(EngineError, match=r"does not load \(libstrange"):
        open_runner(style, backend="openvino", device="auto", precision="auto", height=32, width=32)


def test_devices_and_precisions_are_picked_by_name() -> None:
    devices = {"gpu": Device("gpu", ("fp16", "int8")), "cpu": Device("cpu", ("fp32",))}
    assert pick_device("x", devices, "auto").name == "gpu"
    assert pick_device("x", devices, "cpu").name == "cpu"
    assert pick_precision("x", devices["gpu"], "auto", has_int8=True) == "fp16"
    assert pick_precision("x", devices["gpu"], "int8", has_int8=True) == "int8"
    quick = Device("cpu", ("int8", "fp32"))
    assert pick_precision("x", quick, "auto", has_int8=True) == "int8"
    assert pick_precision("x", quick, "auto", has_int8=False) == "fp32"
    with pytest.raises(EngineError, match="x does not offer int8 on cpu here; available: fp32"):
        pick_precision("x", devices["cpu"], "int8", has_int8=True)


@pytest.mark.parametrize("signalled", [KeyboardInterrupt(), SystemExit(143)])
def test_an_import_that_a_signal_breaks_off_is_no_broken_installation(
    signalled: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an extension module does that is interrupted while it initializes: "initialization failed"."""

    def broken_off(name: str) -> None:
        try:
            raise signalled
        except BaseException as error:
            raise ImportError("initialization failed") from error

    monkeypatch.setattr("engines.backends.selection.importlib.import_module", broken_off)
    with pytest.raises(type(signalled)):
        load_backend("openvino")
