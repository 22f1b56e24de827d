"""Transparency that WebM keeps beside its packets: what lies under it is not shown."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from ffprobe import streams
from media_clips import convert
from numpy.typing import NDArray

from streamtoon.media import VideoReader

SIZE = 96, 64
MAGENTA, ORANGE = (255, 0, 255), (230, 140, 40)


def with_alpha(path: Path, encoder: str, count: int = 12) -> Path:
    """An orange disc that can be seen; all around it is magenta, and transparent."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    inside = np.hypot(x - 48, y - 32) < 20
    rgba = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    rgba[..., :3] = np.where(inside[..., None], ORANGE, MAGENTA)
    rgba[..., 3] = 255 * inside
    with av.open(str(path), "w") as out:
        options = {"auto-alt-ref": "0", "crf": "10", "b": "1M", "g": "5"}
        video: Any = out.add_stream(encoder, rate=25, options=options)
        video.width, video.height, video.pix_fmt = *SIZE, "yuva420p"
        video.metadata["alpha_mode"] = "1"
        for n in range(count):
            frame = av.VideoFrame.from_ndarray(rgba, "rgba").reformat(format="yuva420p")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def alpha_mode(path: Path) -> list[str]:
    (video,) = streams(path, "video")
    return [value for key, value in video["tags"].items() if key.lower() == "alpha_mode"]


def first_picture(path: Path) -> NDArray[np.uint8]:
    """RGB as FFmpeg's command decodes it, H x W x 3."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed")
    asked = [
        program,
        "-v",
        "error",
        "-i",
        str(path),
        "-frames:v",
        "1",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    raw = subprocess.run(asked, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(SIZE[1], SIZE[0], 3)


@pytest.mark.parametrize("encoder", ["libvpx-vp9", "libvpx"])
@pytest.mark.parametrize("ending", [".webm", ".mp4", ".mkv"])
def test_transparent_parts_become_a_plain_background(tmp_path: Path, encoder: str, ending: str) -> None:
    source = with_alpha(tmp_path / "in.webm", encoder)
    assert alpha_mode(source) == ["1"]
    assert first_picture(source)[5, 5] == pytest.approx(MAGENTA, abs=12), "what players without alpha show"
    warnings, written = convert(source, tmp_path / f"out{ending}")
    assert written.frames == 12
    assert any("transparent parts: they are put on black" in each for each in warnings)
    assert alpha_mode(tmp_path / f"out{ending}") == []
    picture = first_picture(tmp_path / f"out{ending}")
    assert picture[32, 48] == pytest.approx(ORANGE, abs=15)
    for y, x in ((5, 5), (5, 90), (60, 5), (32, 20), (60, 90)):
        assert picture[y, x].max() < 20


def test_alpha_is_there_behind_a_cut_too(tmp_path: Path) -> None:
    source = with_alpha(tmp_path / "in.webm", "libvpx-vp9")
    convert(source, tmp_path / "out.mkv", start=0.24)
    assert first_picture(tmp_path / "out.mkv")[5, 5].max() < 20


def test_video_without_alpha_keeps_its_decoder(tmp_path: Path) -> None:
    source = with_alpha(tmp_path / "alpha.webm", "libvpx-vp9")
    with av.open(str(source)) as file, av.open(str(tmp_path / "plain.webm"), "w") as out:
        copy = out.add_stream_from_template(file.streams.video[0])
        for packet in file.demux():
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    with VideoReader(tmp_path / "plain.webm") as opened:
        assert opened.info.pixel_format == "yuv420p"
