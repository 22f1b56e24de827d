"""Standard input and pipes: a file behind it is read by seeking, an MP4 with its index behind is refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from media_clips import make_clip

from streamtoon.errors import InputError
from streamtoon.media import VideoReader
from streamtoon.media.reader.pipe import ForwardPipe, is_seekable

FAST = {"movflags": "+faststart"}


class _Pipe:
    """Bytes that come once, in small pieces."""

    name = "a pipe"

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 777) if size >= 0 else 777)


@pytest.mark.parametrize(
    ("name", "options", "readable"),
    [
        ("a.mp4", {}, False),
        ("a.mov", {}, False),
        ("a.mp4", FAST, True),
        ("a.mov", FAST, True),
        ("a.mp4", {"movflags": "+frag_keyframe+empty_moov"}, True),
        ("a.mkv", {}, True),
        ("a.ts", {}, True),
    ],
)
def test_a_pipe_gives_all_or_says_why_not(
    name: str, options: dict[str, str], readable: bool, tmp_path: Path
) -> None:
    data = make_clip(tmp_path / name, container_options=options).read_bytes()
    if readable:
        with VideoReader(_Pipe(data)) as source:  # type: ignore[arg-type]
            assert len(list(source.frames())) == 25
    else:
        with pytest.raises(InputError, match="index at the end"):
            VideoReader(_Pipe(data))  # type: ignore[arg-type]


def test_boxes_of_any_length_are_followed() -> None:
    """ISO/IEC 14496-12, 4.2: a length of 1 is followed by one of 64 bits."""
    front = struct.pack(">I4s8x", 16, b"ftyp") + struct.pack(">I4sQ", 1, b"free", 16 + 5000) + bytes(5000)
    data = front + struct.pack(">I4s", 100, b"moov") + bytes(92) + struct.pack(">I4s", 100, b"mdat")
    reader = ForwardPipe(_Pipe(data), "it")
    while reader.read(100):
        pass
    late = ForwardPipe(_Pipe(front + struct.pack(">I4s8x", 100, b"mdat")), "it")
    with pytest.raises(InputError, match="index at the end"):
        list(iter(lambda: late.read(100), b""))


@pytest.mark.parametrize(("data", "said"), [(b"", "is empty"), (b"hello\n", "not a video in a")])
def test_what_is_no_video_gets_no_advice_on_mp4(data: bytes, said: str) -> None:
    for file in (_Pipe(data), io.BytesIO(data)):
        with pytest.raises(InputError, match=said) as caught:
            VideoReader(file)  # type: ignore[arg-type]
        assert "MP4" not in str(caught.value)


def test_only_an_unread_file_is_seekable(tmp_path: Path) -> None:
    file = io.BytesIO(b"abc")
    assert is_seekable(file)
    file.read(1)
    assert not is_seekable(file)
    assert not is_seekable(_Pipe(b""))
