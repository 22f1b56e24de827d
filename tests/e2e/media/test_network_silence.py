"""Servers that fall silent, declare lengths that are none, or take no publication."""

from __future__ import annotations

import io
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from media_clips import make_clip
from network_senders import sender
from refusing_servers import refusing
from rtsp_server import RtspServer
from stream_parts import FFMPEG, count_and_beep, end, free_port, needs_ffmpeg
from tcp_server import hang_up_after, listening

from streamtoon.errors import OutputError
from streamtoon.media.network.sink import Coding, NetworkSink
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import StreamTarget
from streamtoon.media.packets import Passthrough

pytestmark = pytest.mark.realtime

SHORT = 5.0
"""Seconds of silence that the tests wait for, in place of ten."""
RATE = 25


@contextmanager
def rtsp(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    with RtspServer(count_and_beep(folder / "clip.mp4", 2), folder) as server:

        def silence() -> None:
            assert server._ffmpeg is not None
            stopped.append(server._ffmpeg)  # another one serves the next connection
            server._ffmpeg.send_signal(signal.SIGSTOP)

        stopped: list[subprocess.Popen[bytes]] = []
        try:
            yield f"rtsp://127.0.0.1:{server.port}/live", silence
        finally:
            for sending in stopped:
                sending.send_signal(signal.SIGCONT)
                end(sending)


@contextmanager
def udp(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    clip = make_clip(folder / "clip.ts", pts=[512 * n for n in range(2 * RATE)], options={"g": "5"})
    with sender(clip.read_bytes()) as (url, ended):
        yield url, ended.set


@contextmanager
def rtmp(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    clip, url = count_and_beep(folder / "clip.mp4", 2), f"rtmp://127.0.0.1:{free_port()}/live/x"
    send = ["-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "flv", "-listen", "1", url]
    with subprocess.Popen([FFMPEG or "", "-nostdin", "-v", "error", *send]) as server:
        try:
            yield url, lambda: server.send_signal(signal.SIGSTOP)
        finally:
            server.send_signal(signal.SIGCONT)
            end(server)


@needs_ffmpeg
@pytest.mark.parametrize("protocol", [rtsp, udp, rtmp])
def test_silence_is_noticed_in_the_time_that_is_promised(
    protocol: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamtoon.media.network.connection.SOURCE_TIMEOUT_S", SHORT)
    told: list[float] = []

    def tell(said: str) -> None:
        if "was lost" in said:
            told.append(time.monotonic())

    pictures: list[tuple[float, float]] = []  # when they came, and their times
    with (
        protocol(tmp_path) as (url, silence),
        NetworkSource(url, latency=0.2, retry=True, give_up=240, tell=tell) as source,
    ):
        since = 0.0
        for item in source:
            if isinstance(item, Passthrough):
                continue
            pictures.append((time.monotonic(), float(item.pts * item.time_base)))
            if len(pictures) == RATE:
                silence()
                since = time.monotonic()
            if told and time.monotonic() - told[0] > 1.5:
                break
        source.stop()
    assert 1 < told[0] - since < 2 * SHORT - 0.5, "FFmpeg's RTSP by itself takes twice as long"
    came = [at for at, _ in pictures if at > since - 0.5]
    gaps = [b - a for a, b in pairwise(came)]
    assert max(gaps) < SHORT - 0.5, "the last picture is repeated before the loss is known"
    times = [each for _, each in pictures]
    assert all(b > a for a, b in pairwise(times))


def flv(folder: Path, seconds: int, says: float = 0) -> bytes:
    """One whose head declares its own length, or another one, as a publisher's onMetaData does."""
    clip = make_clip(folder / "clip.flv", pts=[512 * n for n in range(RATE * seconds)], options={"bf": "0"})
    content, name = clip.read_bytes(), b"\0\x08duration\0"  # after which a double stands
    place = content.index(name) + len(name)
    content = content[:place] + struct.pack(">d", says or seconds) + content[place + 8 :]
    with av.open(io.BytesIO(content), "r") as declared:
        assert declared.duration == pytest.approx((says or seconds) * 1_000_000, abs=100_000)
    return content


@contextmanager
def web(content: bytes, *, says_length: bool) -> Iterator[tuple[str, list[int]]]:
    """An HTTP server that sends it once for each connection; the connections so far."""
    length = f"Content-Length: {len(content)}\r\n" if says_length else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n{length}Connection: close\r\n\r\n".encode()
    connections: list[int] = []

    def serve(client: socket.socket) -> None:
        connections.append(1)
        hang_up_after(client, head + content)

    with listening(serve) as port:
        yield f"http://127.0.0.1:{port}/live.flv", connections


@pytest.mark.parametrize(("says_length", "declared"), [(True, 10), (False, 10), (False, 20), (False, 3)])
def test_a_length_that_a_publisher_declares_over_http_is_the_end_of_what_ends_there(
    says_length: bool, declared: float, tmp_path: Path
) -> None:
    """A file ends with its bytes, a film at its length; what is longer or shorter was live, and is away."""
    told: list[str] = []
    with (
        web(flv(tmp_path, 10, declared), says_length=says_length) as (url, connections),
        NetworkSource(url, latency=0.2, tell=told.append) as source,
    ):
        number = 0
        for item in source:
            number += not isinstance(item, Passthrough)
            if source.reconnects:
                break
        source.stop()
    if says_length or declared == 10:
        assert (number, told, source.reconnects) == (10 * RATE, [], 0)
    else:
        assert told[0] == f"The connection to {url} was lost. Reconnecting."
        assert len(connections) >= 2


@needs_ffmpeg
@pytest.mark.parametrize("is_film", [True, False])
def test_an_rtmp_stream_that_is_not_over_at_its_declared_length_is_waited_for(
    is_film: bool, tmp_path: Path
) -> None:
    clip, url = tmp_path / "clip.flv", f"rtmp://127.0.0.1:{free_port()}/live/x"
    clip.write_bytes(flv(tmp_path, 6, 6 if is_film else 3))
    # As it is: FFmpeg's own FLV would declare nothing.
    send = ["-f", "data", "-i", str(clip), "-map", "0", "-c", "copy", "-f", "data", "-listen", "1", url]
    told: list[str] = []
    with subprocess.Popen([FFMPEG or "", "-nostdin", "-v", "error", *send]) as server:
        try:
            with NetworkSource(url, latency=0.2, give_up=10.0, retry=True, tell=told.append) as source:
                number = sum(not isinstance(item, Passthrough) for item in source)
        finally:
            end(server)
    lost = f"The connection to {url.removesuffix('x')}*** was lost. Reconnecting."
    assert number > 0
    assert source.reconnects == 0
    if is_film:
        assert lost not in told and source.warnings == []
    else:
        assert lost in told and "Gave up" in source.warnings[-1]


REFUSED = {
    "rtmp-status": "it refuses access; the stream key may be wrong, or it is already in use",
    "rtmp-silent": "it closed the connection without taking the stream; "
    "the stream key may be wrong, or it is already in use",
    "rtsp-403": "it refuses access (403)",
    "rtsp-401": "it requires a valid user name and password in the address (401)",
    "rtsp-406": "it rejects the request",
    "http-403": "it refuses access (403)",
    "http-401": "it requires a valid user name and password in the address (401)",
    "http-409": "it rejects the request",
}


@pytest.mark.parametrize("way", REFUSED)
@pytest.mark.parametrize("retry", [False, True])
def test_a_refused_publication_is_told_as_such(way: str, retry: bool, tmp_path: Path) -> None:
    if way.startswith("http"):
        pytest.importorskip("cryptography")
    clip = make_clip(tmp_path / "clip.mp4", pts=[512 * n for n in range(4 * RATE)], audio=None)
    told: list[str] = []

    def publish(source: NetworkSource, url: str) -> None:
        target = StreamTarget(url, source=None, overwrite=False)
        sink = NetworkSink(target, source, Coding(None, 1), retry=retry, tell=told.append)
        try:
            for item in source:
                sink.write(item)
                if told:
                    return
        finally:
            sink.abandon()

    with refusing(way) as url, NetworkSource(str(clip), latency=0.5) as source:
        try:
            publish(source, url)
        except OutputError as error:
            told.append(str(error))
    name = url.replace("/x", "/***") if way.startswith("rtmp") else url
    assert told[0] == f"{name} cannot be written: {REFUSED[way]}.{' Waiting for it.' if retry else ''}"
