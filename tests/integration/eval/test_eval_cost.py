"""Timing in turns, and what a style costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

from engines.backends.selection import available
from engines.errors import EngineError, StyleError
from engines.generators import GENERATORS, create
from engines.registry.style import DEFAULT_STYLE, load_style
from eval.scoring import cost, timing
from eval.scoring.cost import costs, generator_macs
from eval.scoring.timing import time_calls


class Clock:
    """Time that passes only when a call says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def perf_counter(self) -> float:
        return self.now

    def call(self, name: str, *seconds: float) -> Callable[[], object]:
        """A call that takes these seconds by turns."""
        turns = iter(seconds * 10_000)

        def run() -> None:
            self.order.append(name)
            self.now += next(turns)

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_calls_of_one_speed_alternate(clock: Clock) -> None:
    times = time_calls({"a": clock.call("a", 0.25), "b": clock.call("b", 0.25)}, seconds=1, warm=2)
    assert clock.order == [*"aabb", *"abababab"]
    assert times["a"] == times["b"]
    assert (times["a"].median_ms, times["a"].p95_ms, times["a"].spread, times["a"].count) == (250, 250, 0, 4)


def test_a_slow_call_runs_a_few_times_among_the_fast_ones(clock: Clock) -> None:
    calls = {"slow": clock.call("slow", 10.0), "fast": clock.call("fast", 0.03125)}
    times = time_calls(calls, seconds=1, runs=3, warm=0)
    assert (times["slow"].count, times["fast"].count) == (3, 32)
    at = [n for n, name in enumerate(clock.order) if name == "slow"]
    between = np.diff([*at, len(clock.order)]) - 1
    assert min(between) >= 9


def test_medians_percentiles_and_spread_are_of_the_measured_runs(clock: Clock) -> None:
    call = clock.call("a", 9.0, 0.1, 0.2, 0.3, 0.4)  # the first one warms up
    result = time_calls({"a": call}, seconds=1, runs=4)["a"]
    assert result.count == 4
    assert result.median_ms == pytest.approx(250)
    assert result.p95_ms == pytest.approx(385)
    assert result.spread == pytest.approx(0.15 / 0.25)


def test_progress_grows_to_one(clock: Clock) -> None:
    seen: list[float] = []
    calls = {"a": clock.call("a", 0.3), "b": clock.call("b", 0.7)}
    time_calls(calls, seconds=2, tick=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_real_time_is_measured_in_milliseconds() -> None:
    import time

    result = time_calls({"nap": lambda: time.sleep(0.02)}, seconds=0, runs=3)["nap"]
    assert 20 <= result.median_ms < 10_000, "neither seconds nor microseconds"
    assert result.count == 3


@pytest.mark.parametrize("wrong", [{"seconds": -1}, {"seconds": math.nan}, {"runs": 0}, {"warm": -1}])
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        time_calls({"a": lambda: None}, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="0 calls"):
        time_calls({})


def test_one_convolution_costs_what_it_has_to(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")

    class Two(torch.nn.Sequential):  # type: ignore[name-defined]
        """Two convolutions."""

        size_multiple = 8

        def __init__(self) -> None:
            down = torch.nn.Conv2d(3, 16, 5, stride=2, padding=2)
            super().__init__(down, torch.nn.ReLU(), torch.nn.ConvTranspose2d(16, 3, 4, stride=2, padding=1))

    monkeypatch.setattr(cost, "find", lambda name: Two)
    # 30 x 50 is padded to 32 x 56; each of 16 x 28 outputs of 16 takes 3 x 5 x 5, and goes to 3 x 4 x 4.
    assert generator_macs("two", 30, 50) == 16 * 28 * 16 * (75 + 48)


def test_a_generator_of_fields_is_counted_by_blocks() -> None:
    pytest.importorskip("torch")
    # 30 x 50 pixels are extended to 8 x 14 blocks of 24 channels, and 4 x 7 at half the size.
    fine, coarse = 9 * (24 * 32 + 32 * 32 + 32 * 40), 9 * (32 * 64 + 4 * 64 * 64) + 64 * 32
    assert generator_macs("fields-lite", 30, 50) == 8 * 14 * fine + 4 * 7 * coarse
    assert generator_macs("fields", 30, 50) == 8 * 13 * 9 * (24 * 64 + 10 * 64 * 64 + 64 * 40)


def test_multiply_accumulates_go_with_the_area() -> None:
    pytest.importorskip("torch")
    assert generator_macs("unet", 360, 640) * 4 == generator_macs("unet")
    with pytest.raises(StyleError, match="unknown generator"):
        generator_macs("nobody")


@pytest.mark.parametrize("name", ["fields", "fields-lite", "unet"])
def test_graphs_have_as_many_multiply_accumulates(name: str) -> None:
    pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    from rgb_styles import rgb_style

    shipped = load_style(DEFAULT_STYLE)
    (style,) = (one for one in (shipped, shipped.lite, rgb_style()) if one and one.generator == name)
    height, width = (96 // 4, 160 // 4) if style.gives_fields else (96, 160)
    model = onnx.load(style.graph)
    for holder in (*model.graph.input, *model.graph.output):
        for axis, side in ((2, height), (3, width)):
            holder.type.tensor_type.shape.dim[axis].dim_value = side
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {one.name: list(one.dims) for one in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    total = 0
    for node in graph.node:
        assert node.op_type not in ("MatMul", "Gemm", "Einsum"), "count these too"
        if node.op_type in ("Conv", "ConvTranspose"):
            # Each value on the side of the first dimension of the kernel meets the rest of the kernel once.
            side = node.output[0] if node.op_type == "Conv" else node.input[0]
            total += math.prod(shapes[side]) * math.prod(shapes[node.input[1]][1:])
    assert total > 0
    if not style.gives_fields:
        # A graph's last convolution is folded: its kernel is one wider, for as many values.
        last: Any = create(style.generator).head
        taken, side = last.in_channels, last.kernel_size[0]
        total -= 96 * 160 * 3 * taken * ((side + 1) ** 2 - side**2)
    assert generator_macs(style.generator, 96, 160) == total


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_can_be_counted(name: str) -> None:
    pytest.importorskip("torch")
    assert generator_macs(name) > 10**9


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "WIDTH", 96)
    monkeypatch.setattr(cost, "HEIGHT", 64)


@pytest.mark.usefixtures("small")
def test_every_engine_here_has_its_rows(style_folder: Path) -> None:
    style = load_style(style_folder)
    seen: list[int] = []
    rows = costs(style, skimage.data.astronaut(), seconds=0, runs=1, tick=lambda: seen.append(1))
    titles = {(row.engine, row.quality) for row in rows}
    assert len(titles) == len(rows)
    for backend in available():
        for precision in backend.devices.get("cpu", ()):
            for quality in ("full", "fast"):
                named = (f"{backend.name} {precision}", quality) in titles
                assert named is (precision != "int8"), "the style has no int8 graph"
    assert all(row.milliseconds > 0 and row.fps == 1000 / row.milliseconds for row in rows)
    assert len(seen) == len({row.engine.split()[0] for row in rows})


@pytest.mark.usefixtures("small")
def test_a_style_that_nothing_runs_is_one_sentence(
    style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "available", list)
    with pytest.raises(EngineError, match="no installed engine can run shaken"):
        costs(load_style(style_folder), skimage.data.astronaut())


@pytest.mark.parametrize("shape", [(50, 70), (300, 40), (64, 96), (640, 960), (65, 97)], ids=str)
@pytest.mark.usefixtures("small")
def test_the_middle_of_any_photo_is_cut_out(shape: tuple[int, int]) -> None:
    across = np.broadcast_to(np.linspace(0, 200, shape[1])[None, :, None], (*shape, 3))
    picture = cost._cut(np.rint(across).astype(np.uint8))
    assert picture.shape == (64, 96, 3)
    assert picture.flags.c_contiguous
    assert abs(float(picture[:, 47:49].mean()) - 100) < 6
