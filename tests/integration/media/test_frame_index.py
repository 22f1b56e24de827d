"""Every frame at which a segment may begin is reached by a seek, and is the one that reading on gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_clips import make_clip

from streamtoon.media import VideoReader
from streamtoon.media.reader.frame_index import index_frames

CODINGS: dict[str, dict[str, str]] = {
    "libx264": {"g": "17", "bf": "3"},
    "libx264 open": {"g": "17", "bf": "3", "x264-params": "open-gop=1"},
    "libx265": {"x265-params": "keyint=17:bframes=3:log-level=error"},
    "mpeg4": {"g": "17", "bf": "2"},
    "libvpx-vp9": {"g": "17"},
}


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_seek_to_any_frame_of_the_index_gives_that_frame(coding: str, ending: str, tmp_path: Path) -> None:
    codec = coding.partition(" ")[0]
    if (codec, ending) == ("libvpx-vp9", ".ts"):
        pytest.skip("a transport stream does not hold VP9")
    clip = make_clip(
        tmp_path / f"clip{ending}", codec=codec, options=CODINGS[coding], pts=[512 * n for n in range(60)]
    )
    with VideoReader(clip) as source:
        index = index_frames(source, None)
        frames = [(frame.pts, frame.is_key, frame.check()) for frame in source.frames()]
    if index is None:
        assert ending == ".ts", "only a broadcast has no index"
        return
    assert ending != ".ts"
    assert index == [frame[:2] for frame in frames]
    for number in (17, 18, 30, 34, 51, 59):
        pts, _, check = frames[number]
        with VideoReader(clip) as source:
            assert source.skip_to(number, pts, None)
            assert [frame.check() for frame in source.frames()] == [frame[2] for frame in frames[number:]]
        assert check == frames[number][2]
