"""The benchmark of encoders, against FFmpeg's own SSIM and PyAV's packets."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_clips import make_clip
from typer.testing import CliRunner

from engines.frame import Frame
from streamtoon.api import Cartoonizer
from streamtoon.cli.bench_encoders import app
from streamtoon.errors import StreamtoonError
from streamtoon.tools.benchmark.encoders import EncoderSetting, draw

FRAMES = 12
SUPERFAST = "h264:superfast bf=1"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "in.mp4", size=(320, 240))


@pytest.fixture(scope="module")
def result(clip: Path) -> dict[str, Any]:
    words = [str(clip), "--json", "--frames", str(FRAMES), "--rounds", "2", "--crf", "24"]
    done = CliRunner().invoke(app, [*words, "--setting", SUPERFAST, "--setting", "h264"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_first_setting_is_what_ffmpeg_measures(
    result: dict[str, Any], clip: Path, tmp_path: Path
) -> None:
    engine = Cartoonizer("comic", quality="lite").settings.replace(stabilize=0.2)
    frames, _ = draw(clip, engine, FRAMES)
    sizes = []
    with av.open(str(tmp_path / "out.mkv"), "w") as out:
        video: Any = out.add_stream(
            "libx264", rate=25, options={"preset": "superfast", "crf": "24", "bf": "1"}
        )
        video.width, video.height = 320, 240
        for n, frame in enumerate(frames):
            for packet in [
                *video.encode(_picture(frame, n)),
                *(video.encode(None) if n == FRAMES - 1 else []),
            ]:
                sizes.append(packet.size)
                out.mux(packet)
    first = result["results"][0]
    assert (first["setting"], first["crf"], result["frames"]) == (SUPERFAST, 24, FRAMES)
    assert first["kilobytes"] == pytest.approx(sum(sizes) / 1000 / FRAMES, rel=0.02)
    # FFmpeg's windows are 8 x 8 without weights, so its numbers differ a little.
    assert first["ssim"] == pytest.approx(_ffmpeg_ssim(frames, tmp_path / "out.mkv"), abs=0.01)
    assert first["ssim"] < 0.9999


def test_the_others_have_its_ssim(result: dict[str, Any]) -> None:
    first, second = result["results"]
    assert second["setting"] == "h264"
    assert second["ssim"] == first["ssim"]
    assert second["crf"] != first["crf"]
    assert all(row["cpu_ms"] > 0 and row["kilobytes"] > 0 for row in (first, second))
    assert result["machine"]["cores"] >= 1


def test_errors_are_one_sentence(clip: Path) -> None:
    done = CliRunner().invoke(app, [str(clip), "--setting", "mpeg4", "--frames", "2"])
    assert done.exit_code == 1
    assert "mpeg4 has no CRF setting" in done.stderr
    for words in ("", ":fast", "h264 bf", "h264 =3"):
        with pytest.raises(StreamtoonError, match="is not a setting"):
            EncoderSetting.parse(words)


def _picture(frame: Frame, n: int) -> av.VideoFrame:
    whole = np.concatenate([plane.ravel() for plane in (frame.y, frame.u, frame.v)])
    picture = av.VideoFrame.from_ndarray(whole.reshape(-1, frame.width), "yuv420p")
    picture.pts, picture.time_base = n, Fraction(1, 25)
    return picture


def _buffer(width: int, height: int, base: Fraction) -> str:
    return f"video_size={width}x{height}:pix_fmt=yuv420p:time_base={base}"


def _ffmpeg_ssim(frames: list[Frame], coded: Path) -> float:
    """SSIM of the luma by FFmpeg's filter, on the frames that the benchmark takes."""
    graph = av.filter.Graph()
    width, height, base = frames[0].width, frames[0].height, Fraction(1, 25)
    ins: list[Any] = [graph.add("buffer", _buffer(width, height, base)) for _ in range(2)]
    ssim, sink = graph.add("ssim"), graph.add("buffersink")
    for at, source in enumerate(ins):
        source.link_to(ssim, 0, at)
    ssim.link_to(sink)
    graph.configure()
    found = []
    with av.open(str(coded)) as file:
        for n, decoded in enumerate(file.decode(video=0)):
            decoded.pts, decoded.time_base = n, Fraction(1, 25)
            ins[0].push(decoded)
            ins[1].push(_picture(frames[n], n))
            found.append(float(sink.pull().metadata["lavfi.ssim.Y"]))
    return float(np.mean(found[::3]))
