"""Videos drawn on a real Ray cluster of several nodes, whose workers, nodes and drivers are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_runs import job, run_on
from killed_job import QUALITY, STYLE, contents
from media_clips import make_clip
from paths import ROOT
from ray_available import require_ray
from ray_nodes import Nodes, ray_cluster
from stopped_runs import convert

pytest.importorskip("ray")
# Ray leaves files open.
pytestmark = [
    pytest.mark.realtime,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

FRAMES = 700
"""Of the long clip, with a key frame every 60: five segments of 120, and the rest."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    require_ray()
    with ray_cluster(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    pts = [512 * n for n in range(FRAMES)]
    return make_clip(folder / "film.mp4", size=(64, 64), pts=pts, options={"g": "60", "bf": "2"})


@pytest.fixture(scope="module")
def expected(film: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What one machine makes of it."""
    target = tmp_path_factory.mktemp("one") / "one.mp4"
    convert(film, target)
    return list(contents(target))


def _when_segments(target: Path, count: int, then: Callable[[], object]) -> threading.Thread:
    """Call `then` once `count` segments are finished."""
    folder = Path(f"{target}.segments")

    def wait() -> None:
        while len(list(folder.glob("*.segment"))) < count:
            time.sleep(0.02)
        then()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def _on_ray(cluster: Nodes, *jobs: Any) -> list[Any]:
    from streamtoon.cluster.ray_pool import RayPool

    with RayPool(cluster.address, ["num_cpus=2"], None) as pool:
        return run_on(pool, jobs)


def test_the_result_is_that_of_one_machine(
    nodes: Nodes, film: Path, expected: list[Any], tmp_path: Path
) -> None:
    target = tmp_path / "many.mp4"
    (result,) = _on_ray(nodes, job(film, target))
    assert not result.error
    assert result.report.frames_out == FRAMES
    assert list(contents(target)) == expected
    assert list(tmp_path.iterdir()) == [target]


def test_a_worker_that_is_killed_costs_nothing(
    nodes: Nodes, film: Path, expected: list[Any], tmp_path: Path
) -> None:
    target = tmp_path / "many.mp4"
    killed: list[int] = []

    def kill() -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            if process.read_bytes().startswith(b"ray::_Actor"):
                killed.append(int(process.parent.name))
                os.kill(killed[-1], signal.SIGKILL)
                return

    thread = _when_segments(target, 1, kill)
    (result,) = _on_ray(nodes, job(film, target))
    thread.join(10)
    assert killed, "no worker was at work"
    assert not result.error
    assert list(contents(target)) == expected


def test_a_node_that_is_lost_costs_nothing(
    nodes: Nodes, film: Path, expected: list[Any], tmp_path: Path
) -> None:
    target = tmp_path / "many.mp4"
    thread = _when_segments(target, 1, lambda: nodes.tell("lose"))
    (result,) = _on_ray(nodes, job(film, target))
    thread.join(60)
    nodes.tell("add")
    assert not result.error
    assert list(contents(target)) == expected


def _command(cluster: Nodes, film: Path, target: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "streamtoon", "video", str(film), str(target), "--ray", "auto"]
    line += ["--style", STYLE, "--quality", QUALITY, "--worker-needs", "num_cpus=2", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ADDRESS": cluster.address}
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_driver_goes_on_and_finished_segments_are_not_drawn_again(
    nodes: Nodes, film: Path, expected: list[Any], tmp_path: Path
) -> None:
    target = tmp_path / "many.mp4"
    first = _command(nodes, film, target)
    _when_segments(target, 2, first.kill).join(300)
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert not target.exists()
    time.sleep(2)  # until Ray has ended the workers of the driver
    before = {path.name: path.stat().st_mtime_ns for path in Path(f"{target}.segments").glob("*.segment")}
    seen: dict[str, int] = {}

    def look() -> None:
        seen.update(
            (path.name, path.stat().st_mtime_ns) for path in Path(f"{target}.segments").glob("*.segment")
        )

    watch = _when_segments(target, len(before) + 1, look)
    second = _command(nodes, film, target)
    out, err = second.communicate()
    watch.join(1)
    assert second.returncode == 0, err
    assert json.loads(out)["kept"] >= 240
    assert {name: seen[name] for name in before} == before
    assert list(contents(target)) == expected


def test_of_500_files_all_good_ones_are_right_and_all_bad_ones_named(nodes: Nodes, tmp_path: Path) -> None:
    kinds = []
    for number in range(4):
        pts = [512 * n for n in range(4)]
        kinds.append(make_clip(tmp_path / f"kind{number}.mp4", size=(64, 64 + 2 * number), pts=pts))
    wanted = []
    for clip in kinds:
        convert(clip, tmp_path / f"one_{clip.name}")
        wanted.append(list(contents(tmp_path / f"one_{clip.name}")))
    sources, results = tmp_path / "in", tmp_path / "out"
    sources.mkdir()
    bad = {f"{number:03}.mp4" for number in range(7, 500, 50)}
    jobs = []
    for number in range(500):
        source = sources / f"{number:03}.mp4"
        data = kinds[number % 4].read_bytes()
        source.write_bytes(data[: len(data) // 2] if source.name in bad else data)
        jobs.append(job(source, results / source.name))
    found = {Path(result.job.source).name: result for result in _on_ray(nodes, *jobs)}
    assert len(bad) == 10
    assert len(found) == 500
    assert {name for name, result in found.items() if result.error} == bad
    assert all("truncated or damaged" in found[name].error for name in bad)
    good = sorted(set(found) - bad)
    assert sorted(path.name for path in results.iterdir()) == good
    for name in good:
        assert list(contents(results / name)) == wanted[int(name[:3]) % 4], name
