"""The arithmetic of the benchmark: limits, rates, noise, what moved, power, layouts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_rows import MACHINE, bench, row

from engines.errors import StreamtoonError
from engines.registry.style import load_style
from eval.bench import interleaved_timer as turns
from eval.bench import power
from eval.bench.interleaved_timer import InterleavedTimer, latency, noise_sentence, spread, wait_until_idle
from eval.bench.launcher import __file__ as launcher
from eval.bench.measured_process import run_measured
from eval.bench.reference_kernels import matrix_kernel, memory_kernel
from eval.bench.regression import compare, read_earlier, require_comparable
from eval.bench.results import BenchRow
from eval.bench.roofline import channels_of, fraction, parameters_of, roofline_limit
from eval.bench.session import FileRun, rates, stages_of
from streamtoon.tools.benchmark.plan import plan, size_of

# --- limits ------------------------------------------------------------------------------------------


def test_the_limit_is_the_longer_of_sums_and_bytes() -> None:
    sizes: dict[str, Any] = {"frame": (1280, 720), "working": (640, 360), "parameters": 10**6}
    sizes["channels"] = (3, 3)
    limit = roofline_limit(macs=2 * 10**10, precision="int8", rate=2e12, bandwidth=1e10, **sizes)
    # Two frames of 4:2:0, two of RGB that the generator sees, one byte per weight.
    assert limit.transferred == 2 * (1280 * 720 + 2 * 640 * 360) + 2 * 640 * 360 * 3 + 10**6
    assert limit.matrix_ms == pytest.approx(10)
    assert limit.memory_ms == pytest.approx(limit.transferred / 1e7, rel=1e-3)
    assert fraction(limit, 40) == 0.25
    slow = roofline_limit(macs=2 * 10**10, precision="fp32", rate=2e12, bandwidth=1e8, **sizes)
    assert slow.transferred == limit.transferred + 3 * 10**6
    assert fraction(slow, 100) == pytest.approx(slow.transferred / 1e8 / 0.1, rel=1e-3)
    # 24 bytes of a block of 4 x 4 pixels go in and 40 come out.
    fields = roofline_limit(
        macs=2 * 10**10, precision="int8", rate=2e12, bandwidth=1e10, **sizes | {"channels": (24, 40)}
    )
    assert fields.transferred == limit.transferred + (64 * 160 * 90) - 2 * 640 * 360 * 3


def test_a_generators_parameters_and_channels_are_those_of_its_card(style_folder: Path) -> None:
    for style in (load_style("comic"), load_style("comic").lite, load_style(style_folder)):
        assert style is not None
        assert parameters_of(style.generator) == style.parameters
        assert channels_of(style.generator) == style.channels


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_matrix_units_are_measured(precision: str) -> None:
    gauge = matrix_kernel("cpu", precision)
    assert gauge is not None
    gauge.call()
    began = time.perf_counter()
    gauge.call()
    rate = gauge.amount / (time.perf_counter() - began)
    assert 1e6 < rate < 1e17


def test_what_cannot_be_measured_has_no_value() -> None:
    assert matrix_kernel("npu", "fp16") is None


def test_the_copy_reads_and_writes_what_it_says() -> None:
    gauge = memory_kernel()
    gauge.call()
    assert gauge.amount == 2 << 28


# --- rates of files ----------------------------------------------------------------------------------


def ran(frames: int, seconds: float, run: float = 10.0, cpu: float | None = 1.0) -> FileRun:
    return FileRun(frames, seconds, seconds + 1, {"run": run}, cpu, 10**8, None)


def test_start_up_is_taken_off_a_files_rate() -> None:
    # Half a second to start, 20 ms a picture, in each of three rounds; one of them was disturbed.
    short = [ran(1, 0.52, cpu=0.4), ran(1, 0.52, cpu=0.4), ran(1, 0.9, cpu=0.4)]
    long = [ran(101, 2.52, cpu=4.4), ran(101, 2.52, cpu=4.4), ran(101, 4.0, cpu=4.4)]
    found = rates(long, short)
    assert found.fps == 50
    assert found.cpu_ms == 40
    assert found.spread == pytest.approx((4.0 - 2.52) / 2 / 2)


def test_a_file_too_short_to_tell_keeps_its_start() -> None:
    assert rates([ran(5, 0.5)], [ran(1, 0.6)]).fps == 10
    assert rates([ran(5, 0.5, cpu=None)], [ran(1, 0.4)]).cpu_ms is None


def test_the_first_picture_counts_for_no_stage() -> None:
    # 100 pictures of 10 ms after one of 500: a mean of 1500 / 101.
    assert stages_of([ran(101, 2.0, run=1500 / 101)], [ran(1, 0.5, run=500)]) == {"run": 10}


# --- noise -------------------------------------------------------------------------------------------


def test_latency_is_median_percentile_and_spread() -> None:
    found = latency([0.1, 0.2, 0.3, 0.4, 0.5])
    assert (found.median, found.p95, found.spread) == (300, 480, pytest.approx(0.667))
    assert spread([3.0]) == 0


def test_a_quiet_machine_has_nothing_said_about_it() -> None:
    dice = np.random.default_rng(0)
    quiet = spread(list(dice.normal(10, 0.2, 50)))
    assert noise_sentence({"a sum": quiet}, [False, True]) == ""


def test_a_sum_that_changes_its_time_tells_of_noise() -> None:
    dice = np.random.default_rng(0)
    calm, busy = dice.normal(10, 0.2, 25), dice.normal(16, 3, 25)
    said = noise_sentence({"steady": spread(list(calm)), "a sum": spread([*calm, *busy])}, [False])
    assert "too busy for reliable times" in said
    assert "(a sum)" in said


def test_many_noisy_rows_tell_of_noise_too() -> None:
    assert "2 of 3 rows" in noise_sentence({"a sum": 0.01}, [True, True, False])
    assert noise_sentence({}, []) == ""


def test_turns_keep_every_run_and_no_warm_up() -> None:
    seen: list[str] = []
    kept = InterleavedTimer()
    calls: dict[str, Callable[[], object]] = {name: lambda name=name: seen.append(name) for name in "ab"}  # type: ignore[misc]
    kept.run(calls, seconds=0, runs=3, warm=2)
    kept.run({"a": calls["a"]}, seconds=0, runs=2, warm=0)
    assert (seen.count("a"), seen.count("b")) == (7, 5)
    assert {name: len(took) for name, took in kept.took.items()} == {"a": 5, "b": 3}
    assert kept.fastest("a") == min(kept.took["a"])


class Spinning:
    """Time in which other threads compute in some looks and not in others."""

    def __init__(self, *shares: float) -> None:
        self.now = self.spent = 0.0
        self._shares = iter(shares)

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.spent

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.spent += seconds * next(self._shares)


@pytest.mark.parametrize(
    "shares, looks", [([0.0, 0.0], 2), ([1.0, 0.9, 0.0, 0.8, 0.01, 0.0], 6), ([1.0] * 100, 67)]
)
def test_spinning_threads_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, shares: list[float], looks: int
) -> None:
    clock = Spinning(*shares)
    monkeypatch.setattr(turns, "time", clock)
    wait_until_idle()
    assert clock.now == pytest.approx(looks * turns.IDLE_POLL_S)


# --- what moved --------------------------------------------------------------------------------------


@pytest.fixture
def earlier(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: BenchRow, **changes: Any) -> Path:
        path = tmp_path / "old.json"
        path.write_text(json.dumps({**bench(*rows).as_dict(), **changes}))
        return path

    return write


def test_what_fell_past_the_threshold_is_marked(earlier: Callable[..., Path]) -> None:
    old = read_earlier(earlier(row(), row(quality="full", fps=10.0, file_fps=9.0)))
    new = bench(row(fps=45.5, file_fps=35.0), row(size="4k"))
    moved = compare(old, new, 0.1, times=True)
    assert [(one.figure, one.old, one.new, one.ratio, one.fell) for one in moved] == [
        ("fps", 50, 45.5, 0.91, False),
        ("file_fps", 40, 35, 0.875, True),
    ]
    assert not any(one.noisy for one in moved)
    assert [one.fell for one in compare(old, new, 0.05, times=True)] == [True, True]
    assert [one.fell for one in compare(old, bench(row(noisy=True)), 0.0, times=True)] == [False, False]
    assert all(one.noisy for one in compare(old, bench(row(noisy=True)), 0.1, times=True))
    assert compare(old, bench(row(size="4k")), 0.1, times=True) == []


def test_another_machine_is_compared_by_its_ratios_only(earlier: Callable[..., Path]) -> None:
    old = read_earlier(earlier(row(), machine={**MACHINE, "cores": 64}))
    with pytest.raises(StreamtoonError, match=r"another machine \(64 cores of Abacus 2.*--peers with paper"):
        require_comparable(old, MACHINE, [])
    assert require_comparable(old, MACHINE, ["paper", "other"]) is False
    new = bench(row(file_fps=4.0, ratios={"paper": 15.0, "other": 3.0}))
    (moved,) = compare(old, new, 0.1, times=False)
    assert (moved.figure, moved.old, moved.new, moved.fell) == ("x paper", 20, 15, True)
    assert require_comparable(read_earlier(earlier(row())), MACHINE, []) is True
    with pytest.raises(StreamtoonError, match="same --peers"):
        require_comparable(read_earlier(earlier(row(ratios={}), machine={})), MACHINE, ["paper"])


@pytest.mark.parametrize(
    "text", ["{", "[]", "7", "{}", '{"results": [{}]}', '{"results": 3}', '{"machine": {}, "results": [3]}']
)
def test_a_file_of_something_else_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(StreamtoonError, match=r"old\.json is not (JSON|the output)"):
        read_earlier(tmp_path / "old.json")
    with pytest.raises(StreamtoonError, match="cannot be read: No such file"):
        read_earlier(tmp_path / "none.json")


def test_a_rate_that_is_none_is_refused(earlier: Callable[..., Path]) -> None:
    for wrong in (0, "fast", True, None):
        with pytest.raises(StreamtoonError, match="is not the output"):
            read_earlier(earlier(row(fps=wrong)))


# --- processes and power -----------------------------------------------------------------------------


def test_a_process_is_charged_with_its_own_memory_only() -> None:
    pytest.importorskip("resource")
    large = np.ones(300 << 20, np.uint8)  # this process: a child of its own would begin with its peak
    code = "x = bytearray(b'1') * (64 << 20); sum(range(10**6)); print('done')"
    done = run_measured([sys.executable, "-S", "-c", code], {})
    assert done.output == "done\n"
    assert done.peak_rss is not None and done.cpu_seconds is not None
    assert 64 << 20 < done.peak_rss < 120 << 20
    assert 0 < done.cpu_seconds < done.seconds * 4
    assert large.size


def test_a_failed_process_says_why() -> None:
    code = "import sys; sys.exit('error: there is no ink.')"
    with pytest.raises(StreamtoonError, match=r"^there is no ink"):
        run_measured([sys.executable, "-c", code], {})
    with pytest.raises(StreamtoonError, match="exit code 3"):
        run_measured([sys.executable, "-c", "raise SystemExit(3)"], {})


def test_the_launcher_needs_nothing_of_ours(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        str(launcher),
        str(tmp_path / "out"),
        str(tmp_path / "err"),
        sys.executable,
        "-V",
    ]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert said["code"] == 0
    assert "Python 3" in (tmp_path / "out").read_text()


def test_processor_packages_give_their_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, name, energy in (
        ("intel-rapl:0", "package-0", 900),
        ("intel-rapl:0:0", "core", 5),
        ("x", "y", 1),
    ):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(f"{name}\n")
        (tmp_path / zone / "energy_uj").write_text(f"{energy}\n")
        (tmp_path / zone / "max_energy_range_uj").write_text("1000000\n")
    assert power.packages(tmp_path) == {"intel-rapl:0": (900, 1_000_000)}
    monkeypatch.setattr(power, "POWERCAP", tmp_path)
    monkeypatch.setattr(time, "perf_counter", iter((10.0, 10.5)).__next__)
    with power.PowerMeter() as meter:
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("400\n")  # the counter began anew
    assert meter.watts == {"cpu": pytest.approx((1_000_000 - 500) / 1e6 / 0.5, abs=0.01)}
    monkeypatch.setattr(power, "POWERCAP", tmp_path / "none")
    monkeypatch.undo()
    assert power.packages(tmp_path / "none") == {}


# --- what is asked for -------------------------------------------------------------------------------


def test_words_become_a_plan() -> None:
    made = plan(["comic"], ["openvino:int8", "torch:cuda:fp16", "auto:bf16"], ["360P", "100x60"], ["fast"])
    assert [(one.backend, one.device, one.precision) for one in made.engines] == [
        ("openvino", "auto", "int8"),
        ("torch", "cuda", "fp16"),
        ("auto", "auto", "bf16"),
    ]
    assert made.sizes == {"360p": (640, 360), "100x60": (100, 60)}
    assert size_of("4k") == (3840, 2160)
    plain = plan([], [], [], [])
    assert [style.name for style in plain.styles] == ["comic"]
    assert plain.sizes == {"720p": (1280, 720)}
    assert {"full", "fast"} <= set(plain.qualities)
    assert "auto" not in plain.qualities
    assert plain.sources == {"comic": str(plain.styles[0].folder)}


def test_a_look_file_stays_what_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('base = "ink"\n[look]\nlevels = 2\n')
    made = plan([str(file), "ink"], [], [], [])
    assert [style.name for style in made.styles] == ["mine", "ink"]
    assert made.sources == {"mine": str(file), "ink": str(made.styles[1].folder)}


@pytest.mark.parametrize(
    "words, said",
    [
        (([], [], ["8k"], []), "unknown size '8k'; choose one of: 360p"),
        (([], [], ["101x60"], []), "unknown size"),
        (([], ["caffe"], [], []), "unknown engine 'caffe'; choose one of: auto, openvino"),
        (([], ["openvino:int8:fp32"], [], []), "is not valid"),
        (([], ["openvino:"], [], []), "is not valid"),
        ((["oil"], [], [], []), "unknown style 'oil'"),
        (([], [], [], ["best"]), "unknown quality 'best'"),
    ],
)
def test_unknown_words_are_one_sentence(words: tuple[list[str], ...], said: str) -> None:
    with pytest.raises(StreamtoonError, match=said):
        plan(*words)
