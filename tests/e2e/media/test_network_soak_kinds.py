"""Sources of every kind that are lost again and again: nothing adds up.

STREAMTOON_SOAK_ROUNDS=200 says how often; memory counts from 100 on, for caches fill at first.
"""

from __future__ import annotations

import http.server
import itertools
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

import av
import pytest
from network_soak import Watch, clip_as, follow
from stream_parts import free_port
from tcp_server import listening

from streamtoon.live import camera as live_camera
from streamtoon.live.stream_session import CameraSource
from streamtoon.media.devices.capture import open_capture
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.urls import BackOff

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
ROUNDS = int(os.environ.get("STREAMTOON_SOAK_ROUNDS", "10"))
SILENCE = 0.4
"""Seconds after which what is silent counts as lost."""
Server = Callable[[Path, threading.Event], AbstractContextManager[str]]
"""An address that is lost again and again. The event is clear while a server that never hangs up is to be
silent."""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets are due as soon as they are there, and what is lost is tried again at once."""
    monkeypatch.setattr(NetworkSource, "_pace", lambda *_: monotonic())
    monkeypatch.setattr(BackOff, "LONGEST", 0.01)
    monkeypatch.setattr(live_camera, "RETRY_INTERVAL_S", 0.01)


def rtp_packets(clip: Path) -> list[bytes]:
    """Pictures as RTP, each unit of H.264 in a packet of its own (RFC 3550, 5.1; RFC 6184, 5.6)."""
    found: list[bytes] = []
    with av.open(str(clip)) as file:
        for packet in file.demux(video=0):
            units = [unit.rstrip(b"\0") for unit in bytes(packet).split(b"\0\0\1")]
            units = [unit for unit in units if unit and unit[0] & 31 != 9]  # but delimiters
            for place, unit in enumerate(units, 1):
                marker = 128 * (place == len(units))
                stamp = round(Fraction(packet.pts or 0) * packet.time_base * 90_000)
                found.append(struct.pack(">BBHII", 128, 96 | marker, len(found), stamp, 7) + unit)
    return found


SDP = """v=0\r
o=- 0 0 IN IP4 127.0.0.1\r
s=camera\r
t=0 0\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1\r
a=control:track0\r
"""


@contextmanager
def rtsp(folder: Path, _: threading.Event) -> Iterator[str]:
    """Sends a clip over the connection that it is asked on, and hangs up (RFC 2326, 10.12)."""
    packets = rtp_packets(clip_as("ts", folder)[0])

    def serve(client: socket.socket) -> None:
        with client.makefile("rwb") as talk:
            while request := talk.readline().decode().split():
                headers: dict[str, str] = {}
                while line := talk.readline().decode().strip():
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                method, body, extra = request[0], "", "Session: 1\r\n"
                if method == "DESCRIBE":
                    body, extra = SDP, f"Content-Type: application/sdp\r\nContent-Base: {request[1]}/\r\n"
                elif method == "SETUP":
                    extra += f"Transport: {headers['transport']}\r\n"
                head = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{extra}Content-Length: {len(body)}"
                talk.write(f"{head}\r\n\r\n{body}".encode())
                if method == "PLAY":
                    for packet in packets:
                        talk.write(b"$\0" + len(packet).to_bytes(2, "big") + packet)
                    return
                talk.flush()

    with listening(serve, timeout_s=10) as port:
        yield f"rtsp://127.0.0.1:{port}/live"


@contextmanager
def hls(folder: Path, _: threading.Event) -> Iterator[str]:
    """A playlist that is there every other time it is asked for, and names nothing new."""
    clip = clip_as("ts", folder)[0].read_bytes()
    asked = itertools.count()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_list = self.path.endswith("m3u8")
            if is_list and next(asked) % 2:
                self.send_error(404)
                return
            body = PLAYLIST.encode() if is_list else clip
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/live.m3u8"
        server.shutdown()


PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:0.4,\na.ts\n"


@contextmanager
def udp(folder: Path, sends: threading.Event) -> Iterator[str]:
    """Sends a clip over and over, and falls silent when it is to."""
    clip, port, ended = clip_as("ts", folder)[0].read_bytes(), free_port(socket.SOCK_DGRAM), threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for place in itertools.cycle(range(0, len(clip), 1316)):
                while not sends.wait(0.1) and not ended.is_set():
                    pass
                if ended.wait(0.002):
                    return
                out.sendto(clip[place : place + 1316], ("127.0.0.1", port))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield f"udp://127.0.0.1:{port}"
    finally:
        ended.set()
        thread.join()


@contextmanager
def rtmp(folder: Path, _: threading.Event) -> Iterator[str]:
    """FFmpeg as a server that sends a clip to whoever comes, hangs up, and listens again."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("needs ffmpeg, which is the server")
    url = f"rtmp://127.0.0.1:{free_port()}/live/a"
    command = [ffmpeg, "-v", "quiet", "-i", str(clip_as("ts", folder)[0]), "-c", "copy", "-f", "flv"]
    running: list[subprocess.Popen[bytes]] = []
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            running[:] = [subprocess.Popen([*command, "-listen", "1", url], stdin=subprocess.DEVNULL)]
            running[0].wait()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield url
    finally:
        ended.set()
        while thread.is_alive():
            for process in running:
                process.kill()
            thread.join(0.1)


@pytest.mark.parametrize("kind", [rtsp, hls, udp, rtmp])
def test_a_server_that_is_lost_again_and_again(
    kind: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind is udp:  # nobody hangs up: silence is how it is lost
        monkeypatch.setattr("streamtoon.media.network.connection.SOURCE_TIMEOUT_S", SILENCE)
    sends = threading.Event()
    sends.set()

    def tell(said: str) -> None:
        if "was lost" in said:
            sends.set()

    with kind(tmp_path, sends) as url, NetworkSource(url, latency=0.5, retry=True, tell=tell) as source:
        seen = -1

        def is_new(_: int) -> bool:
            nonlocal seen
            if source.reconnects == seen:
                return False
            seen = source.reconnects
            sends.clear()
            return True

        watch = follow(source, is_new, ROUNDS)
        assert source.reconnects >= ROUNDS - 1
        sends.set()
    judge(watch)


def test_a_camera_that_is_pulled_out_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = 0

    def count(*arguments: Any) -> Any:
        nonlocal opened
        opened += 1
        return open_capture(*arguments)

    monkeypatch.setattr(live_camera, "open_capture", count)
    source = CameraSource("lavfi:testsrc2=size=64x48:rate=50:duration=0.2")
    watch, seen = Watch(), 0
    try:
        for _ in source:
            if opened > seen:
                seen = opened
                watch.look()
            if len(watch.files) == ROUNDS:
                break
    finally:
        source.close()
    judge(watch)


def judge(watch: Watch) -> None:
    assert len(watch.files) == ROUNDS
    print(  # noqa: T201 (what a long run is for)
        f"files {watch.files[2]} to {watch.files[-1]}, threads {watch.threads[2]} to {watch.threads[-1]}, "
        f"memory {watch.memory[2]:.0f} to {watch.memory[-1]:.0f} MB"
    )
    watch.require_flat()
