"""Generators timed by themselves, and how much of a GPU's copying lies behind its drawing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any, Literal

import numpy as np
import pytest
import torch
from bench_rows import bench, row
from engines_open import open_engine
from planes_pictures import photographs, picture
from renderers import FunctionRenderer
from rich.console import Console
from typer.testing import CliRunner

from engines.backends.selection import available
from engines.errors import StyleError
from engines.generators import GENERATORS, create
from eval.bench import networks
from eval.bench.gpu_trace import hidden, join_spans, middle_spans
from eval.bench.networks import COMPILED, LAYERS, _DrawnInARow, measure_networks
from eval.bench.results import Bench, Latency, NetworkRow, TimeSpan
from streamtoon.cli.bench_maintainer import app
from streamtoon.cli.tables.bench import tables

HEIGHT, WIDTH = 48, 64
KINDS: tuple[Literal["in", "draw", "out"], ...] = ("in", "draw", "out")


def test_every_way_to_run_a_network_has_a_row() -> None:
    told: list[tuple[float, str]] = []
    pictures = [picture(photo) for photo in photographs(HEIGHT, WIDTH).values()]
    found = measure_networks(
        ["lite", "fields-lite", "unet", "lite"],
        WIDTH,
        HEIGHT,
        pictures,
        seconds=0.01,
        report=lambda *said: told.append(said),
    )
    assert [name for _, name in told] == ["lite", "fields-lite", "unet"]
    assert [share for share, _ in told] == [0, 1 / 3, 2 / 3]
    installed = [row.name for row in available() if row.present]
    by_torch = [LAYERS, LAYERS, COMPILED] if torch.cuda.is_available() else [LAYERS]
    alone = [name for name in installed if _at_a_time(name) == 1]
    assert not found.notes and bool(found.timeline) == torch.cuda.is_available()
    for name in ("lite", "fields-lite", "unet"):
        rows = [row for row in found.rows if row.generator == name]
        assert sorted(row.engine for row in rows) == sorted([*by_torch, *installed])
        assert {row.parameters for row in rows} == {sum(w.numel() for w in create(name).parameters())}
        assert [row.ms.median for row in rows] == sorted((row.ms.median for row in rows), reverse=True)
        for one in rows:
            assert (one.in_a_row_ms is None) == (one.engine in (*by_torch, *alone))
            on_gpu = one.engine not in by_torch and one.device.startswith("cuda") and "fields" not in name
            assert (one.device_ms is not None, one.hidden is not None) == (on_gpu, on_gpu)
            assert one.ms.median > 0 and (one.width, one.height) == (WIDTH, HEIGHT)
    lite, unet = ({row.gmacs for row in found.rows if row.generator == name} for name in ("lite", "unet"))
    assert max(lite) < min(unet)


def _at_a_time(backend: str) -> int:
    asked: dict[str, Any] = {"backend": backend, "quality": "full", "throughput": True}
    with open_engine("comic", width=WIDTH, height=HEIGHT, **asked) as engine:
        return engine.concurrency


def test_a_way_that_fails_is_a_sentence_and_all_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler\n   was found.")

    monkeypatch.setattr(networks._NetworkRuns, "_alone", failing)
    pictures = [picture(photo) for photo in photographs(HEIGHT, WIDTH).values()]
    found = measure_networks(["lite"], WIDTH, HEIGHT, pictures, seconds=0.01)
    assert all(note.endswith("is skipped: no compiler was found") for note in found.notes) and found.notes
    assert sorted(row.engine for row in found.rows) == sorted(row.name for row in available() if row.present)


def test_an_unknown_network_is_one_sentence() -> None:
    with pytest.raises(StyleError, match="unknown generator 'nobody'"):
        measure_networks(["nobody"], WIDTH, HEIGHT, [])
    for words in ("nobody", "unet,all"):
        done = CliRunner().invoke(app, ["--networks", words])
        assert done.exit_code == 1 and done.stderr.count("\n") == 1
        assert all(name in done.stderr for name in GENERATORS)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_pictures_in_a_row_keep_an_engine_busy_and_are_all_drawn(concurrency: int) -> None:
    lock, at_work, most, drawn = threading.Lock(), 0, 0, 0

    def start(given: object) -> Callable[[], object]:
        def job() -> object:
            nonlocal at_work, most, drawn
            with lock:
                at_work += 1
                most = max(most, at_work)
            time.sleep(0.002)
            with lock:
                at_work -= 1
                drawn += 1
            return given

        return job

    finished: list[object] = []
    engine: Any = FunctionRenderer(start, concurrency, finished.append)  # type: ignore[arg-type]
    several = _DrawnInARow(engine, photographs(HEIGHT, WIDTH).values(), seconds_alone=0.01)  # type: ignore[arg-type]
    several()
    several.close()
    assert several.count == drawn == {1: 20, 3: 21}[concurrency]  # whole rounds of 0.2 s
    assert most == concurrency
    shown = list(photographs(HEIGHT, WIDTH).values())
    assert [photo.tobytes() for photo in finished] == [  # type: ignore[attr-defined]
        shown[at % len(shown)].tobytes() for at in range(several.count)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_what_is_hidden_is_what_a_count_of_moments_says(seed: int) -> None:
    dice = np.random.default_rng(seed)
    starts, lengths = dice.integers(0, 900, 40), dice.integers(1, 60, 40)
    kinds = [KINDS[n % 3] for n in range(40)]
    spans = [
        TimeSpan(kind, float(a), float(a + n)) for kind, a, n in zip(kinds, starts, lengths, strict=True)
    ]
    drawing = np.zeros(1000, bool)
    for span in spans:
        if span.kind == "draw":
            drawing[int(span.begin) : int(span.end)] = True
    copied = [np.arange(int(s.begin), int(s.end)) for s in spans if s.kind != "draw"]
    share = np.concatenate([drawing[moments] for moments in copied]).mean()
    assert hidden(spans) == pytest.approx(share, abs=1e-4)


def test_copies_without_drawing_are_bare_and_nothing_copied_is_nothing_to_hide() -> None:
    assert hidden([TimeSpan("in", 0, 2), TimeSpan("out", 1, 3)]) == 0
    assert hidden([TimeSpan("in", 1, 2), TimeSpan("draw", 0, 3)]) == 1
    assert hidden([TimeSpan("draw", 0, 3)]) is None


def test_the_middle_of_a_run_is_shown_with_what_is_copied_meanwhile() -> None:
    spans = [TimeSpan("draw", n, n + 0.9) for n in range(100)] + [
        TimeSpan("in", n + 0.1, n + 0.2) for n in range(100)
    ]
    shown = middle_spans(spans)
    drawing = [span for span in shown if span.kind == "draw"]
    assert len(drawing) == 40 and (drawing[0].begin, drawing[-1].begin) == (30, 69)
    assert len(shown) == 80 and [s.begin for s in shown] == sorted(s.begin for s in shown)
    assert middle_spans([TimeSpan("in", 0, 1)]) == []
    kernels = [
        TimeSpan("draw", 0, 1),
        TimeSpan("draw", 1.004, 2),
        TimeSpan("draw", 2.1, 3),
        TimeSpan("draw", 2.5, 2.6),
    ]
    assert join_spans(kernels) == [TimeSpan("draw", 0, 2), TimeSpan("draw", 2.1, 3)]


def _gpu_bench(width: int, height: int) -> Bench:
    """Two networks, one of them on a GPU that copied beside its drawing."""
    base = NetworkRow(
        generator="unet", parameters=1_467_075, gmacs=115.1, engine=LAYERS, device="cuda", precision="fp32",
        width=width, height=height, ms=Latency(12.0, 13.0, 0.02), in_a_row_ms=None, device_ms=None,
        hidden=None, noisy=False,
    )  # fmt: skip
    rows = [
        base,
        replace(base, engine="tensorrt", precision="fp16", in_a_row_ms=0.75, device_ms=0.71, hidden=0.97),
        replace(base, generator="lite", noisy=True),
    ]
    spans = [TimeSpan(kind, n + at, n + at + 0.4) for n in range(9) for at, kind in enumerate(KINDS)]
    return replace(bench(row()), networks=rows, timeline=spans)


def test_networks_are_told_in_the_terminal_beside_what_was_published() -> None:
    def shown(found: Bench) -> str:
        screen = Console(file=StringIO(), width=110)
        for table in tables(found):
            screen.print(table)
        said: str = screen.file.getvalue()  # type: ignore[attr-defined]
        return said

    said = shown(_gpu_bench(1280, 720))
    assert said.count(" unet ") == 1 and "tensorrt cuda fp16" in said and "12 ?" in said
    assert "0.71" in said and "97 %" in said and "15.23" in said and "published: in" in said
    assert "15.23" not in shown(_gpu_bench(640, 360))
    assert "Networks" not in shown(bench(row()))


def test_networks_are_a_section_of_the_report_with_the_gpus_timeline() -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    from eval.bench.report import render

    page = render(_gpu_bench(1280, 720))
    assert page.count("<svg") == 2 and "When the GPU copied frames" in page
    assert "tensorrt cuda fp16" in page and "97 %" in page and "15.23" in page
    assert "Published" not in render(_gpu_bench(640, 360))
    bare = render(replace(_gpu_bench(1280, 720), timeline=()))
    assert bare.count("<svg") == 1 and "Copies overlapped" not in bare
    assert "#networks" not in render(bench(row()))
