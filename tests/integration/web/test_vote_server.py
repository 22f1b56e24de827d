"""The voting page's server: a vote from start to end, and its doors."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from small_vote import NAMES, make_ballot, make_photos

from engines.common.image_files import read_image
from eval.voting.ballot import Ballot
from eval.voting.vote_log import VoteCounts, VoteLog, read_votes


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def ballot(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Ballot:
    return make_ballot(photos, tmp_path_factory.mktemp("work"))


Talk = Callable[[Any, VoteLog], Awaitable[None]]


def _talk(ballot: Ballot, path: Path, talk: Talk) -> None:
    """Runs `talk` with a client of a server on `path`."""
    aiohttp = pytest.importorskip("aiohttp")
    pytest.importorskip("jinja2")
    from aiohttp.test_utils import TestClient, TestServer

    from streamtoon.web.vote.server import VoteServer

    async def run() -> None:
        with VoteLog(path, ballot) as box:
            server = TestServer(VoteServer(box).app("127.0.0.1"))
            async with TestClient(server, cookie_jar=aiohttp.DummyCookieJar()) as client:
                await talk(client, box)

    asyncio.run(run())


def _origin(client: Any) -> dict[str, str]:
    return {"Origin": f"http://127.0.0.1:{client.port}"}


def test_a_vote_from_start_to_end(ballot: Ballot, tmp_path: Path) -> None:
    async def talk(client: Any, box: VoteLog) -> None:
        state = await (await client.get("/state?reviewer= Ann%20 Lee ")).json()
        assert (state["reviewer"], state["done"], state["total"]) == ("Ann Lee", 0, 5)
        expected = []
        for done in range(5):
            item = ballot.by_id[state["next"][0]["id"]]
            expected.append((item.photo, ballot.shown("Ann Lee", item)[done % 3]))
            body = {
                "ballot": state["ballot"],
                "reviewer": "Ann Lee",
                "photo": item.id,
                "position": done % 3 + 1,
            }
            answer = await client.post("/vote", json=body, headers=_origin(client))
            assert answer.status == 200
            assert [(v.photo, v.pick) for v in read_votes(box.path)] == expected  # there before the answer
            state = await answer.json()
            assert state["done"] == done + 1
        assert state["next"] == []
        page = await (await client.get("/results")).text()
        assert "=risky" in page and "Ann Lee" in page

    _talk(ballot, tmp_path / "votes.csv", talk)


def test_nothing_that_is_served_tells_a_candidate(ballot: Ballot, tmp_path: Path) -> None:
    async def talk(client: Any, box: VoteLog) -> None:
        for item in ballot.items:
            told, pictures = set(), []
            for position in (1, 2, 3):
                answer = await client.get(f"/picture/{item.id}/{position}?reviewer=Anna")
                data = await answer.read()
                headers = {key: value for key, value in answer.headers.items() if key != "Date"}
                told.add(tuple(headers.items()))
                pictures.append(np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)))
            assert len(told) == 1
            for picture, name in zip(pictures, ballot.shown("Anna", item), strict=True):
                assert np.array_equal(picture[..., ::-1], read_image(item.results[name]))
        for path in ("/", "/vote.js", "/vote.css", "/state?reviewer=Anna"):
            text = await (await client.get(path)).text()
            assert not any(name in text for name in NAMES), path
            assert not re.search(r"https?://(?!www\.w3\.org)", text)

    _talk(ballot, tmp_path / "votes.csv", talk)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "elsewhere.example", "Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "OWN", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "OWN", "Content-Type": "text/plain"}, 403),
        ({"Origin": "OWN"}, 200),
    ],
)
def test_only_the_servers_own_page_can_vote(
    headers: dict[str, str], status: int, ballot: Ballot, tmp_path: Path
) -> None:
    async def talk(client: Any, box: VoteLog) -> None:
        sent = {"Content-Type": "application/json"} | headers
        if sent.get("Origin") == "OWN":
            sent |= _origin(client)
        body = (
            f'{{"ballot": "{ballot.id}", "reviewer": "Eve", "photo": "{ballot.items[0].id}", "position": 1}}'
        )
        answer = await client.post("/vote", data=body, headers=sent)
        assert answer.status == status
        assert len(read_votes(box.path)) == (status == 200)

    _talk(ballot, tmp_path / "votes.csv", talk)


def test_a_foreign_name_for_this_machine_reads_nothing(ballot: Ballot, tmp_path: Path) -> None:
    async def talk(client: Any, box: VoteLog) -> None:
        for host, status in {
            "elsewhere.example": 403,
            "127.0.0.1.elsewhere.example": 403,
            "localhost@elsewhere.example": 403,
            "": 403,
            "localhost:1234": 200,
            "[::1]:8770": 200,
            "192.168.1.4": 200,
        }.items():
            answer = await client.get("/state?reviewer=Eve", headers={"Host": host})
            assert answer.status == status, host

    _talk(ballot, tmp_path / "votes.csv", talk)


def test_what_makes_no_sense_is_refused_and_kept_out(ballot: Ballot, tmp_path: Path) -> None:
    async def talk(client: Any, box: VoteLog) -> None:
        good = {"ballot": ballot.id, "reviewer": "Eve", "photo": ballot.items[0].id, "position": 1}
        changes: list[tuple[dict[str, Any], int]] = [
            ({"position": 0}, 400), ({"position": 4}, 400), ({"position": "1"}, 400),
            ({"position": True}, 400),
            ({"photo": "no"}, 400), ({"photo": ["x"]}, 400), ({"reviewer": ""}, 400), ({"reviewer": 5}, 400),
            ({"reviewer": "a" * 61}, 400), ({"reviewer": "a\u202eb"}, 400), ({"ballot": "old"}, 412),
            ({"reviewer": "a" * 5000}, 413),
        ]  # fmt: skip
        for change, status in changes:
            answer = await client.post("/vote", json=good | change, headers=_origin(client))
            assert answer.status == status, (change, await answer.text())
        for data in (b"{", b"[]", b"\xff", b"[" * 4000):
            kind = {"Content-Type": "application/json"}
            answer = await client.post("/vote", data=data, headers=_origin(client) | kind)
            assert answer.status == 400
        assert (
            await client.post("/undo", json={"ballot": ballot.id, "reviewer": "Eve"}, headers=_origin(client))
        ).status == 409
        assert (await client.get("/picture/no/1?reviewer=Eve")).status == 404
        assert (await client.get(f"/picture/{ballot.items[0].id}/4?reviewer=Eve")).status == 404
        assert read_votes(box.path) == []

    _talk(ballot, tmp_path / "votes.csv", talk)


def test_a_name_that_is_markup_stays_text_and_every_answer_has_its_policy(
    ballot: Ballot, tmp_path: Path
) -> None:
    async def talk(client: Any, box: VoteLog) -> None:
        box.cast("<img src=x onerror=alert(1)>", ballot.items[0], 0)
        answer = await client.get("/results")
        page = await answer.text()
        assert "<img" not in page and "&lt;img src=x" in page
        for path in ("/", "/results", "/vote.js", "/nothing", f"/picture/{ballot.items[0].id}/0"):
            headers = (await client.get(path)).headers
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert "aiohttp" not in headers["Server"]

    _talk(ballot, tmp_path / "votes.csv", talk)


def test_many_reviewers_at_once_lose_nothing(ballot: Ballot, tmp_path: Path) -> None:
    async def talk(client: Any, box: VoteLog) -> None:
        async def reviewer(name: str) -> None:
            state = await (await client.get(f"/state?reviewer={name}")).json()
            while state["next"]:
                body = {
                    "ballot": state["ballot"],
                    "reviewer": name,
                    "photo": state["next"][0]["id"],
                    "position": 2,
                }
                state = await (await client.post("/vote", json=body, headers=_origin(client))).json()

        await asyncio.gather(*(reviewer(f"r{n}") for n in range(8)))
        tally = VoteCounts()
        for vote in read_votes(box.path):
            tally.add(vote)
        assert Counter(vote.reviewer for vote in tally) == {f"r{n}": 5 for n in range(8)}

    _talk(ballot, tmp_path / "votes.csv", talk)
