"""Real footage through Source and Sink, judged by ffprobe where it is installed, by PyAV alone elsewhere.

Runs where STREAMTOON_DATA names a folder with `clips`: files from many makers, some of them broken.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from media_clips import convert, facts

from streamtoon.media.writer.containers import BY_EXTENSION

_FOLDER = Path(os.environ.get("STREAMTOON_DATA", "")) / "clips"
CLIPS = sorted(_FOLDER.iterdir()) if "STREAMTOON_DATA" in os.environ and _FOLDER.is_dir() else []
QUICK = {".gif": {}, ".webm": {"preset": "8"}}
ENDS_EARLY = {"vfr-128x128.mp4"}
"""The source's own edit list ends where its last picture begins; the output shows that picture."""


def _footage() -> Iterable[Any]:
    if not CLIPS:
        return [pytest.param(None, marks=pytest.mark.skip("STREAMTOON_DATA names no folder with clips"))]
    return [pytest.param(path, id=path.name) for path in CLIPS]


@pytest.mark.parametrize("clip", _footage())
def test_footage_comes_through_exactly(tmp_path: Path, clip: Path) -> None:
    extension = clip.suffix if clip.suffix in BY_EXTENSION else ".mp4"
    target = tmp_path / f"out{extension}"
    convert(clip, target, **QUICK.get(extension, {"preset": "ultrafast"}))
    witness = _by_ffprobe if shutil.which("ffprobe") else _by_pyav
    before, after = witness(clip), witness(target)
    assert len(after["times"]) == len(before["times"])
    # ffprobe leaves a picture without a time where the file does: there nothing can be compared.
    assert all(a == b for a, b in zip(after["times"], before["times"], strict=True) if b is not None)
    for name in ("sounds", "rotation", "tags", "size"):
        assert after[name] == before[name], name
    if extension == clip.suffix and clip.name not in ENDS_EARLY:
        assert after["durations"] == before["durations"]


@pytest.mark.parametrize("clip", _footage())
def test_footage_keeps_its_times_to_the_millisecond_in_matroska(tmp_path: Path, clip: Path) -> None:
    target = tmp_path / "out.mkv"
    convert(clip, target, preset="ultrafast")
    before, after = facts(clip), facts(target)
    assert len(after.times) == len(before.times)
    assert max(abs(a - b) for a, b in zip(before.times, after.times, strict=True)) <= Fraction(1, 2000)
    for a, b in zip(before.others, after.others, strict=True):
        assert b.digests == a.digests


def _by_pyav(path: Path) -> dict[str, Any]:
    seen = facts(path)
    matrix, reach, primaries, transfer = seen.tags
    return {
        "times": seen.times,
        "sounds": [list(zip(s.times, s.digests, strict=True)) for s in seen.others],
        "rotation": seen.rotation,
        # Limited range is what silence means; players make no difference.
        "tags": (matrix, reach == 2, primaries, transfer)
        if not seen.pixel_format.startswith("bgr")
        else None,
        "size": seen.size,
        "durations": [s.duration for s in seen.streams],
    }


def _by_ffprobe(path: Path) -> dict[str, Any]:
    streams = _ffprobe(path, "-show_streams")["streams"]
    frames = _ffprobe(path, "-select_streams", "v:0", "-show_frames")["frames"]
    packets = _ffprobe(path, "-select_streams", "a", "-show_packets", "-show_data_hash", "sha256")["packets"]
    base = {s["index"]: Fraction(s["time_base"]) for s in streams}
    video = next(s for s in streams if s["codec_type"] == "video")
    sounds = [s["index"] for s in streams if s["codec_type"] == "audio"]
    silent = (None, "unknown", "unspecified")
    tags = [video.get(f"color_{key}") for key in ("space", "primaries", "transfer")]
    return {
        "times": [
            int(f["best_effort_timestamp"]) * base[video["index"]] if "best_effort_timestamp" in f else None
            for f in frames
        ],
        "sounds": [
            [(int(p["pts"]) * base[index], p["data_hash"]) for p in packets if p["stream_index"] == index]
            for index in sounds
        ],
        "rotation": [d["displaymatrix"] for d in video.get("side_data_list", ()) if "displaymatrix" in d],
        "tags": None
        if video["pix_fmt"].startswith("bgr")
        else (video.get("color_range") == "pc", [None if tag in silent else tag for tag in tags]),
        "size": (video["width"], video["height"], video.get("sample_aspect_ratio")),
        "durations": [
            int(s["duration_ts"]) * base[s["index"]] if "duration_ts" in s else None for s in streams
        ],
    }


def _ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "quiet", *arguments, "-of", "json", str(path)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return answer
