"""FFmpeg's own reader as a witness: another build than the one in PyAV, and none of our code."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    """What ffprobe says of `path` as JSON; skips the test where there is no ffprobe."""
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("ffprobe is not installed")
    asked = arguments or ("-show_streams", "-show_format", "-show_chapters")
    done = subprocess.run(
        [program, "-v", "error", "-of", "json", *asked, str(path)], capture_output=True, check=True
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def streams(path: Path, kind: str) -> list[dict[str, Any]]:
    """The streams of one kind: "audio", "video", "data"."""
    return [each for each in ffprobe(path)["streams"] if each["codec_type"] == kind]


def times(path: Path, stream: str) -> list[float]:
    """When the packets of `stream` ("v:0", "a:0") are presented, in seconds, sorted."""
    found = ffprobe(path, "-select_streams", stream, "-show_entries", "packet=pts_time")["packets"]
    return sorted(float(packet["pts_time"]) for packet in found if "pts_time" in packet)
