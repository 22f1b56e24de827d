"""A file in which little moves: the network sees a part of most frames, and the output is the same."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from fields_styles import LOOK, save_network
from skimage import data

pytest.importorskip("nncf", reason="the extra `train` is not installed")

from engines import strips
from engines.imaging.field_blocks import Blocks
from engines.quantization.nncf_ptq import quantize_style
from engines.strips import Strips
from streamtoon import Cartoonizer

FRAMES = 24


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise that stands still above a line that changes, without loss."""
    target = tmp_path_factory.mktemp("clips") / "screen.mkv"
    dice = np.random.default_rng(0)
    planes = dice.integers(16, 236, (240 * 3 // 2, 64), np.uint8)
    with av.open(str(target), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 240, "yuv420p"
        for number in range(FRAMES):
            planes[230:236] = dice.integers(16, 236, (6, 64), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes.copy(), format="yuv420p")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return target


def frames(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def test_the_report_counts_frames_of_which_a_part_was_drawn(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    style = quantize_style(save_network(tmp_path / "style", look=LOOK), [np.asarray(data.coffee())])
    start_opening = Strips.start_opening

    def open_now(self: Strips, height: int, samples: Blocks, fields: Blocks) -> None:
        start_opening(self, height, samples, fields)
        assert self._opener is not None
        self._opener.join()

    monkeypatch.setattr(Strips, "start_opening", open_now)
    reports = []
    for name, after in (("parts.mkv", 3), ("whole.mkv", 10**9)):
        monkeypatch.setattr(strips, "OPEN_AFTER", after)
        with Cartoonizer(style.folder, quality="full") as cartoonizer:
            reports.append(cartoonizer.video(clip, tmp_path / name, codec="ffv1"))
    parts, whole = reports
    assert parts.frames_out == whole.frames_out == FRAMES
    assert FRAMES // 2 <= parts.partly_reused < FRAMES
    assert parts.as_dict()["partly_reused"] == parts.partly_reused
    assert whole.partly_reused == parts.reused == whole.reused == 0
    assert frames(tmp_path / "parts.mkv") == frames(tmp_path / "whole.mkv")
