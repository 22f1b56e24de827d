"""Connections that ask for nothing, requests that are none, a log that is not filled: nobody is kept out."""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
import resource
import signal
import socket
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

import aiohttp
from serve_client import Page, send_file, serving, until
from serve_process import serve

from streamtoon.web.serve import connections, log_limit
from streamtoon.web.serve.access import HEADERS, Access
from streamtoon.web.serve.clients import MAX_CLIENTS
from streamtoon.web.serve.server import opened
from streamtoon.web.serve.settings import Limits, ServeSettings
from streamtoon.web.serve.upload import Upload, UploadRequest

ENGINE = {"backend": "auto", "device": "cpu", "precision": "fp32", "quality": "fast"}
SETTINGS = ServeSettings("comic", engine=ENGINE, limits=Limits(upload=1))
HALF = b"GET /facts HTTP/1.1\r\nHost: localhost\r\nX: "


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, int, Any]]:
    """A server as the command runs it: its address, its port, its runner."""
    async with opened(SETTINGS, Access("127.0.0.1")) as (_, runner):
        server = await runner.listen("127.0.0.1", 0, tls)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{port}", port, runner
        finally:
            server.close()


async def half_open(port: int, count: int, data: bytes = HALF) -> list[asyncio.StreamWriter]:
    """Connections that begin to ask for something."""
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        writers.append(writer)
    return writers


async def healthy(address: str, **options: Any) -> None:
    """There is an answer on a new connection."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{address}/healthz", timeout=aiohttp.ClientTimeout(240), **options) as answer,
    ):
        assert await answer.text() == "ok\n"


def test_half_open_connections_block_no_visitor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 40)

    async def talk() -> None:
        async with listening() as (address, port, runner):
            writers = await half_open(port, 120)
            for _ in range(5):
                await healthy(address)
            assert len(runner._doors) <= 40
            for writer in writers:
                writer.close()

    asyncio.run(talk())
    told = [record for record in caplog.records if "connections are in use" in record.getMessage()]
    assert 1 <= len(told) <= 10, "one line a second"


def test_a_request_that_is_being_answered_is_not_closed_to_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 40)

    async def talk() -> None:
        async with listening() as (address, port, runner), aiohttp.ClientSession() as http:
            page = Page(http, address)
            await page.open()

            async def slowly() -> AsyncIterator[bytes]:
                yield b"x" * 1000
                await flooded.wait()
                yield b"x" * 1000

            flooded = asyncio.Event()
            sending = asyncio.create_task(send_file(page, slowly(), name="clip.mp4"))
            await until(lambda: any(guest.is_busy for guest in runner._doors._inside), "the upload")
            writers = await half_open(port, 100)
            await healthy(address)
            flooded.set()
            assert (await sending)[0] == 202
            for writer in writers:
                writer.close()

    asyncio.run(talk())


@pytest.mark.parametrize("how", ["silent", "half", "dripping", "second"])
def test_a_head_has_to_be_there_in_time(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 2.0)

    async def talk() -> None:
        async with listening() as (_, port, runner):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if how == "second":
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert await reader.readuntil(b"ok\n")
            if how != "silent":
                writer.write(HALF)
            began = time.monotonic()
            while not reader.at_eof() and time.monotonic() - began < 14:
                if how == "dripping":
                    writer.write(b"x")
                with_limit = asyncio.wait_for(reader.read(1), 0.2)
                try:
                    if not await with_limit:
                        break
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
            assert 0.5 < time.monotonic() - began < 14
            writer.close()
            await until(lambda: len(runner._doors) == 0, "an empty house")

    asyncio.run(talk())


def test_a_body_that_takes_longer_than_a_head_may_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 2.0)

    async def talk() -> None:
        async with listening() as (address, _, _), aiohttp.ClientSession() as http:
            page = Page(http, address)
            await page.open()

            async def slowly() -> AsyncIterator[bytes]:
                for _ in range(6):
                    yield b"x"
                    await asyncio.sleep(0.5)

            assert (await send_file(page, slowly(), name="clip.mp4"))[0] == 202

    asyncio.run(talk())


def _certificate(folder: Path) -> ssl.SSLContext:
    pytest.importorskip("cryptography")
    from streamtoon.media.network.targets import _make_certificate

    made = _make_certificate(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made["cert_file"], made["key_file"])
    return context


def test_unfinished_handshakes_block_no_visitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 40)

    async def talk() -> None:
        async with listening(_certificate(tmp_path)) as (address, port, runner):
            writers = [
                *(await half_open(port, 60, b"\x16\x03\x01\x02")),  # the begin of a ClientHello
                *(await half_open(port, 20, b"GET / HTTP/1.1\r\n\r\n")),
                *(await half_open(port, 20, b"")),
            ]
            for _ in range(3):
                await healthy(address, ssl=False)
            assert len(runner._doors) <= 40
            for writer in writers:
                writer.close()

    asyncio.run(talk())


def test_tls_answers_large_bodies_and_several_requests_on_one_connection(tmp_path: Path) -> None:
    async def talk() -> None:
        async with listening(_certificate(tmp_path)) as (address, _, _), aiohttp.ClientSession() as http:
            for path in ("/healthz", "/page.js", "/sample.jpg", "/healthz"):
                async with http.get(address + path, ssl=False) as answer:
                    assert answer.status == 200
                    assert len(await answer.read()) == int(answer.headers["Content-Length"])

    asyncio.run(talk())


MALFORMED = {
    "no request": b"hello there\r\n\r\n",
    "a bad version": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "a bad header": b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a long line": b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a null": b"GET /\0 HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n",
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_the_answer_to_what_is_no_request_has_the_headers_too(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk() -> bytes:
        async with listening() as (_, port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(MALFORMED[kind])
            async with asyncio.timeout(240):
                answer = await reader.read()
            writer.close()
            return answer

    head = asyncio.run(talk()).partition(b"\r\n\r\n")[0].decode()
    assert re.match(r"HTTP/1\.[01] 4\d\d ", head)
    for name, value in HEADERS.items():
        assert f"\r\n{name}: {value}" in head, head
    assert "aiohttp" not in head and "Python" not in head
    assert caplog.text == ""


def test_a_body_that_would_grow_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bomb = gzip.compress(bytes(50_000_000))

    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            binary = {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
            for call, kind in (("file?name=a.mp4", {}), ("offer", {"Content-Type": "application/json"})):
                headers = binary | kind | {"Origin": address}
                async with http.post(
                    f"{address}/visit/{page.id}/{call}", data=bomb, headers=headers
                ) as answer:
                    assert answer.status == 415
                    assert "Content-Encoding" in await answer.text()
            assert visitors.taken == 0
            assert [file for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_size] == []

    asyncio.run(talk())


def test_visits_remove_no_session_with_a_finished_file(tmp_path: Path) -> None:
    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            owner = visitors.find(page.id)
            assert owner is not None
            request = UploadRequest("clip.mp4", "comic", strength=1.0, side_by_side=False, look={})
            owner.files["1"] = Upload(tmp_path / "1", request, SETTINGS.limits, ENGINE, visitors._disk)
            owner.files["1"].state = "done"
            idle = visitors.enter()
            for _ in range(MAX_CLIENTS + 20):
                assert (await page.post("visit")).status == 200
            assert visitors.find(page.id) is owner, "the file can still be fetched"
            assert visitors.find(idle.id) is None
            for visitor in list(visitors._visitors.values()):
                visitor.files = owner.files
            assert (await page.post("visit")).status == 503
            for visitor in visitors._visitors.values():
                visitor.files = {}

    asyncio.run(talk())


def test_the_log_has_one_line_of_a_kind_a_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    log = logging.getLogger("streamtoon.web.serve")
    with log_limit.limited("streamtoon.web.serve"):
        for n in range(1000):
            log.warning("number %d", n)
            log.warning("another %d", n)
        now += 1.5
        log.warning("number %d", 1000)
    log.warning("free again")
    log.warning("free again")
    assert caplog.messages == [
        "number 0", "another 0", "number 1000 (and 999 more like this)", "free again", "free again",
    ]  # fmt: skip


def test_1100_half_open_connections_to_a_process_with_1024_files(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1400:
        pytest.skip("this process itself may not open so many connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1400), hard))
    process, address = serve(tmp_path, files=1024)
    port = int(address.rpartition(":")[2])
    crowd: list[socket.socket] = []
    try:
        for _ in range(1100):
            crowd.append(socket.create_connection(("127.0.0.1", port), 240))
            crowd[-1].send(HALF)
        for _ in range(3):
            with urllib.request.urlopen(f"{address}/healthz", timeout=240) as answer:
                assert answer.read() == b"ok\n"
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=240)[1]
        assert len(said) < 20_000, said[:2000]
        assert "Traceback" not in said
    finally:
        for each in crowd:
            each.close()
        process.kill()
        process.communicate()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
