"""Certificates are checked: of sources, of a playlist's segments, and of targets."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from media_clips import make_clip
from stream_parts import stream
from tls_parts import Authority, https_server, secured

from streamtoon.errors import InputError, OutputError
from streamtoon.media.network.sink import Coding, NetworkSink
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import StreamTarget
from streamtoon.media.packets import Passthrough

HEAD = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\n"
DISTRUST = "its certificate is not trusted ("


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def known(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """As somebody trusts an authority of their own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


def is_read(url: str, *, insecure: bool = False) -> bool:
    """Whether three pictures come."""
    with NetworkSource(url, latency=0, insecure=insecure) as source:
        pictures = (item for item in source if not isinstance(item, Passthrough))
        return len(list(islice(pictures, 3))) == 3


def refused(url: str) -> str:
    with pytest.raises(InputError) as caught:
        NetworkSource(url, latency=0).close()
    return str(caught.value)


def test_a_server_of_a_known_authority_is_read(known: Authority, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.ts")
    (tmp_path / "list.m3u8").write_text(f"{HEAD}clip.ts\n#EXT-X-ENDLIST\n")
    with https_server(tmp_path, known.context("127.0.0.1")) as url:
        assert is_read(f"{url}/clip.ts")
        assert is_read(f"{url}/list.m3u8")
        assert is_read(f"{url}/moved/list.m3u8")
        assert refused(f"{url}/none.ts").endswith("it has nothing under this path (404).")
        (tmp_path / "list.m3u8").write_text(f"{HEAD}{url}/clip.ts\n#EXT-X-ENDLIST\n")
        assert is_read(f"{url}/list.m3u8")


def test_strangers_are_refused_in_a_sentence(authority: Authority, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.ts")
    with https_server(tmp_path, authority.context("127.0.0.1")) as url:
        said = refused(f"{url}/clip.ts?key=secret")
        assert said.startswith(f"{url}/clip.ts?key=*** cannot be opened: {DISTRUST}")
        assert said.endswith("); use --insecure to accept it.")
        assert is_read(f"{url}/clip.ts", insecure=True)


def test_the_command_takes_any_certificate_only_if_told(authority: Authority, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mkv")
    with https_server(tmp_path, authority.context("127.0.0.1")) as url:
        with stream(f"{url}/clip.mkv", tmp_path / "out.mkv") as running:
            assert DISTRUST in running.failed()
        assert not (tmp_path / "out.mkv").exists()
        with stream(f"{url}/clip.mkv", tmp_path / "out.mkv", "--insecure") as running:
            assert running.ended()["pictures_out"] > 0


def test_another_servers_certificate_is_refused(known: Authority, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.ts")
    with https_server(tmp_path, known.context("elsewhere.example")) as url:
        assert DISTRUST in refused(f"{url}/clip.ts")


def test_a_playlists_segments_are_checked_too(known: Authority, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.ts")
    with (
        https_server(tmp_path, known.context("127.0.0.1")) as url,
        https_server(tmp_path, known.context("elsewhere.example")) as other,
    ):
        (tmp_path / "list.m3u8").write_text(f"{HEAD}{other}/clip.ts\n#EXT-X-ENDLIST\n")
        assert "cannot be opened" in refused(f"{url}/list.m3u8")
        assert is_read(f"{url}/list.m3u8", insecure=True)


@pytest.mark.parametrize("begin", ["/far/", "//HOST/far/", "far/", "https://HOST/far/"])
@pytest.mark.parametrize("tag", ["KEY", "MAP"])
def test_a_playlist_may_name_its_parts_in_any_way(
    tag: str, begin: str, known: Authority, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    segment = in_pieces(tmp_path / "far") if tag == "MAP" else encrypted(tmp_path / "far")
    with https_server(tmp_path, known.context("127.0.0.1")) as url:
        begin = begin.replace("HOST", url.removeprefix("https://"))
        rest = (
            f'METHOD=AES-128,URI="{begin}key",IV=0x{"0" * 32}' if tag == "KEY" else f'URI="{begin}head.mp4"'
        )
        lines = [*HEAD.splitlines()[:-1], f"#EXT-X-{tag}:{rest}", "#EXTINF:1,", f"{begin}{segment}"]
        (tmp_path / "list.m3u8").write_text("\n".join((*lines, "#EXT-X-ENDLIST", "")))
        assert is_read(f"{url}/list.m3u8")


def encrypted(folder: Path) -> str:
    """A segment that `key` opens (RFC 8216, 4.3.2.4); its name."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    content, key = make_clip(folder / "clip.ts").read_bytes(), bytes(range(16))
    (folder / "key").write_bytes(key)
    fill = 16 - len(content) % 16
    coder = Cipher(algorithms.AES128(key), modes.CBC(bytes(16))).encryptor()
    (folder / "a segment.ts").write_bytes(coder.update(content + bytes([fill]) * fill) + coder.finalize())
    return "a segment.ts"


def in_pieces(folder: Path) -> str:
    """An MP4 in pieces, its head in `head.mp4`; the name of the rest."""
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    content = make_clip(folder / "clip.mp4", container_options=flags).read_bytes()
    end = content.index(b"moof") - 4
    (folder / "head.mp4").write_bytes(content[:end])
    (folder / "rest.m4s").write_bytes(content[end:])
    return "rest.m4s"


@contextmanager
def listener(context: ssl.SSLContext) -> Iterator[tuple[int, list[bytes]]]:
    """A TLS server that hears one thing and hangs up, and what it heard."""
    heard: list[bytes] = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                plain = server.accept()[0]
            except OSError:
                return
            plain.settimeout(5)
            try:
                with context.wrap_socket(plain, server_side=True) as secure:
                    heard.append(secure.recv(100))
            except OSError:
                plain.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("scheme", ["rtsps", "rtmps"])
def test_cameras_and_servers_are_checked(
    authority: Authority, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener(authority.context("127.0.0.1")) as (port, heard):
        url = f"{scheme}://127.0.0.1:{port}/live/x"
        assert DISTRUST in refused(url)
        assert DISTRUST in unwritten(url, tmp_path)
        assert not any(heard), "nothing is said to a stranger"
        with pytest.raises(InputError) as caught:
            NetworkSource(url, latency=0, insecure=True)
        assert DISTRUST not in str(caught.value)
        assert DISTRUST not in unwritten(url, tmp_path, insecure=True)
        assert any(b"OPTIONS" in each or each[:1] == b"\3" for each in heard)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        heard.clear()
        assert DISTRUST not in refused(url)
        assert DISTRUST not in unwritten(url, tmp_path)
        assert sum(bool(each) for each in heard) >= 2, "both ways, to whom is known"


def unwritten(url: str, folder: Path, *, insecure: bool = False) -> str:
    """The sentence of a target that refuses, or is refused."""
    clip = make_clip(folder / "clip.mp4")
    said: list[str] = []
    with NetworkSource(str(clip), latency=0, loop=True) as source:
        target = StreamTarget(url, source=None, overwrite=False, insecure=insecure)
        sink = NetworkSink(target, source, Coding(None, 1), retry=False, tell=said.append)
        with pytest.raises(OutputError) as caught:
            deque(map(sink.write, source), maxlen=0)
        sink.abandon()
    return str(caught.value)


class Whip(http.server.BaseHTTPRequestHandler):
    """Understands no offer."""

    heard: list[str]

    def do_POST(self) -> None:
        self.heard.append(str(self.headers.get("Authorization")))
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        pass


def test_a_whip_server_is_checked(known: Authority, tmp_path: Path) -> None:
    heard: list[Any] = []
    handler = type("Handler", (Whip,), {"heard": heard})
    with secured(handler, known.context("elsewhere.example")) as host:
        said = unwritten(f"https://:secret@{host}/whip", tmp_path)
        assert DISTRUST in said
        assert "secret" not in said
        assert not heard, "no token for a stranger"
    with secured(handler, known.context("127.0.0.1")) as host:
        assert "it refuses access (403)" in unwritten(f"https://:secret@{host}/whip", tmp_path)
    assert heard[0] == "Bearer secret"
