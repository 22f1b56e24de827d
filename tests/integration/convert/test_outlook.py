"""What is said of a conversion before it ends: size, time, the end of a stop; and how people read it."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_clips import make_clip

from engines.engine import Engine
from engines.factory import open_engine
from engines.frame import Frame
from engines.registry.style import load_style
from engines.settings import EngineSettings
from streamtoon.cli.job_progress import Course, JobSummary
from streamtoon.convert.alternative import estimate_alternative
from streamtoon.convert.estimate import Countdown, joining_progress, with_estimates
from streamtoon.convert.video import Converted
from streamtoon.engine_holder import EngineHolder, EngineRequest
from streamtoon.media.segments import segments as parts
from streamtoon.media.segments.segments import SegmentBoundary
from streamtoon.pipeline.run import Outcome, Progress, StageTime
from streamtoon.reports import Alternative
from streamtoon.wording import clock, counted, length, size

PROGRESS = Progress(frames=0, total=200, seconds=1.0, fps=10.0, stages={})


def _picture(number: int) -> Frame:
    plane = np.zeros((2, 2), np.uint8)
    return Frame(plane, plane[:1, :1], plane[:1, :1], pts=number, time_base=Fraction(1, 25))


def test_the_size_is_predicted_from_the_coded_part() -> None:
    told: list[Progress] = []
    coded = (0, 0.0)
    tell = with_estimates(told.append, lambda: coded, beside=5_000.0)
    assert tell is not None
    for coded in ((0, 0.0), (23, 2_300.0), (50, 6_000.0)):
        tell(replace(PROGRESS, frames=coded[0]))
    tell(replace(PROGRESS, frames=60, total=None))
    assert [each.size for each in told] == [None, None, 5_000 + 200 * 120, None]
    assert with_estimates(None, lambda: coded) is None


def test_a_stop_is_counted_down_to_the_end_of_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_SEGMENT_FRAMES", 20)
    stop, told = threading.Event(), list[Progress]()
    countdown = Countdown(kept=100)
    seam = SegmentBoundary(0, 0, True)
    read: list[Frame | SegmentBoundary] = [*map(_picture, range(15)), seam, *map(_picture, range(8))]
    items = countdown.watch(read)
    tell = with_estimates(told.append, lambda: (0, 0.0), stop=stop, countdown=countdown)
    assert tell is not None

    def left(written: int) -> int | None:
        tell(replace(PROGRESS, frames=written))
        return told[-1].stopping

    for _ in range(10):
        next(items)
    assert left(105) is None, "nobody asked"
    stop.set()
    assert left(105) == 15  # the part may be as long as 20, and has 5
    for _ in range(6):
        next(items)
    assert left(110) == 25  # the reader is in the next part, all of which will be drawn
    assert len(list(items)) == 8
    assert left(115) == 8  # now it is known that the part has 8
    assert left(123) == 0
    tell(replace(PROGRESS, frames=110, total=112))
    assert told[-1].stopping == 2, "there are no more"


def test_progress_of_joining_is_reported_to_the_end() -> None:
    told: list[Progress] = []
    tell = joining_progress(told.append, 50)
    for frames in range(1, 51):
        tell(frames)
    assert (told[0].frames, told[-1].frames, told[-1].total) == (1, 50, 50)
    assert all(each.joining for each in told)
    joining_progress(None, 1)(1)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (counted(1, "frame"), "1 frame"),
        (counted(0, "frame"), "0 frames"),
        (counted(2, "file"), "2 files"),
        (clock(0), "0:00"),
        (clock(59.6), "1:00"),
        (clock(3723), "1:02:03"),
        (length(0.42), "0.4 s"),
        (length(0.97), "0:01"),
        (size(1), "1 byte"),
        (size(999), "999 bytes"),
        (size(1_400), "1.4 kB"),
        (size(999_900), "1.0 MB"),
        (size(12_300_000), "12 MB"),
        (size(4.2e12), "4200 GB"),
    ],
)
def test_numbers_are_as_people_read_them(said: str, text: str) -> None:
    assert said == text


# --- many files --------------------------------------------------------------------------------------


def test_the_time_left_for_all_files_counts_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip of 4 times the pixels and half the frames is twice the work, whatever its bytes are."""
    now = 100.0
    monkeypatch.setattr("streamtoon.cli.job_progress.time.monotonic", lambda: now)
    small = make_clip(tmp_path / "small.mp4", size=(64, 48), pts=[512 * n for n in range(50)], audio=None)
    large = make_clip(tmp_path / "large.mp4", size=(128, 96), pts=[512 * n for n in range(25)], audio=None)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"")
    course = Course([small, broken, large])
    with course.at(small):
        assert course.place == "1 of 3"
        assert course.left(PROGRESS) is None
        now += 10
        # A quarter of it in 10 seconds: three more of that, and eight for the other.
        assert course.left(replace(PROGRESS, frames=50)) == pytest.approx(110, rel=0.05)
        now += 30
    with pytest.raises(ValueError, match="broken"), course.at(broken):
        raise ValueError("broken")
    with course.at(large):
        assert course.place == "3 of 3"
        now += 40
        assert course.left(replace(PROGRESS, frames=100)) == pytest.approx(40, rel=0.05)


# --- another quality ---------------------------------------------------------------------------------


def _done(frames: int, others_ms: float, *, reused: int = 0) -> Converted:
    """A conversion as its estimate sees it: the counts and times of its pipeline."""
    other = StageTime(others_ms, others_ms)
    outcome = Outcome(frames, frames, {"decode": other, "run": StageTime(50.0, 50.0), "encode": other})
    nothing: Any = None
    return Converted(nothing, nothing, outcome, nothing, reused=reused, partly_reused=0, kept=0, warnings=())


def _opened(holder: EngineHolder, size: tuple[int, int], **settings: Any) -> Engine:
    engine = holder.open(EngineRequest(EngineSettings(load_style("comic"), **settings), *size))
    holder.opening_s = 0.1
    return engine


@pytest.mark.parametrize(("quality", "other"), [("full", "fast"), ("fast", "full"), ("lite", "full")])
def test_another_quality_is_what_the_engine_saves_or_costs(
    monkeypatch: pytest.MonkeyPatch, quality: str, other: str
) -> None:
    costs = {"full": 0.06, "fast": 0.02, "lite": 0.01}
    monkeypatch.setattr(
        "streamtoon.convert.alternative._seconds_a_frame", lambda engine, frames: costs[engine.facts.quality]
    )
    with closing(EngineHolder()) as holder:
        _opened(holder, (64, 48), quality=quality, device="cpu")
        found = estimate_alternative(holder, 10.0, _done(110, 1.0, reused=10))
        seconds = 10.0 + 100 * (costs[other] - costs[quality])  # by hand: of 100 frames that were drawn
        assert found is not None
        assert found.quality == other
        assert found.seconds == pytest.approx(seconds)
        if quality == "full":  # where the encoder takes 85 ms a frame, another quality saves too little
            assert estimate_alternative(holder, 10.0, _done(110, 85.0, reused=10)) is None
        assert estimate_alternative(holder, 1.0, _done(110, 1.0, reused=10)) is None, "all is quick"
        holder.opening_s = 2.0
        assert estimate_alternative(holder, 10.0, _done(110, 1.0, reused=10)) is None, "slow to try"


def test_another_quality_is_really_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Engine] = []

    def opening(settings: EngineSettings, **size: Any) -> Engine:
        opened.append(open_engine(settings, **size))
        return opened[-1]

    with closing(EngineHolder()) as holder:
        engine = _opened(holder, (256, 192), quality="full", device="auto")
        monkeypatch.setattr("streamtoon.engine_holder.open_engine", opening)
        estimate_alternative(holder, 100.0, _done(100, 1.0))
        (other,) = opened
        assert (other.facts.quality, other.facts.device) == ("fast", "cpu")
        assert (engine.reused, other.reused) == (0, 0), "frames that cost nothing were timed"
        with pytest.raises(ValueError, match="closed"):
            other.rgb(np.zeros((192, 256, 3), np.uint8))
        assert engine.rgb(np.zeros((192, 256, 3), np.uint8)).shape == (192, 256, 3)


def test_all_files_together_are_summed_and_compared() -> None:
    class Done:
        def __init__(self, seconds: float, other: Alternative | None) -> None:
            self.seconds, self.alternative = seconds, other

    together = JobSummary()
    assert together.lines() == []
    together.add(Done(4.0, None))  # type: ignore[arg-type]
    before = together.knows_better
    together.add(Done(60.0, Alternative("fast", 30.0)))  # type: ignore[arg-type]
    together.add(Done(56.0, None))  # type: ignore[arg-type]
    assert (before, together.knows_better) == (False, True)
    assert together.lines() == ["3 videos in 2:00.", "--quality fast: about 1:00"]
