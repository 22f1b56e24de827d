"""Sources that begin again and again, and targets that are lost again and again: nothing adds up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

import av
import pytest
from network_senders import mute
from network_soak import Watch, clip_as, follow, open_files
from tcp_server import hang_up_after, listening

from streamtoon.media.network.position import MAX_STEP_S, Position
from streamtoon.media.network.sink import Coding, NetworkSink
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import StreamTarget
from streamtoon.media.network.urls import BackOff

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
ROUNDS = 200


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets are due as soon as they are there, and what is lost is tried again at once."""
    monkeypatch.setattr(NetworkSource, "_pace", lambda *_: monotonic())
    monkeypatch.setattr(BackOff, "LONGEST", 0.01)


@pytest.mark.parametrize(
    ("kind", "latency"),
    [("mp4", 0.5), ("mkv", 0.5), ("ts", 60.0), ("one-picture", 60.0), ("no-times", 0.5)],
)
def test_a_file_that_loops_is_not_read_ahead_without_bound(kind: str, latency: float, tmp_path: Path) -> None:
    clip, count = clip_as(kind, tmp_path)
    before = open_files()
    with NetworkSource(str(clip), latency=latency, loop=True) as source:
        watch = follow(source, lambda number: number % count == 0, ROUNDS)
        assert len(source._reader._events) < 50 * (latency + 2)
        assert source.reconnects == 0
    assert max(watch.files) <= before + 8, "the file that plays and the next ones"
    watch.require_flat()
    del source
    assert open_files() <= before + 1, "what nobody asked for is closed as well"


@contextmanager
def cutting(content: bytes) -> Iterator[str]:
    """An HTTP server that sends so much of a stream without an end, and hangs up."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n"
    with listening(lambda client: hang_up_after(client, head + content), timeout_s=2) as port:
        yield f"http://127.0.0.1:{port}/live"


def test_a_server_that_hangs_up_again_and_again(tmp_path: Path) -> None:
    clip, _ = clip_as("ts", tmp_path)
    with cutting(clip.read_bytes()) as url, NetworkSource(url, latency=0.5) as source:
        seen = 0

        def is_new(_: int) -> bool:
            nonlocal seen
            seen, before = source.reconnects, seen
            return seen > before

        watch = follow(source, is_new, ROUNDS)
        assert source.reconnects >= ROUNDS
    watch.require_flat()


def test_a_target_that_hangs_up_again_and_again(tmp_path: Path) -> None:
    clip, _ = clip_as("mp4", tmp_path)
    watch = Watch()
    with mute() as port, NetworkSource(str(clip), latency=0.5, loop=True) as source:
        url = f"rtmp://127.0.0.1:{port}/live/x"
        sink = NetworkSink(
            StreamTarget(url, source=None, overwrite=False),
            source,
            Coding(None, 1),
            retry=True,
            tell=lambda _: None,
        )
        for item in source:
            had = sink._line
            sink.write(item)
            if had is not None and sink._line is not had:
                watch.look()
            if len(watch.files) == ROUNDS:
                break
        sink.abandon()
    watch.require_flat()


def packet(time: float | None, length: float = 0.04) -> Any:
    made: Any = av.Packet(b"x")
    made.time_base, made.duration = Fraction(1, 1000), round(1000 * length)
    made.pts = made.dts = None if time is None else round(1000 * time)
    return made


def test_a_position_counts_what_was_read_and_not_what_times_say() -> None:
    position = Position()
    begin = position.add(packet(5.0))
    assert position.add(packet(5.04)) - begin == Fraction(40, 1000)
    assert position.add(packet(7.0)) - begin == 2, "a gap is time"
    for time in (0.0, 9_000.0, None, 3.0):
        before = position.seconds
        assert position.add(packet(time)) - before == Fraction(40, 1000), "a leap is none"
    before = position.seconds
    assert position.add(packet(2.96)) == before, "packets out of order"
    assert position.add(packet(3.04)) - before == Fraction(40, 1000)
    position.reconnect()
    assert position.add(packet(3.0 + MAX_STEP_S / 2)) - before == Fraction(80, 1000), (
        "a connection begins anew"
    )


def test_a_bare_stream_gets_times() -> None:
    position, bare = Position(), [packet(None) for _ in range(3)]
    for each in bare:
        position.add(each)
        position.stamp(each)
    assert [each.dts for each in bare] == [0, 40, 80]
    mixed = [packet(1.0), packet(None)]
    position.reconnect()
    for each in mixed:
        position.add(each)
        position.stamp(each)
    assert [each.dts for each in mixed] == [1000, None], "what has times keeps them as they are"
