"""What is noticed while frames are drawn in parts is said at the end, whichever run has seen it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ffprobe import times
from media_clips import make_clip
from stopped_runs import convert, stop


@pytest.mark.usefixtures("short_parts")
def test_what_is_seen_while_frames_are_timed_is_said_of_parts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any rounding is said here, however small.

    The first frames lie off the clock of Matroska, the rest on it: a run that goes on sees only those.
    """
    monkeypatch.setattr("streamtoon.media.writer.video_encoder._MAX_CLOCK_ERROR_S", 0)
    pts = [0, 519, *range(1024, 512 * 60, 512)]
    source = make_clip(tmp_path / "in.mp4", pts=pts, options={"g": "10"}, audio=None)
    for name, interrupted in (("whole", False), ("resumed", True)):
        target = tmp_path / f"{name}.mkv"
        if interrupted:
            stop(source, target, after=1)
        said = [each for each in convert(source, target).warnings if "stores time in steps of 1 ms" in each]
        off = max(abs(a - b / 12800) for a, b in zip(times(target, "v:0"), pts, strict=True))
        assert len(said) == 1
        assert f"up to {off:.2g} s" in said[0]
