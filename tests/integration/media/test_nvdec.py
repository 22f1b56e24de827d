"""Decoding on an NVIDIA GPU: the same pictures, or one sentence; and NV12, in which they come."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec import Codec
from av.codec.hwaccel import HWDeviceType
from media_clips import make_clip

from engines.common.nvidia import has_driver
from streamtoon import Cartoonizer
from streamtoon.errors import EngineError
from streamtoon.media import VideoReader
from streamtoon.media.reader import nvdec, nvdec_selftest
from streamtoon.subprocesses import command, environment

without_gpu = pytest.mark.skipif(has_driver(), reason="there is an NVIDIA driver here")
with_gpu = pytest.mark.skipif(not has_driver(), reason="there is no NVIDIA driver here")


@pytest.mark.parametrize("size", [(64, 48), (70, 50), (126, 94)])
def test_nv12_is_taken_as_it_is(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    clip = make_clip(tmp_path / "in.nut", codec="rawvideo", pixel_format="nv12", size=size, audio=None)
    with av.open(str(clip)) as file:
        expected = [frame.to_ndarray() for frame in file.decode(video=0)]
    with VideoReader(clip) as source:
        pictures = list(source.frames())
        assert source.can_seek  # nothing is filtered, so a run that was stopped goes on by seeking
    assert len(pictures) == len(expected) == 25
    for picture, packed in zip(pictures, expected, strict=True):
        chroma = packed[height:].reshape(height // 2, width // 2, 2)
        assert np.array_equal(picture.y, packed[:height])
        assert np.array_equal(picture.u, chroma[..., 0])
        assert np.array_equal(picture.v, chroma[..., 1])


@pytest.mark.parametrize("codec", nvdec.CODECS)
def test_the_clip_that_proves_a_decoder_is_one(codec: str) -> None:
    data = nvdec_selftest.clip(codec)
    drawn = nvdec_selftest.decoded_frames(data, None)
    assert len(drawn) == nvdec_selftest.FRAME_COUNT and len(set(drawn)) == nvdec_selftest.FRAME_COUNT
    assert all(len(samples) == nvdec_selftest.WIDTH * nvdec_selftest.HEIGHT * 3 // 2 for samples in drawn)
    # FFmpeg knows a way to decode it with CUDA, whether or not there is a GPU here.
    ways = Codec(codec, "r").hardware_configs
    assert any(way.device_type == HWDeviceType.cuda and way.is_supported for way in ways)


def test_ten_bits_off_the_gpu_are_those_of_the_processor() -> None:
    """P010 holds ten bits at the top of sixteen, U and V in turns; FFmpeg's own layout is the reference."""
    clip = nvdec_selftest.clip("hevc", nvdec.TEN_BIT_FORMAT)
    with av.open(io.BytesIO(clip), "r") as file:
        frames = list(file.decode(video=0))
    assert frames[0].format.name == nvdec.TEN_BIT_FORMAT
    for number, frame in enumerate(frames):
        planes = [
            np.frombuffer(memoryview(p), "<u2").reshape(p.height, -1)[:, : p.width] for p in frame.planes
        ]
        packed = av.VideoFrame(frame.width, frame.height, "p010le")
        packed.pts, packed.colorspace, packed.color_trc = number, 9, 16
        packed.planes[0].update((planes[0] << 6).tobytes())
        packed.planes[1].update((np.stack(planes[1:], -1) << 6).tobytes())
        given = nvdec.to_planar(packed)
        assert (given.pts, given.colorspace, given.color_trc) == (number, 9, 16)
        for ours, plane in zip(given.planes, planes, strict=True):
            rows = np.frombuffer(memoryview(ours), "<u2").reshape(ours.height, -1)
            assert np.array_equal(rows[:, : ours.width], plane)
    assert nvdec.to_planar(frames[0]) is frames[0]


def test_the_proof_runs_by_itself_and_prints_only_its_answer() -> None:
    """A child that fails counts as no GPU, which would hide that it cannot even start."""
    asked = [*command("streamtoon.media.reader.nvdec_selftest")]
    asked[1:1] = ["-W", "error"]
    done = subprocess.run(asked, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(json.loads(done.stdout)) == set(nvdec.CODECS) == set(nvdec_selftest.ENCODERS)


@without_gpu
def test_without_a_gpu_one_sentence_says_so_and_nothing_is_written(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", pts=[0])
    before = sorted(tmp_path.iterdir())
    with (
        Cartoonizer() as cartoonize,
        pytest.raises(EngineError, match=r"NVDEC is not available.*--decoder cpu"),
    ):
        cartoonize.video(clip, tmp_path / "out.mp4", decoder="nvdec")
    assert sorted(tmp_path.iterdir()) == before
    assert nvdec_selftest.verified_codecs() == dict.fromkeys(nvdec.CODECS, False)


def test_what_hides_damage_is_not_combined_with_stopping_at_it(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", pts=[0])
    with Cartoonizer() as cartoonize, pytest.raises(ValueError, match="does not report all damage"):
        cartoonize.video(clip, tmp_path / "out.mp4", decoder="nvdec", on_error="stop")
    with Cartoonizer() as cartoonize, pytest.raises(ValueError, match="expected one of cpu, nvdec"):
        cartoonize.video(clip, tmp_path / "out.mp4", decoder="cuvid")  # type: ignore[arg-type]


@pytest.mark.gpu
@with_gpu
def test_the_gpu_proves_itself() -> None:
    assert nvdec_selftest.verified_codecs() == dict.fromkeys(nvdec.CODECS, True)


@pytest.mark.gpu
@with_gpu
@pytest.mark.parametrize(("codec", "pixel_format"), [("libx264", "yuv420p"), ("libx265", "yuv420p10le")])
def test_the_gpu_gives_the_processors_pictures(tmp_path: Path, codec: str, pixel_format: str) -> None:
    asked: dict[str, Any] = {"codec": codec, "pixel_format": pixel_format, "tags": (1, 1, 1, 1)}
    clip = make_clip(tmp_path / "in.mp4", size=(320, 240), rotation=90, **asked)
    with VideoReader(clip) as cpu, VideoReader(clip, decoder="nvdec") as gpu:
        pairs = list(zip(cpu.frames(), gpu.frames(), strict=True))
        assert gpu.warnings == cpu.warnings and gpu.info.rotation == cpu.info.rotation
    for one, other in pairs:
        assert (one.pts, one.duration, one.color, one.is_key) == (
            other.pts,
            other.duration,
            other.color,
            other.is_key,
        )
        assert one.check() == other.check()


@pytest.mark.gpu
@with_gpu
@pytest.mark.parametrize(
    ("codec", "pixel_format", "size"),
    [
        ("libx264", "yuv444p", (320, 240)),
        ("libx265", "yuv444p", (320, 240)),
        ("libvpx-vp9", "yuv420p", (321, 241)),
        ("ffv1", "yuv420p", (320, 240)),
    ],
)
def test_what_the_gpu_does_not_decode_the_processor_does(
    tmp_path: Path, codec: str, pixel_format: str, size: tuple[int, int]
) -> None:
    clip = make_clip(tmp_path / "in.mkv", codec=codec, pixel_format=pixel_format, size=size, audio=None)
    with VideoReader(clip) as cpu, VideoReader(clip, decoder="nvdec") as gpu:
        assert [p.check() for p in cpu.frames()] == [p.check() for p in gpu.frames()]
        assert any("NVDEC does not support this video" in said for said in gpu.warnings)
