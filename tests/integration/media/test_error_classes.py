"""Errors that callers can tell apart: each class is raised by its real condition."""

from __future__ import annotations

import http.server
import os
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from media_clips import make_clip
from PIL import Image
from stream_parts import free_port
from tcp_server import listening

import streamtoon
from streamtoon import (
    ConnectionLostError,
    CorruptInputError,
    DiskFullError,
    InputError,
    OutputError,
    UnsupportedFormatError,
)
from streamtoon.images.reader import read_photo
from streamtoon.media import VideoReader, VideoWriter
from streamtoon.media.network.sink import Coding, NetworkSink
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import StreamTarget


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4")


def test_all_are_exported() -> None:
    names = {"ConnectionLostError", "CorruptInputError", "DiskFullError", "UnsupportedFormatError"}
    assert names | {"OutOfMemoryError", "UnfinishedError"} <= set(streamtoon.__all__)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi"])
def test_a_truncated_video_is_corrupt(ending: str, tmp_path: Path) -> None:
    path = make_clip(tmp_path / f"whole{ending}", audio=None)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(CorruptInputError):
        VideoReader(path)


def test_an_empty_video_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(CorruptInputError):
        VideoReader(tmp_path / "empty.mp4")


def test_damage_within_a_video_is_corrupt_if_it_stops_there(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "damaged.mkv", audio=None)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = os.urandom(400)
    path.write_bytes(data)
    with VideoReader(path, on_error="stop") as source, pytest.raises(CorruptInputError):
        list(source)


def test_a_truncated_image_is_corrupt(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "photo.jpg")
    (tmp_path / "photo.jpg").write_bytes((tmp_path / "photo.jpg").read_bytes()[:700])
    with pytest.raises(CorruptInputError):
        read_photo(tmp_path / "photo.jpg")


def test_text_playlists_and_sound_are_unsupported_videos(tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("a letter to a friend\n" * 50)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    for name in ("letter.mp4", "list.m3u8", "sound.wav"):
        with pytest.raises(UnsupportedFormatError):
            VideoReader(tmp_path / name)


def test_text_is_an_unsupported_image(tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("a letter to a friend\n" * 50)
    with pytest.raises(UnsupportedFormatError):
        read_photo(tmp_path / "letter.png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full (Linux)")
def test_a_full_disk(clip: Path) -> None:
    def fill() -> None:
        with (
            open("/dev/full", "wb", buffering=0) as full,  # noqa: PTH123 (a device, unbuffered)
            VideoReader(clip) as source,
            VideoWriter(full, source) as sink,
        ):
            for item in source:
                sink.write(item)

    with pytest.raises(DiskFullError):
        fill()


@contextmanager
def web_server_with_nothing() -> Iterator[str]:
    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/film.ts"
        server.shutdown()


def test_a_source_without_a_server_is_a_lost_connection() -> None:
    with pytest.raises(ConnectionLostError) as caught:
        NetworkSource(f"rtsp://127.0.0.1:{free_port()}/live", latency=0)
    assert isinstance(caught.value, InputError) and not isinstance(caught.value, OutputError)


def test_a_server_that_hangs_up_is_a_lost_connection() -> None:
    with listening(lambda client: client.close()) as port, pytest.raises(ConnectionLostError):
        NetworkSource(f"rtmp://127.0.0.1:{port}/live/x", latency=0)


def test_a_server_without_the_file_is_no_lost_connection() -> None:
    with web_server_with_nothing() as url, pytest.raises(InputError) as caught:
        NetworkSource(url, latency=0)
    assert not isinstance(caught.value, ConnectionLostError)


def test_a_target_without_a_server_is_a_lost_connection(clip: Path) -> None:
    target = StreamTarget(f"rtmp://127.0.0.1:{free_port()}/live/x", source=None, overwrite=False)

    def publish(source: NetworkSource) -> None:
        sink = NetworkSink(target, source, Coding(None, 1), retry=False, tell=print)
        try:
            for item in source:
                sink.write(item)
        finally:
            sink.close()

    with NetworkSource(str(clip), latency=0) as source, pytest.raises(ConnectionLostError) as caught:
        publish(source)
    assert isinstance(caught.value, OutputError) and not isinstance(caught.value, InputError)
