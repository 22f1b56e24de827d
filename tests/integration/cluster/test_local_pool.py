"""Videos drawn by several workers of one machine are those that one worker draws."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest
from cluster_runs import convert_all, run_on
from cluster_runs import job as plain_job
from fsspec.implementations.local import LocalFileSystem
from killed_job import QUALITY, STYLE, contents
from stopped_runs import convert

from streamtoon.cluster.jobs import EngineChoice, VideoJob
from streamtoon.cluster.pool import LocalPool

pytestmark = pytest.mark.usefixtures("short_parts")
STEADY = 0.3
"""What remembers earlier frames is on: it must not show where a worker begins."""


def job(source: Path | str, target: Path | str, **changes: Any) -> VideoJob:
    engine = EngineChoice(STYLE, quality=QUALITY, stabilize=STEADY)
    return plain_job(source, target, **{"engine": engine, **changes})


@pytest.fixture(autouse=True)
def _short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamtoon.cluster.planning.SEGMENTS_PER_STRETCH", 2)


@pytest.fixture(scope="module")
def expected(uneven_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What one worker makes of the clip."""
    target = tmp_path_factory.mktemp("one") / "one.mp4"
    with pytest.MonkeyPatch.context() as patch:
        for name, frames in (("MIN", 12), ("MAX", 24)):
            patch.setattr(f"streamtoon.media.segments.segments.{name}_SEGMENT_FRAMES", frames)
        convert(uneven_clip, target, stabilize=STEADY)
    return list(contents(target))


def test_the_result_is_that_of_one_worker_and_nothing_else_is_left(
    uneven_clip: Path, expected: list[object], tmp_path: Path
) -> None:
    target = tmp_path / "many.mp4"
    (result,) = convert_all([job(uneven_clip, target)])
    assert not result.error
    assert not result.warnings
    assert result.report is not None
    assert result.report.frames_out == 100
    assert list(contents(target)) == expected
    assert list(tmp_path.iterdir()) == [target]


def test_a_stopped_run_goes_on_and_draws_no_finished_segment_again(
    uneven_clip: Path, expected: list[object], tmp_path: Path
) -> None:
    target, stop = tmp_path / "many.mp4", threading.Event()
    stop_at_first = threading.Thread(target=_set_when_segments, args=(Path(f"{target}.segments"), stop))
    stop_at_first.start()
    with LocalPool([None]) as pool:
        assert run_on(pool, [job(uneven_clip, target)], stop) == []
    stop_at_first.join()
    assert not target.exists()
    kept = sorted(Path(f"{target}.segments").glob("*.segment"))
    assert 1 <= len(kept) < 6
    # One that was cut short by whatever ended its machine is drawn again.
    kept[-1].write_bytes(kept[-1].read_bytes()[:-1])
    (result,) = convert_all([job(uneven_clip, target)])
    assert not result.error
    assert result.report is not None
    assert result.report.frames_out == 100
    assert (result.report.kept > 0) == (len(kept) > 1)
    assert list(contents(target)) == expected


def _set_when_segments(folder: Path, stop: threading.Event) -> None:
    while not list(folder.glob("*.segment")):
        stop.wait(0.01)
    stop.set()


def test_other_settings_do_not_join_with_finished_segments(uneven_clip: Path, tmp_path: Path) -> None:
    target, stop = tmp_path / "many.mp4", threading.Event()
    threading.Thread(target=_set_when_segments, args=(Path(f"{target}.segments"), stop)).start()
    with LocalPool([None]) as pool:
        run_on(pool, [job(uneven_clip, target)], stop)
    other = EngineChoice(STYLE, quality=QUALITY, strength=0.5, stabilize=STEADY)
    (result,) = convert_all([job(uneven_clip, target, engine=other)])
    assert "strength 1, but this command asks for strength 0.5" in result.error


def test_a_damaged_file_gives_what_one_worker_makes_of_it(uneven_clip: Path, tmp_path: Path) -> None:
    source, one, many = tmp_path / "hurt.mp4", tmp_path / "one.mp4", tmp_path / "many.mp4"
    data = bytearray(uneven_clip.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 400] = bytes(400)
    source.write_bytes(data)
    report = convert(source, one, stabilize=STEADY)
    assert report.warnings, "the clip is damaged"
    (result,) = convert_all([job(source, many)])
    assert not result.error
    assert result.report is not None
    assert set(report.warnings) <= set(result.report.warnings)
    assert contents(many) == contents(one)


def test_source_and_result_may_be_urls(uneven_clip: Path, expected: list[object], tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    files.put_file(str(uneven_clip), "/films/clip.mp4")
    (result,) = convert_all([job("memory://films/clip.mp4", "memory://cartoons/clip.mp4")])
    assert not result.error
    assert [Path(name).name for name in files.find("/cartoons")] == ["clip.mp4"]
    made = tmp_path / "made.mp4"
    files.get_file("/cartoons/clip.mp4", str(made))
    assert list(contents(made)) == expected


class _Unsteady(LocalFileSystem):
    """A disk of which every third write fails, as a network does that is overloaded."""

    protocol = "unsteady"
    writes = 0

    def pipe_file(self, path: str, value: bytes, **options: object) -> None:
        type(self).writes += 1
        if self.writes % 3 == 1:
            raise TimeoutError(110, "Connection timed out")
        super().pipe_file(path, value, **options)


class _Gone(_Unsteady):
    """One that never works."""

    protocol = "gone"

    def pipe_file(self, path: str, value: bytes, **options: object) -> None:
        raise TimeoutError(110, "Connection timed out")


def test_storage_that_fails_for_a_while_costs_nothing_and_one_that_is_gone_a_sentence(
    uneven_clip: Path, expected: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamtoon.cluster.storage.RETRY_WAITS_S", (0.01, 0.01))
    for kind in (_Unsteady, _Gone):
        fsspec.register_implementation(kind.protocol, kind, clobber=True)
    target = tmp_path / "many.mp4"
    (result,) = convert_all([job(uneven_clip, f"unsteady://{target}")])
    assert not result.error
    assert _Unsteady.writes > 6
    assert list(contents(target)) == expected
    (result,) = convert_all([job(uneven_clip, f"gone://{tmp_path}/other.mp4")])
    assert result.error.startswith("storage fails: ")
    assert "connection timed out" in result.error
