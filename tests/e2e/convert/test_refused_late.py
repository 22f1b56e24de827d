"""A muxer that refuses what the rehearsal has not reached: the drawn frames become a file all the same."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from ffprobe import ffprobe, times
from media_clips import make_clip
from stopped_runs import convert

from streamtoon.errors import OutputError
from streamtoon.media.segments.segments import SegmentWriter
from streamtoon.media.writer.packet_routes import CopyRoute

pytestmark = pytest.mark.usefixtures("short_parts")


@pytest.fixture
def _short_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamtoon.media.writer.trial_mux.TRIAL_LENGTH_S", Fraction(1, 5))


@pytest.mark.usefixtures("_short_rehearsal")
def test_sound_that_is_refused_late_is_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "in.mp4")
    copy = CopyRoute.write

    def write(self: CopyRoute, packet: Any) -> None:
        if packet.pts * packet.time_base > Fraction(1, 2):
            raise av.error.ArgumentError(22, "Invalid argument")
        copy(self, packet)

    monkeypatch.setattr(CopyRoute, "write", write)
    report = convert(clip, tmp_path / "out.mp4")
    assert any("re-encoded as aac" in warning for warning in report.warnings)
    assert len(times(tmp_path / "out.mp4", "v:0")) == 25
    sound = next(s for s in ffprobe(tmp_path / "out.mp4")["streams"] if s["codec_type"] == "audio")
    assert float(sound["duration"]) == pytest.approx(1, abs=0.05)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_the_same_command_is_promised_only_where_it_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "in.mp4", audio=None)

    def refuse(*_: object) -> None:
        raise av.error.ArgumentError(22, "Invalid argument")

    def fill_the_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for fail, promise in (
        (refuse, "fails in the same way"),
        (fill_the_disk, "the same command makes the file of them"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr("streamtoon.media.writer.video_encoder.VideoEncoder.adopt", fail)
            with pytest.raises(OutputError, match=f"all frames are drawn and kept.*{promise}"):
                convert(clip, tmp_path / "out.mp4")
    report = convert(clip, tmp_path / "out.mp4")
    assert (report.kept, report.frames_out) == (25, 25)


def test_a_file_that_appears_meanwhile_is_not_replaced_and_the_frames_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, target = make_clip(tmp_path / "in.mp4", audio=None), tmp_path / "out.mp4"
    finish = SegmentWriter.finish

    def appear(self: SegmentWriter, *warnings: Any) -> None:
        finish(self, *warnings)
        target.write_bytes(b"of somebody else")

    with monkeypatch.context() as patch:
        patch.setattr(SegmentWriter, "finish", appear)
        with pytest.raises(
            OutputError, match=r"already exists.*kept in.*once that is mended, the same command"
        ):
            convert(clip, target)
    assert target.read_bytes() == b"of somebody else"
    target.unlink()
    report = convert(clip, target)
    assert (report.kept, report.frames_out) == (25, 25)
    assert len(times(target, "v:0")) == 25
