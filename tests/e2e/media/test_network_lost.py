"""Ends that are there and give nothing, or take nothing: no picture comes, no server does."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest
from media_clips import make_clip
from network_senders import SECONDS, mute, sender
from stream_parts import HANG, free_port

from streamtoon.errors import InputError
from streamtoon.live.stream_session import open_source
from streamtoon.media.network.sink import Coding, NetworkSink
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import StreamTarget
from streamtoon.media.packets import Passthrough

pytestmark = pytest.mark.realtime


def without_key(folder: Path) -> bytes:
    """A transport stream whose head is known, and of whose pictures none can be decoded: no key is there."""
    clip = make_clip(
        folder / "clip.ts",
        pts=[512 * n for n in range(25 * SECONDS)],
        options={"g": "1000", "bf": "0", "sc_threshold": "0"},
        audio=None,
    )
    out = io.BytesIO()
    with av.open(str(clip)) as source, av.open(out, "w", format="mpegts") as target:
        pictures = [packet for packet in source.demux(video=0) if packet.size]
        stream: Any = target.add_stream_from_template(source.streams.video[0])
        units = bytes(pictures[0]).split(b"\0\0\1")
        head = b"".join(b"\0\0\0\1" + unit.rstrip(b"\0") for unit in units if unit and unit[0] & 31 in (7, 8))
        assert not any(packet.is_keyframe for packet in pictures[1:])
        for packet in pictures[1:]:
            bare: Any = av.Packet(head + bytes(packet))
            bare.pts, bare.dts, bare.time_base = packet.pts, packet.dts, packet.time_base
            bare.stream = stream
            target.mux(bare)
    return out.getvalue()


NO_PICTURE = """
import sys
from streamtoon.errors import InputError
from streamtoon.media.network import source as network_source

network_source.FIRST_FRAME_TIMEOUT_S = 0.5
retry = sys.argv[2] == "retry"
try:
    network_source.NetworkSource(sys.argv[1], latency=0, retry=retry, give_up=12, tell=print)
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("how", ["once", "retry"])
def test_a_source_without_a_picture_that_can_be_decoded(how: str, tmp_path: Path) -> None:
    """In a process of its own: what is closed while it is read ends a process, not only a test."""
    with sender(without_key(tmp_path)) as (url, _):
        command = [sys.executable, "-c", NO_PICTURE, url, how]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    said = f"{url} sent no frame that can be decoded."
    waited = [f"{said} Waiting for it.", f"{said} Gave up after 12 seconds."]
    assert done.stdout.splitlines() == ([said] if how == "once" else waited)


def test_who_never_comes_is_given_up() -> None:
    told: list[str] = []
    url = f"rtmp://127.0.0.1:{free_port()}/live/x"
    with pytest.raises(InputError) as caught:
        NetworkSource(url, latency=0, retry=True, give_up=3, tell=told.append)
    said = f"{url.replace('/x', '/***')} cannot be opened: connection refused."
    assert told == [f"{said} Waiting for it."]
    assert str(caught.value) == f"{said} Gave up after 3 seconds."


def test_who_goes_away_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamtoon.media.network.connection.SOURCE_TIMEOUT_S", 1.0)
    clip = make_clip(
        tmp_path / "clip.ts", pts=[512 * n for n in range(25 * SECONDS)], options={"g": "5"}, audio=None
    )
    told: list[str] = []
    with (
        sender(clip.read_bytes()) as (url, ended),
        NetworkSource(url, latency=0, give_up=0.5, tell=told.append) as source,
    ):
        pictures = []
        for item in source:
            assert not isinstance(item, Passthrough)
            pictures.append(item.pts)
            ended.set()
    assert pictures == sorted(set(pictures))
    assert told[0] == f"The connection to {url} was lost. Reconnecting."
    assert source.warnings == [f"{url} was away for 0.5 seconds. Gave up."]
    assert source.reconnects == 0


@pytest.mark.parametrize("place", ["camera", "file", "address"])
def test_options_that_would_do_nothing_are_refused(place: str, tmp_path: Path) -> None:
    given = {
        "camera": "lavfi:testsrc2=size=64x48:rate=25",
        "file": str(make_clip(tmp_path / "clip.mp4")),
        "address": f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}",
    }[place]
    refused: dict[str, dict[str, Any]] = {
        "camera": {"latency": 0.5, "loop": True, "give_up": 1.0},
        "file": {"give_up": 1.0},
        "address": {"loop": True},
    }
    for name, value in refused[place].items():
        options: dict[str, Any] = {"latency": None, "loop": False, "give_up": None, name: value}
        with pytest.raises(InputError) as caught:
            open_source(given, **options, retry=False, insecure=False, tell=print)
        assert str(caught.value).startswith(f"--{name.replace('_', '-')} is for ")


@pytest.mark.parametrize("is_mute", [False, True])
def test_a_server_that_never_comes_is_never_back(is_mute: bool, tmp_path: Path) -> None:
    """FFmpeg connects while it is written to: an output that opens is no connection yet."""
    clip = make_clip(tmp_path / "clip.mp4", pts=[512 * n for n in range(25 * 5)])
    told: list[str] = []
    states = set()
    with mute() as mute_port, NetworkSource(str(clip), latency=0) as source:
        port = mute_port if is_mute else free_port()
        url = f"rtmp://127.0.0.1:{port}/live/x"
        target = StreamTarget(url, source=None, overwrite=False)
        sink = NetworkSink(target, source, Coding(None, 1), retry=True, tell=told.append)
        for item in source:
            sink.write(item)
            states.add(sink.is_connected)
            if told:
                assert not sink.is_connected
        sink.abandon()
    assert sink.reconnects == 0
    assert not any("Reconnected to" in said or " is there" in said for said in told)
    assert len(told) == len(set(told)) <= 2, "each reason once"
    assert all(said.endswith(" Waiting for it.") for said in told)
    assert sink.frames == 0
    assert sink.lost == 25 * 5
