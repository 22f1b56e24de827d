"""The benchmark run for real, on tiny pictures: rows, peers, clips, report and command."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from lavfi_clips import make_clip
from typer.testing import CliRunner

from engines.errors import StreamtoonError
from engines.export.calibration_images import SHEET
from eval.bench.baselines import Baseline, layout_of, open_baselines
from eval.bench.results import Bench, BenchRow, LengthRow
from streamtoon.cli.app import app
from streamtoon.cli.bench_maintainer import app as maintainer
from streamtoon.media import VideoReader, probe
from streamtoon.tools.benchmark import clips as benchmark_clips
from streamtoon.tools.benchmark.clips import DEFAULT, Clip

SIZE = "64x48"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two graphs of one convolution each, of either layout, and a file that is none."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    folder = tmp_path_factory.mktemp("peers")
    dice = np.random.default_rng(0)
    kernel = numpy_helper.from_array(dice.normal(size=(3, 3, 3, 3)).astype(np.float32), "kernel")
    shapes: dict[str, list[str | int]] = {
        "planes": [1, 3, "h", "w"],
        "pixels": [1, "h", "w", 3],
        "fixed": [1, 3, 8, 8],
    }
    for name, shape in shapes.items():
        last = name == "pixels"
        nodes = [
            *([helper.make_node("Transpose", ["in"], ["a"], perm=[0, 3, 1, 2])] if last else []),
            helper.make_node(
                "Conv", ["a" if last else "in", "kernel"], ["b" if last else "out"], pads=[1] * 4
            ),
            *([helper.make_node("Transpose", ["b"], ["out"], perm=[0, 2, 3, 1])] if last else []),
        ]
        graph = helper.make_graph(
            nodes,
            name,
            [helper.make_tensor_value_info("in", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
            [kernel],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, folder / f"{name}.onnx")
    (folder / "broken.onnx").write_bytes(b"no graph")
    return folder


# --- peers -------------------------------------------------------------------------------------------


def test_peers_get_the_layout_and_the_size_they_want(peers: Path) -> None:
    found, notes = open_baselines(peers)
    assert [peer.name for peer in found] == ["fixed", "pixels", "planes"]
    assert len(notes) == 1 and "broken.onnx is not an ONNX graph" in notes[0]
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    results = {}
    for peer in found[1:]:
        assert peer.size_for(70, 50) == (64, 32)
        tensor = peer.tensor(picture, (64, 32))
        assert (tensor.min(), tensor.max()) == (pytest.approx(-1, abs=0.1), pytest.approx(1, abs=0.1))
        results[peer.name] = peer(tensor)
    assert results["pixels"].shape == (1, 32, 64, 3)
    # The same kernel over the same picture, whichever way it lies in memory.
    np.testing.assert_allclose(results["pixels"].transpose(0, 3, 1, 2), results["planes"], atol=1e-4)
    assert found[0].size_for(70, 50) is None
    with pytest.raises(StreamtoonError, match="fixed does not run on"):
        found[0](np.zeros((1, 3, 32, 64), np.float32))


def test_sizes_go_down_to_the_multiple_and_never_to_nothing(peers: Path) -> None:
    peer = Baseline(peers / "planes.onnx")
    assert peer.size_for(1280, 720) == (1280, 704)
    assert peer.size_for(20, 20) == (32, 32)


@pytest.mark.parametrize("shape", [[1, 4, "h", "w"], [3, "h", "w"], [], ["n", "h", "w", 1]])
def test_a_graph_of_something_else_is_one_sentence(shape: list[Any]) -> None:
    with pytest.raises(StreamtoonError, match="expected N x 3 x H x W or"):
        layout_of(shape, Path("x.onnx"))


def test_a_folder_without_peers_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(StreamtoonError, match="contains no ONNX graph"):
        open_baselines(tmp_path)
    with pytest.raises(StreamtoonError, match="does not exist"):
        open_baselines(tmp_path / "none")
    (tmp_path / "bad.onnx").write_bytes(b"")
    with pytest.raises(StreamtoonError, match=r"can be run: .*bad\.onnx"):
        open_baselines(tmp_path)


# --- clips -------------------------------------------------------------------------------------------


def test_a_clip_is_made_at_any_size_and_length(clip: Path, tmp_path: Path) -> None:
    length = probe(clip).frames
    assert length
    sized = Clip(clip).write(tmp_path, 96, 64, length + 7)
    info = probe(sized.path)
    assert (info.width, info.height, info.frames) == (96, 64, length + 7)
    assert info.audio_codecs
    with VideoReader(sized.path) as source:
        times = [picture.pts * picture.time_base for picture in source.frames()]
    steps = {later - earlier for earlier, later in pairwise(times)}
    assert steps == {Fraction(1, 25)}
    for frames in (1, 2, length, length + 7):
        with VideoReader(sized.path, end=float(sized.cut(frames))) as source:
            assert sum(1 for _ in source.frames()) == frames


def test_pictures_fill_the_size_undistorted_and_differ(clip: Path) -> None:
    found = Clip(clip).pictures(48, 64, 30)
    assert {(picture.width, picture.height) for picture in found} == {(48, 64)}
    assert len({picture.y.tobytes() for picture in found}) == 30
    (whole,) = Clip(clip).pictures(probe(clip).width, probe(clip).height, 1)
    with VideoReader(clip) as source:
        np.testing.assert_array_equal(whole.y, next(source.frames()).y)


def test_the_clip_that_comes_along_moves_and_sounds() -> None:
    package = Path(benchmark_clips.__file__).parent
    assert DEFAULT.parent == package and DEFAULT.stat().st_size < 1_500_000
    with av.open(str(DEFAULT)) as film:
        assert [stream.type for stream in film.streams] == ["video", "audio"]
        frames = [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]
    assert len(frames) == 150 and frames[0].shape == (720, 1280)
    moves = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(frames[::5])]
    assert min(moves) > 0.5  # code values


def test_a_photo_becomes_a_pan(tmp_path: Path) -> None:
    first, second = Clip(SHEET).pictures(64, 48, 2)
    np.testing.assert_array_equal(np.roll(first.y, -benchmark_clips.SHIFT_PIXELS, axis=1), second.y)
    sized = Clip(SHEET).write(tmp_path, 64, 48, 9)
    with VideoReader(sized.path) as source:
        assert sum(1 for _ in source.frames()) == 9


# --- the command -------------------------------------------------------------------------------------


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def run_maintainer(*arguments: object) -> Any:
    return CliRunner().invoke(maintainer, [*map(str, arguments)])


def test_wrong_words_are_one_sentence(clip: Path, tmp_path: Path) -> None:
    wrong = {
        "unknown size '9k'": ["--sizes", "9k"],
        "unknown engine 'caffe'": ["--engines", "caffe"],
        "unknown style 'oil'": ["--styles", "oil"],
        "unknown quality": ["--quality", "best"],
        "cannot be read": ["--against", str(tmp_path / "none.json")],
    }
    for said, arguments in wrong.items():
        done = run(*arguments)
        assert done.exit_code == 1, done.output
        assert done.stderr.startswith("error: ") and said in done.stderr
        assert done.stderr.count("\n") == 1
    assert run("--report", tmp_path / "report.txt").exit_code == 2


def test_a_clip_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no film")
    done = run("--clip", tmp_path / "clip.mp4", "--quiet")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1 and "clip.mp4" in done.stderr


def test_a_whole_run(clip: Path, style_folder: Path, peers: Path, tmp_path: Path) -> None:
    arguments = ["--styles", style_folder, "--engines", "openvino:fp32", "--sizes", SIZE, "--clip", clip]
    arguments += ["--quality", "full,fast", "--seconds", "0.1", "--peers", peers]
    done = run_maintainer(*arguments, "--json", "--report", tmp_path / "report.html")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {"machine", "results", "peers", "noisy", "notes", "clip"} <= set(found)
    assert {"cpu", "cores", "features", "memory_gb", "os", "versions"} <= set(found["machine"])
    assert [row["quality"] for row in found["results"]] == ["full", "fast"]
    for row in found["results"]:
        assert (row["engine"], row["precision"], row["style"], row["size"]) == (
            "openvino",
            "fp32",
            "shaken",
            SIZE,
        )
        assert set(row["stages"]) == {"decode", "run", "encode"}
        assert 0 < row["latency_ms"]["median"] <= row["latency_ms"]["p95"]
        assert row["fps"] == pytest.approx(1000 / row["latency_ms"]["median"], rel=1e-3)
        assert row["file_fps"] > 0 and row["start_s"] > 0
        assert row["cpu_ms"] is None or row["cpu_ms"] >= 0
        assert row["peak_rss_mb"] is None or 50 < row["peak_rss_mb"] < 5000
        assert row["limit"]["macs"] > 0
        assert 0 < row["limit_fraction"] < 1.5
        for peer in found["peers"]:
            assert row["ratios"][peer["name"]] == pytest.approx(row["file_fps"] / peer["fps"], rel=2e-3)
    assert {peer["name"] for peer in found["peers"]} == {"pixels", "planes"}
    best = max(row["file_fps"] for row in found["results"])
    assert all(peer["ratio"] == pytest.approx(best / peer["fps"], rel=2e-3) for peer in found["peers"])
    assert any("broken.onnx" in note for note in found["notes"])
    assert any("fixed accepts 8x8 only" in note for note in found["notes"])
    assert [one["frames"] for one in found["lengths"]][1] > found["lengths"][0]["frames"]
    assert [look["quality"] for look in found["looks"]] == ["full", "fast"]
    assert 1 < found["looks"][0]["photos"] <= 24
    page = (tmp_path / "report.html").read_text()
    assert "Memory against length" in page and "shaken openvino fp32 fast" in page

    # The same again, against a run that was a hundred times as fast: a busy machine must not come near that.
    for row in found["results"]:
        row["fps"], row["file_fps"] = 100 * row["fps"], 100 * row["file_fps"]
    (tmp_path / "old.json").write_text(json.dumps(found))
    done = run_maintainer(*arguments, "--against", tmp_path / "old.json", "--quiet")
    assert done.exit_code == 1, done.output
    assert "4 of 4 figures fell by more than 10 %" in done.stdout
    assert "ours / theirs" in done.stdout
    assert "SSIM" not in done.stdout


# --- what a person sees --------------------------------------------------------------------------------


def test_the_tables_name_what_differs_between_rows() -> None:
    import io

    from bench_rows import bench, row
    from rich.console import Console

    from streamtoon.cli.tables.bench import tables

    def shown(*rows: BenchRow) -> str:
        screen = Console(file=io.StringIO(), width=100, markup=False)
        for table in tables(bench(*rows)):
            screen.print(table)
        said: str = screen.file.getvalue()  # type: ignore[attr-defined]
        return said

    alike = shown(row(), row(quality="auto", chosen="fast", noisy=True))
    assert "tour.mp4; comic; openvino int8" in alike
    assert "auto (fast)" in alike and "40 ?" in alike and "style" not in alike
    different = shown(row(watts={"cpu": 31.4}), row(style="[bold]oil", precision="bf16", device="gpu"))
    assert "[bold]oil" in different and "openvino gpu bf16" in different and "31 cpu" in different


# --- the page ----------------------------------------------------------------------------------------


def test_the_report_shows_every_row_and_asks_for_nothing() -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    import re

    from bench_rows import bench, row

    from eval.bench.report import render

    rows: list[BenchRow] = [
        row(style="<b>mine</b>", size=size, width=width, height=width // 2, file_fps=fps, noisy=width == 10)
        for size, width, fps in (("360p", 640, 90.0), ("720p", 1280, 31.0), ("4k", 3840, 4.0))
    ]
    base = bench(*rows)
    whole = Bench(
        **{
            **{name: getattr(base, name) for name in ("clip", "seconds", "results", "peers")},
            "machine": {**base.machine, "features": ["AMX"]},
            "lengths": [LengthRow("a row", 10, 0.4, 200.0), LengthRow("a row", 40, 1.6, 201.0)],
            "notes": ["a note with <i>"],
        }
    )
    page = render(whole)
    assert page == render(whole)
    assert "&lt;b&gt;mine&lt;/b&gt;" in page and "<b>mine" not in page
    assert page.count("<svg") == 3
    assert "360p at 90 frames per second, 720p at 31 frames per second, 4k at 4" in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page.replace('xlink:href="#', ""))
    assert "prefers-color-scheme: dark" in page
    assert render(bench(rows[0])).count("<svg") == 1
