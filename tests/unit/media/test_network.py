"""Addresses: what is hidden of them, what they may open, and how failures are told."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from media_clips import make_clip
from stream_parts import HANG, wait_for

from streamtoon.errors import InputError, OutputError
from streamtoon.media.network.connection import open_file
from streamtoon.media.network.reader import Arrived, Lost, Reader
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import TARGETS, StreamTarget
from streamtoon.media.network.urls import SOURCE_TIMEOUT_S, SOURCES, BackOff


def test_each_scheme_opens_what_it_needs_and_no_file() -> None:
    for scheme, way in SOURCES.items():
        protocols = way.protocols.split(",")
        assert not {"file", "pipe", "concat", "subfile", "data", "fd", "async", "cache"} & set(protocols)
        assert len(protocols) < 7, scheme
        assert "concat" not in way.formats
    assert SOURCES["rtmp"].protocols == "rtmp,tcp"
    assert SOURCES["udp"].protocols == "udp"
    assert "hls" in SOURCES["https"].formats
    assert all("hls" not in way.formats for name, way in SOURCES.items() if not name.startswith("http"))


def test_the_wait_doubles_up_to_half_a_minute() -> None:
    back_off = BackOff()
    assert [back_off.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    back_off.reset()
    assert back_off.next() == 0.5


class Answers(http.server.BaseHTTPRequestHandler):
    """/401 and so on answer with that number; playlists name what they should not."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        body = self.files.get(name)
        self.send_response(200 if body is not None else int(name) if name.isdecimal() else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server(files: dict[str, bytes]) -> Iterator[str]:
    handler = type("Handler", (Answers,), {"files": files})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def source(place: str) -> str:
    """The sentence of a source that cannot be opened."""
    with pytest.raises(InputError) as caught:
        NetworkSource(place, latency=0).close()
    return str(caught.value)


def test_failures_of_sources_are_one_sentence() -> None:
    with web_server({"page.html": b"<html>no video</html>", "empty.ts": b""}) as host:
        for path, said in (
            ("401", "it requires a valid user name and password in the address (401)"),
            ("403", "it refuses access (403)"),
            ("404", "it has nothing under this path (404)"),
            ("503", "it reports an internal error"),
            ("page.html", "it sends invalid data"),
        ):
            assert source(f"http://{host}/{path}") == f"http://{host}/{path} cannot be opened: {said}."
        hidden = source(f"http://ann:pass@{host}/404?key=pass")
        assert hidden.startswith(f"http://***@{host}/404?key=*** cannot")
    assert source("rtsp://nowhere.invalid/x").endswith("there is no host nowhere.invalid.")
    assert source("rtmp://127.0.0.1:1/a/b").endswith("connection refused.")
    assert source("rtsp://127.0.0.1:1/a").endswith("connection refused.")
    assert source("srt://127.0.0.1:1").endswith("this FFmpeg does not support srt.")
    assert "Supported addresses begin with one of rtsp," in source("ftp://127.0.0.1/x.mp4")
    assert source("rtsp:///live") == "rtsp:///live is not a valid address: it has no host."
    assert source("rtsp://u:secret@h:port/").endswith(
        "://***@h:port/ is not a valid address: its host or port is invalid."
    )


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamtoon.media.network.connection.SOURCE_TIMEOUT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for scheme in ("rtmp", "rtsp", "http"):
            said = source(f"{scheme}://127.0.0.1:{port}/live/x")
            assert said.endswith(f"it did not answer within {SOURCE_TIMEOUT_S:.0f} seconds."), said


def test_a_playlist_from_a_server_opens_no_file(tmp_path: Path) -> None:
    """A segment that is a file here, by several names, is not read."""
    clip = make_clip(tmp_path / "clip.ts")
    begin = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\n"
    names = (
        f"file://{clip}",
        f"file:{clip}",
        str(clip),
        f"concat:{clip}",
        f"subfile,,start,0,end,9,,:{clip}",
    )
    for name in names:
        playlist = f"{begin}{name}\n#EXT-X-ENDLIST\n".encode()
        with web_server({"list.m3u8": playlist}) as host:
            said = source(f"http://{host}/list.m3u8")
            assert "cannot be opened" in said or "no frame" in said or "no video" in said, (name, said)
    # The very same playlist with the segment on the server works: it is the place that matters.
    with (
        web_server(
            {"list.m3u8": f"{begin}clip.ts\n#EXT-X-ENDLIST\n".encode(), "clip.ts": clip.read_bytes()}
        ) as host,
        NetworkSource(f"http://{host}/list.m3u8", latency=0) as opened,
    ):
        assert opened.info.video_codec == "h264"


def test_a_local_playlist_is_no_source(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n")
    assert "is a playlist" in source(str(playlist))


def test_failures_of_targets_are_one_sentence(tmp_path: Path) -> None:
    def target(place: str, *, overwrite: bool = False) -> str:
        with pytest.raises(OutputError) as caught:
            StreamTarget(place, source=None, overwrite=overwrite)
        return str(caught.value)

    assert target("srt://h:1") == "srt://h:1 cannot be written: this FFmpeg does not support srt."
    assert "Use a file, a playlist (.m3u8), or an address" in target("ftp://h/x")
    assert target("rtmp:///x/secret") == "rtmp:///x/*** is not a valid address: it has no host."
    none = tmp_path / "none"
    assert target(str(none / "a.m3u8")) == f"The folder {none} does not exist. Create it first."
    assert "contains a %" in target(str(tmp_path / "50%.m3u8"))
    (tmp_path / "a.m3u8").write_text("")
    assert target(str(tmp_path / "a.m3u8")).endswith("already exists. Use --overwrite to replace it.")
    (tmp_path / "a-00001.ts").write_text("old")
    (tmp_path / "a-other.ts").write_text("not ours")
    StreamTarget(str(tmp_path / "a.m3u8"), source=None, overwrite=True)
    left = ["a-00001.ts", "a-other.ts", "a.m3u8"]
    assert sorted(p.name for p in tmp_path.iterdir()) == left, "nothing goes before the output is opened"
    assert set(TARGETS) == {"rtmp", "rtmps", "rtsp", "rtsps", "http", "https", "udp", "rtp", "srt"}


def test_pictures_that_are_not_taken_are_dropped_up_to_a_key_frame(tmp_path: Path) -> None:
    options = {"g": "25", "sc_threshold": "0"}
    clip = make_clip(tmp_path / "clip.ts", pts=[512 * n for n in range(25 * 14)], options=options)
    reader = Reader(lambda: open_file(str(clip)), waits=False, ahead=1, repeats=False)
    first = reader.get(HANG)
    assert first is not None
    wait_for(lambda: reader.skipped)
    assert reader.skipped > 25 * 9
    pictures = []
    while not isinstance(event := reader.get(HANG), Lost):
        assert isinstance(event, Arrived)
        if event.is_picture:
            pictures.append(event.packet)
    reader.close()
    assert pictures[0].is_keyframe
    assert len(pictures) + reader.skipped == 25 * 14
