"""HLS: old segments go, a new run goes on where a player is, films of several parts end."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from media_clips import make_clip
from stream_parts import FFMPEG, HANG, count_and_beep, ffmpeg, needs_ffmpeg, stream, wait_for

from streamtoon.media.network.hls_playlist import SEGMENT_COUNT, Playlist
from streamtoon.media.network.sink import Coding, NetworkSink
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import StreamTarget
from streamtoon.media.packets import Passthrough

pytestmark = pytest.mark.realtime

RATE = 25


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process nothing waits for its time."""
    monkeypatch.setattr(NetworkSource, "_pace", lambda *_: monotonic())


def write(clip: Path, place: str, seconds: int) -> None:
    """So many seconds of a clip in a loop into a playlist of one-second segments."""
    with NetworkSource(str(clip), latency=0.5, loop=True) as source:
        target = StreamTarget(place, source=None, overwrite=True)
        sink = NetworkSink(target, source, Coding(None, 1), retry=False, tell=print)
        for item in source:
            sink.write(item)
            if sink.frames == RATE * seconds:
                break
        sink.close()


def listed(playlist: Path) -> list[str]:
    return [line for line in playlist.read_text().splitlines() if not line.startswith("#")]


def value(playlist: Path, tag: str) -> str:
    return next(line.partition(":")[2] for line in playlist.read_text().splitlines() if line.startswith(tag))


@pytest.mark.parametrize("place", ["live.m3u8", "a b, 12:30/live.m3u8", "ABSOLUTE"])
def test_segments_that_the_playlist_names_no_more_are_deleted(
    place: str, tmp_path: Path, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    place = str(tmp_path / "live.m3u8") if place == "ABSOLUTE" else place
    playlist = tmp_path / place
    playlist.parent.mkdir(exist_ok=True)
    write(clip, place, 20)
    there = sorted(file.name for file in playlist.parent.glob("*.ts"))
    assert len(listed(playlist)) == SEGMENT_COUNT
    assert there[-SEGMENT_COUNT:] == listed(playlist)
    assert len(there) <= SEGMENT_COUNT + 1, "one more, which a player may be reading"
    assert "EXT-X-DISCONTINUITY" not in playlist.read_text()


def test_another_run_goes_on_counting_after_a_discontinuity(tmp_path: Path, at_once: None) -> None:
    clip, playlist = make_clip(tmp_path / "clip.mp4"), tmp_path / "live.m3u8"
    write(clip, str(playlist), 9)
    assert listed(playlist) == [f"live-{n:05d}.ts" for n in range(3, 9)]
    old = {file.name: file.read_bytes() for file in tmp_path.glob("live-*.ts")}
    (tmp_path / "live-00001.ts").write_bytes(b"what a killed run has left")
    write(clip, str(playlist), 2)
    assert listed(playlist) == [f"live-{n:05d}.ts" for n in range(5, 11)]
    lines = playlist.read_text().splitlines()
    cut = lines.index("#EXT-X-DISCONTINUITY")
    assert lines[cut - 1] == "live-00008.ts" and lines[cut + 2] == "live-00009.ts"
    assert value(playlist, "#EXT-X-MEDIA-SEQUENCE:") == "5"
    for name in listed(playlist)[:4]:
        assert (tmp_path / name).read_bytes() == old[name]
    assert not (tmp_path / "live-00001.ts").exists()


FOREIGN = {
    "another folder's": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\n../precious.ts\n",
    "another name": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nprecious.ts\n",
    "one that is gone": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:3\n#EXTINF:1,\nlive-00003.ts\n",
    "other numbers": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:1,\nlive-00002.ts\n",
    "no playlist": "hello",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_playlist_that_is_not_ours_deletes_nothing(kind: str, tmp_path: Path, at_once: None) -> None:
    folder = tmp_path / "www"
    folder.mkdir()
    clip, playlist = make_clip(tmp_path / "clip.mp4"), folder / "live.m3u8"
    kept = [
        tmp_path / "precious.ts",
        folder / "precious.ts",
        folder / "live-2-00001.ts",
        folder / "live-1.ts",
    ]
    for file in kept:
        file.write_text("precious")
    (folder / "live-00002.ts").write_text("old")
    playlist.write_text(FOREIGN[kind])
    write(clip, str(playlist), 9)
    assert all(file.read_text() == "precious" for file in kept)
    assert listed(playlist) == [f"live-{n:05d}.ts" for n in range(6, 12)], "after what was there"
    assert value(playlist, "#EXT-X-MEDIA-SEQUENCE:") == "6"


def test_nothing_is_removed_before_the_output_is_opened(tmp_path: Path) -> None:
    for name in ("live.m3u8", "live-00001.ts"):
        (tmp_path / name).write_text("")
    Playlist(tmp_path / "live.m3u8", overwrite=True)
    assert (tmp_path / "live-00001.ts").exists()


@contextmanager
def web_server(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked for in vain."""
    missed: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def send_error(self, code: int, *rest: str | None) -> None:
            missed.append(f"{code} {self.path}")
            super().send_error(code, *rest)

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", missed
        server.shutdown()


@needs_ffmpeg
def test_a_player_watches_on_when_the_stream_is_killed_and_begins_again(tmp_path: Path) -> None:
    www, got = tmp_path / "www", tmp_path / "got.ts"
    www.mkdir()
    clip = count_and_beep(tmp_path / "clip.mp4", 2)
    arguments = (clip, www / "live.m3u8", "--loop", "--overwrite", "--keyframe-interval", "1")
    with web_server(www) as (url, missed):
        with stream(*arguments) as running:
            wait_for(lambda: len(list(www.glob("*.ts"))) > 4)
            player = ("-i", f"{url}/live.m3u8", "-c", "copy", "-f", "mpegts", got)
            with ffmpeg(*player) as watching:
                wait_for(lambda: got.exists() and got.stat().st_size > 0)
                running.process.kill()
                running.process.communicate(timeout=HANG)
                last = listed(www / "live.m3u8")[-1]
                with stream(*arguments) as again:
                    wait_for(lambda: last not in listed(www / "live.m3u8"))
                    again.stop()
                    assert watching.wait(HANG) == 0, "it sees the end"
        assert missed == []
    # The player's own file: as many pictures as its segments had, so it went on past the restart.
    command = [FFMPEG or "", "-v", "error", "-i", str(got), "-map", "0:v", "-f", "framemd5", "-"]
    frames = subprocess.run(command, check=True, capture_output=True, text=True, timeout=HANG).stdout
    assert sum(not line.startswith("#") for line in frames.splitlines()) > (SEGMENT_COUNT + 1) * RATE / 2


@pytest.mark.parametrize("way", ["in itself", "by a playlist of playlists"])
@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("starts", [(0, 40), (0, 9), (40, 0)])
def test_a_film_with_a_discontinuity_ends(
    starts: tuple[int, int], said: bool, way: str, tmp_path: Path, at_once: None
) -> None:
    """Times begin anew in the second part, or leap ahead: neither is where the film ends.

    Nor is there a gap, where the playlist says that they leap.
    """
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:4", "#EXT-X-MEDIA-SEQUENCE:0"]
    for number, start in enumerate(starts):
        pts = [512 * n + 12800 * start for n in range(4 * RATE)]
        make_clip(tmp_path / f"part{number}.ts", pts=pts, audio=None, options={"bf": "0"})
        lines += ["#EXT-X-DISCONTINUITY"] * (said and bool(number)) + ["#EXTINF:4.0,", f"part{number}.ts"]
    media = (
        tmp_path / "media" / "film.m3u8" if way == "by a playlist of playlists" else tmp_path / "film.m3u8"
    )
    if media.parent != tmp_path:
        media.parent.mkdir()
        (tmp_path / "film.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\nmedia/film.m3u8\n")
        lines = [f"../{line}" if line.endswith(".ts") else line for line in lines]
    media.write_text("\n".join([*lines, "#EXT-X-ENDLIST"]))
    told: list[str] = []
    with (
        web_server(tmp_path) as (url, _),
        NetworkSource(f"{url}/film.m3u8", latency=0.5, tell=told.append) as source,
    ):
        times: list[float] = []
        for item in source:
            assert not isinstance(item, Passthrough)
            times.append(float(item.pts * item.time_base))
            assert len(times) <= 8 * RATE, "it is repeated"
    assert len(times) == 8 * RATE
    assert told == [] and source.reconnects == 0
    # Of what nobody has said anything, a gap of less than a minute is believed.
    gap = 0 if said else max(0, starts[1] - 4)
    assert times[-1] - times[0] == pytest.approx(8 + gap - 1 / RATE, abs=0.1)
