"""What strangers may send: HTTP, JSON, offers and messages with wounds; never a 500, a hang or a traceback.

STREAMTOON_FUZZ_CASES sets how many cases of each kind; by default some seconds' worth.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from aiortc import RTCConfiguration, RTCPeerConnection
from fuzzing import mutated
from serve_client import Moving, Page, serving, until

from engines.registry.style import load_style
from streamtoon.errors import StreamtoonError
from streamtoon.web.serve.session import read_choice
from streamtoon.web.serve.settings import Limits, ServeSettings

CASES = int(os.environ.get("STREAMTOON_FUZZ_CASES", "0"))
ENGINE = {"backend": "auto", "device": "cpu", "precision": "fp32", "quality": "fast"}
PATIENCE_S = 0.5
"""Seconds that an answer may take before more of the request is taken to be waited for."""
SETTINGS = ServeSettings("comic", engine=ENGINE, limits=Limits(upload=1, duration=5))
STYLES = {"comic": load_style("comic"), "ink": load_style("ink")}
WORDS = (
    b"\0", b"\r\n", b"\r\n\r\n", b"%00", b"%ff", b"%2e%2e/", b"../", b"\xff\xfe", b"\xed\xa0\x80", b"9" * 400,
    b"-1", b"{", b"[" * 300, b'"', b"a" * 9000, b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n",
    b"Content-Length: -5\r\n", b"Host: x\r\n", b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n",
    b"Range: bytes=9-1\r\n", b"Content-Encoding: gzip\r\n", b"Cookie: =;;=\r\n", b"charset=none", b"null",
    b"1e999", b"NaN", b"\\ud800", b"m=video 9 x 1\r\n", b"a=candidate:1 1 udp 1 999.9.9.9 99999 typ host\r\n",
)  # fmt: skip


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Any:
    """Fails where anything but aiortc was logged as an error, or with a traceback."""
    caplog.set_level(logging.WARNING)
    yield
    told = [
        one
        for one in caplog.records
        if (one.levelno >= logging.ERROR or one.exc_info) and not one.name.startswith(("aiortc", "aioice"))
    ]
    assert told == [], "\n".join(one.getMessage() for one in told)


def _calls(page: Page) -> list[bytes]:
    host = page._address.removeprefix("http://")
    head = f"Host: {host}\r\nOrigin: {page._address}\r\n"
    lines = [f"GET {path} HTTP/1.1\r\n{head}\r\n" for path in (
        "/", "/page.js", "/facts", "/style/comic.webp", "/preview/comic.jpg", "/healthz", "/metrics",
        "/?token=abc", "/visit/x", f"/visit/{page.id}", f"/visit/{page.id}/result/1",
    )]  # fmt: skip
    for call in ("visit", *(f"visit/{page.id}/{name}" for name in ("offer", "stop", "discard"))):
        body = '{"sdp": "v=0", "style": "comic", "strength": 1}'
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        lines.append(f"POST /{call} HTTP/1.1\r\n{head}{kind}\r\n{body}")
    kind = "Content-Type: application/octet-stream\r\nContent-Length: 0\r\n"
    query = "name=a.mp4&style=comic&strength=1&side_by_side=0&quality=full&start=1&end=2.5&size=720p"
    lines.append(f"POST /visit/{page.id}/file?{query} HTTP/1.1\r\n{head}{kind}\r\n")
    return [line.encode() for line in lines]


async def _raw(host: str, port: int, data: bytes, patience_s: float = PATIENCE_S) -> bytes:
    """How the answer to those bytes begins; empty where they are dropped, or more of them is waited for."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(data)
        async with asyncio.timeout(patience_s):
            return await reader.readline()
    except (ConnectionError, TimeoutError):
        return b""
    finally:
        writer.transport.abort()  # `close` would wait for a server that reads no more
        with suppress(ConnectionError):
            await writer.wait_closed()


def test_damaged_requests_are_answered_or_dropped(quiet: None) -> None:
    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            host, port = address.removeprefix("http://").split(":")
            calls = _calls(page)
            async with http.get(f"{address}/style/comic.webp") as drawn:  # once, and that takes a while
                assert drawn.status == 200
            for call in calls:  # unwounded, they are understood
                answer = await _raw(host, int(port), call, 240)
                assert re.match(rb"HTTP/1.1 [24]", answer), (call, answer)
            statuses: set[bytes] = set()
            at_once = asyncio.Semaphore(30)

            async def one(seed: int) -> None:
                data = mutated(calls[seed % len(calls)], seed, WORDS)
                async with at_once:
                    answer = await _raw(host, int(port), data)
                statuses.add(answer[9:12])
                assert answer == b"" or re.match(rb"HTTP/[0-9].[0-9] ([234]|50[15])", answer), (data, answer)

            await asyncio.gather(*(one(seed) for seed in range(CASES or 2000)))
            assert {b"200", b"400", b"403", b"404", b"410"} <= statuses
            assert (await page.state())["live"] is False
            await until(lambda: visitors.taken == 0, "all places free")

    asyncio.run(talk())


def test_json_that_makes_no_sense_is_refused(quiet: None) -> None:
    values: list[Any] = [
        None,
        True,
        0,
        -1,
        1.5,
        1e308,
        "",
        "x",
        "comic",
        [],
        {},
        [[]],
        "\ud800",
        "v=0\r\n",
        10**30,
    ]

    async def talk() -> None:
        dice = random.Random(9)
        async with serving(SETTINGS) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            headers = {"Origin": address, "Content-Type": "application/json"}
            for seed in range(CASES or 1000):
                keys = dice.sample(("sdp", "style", "strength", "x"), dice.randint(0, 4))
                body: Any = {key: dice.choice(values) for key in keys}
                data = json.dumps(dice.choice((body, body, dice.choice(values)))).encode()
                if dice.random() < 0.4:
                    data = mutated(data, seed, WORDS)
                async with http.post(
                    f"{address}/visit/{page.id}/offer", data=data, headers=headers
                ) as answer:
                    assert answer.status in (400, 413), data
                    assert len(await answer.text()) < 200
            assert visitors.taken == 0

    asyncio.run(talk())


async def _offer() -> str:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(Moving(64, 48))
    peer.createDataChannel("control")
    await peer.setLocalDescription()
    offer: str = peer.localDescription.sdp
    await peer.close()
    return offer


def test_damaged_offers_are_refused_or_begin_a_session_that_ends(quiet: None) -> None:
    async def talk() -> None:
        offer = (await _offer()).encode()
        async with serving(SETTINGS) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            answered = 0
            for n in range(CASES or 250):
                bad = mutated(offer, n, WORDS) if n else offer + b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
                answer = await page.post(f"visit/{page.id}/offer", {"sdp": bad.decode("latin-1")})
                assert answer.status in (200, 400, 413), (answer.status, bad)
                answered += answer.status == 200
                assert len(await answer.text()) < 200 or answer.status == 200
                await (await page.post(f"visit/{page.id}/stop")).read()
                await until(lambda: visitors.taken == 0, "the free place", 60)
            assert answered > 10

    asyncio.run(talk())


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n", "\x0b", "\x1c", "\x85", "\u2028"])
def test_an_offer_of_more_than_its_share_is_refused_whatever_ends_its_lines(end: str, quiet: None) -> None:
    async def talk() -> None:
        offer = await _offer()
        more = {
            "one video": f"m=audio 9 UDP/TLS/RTP/SAVPF 0{end}",
            "at most 64 candidates": "".join(
                f"a=candidate:{n} 1 udp 1 127.0.0.1 {9000 + n} typ host{end}" for n in range(65)
            ),
        }
        async with serving(SETTINGS) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            for said, lines in more.items():
                answer = await page.post(f"visit/{page.id}/offer", {"sdp": offer + f"a=x{end}" + lines})
                assert answer.status == 400
                assert said in await answer.text()
                assert visitors.taken == 0

    asyncio.run(talk())


def test_damaged_messages_are_wishes_or_refused() -> None:
    dice = random.Random(11)
    taken, refused = 0, list[str]()
    for seed in range(CASES or 5000):
        look = {
            "levels": dice.randrange(20),
            "line_color": "#102030",
            "screen": "dots",
            "lift": dice.random(),
        }
        name = dice.choice(("comic", "ink", "none"))
        good = json.dumps({"style": name, "strength": dice.random(), "look": look})
        data = mutated(good.encode(), seed, WORDS)
        message: str | bytes = data if dice.random() < 0.2 else data.decode("utf-8", "surrogateescape")
        try:
            style, strength = read_choice(message, STYLES, "ink")
        except StreamtoonError as error:
            refused.append(str(error))
            continue
        taken += 1
        assert style is None or style.name in STYLES  # a Look that is made is in its ranges
        assert strength is None or 0 <= strength <= 1
    assert taken > 50
    assert all(len(said) < 1000 and said.isprintable() for said in refused)
