"""Two replicas of `streamtoon serve` behind a real nginx: visits stay, a draining replica loses nothing."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ffprobe import times
from media_clips import make_clip
from nginx_proxy import needs_nginx, nginx
from serve_client import Moving, Page, ended, send_file, until
from serve_process import serve

pytestmark = needs_nginx
OPTIONS = ("--no-open", "--quality", "fast", "--drain", "240")
END_TIMEOUT_S = 240


@dataclass
class Replicas:
    """nginx's address, and the processes and addresses of the replicas a and b."""

    address: str
    processes: dict[str, subprocess.Popen[str]]
    addresses: dict[str, str]


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Replicas]:
    started = {}
    try:
        for name in ("a", "b"):
            place = tmp_path / name
            place.mkdir()
            started[name] = serve(place, "--replica", name, *OPTIONS)
        ports = {
            named: int(started[name][1].rsplit(":", 1)[1]) for name, named in (("a", "8081"), ("b", "8082"))
        }
        with nginx(tmp_path / "nginx", ports) as address:
            yield Replicas(
                address,
                {name: process for name, (process, _) in started.items()},
                {name: where for name, (_, where) in started.items()},
            )
    finally:
        for process, _ in started.values():
            process.kill()
            process.communicate()


def browser() -> aiohttp.ClientSession:
    """A client that accepts the test's certificate."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=False), cookie_jar=aiohttp.DummyCookieJar()
    )


async def status(http: aiohttp.ClientSession, address: str) -> int:
    async with http.get(address) as answer:
        return answer.status


async def pages_at_both(http: aiohttp.ClientSession, address: str) -> dict[str, Page]:
    """A page at each replica, by the replica's name."""
    pages: dict[str, Page] = {}
    for _ in range(40):
        page = Page(http, address)
        await page.open()
        pages.setdefault(page.id.split(".")[0], page)
    assert pages.keys() == {"a", "b"}, "new visits are spread over both"
    return pages


def test_a_draining_replica_finishes_files_and_loses_no_visitor(replicas: Replicas, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=[512 * n for n in range(30)]).read_bytes()
    a = replicas.processes["a"]

    async def talk() -> None:
        async with browser() as http:
            pages = await pages_at_both(http, replicas.address)
            idle = Page(http, replicas.address)
            while not idle.id.startswith("a."):
                await idle.open()
            for _ in range(20):
                assert [(await page.state())["live"] for page in (*pages.values(), idle)] == [False] * 3
            busy = pages["a"]
            assert (await send_file(busy, clip, name="clip.mp4"))[0] == 202
            assert await status(http, f"{replicas.addresses['a']}/readyz") == 200

            a.send_signal(signal.SIGTERM)
            async with asyncio.timeout(END_TIMEOUT_S):
                while await status(http, f"{replicas.addresses['a']}/readyz") != 503:
                    await asyncio.sleep(0.05)
            assert await status(http, f"{replicas.addresses['a']}/healthz") == 200
            for _ in range(10):
                page = Page(http, replicas.address)
                await page.open()
                assert page.id.startswith("b.")
            async with asyncio.timeout(END_TIMEOUT_S):  # the page then makes a new visit by itself
                while await status(http, f"{replicas.address}/visit/{idle.id}") != 410:
                    await asyncio.sleep(0.1)
            code, said = await send_file(busy, clip, name="again.mp4")
            assert code == 503 and "about to stop" in said

            file = await ended(busy)
            assert file["state"] == "done", file
            assert a.poll() is None, "it waits for the download"
            async with http.get(f"{replicas.address}/visit/{busy.id}/result/{file['id']}") as answer:
                (tmp_path / "got.mp4").write_bytes(await answer.read())
            await asyncio.to_thread(a.wait, END_TIMEOUT_S)
            # The replica is gone: nginx says what makes the page ask for a new visit.
            assert await status(http, f"{replicas.address}/visit/{busy.id}") == 410

    asyncio.run(talk())
    assert a.returncode == 0
    assert len(times(tmp_path / "got.mp4", "v")) == 30


def test_live_sessions_end_with_a_message_and_go_on_at_the_other_replica(replicas: Replicas) -> None:
    async def talk() -> None:
        async with browser() as http:
            page = (await pages_at_both(http, replicas.address))["b"]
            assert await page.go_live(Moving(160, 120)) == ""
            await page.frames_above(5)
            replicas.processes["b"].send_signal(signal.SIGTERM)
            ends: list[dict[str, Any]] = await until(
                lambda: [said for said in page.messages if "end" in said], "the message at the end"
            )
            assert "about to stop" in ends[0]["end"]
            await page.close()
            await asyncio.to_thread(replicas.processes["b"].wait, END_TIMEOUT_S)

            again = Page(http, replicas.address)
            await again.open()
            assert again.id.startswith("a.")
            assert await again.go_live(Moving(160, 120)) == ""
            await again.frames_above(5)
            await again.close()

    asyncio.run(talk())
    assert replicas.processes["b"].returncode == 0


def test_replicas_share_a_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-this-test-123\n")
    process, address = serve(tmp_path, "--no-open", "--token-file", str(token))

    async def talk() -> None:
        async with browser() as http:
            assert await status(http, f"{address}/facts") == 401
            assert await status(http, f"{address}/readyz") == 200
            known = {"Authorization": "Bearer a-token-of-this-test-123"}
            async with http.get(f"{address}/facts", headers=known) as answer:
                assert answer.status == 200

    try:
        asyncio.run(talk())
    finally:
        process.kill()
        process.communicate()
