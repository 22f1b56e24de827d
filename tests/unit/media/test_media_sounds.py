"""What sound is copied into which container: what players of some years ago read, the rest re-encoded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ffprobe import streams, times
from media_clips import convert, rich_matroska
from paths import ROOT, SUPPORT
from sync_clips import events, sync_clip

CODECS = {
    "aac": "aac",
    "libmp3lame": "mp3",
    "ac3": "ac3",
    "libopus": "opus",
    "flac": "flac",
    "alac": "alac",
    "pcm_s16le": "pcm_s16le",
    "pcm_s24le": "pcm_s24le",
    "pcm_mulaw": "pcm_mulaw",
    "adpcm_ms": "adpcm_ms",
    "adpcm_ima_wav": "adpcm_ima_wav",
}
COPIED = {
    ".mp4": {"aac", "mp3", "ac3", "opus", "flac", "alac"},
    ".avi": {"aac", "mp3", "ac3", "pcm_s16le", "pcm_s24le", "pcm_mulaw"},
    ".flv": {"aac", "mp3"},
}


@pytest.fixture(scope="module", params=CODECS)
def coded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of an encoder, and a clip with its sound."""
    codec: str = request.param
    rate = 48000 if codec == "libopus" else 44100  # Flash Video knows no other high one
    holder = "in.mkv" if codec in ("alac", "aac", "libopus") else "in.avi" if "adpcm" in codec else "in.nut"
    path = tmp_path_factory.mktemp("coded") / holder
    return codec, sync_clip(path, 3, sound=codec, sound_rate=rate, options={"bf": "0"})


@pytest.mark.parametrize("ending", COPIED)
def test_sound_is_in_sync_whatever_it_is_coded_as(
    tmp_path: Path, coded: tuple[str, Path], ending: str
) -> None:
    codec, source = coded
    target = tmp_path / f"out{ending}"
    warnings, _ = convert(source, target)
    (sound,) = streams(target, "audio")
    is_copied = CODECS[codec] in COPIED[ending]
    assert is_copied == (sound["codec_name"] == CODECS[codec])
    assert any("re-encoded" in each for each in warnings) != is_copied
    assert not [each for each in warnings if "in the written file" in each]
    flashes, beeps = events(target)
    start = times(target, "v:0")[0]
    assert [each - start for each in flashes] == pytest.approx([1, 2], abs=0.05)  # AVI's grid is of 0.04 s
    assert beeps == pytest.approx(flashes, abs=0.04)


COPY_EVERYTHING = """
import sys
from pathlib import Path
from media_clips import convert
from streamtoon.media.writer import stream_routing
stream_routing.accepts_stream = lambda *_: True
print(*convert(Path(sys.argv[1]), Path(sys.argv[2]))[0], sep="\\n")
"""


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav"])
def test_sound_that_comes_out_at_another_speed_is_said(tmp_path: Path, codec: str) -> None:
    """Blocks of ADPCM are copied into AVI without an error. On several cores, FFmpeg gives them a wrong rate.

    In a process of its own: what FFmpeg writes of such blocks has differed after other tests in one process.
    """
    source = sync_clip(tmp_path / "in.avi", codec="mjpeg", sound=codec, sound_rate=22050)
    done = subprocess.run(
        [sys.executable, "-c", COPY_EVERYTHING, str(source), str(tmp_path / "out.avi")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), str(ROOT)])},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    (sound,) = streams(tmp_path / "out.avi", "audio")
    assert sound["codec_name"] == codec
    *_, last = times(tmp_path / "out.avi", "a:0")
    assert ("in the written file instead of 4.0" in done.stdout) == (last > 5)


def test_one_sound_is_what_flash_video_has_room_for(tmp_path: Path) -> None:
    warnings, written = convert(rich_matroska(tmp_path / "in.mkv"), tmp_path / "out.flv")
    assert written.audio_codecs == ("aac",)
    assert any("supports only one audio stream: the sound of stream 2" in each for each in warnings)
    assert len(streams(tmp_path / "out.flv", "audio")) == 1
