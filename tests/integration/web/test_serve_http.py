"""The page's server over HTTP: its doors, what it shows, what it counts."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from serve_client import Moving, Page, serving, until

from engines.looks.look import look_keys
from engines.registry.style import available_styles, load_style, shipped_names
from streamtoon.api import Cartoonizer
from streamtoon.web.serve.access import Access
from streamtoon.web.serve.gallery import SAMPLE
from streamtoon.web.serve.settings import Limits, ServeSettings

SETTINGS = ServeSettings(
    "ink",
    strength=0.7,
    engine={"backend": "auto", "device": "cpu", "precision": "fp32", "quality": "fast"},
    limits=Limits(sessions=2),
)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "elsewhere.example", "Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "OWN", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "OWN", "Content-Type": "text/plain"}, 403),
        ({"Origin": "OWN", "Content-Type": "multipart/form-data; boundary=x"}, 403),
        ({"Origin": "OWN"}, 200),
    ],
)
def test_only_the_servers_own_page_can_change_anything(headers: dict[str, str], status: int) -> None:
    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, _):
            sent = {"Content-Type": "application/json"} | headers
            if sent.get("Origin") == "OWN":
                sent["Origin"] = address
            async with http.post(f"{address}/visit", data="{}", headers=sent) as answer:
                assert answer.status == status

    asyncio.run(talk())


def test_a_foreign_name_for_this_machine_reads_nothing_unless_it_was_given_to_the_server() -> None:
    async def talk() -> None:
        async with serving(SETTINGS, Access("127.0.0.1", ["Toon.Example"])) as (address, http, _):
            for host, status in {
                "elsewhere.example": 403,
                "127.0.0.1.elsewhere.example": 403,
                "localhost@elsewhere.example": 403,
                "toon.example": 200,
                "localhost:1234": 200,
                "[::1]:8080": 200,
            }.items():
                async with http.get(f"{address}/facts", headers={"Host": host}) as answer:
                    assert answer.status == status, host

    asyncio.run(talk())


def test_other_machines_get_nothing_without_the_token() -> None:
    assert Access("127.0.0.1").token is Access("::1").token is Access("localhost").token is None
    access = Access("0.0.0.0", encrypted=True)
    assert access.token is not None and len(access.token) >= 32
    assert Access("0.0.0.0").token != access.token
    wrong = access.token[:-1] + ("a" if access.token[-1] != "a" else "b")

    async def talk() -> None:
        async with serving(SETTINGS, access) as (address, http, visitors):
            own = {"Origin": address}
            for path in (
                "/",
                "/page.js",
                "/facts",
                "/style/comic.webp",
                "/metrics",
                f"/?token={wrong}",
                "/x",
            ):
                async with http.get(address + path) as answer:
                    assert answer.status == 401, path
                    assert answer.cookies == {}
            for token in (wrong, "", "é", f"{access.token}a"):
                headers = own | {"Authorization": f"Bearer {token}"}
                async with http.post(f"{address}/visit", json={}, headers=headers) as answer:
                    assert answer.status == 401
            # The token counts in the page's own address and nowhere else: there are no tokens in logs.
            async with http.get(f"{address}/facts?token={access.token}") as answer:
                assert answer.status == 401
            async with http.get(f"{address}/healthz") as answer:
                assert await answer.text() == "ok\n"
            async with http.get(f"{address}/?token={access.token}") as answer:
                assert answer.status == 200
                (cookie,) = answer.cookies.values()
                said = answer.headers["Set-Cookie"]
            assert "HttpOnly" in said and "SameSite=Strict" in said and "Secure" in said
            known = own | {"Cookie": f"{cookie.key}={cookie.value}"}
            async with http.post(f"{address}/visit", json={}, headers=known) as answer:
                assert answer.status == 200
            async with http.post(
                f"{address}/visit", json={}, headers=known | {"Origin": "http://x"}
            ) as answer:
                assert answer.status == 403
            bearer = {"Authorization": f"Bearer {access.token}"}
            async with http.get(f"{address}/metrics", headers=bearer) as answer:
                assert answer.status == 200
            assert visitors.gauges()["visitors"][1] == 1

    asyncio.run(talk())


def test_every_answer_has_its_policy_and_the_page_asks_no_other_server() -> None:
    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, _):
            async with http.get(address) as answer:
                page = await answer.text()
            parts = set(re.findall(r'(?:href|src)="([\w.]+)"', page))
            assert {"style.css", "page.js", "icon.svg"} <= parts
            for name in list(parts):
                async with http.get(f"{address}/{name}") as answer:
                    if name.endswith(".js"):
                        parts |= set(re.findall(r'from "\./([\w.]+)"', await answer.text()))
            texts = [page]
            for name in sorted(parts):
                async with http.get(f"{address}/{name}") as answer:
                    assert answer.status == 200, name
                    if not name.endswith(".jpg"):
                        texts.append(await answer.text())
            assert {"parts.js", "server.js", "live.js", "files.js"} <= parts
            for text in texts:
                assert not re.search(r"""["'(](https?:)?//(?!www\.w3\.org)""", text)
            for path in ("/", "/page.js", "/nothing", "/style/none.webp", "/visit/x", "/page/../page.js"):
                async with http.get(address + path) as answer:
                    policy = answer.headers["Content-Security-Policy"]
                    assert policy.startswith("default-src 'none'; script-src 'self'")
                    assert "unsafe" not in policy and "*" not in policy
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    assert "aiohttp" not in answer.headers["Server"]

    asyncio.run(talk())


def test_the_gallery_shows_every_style_the_servers_own_first() -> None:
    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, _):
            async with http.get(f"{address}/facts") as answer:
                facts = await answer.json()
            names = [style["name"] for style in facts["styles"]]
            assert names[0] == "ink" and sorted(names) == shipped_names()
            assert facts["strength"] == 0.7 and facts["stun"] is None
            pictures = {}
            for name in (*names, names[0]):
                async with http.get(f"{address}/style/{name}.webp") as answer:
                    assert answer.content_type == "image/webp"
                    pictures[name] = _shown(await answer.read())
            assert abs(pictures["comic"] - pictures["ink"]).mean() > 5
            for name in ("none", "..%2f..%2fcomic", "comic%00"):
                async with http.get(f"{address}/style/{name}.webp") as answer:
                    assert answer.status == 404

    asyncio.run(talk())


def _shown(data: bytes) -> Any:
    """A thumbnail, RGB in floating point."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None and picture.shape == (400, 640, 3)
    return picture.astype(float)


def test_the_page_gets_every_key_of_a_look_and_the_sample_drawn_with_other_values() -> None:
    settings = replace(SETTINGS, style="comic", look={"line_width": "1"})

    async def talk() -> None:
        async with serving(settings) as (address, http, _):
            async with http.get(f"{address}/facts") as answer:
                facts = await answer.json()
            assert [key["name"] for key in facts["look_keys"]] == [key.name for key in look_keys()]
            values = {style["name"]: style["look"] for style in facts["styles"]}
            assert values["comic"]["line_width"] == 1  # as the server was started with
            anime = load_style("anime").look
            assert anime is not None and values["anime"]["palette"] == list(anime.palette)
            sample = _shown_file()
            for look in ({}, {"levels": 2, "line_color": "#00ff00"}):
                with Cartoonizer("comic", look={"line_width": 1} | look, precision="fp32") as cartoonizer:
                    expected = cartoonizer(sample)
                async with http.get(
                    f"{address}/style/comic.webp", params={"look": json.dumps(look)}
                ) as answer:
                    assert np.abs(_shown(await answer.read()) - expected).mean() < 6
            for bad in ('{"levels": 99}', '{"levls": 1}', "[]", "{", '{"lift": NaN}', '{"levels": []}'):
                async with http.get(f"{address}/style/comic.webp", params={"look": bad}) as answer:
                    said = await answer.text()
                    assert answer.status == 400 and "look" in said and len(said) < 1000

    asyncio.run(talk())


def test_every_look_is_drawn_of_a_visitors_own_picture_and_nothing_of_it_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamtoon.web.serve.clients.GALLERY_INTERVAL_S", 600.0)
    picture = np.ascontiguousarray(_shown_file()[::-1])
    looks = [style.name for style in available_styles() if style.look is not None]

    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, visitors):
            page = Page(http, address)
            await page.open()

            async def post(data: bytes, kind: str = "application/octet-stream") -> tuple[int, str]:
                headers = {"Origin": address, "Content-Type": kind}
                call = f"{address}/visit/{page.id}/gallery"
                async with http.post(call, data=data, headers=headers) as answer:
                    return answer.status, await answer.text()

            for data in (b"", b"x", picture.tobytes() + b"x"):
                status, said = await post(data)
                assert (status, "768000 bytes" in said) == (400, True)
            status, text = await post(picture.tobytes())
            assert status == 200
            drawn = {name: _shown(base64.b64decode(data)) for name, data in json.loads(text).items()}
            assert sorted(drawn) == sorted(looks)
            for name in ("comic", "ink"):
                with Cartoonizer(name, precision="fp32") as cartoonizer:
                    assert np.abs(drawn[name] - cartoonizer(picture)).mean() < 6
            status, said = await post(picture.tobytes())
            assert (status, "Try again in a moment" in said) == (503, True)
            assert list(visitors._folder.rglob("*")) == []
            # The gallery of everybody is the sample's.
            async with http.get(f"{address}/style/comic.webp") as answer:
                assert np.abs(_shown(await answer.read()) - drawn["comic"]).mean() > 10

    asyncio.run(talk())


def _shown_file() -> Any:
    """The picture that ships with the page, RGB."""
    return cv2.imread(str(SAMPLE), cv2.IMREAD_COLOR_RGB)


def _metrics(text: str) -> dict[str, float]:
    families = list(text_string_to_metric_families(text))
    assert all(
        family.documentation and family.type in ("gauge", "counter", "histogram") for family in families
    )
    return {
        sample.name + (f"_{sample.labels['le']}" if sample.labels else ""): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_are_prometheus_own_format_and_count_what_happened() -> None:
    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, visitors):

            async def read() -> dict[str, float]:
                async with http.get(f"{address}/metrics") as answer:
                    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
                    return _metrics(await answer.text())

            before = await read()
            assert before["streamtoon_sessions"] == before["streamtoon_pictures_total"] == 0
            assert before["streamtoon_places"] == 2
            page = Page(http, address)
            await page.open()
            assert await page.go_live(Moving(160, 96)) == ""
            await page.frames_above(5)
            now = await read()
            assert now["streamtoon_sessions"] == now["streamtoon_sessions_total"] == 1
            assert now["streamtoon_visitors"] == 1
            assert now["streamtoon_memory_bytes"] > 50e6
            await page.close()
            await until(lambda: visitors.taken == 0, "the end")
            after = await read()
            assert after["streamtoon_sessions"] == 0
            pictures = after["streamtoon_pictures_total"]
            assert pictures >= page.frames
            buckets = [v for key, v in after.items() if key.startswith("streamtoon_latency_seconds_bucket")]
            assert buckets == sorted(buckets)
            assert buckets[-1] == after["streamtoon_latency_seconds_count"] == pictures
            assert 0 < after["streamtoon_latency_seconds_sum"] < 60

    asyncio.run(talk())


def test_the_silent_are_shown_out_and_the_eldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamtoon.web.serve import clients as module

    monkeypatch.setattr(module, "MAX_CLIENTS", 3)
    monkeypatch.setattr(module, "SWEEP_INTERVAL_S", 0.05)

    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, visitors):
            pages = [Page(http, address) for _ in range(4)]
            for page in pages:
                await page.open()
            answers: list[Any] = [await http.get(f"{address}/visit/{page.id}") for page in pages]
            assert [answer.status for answer in answers] == [410, 200, 200, 200]
            assert "Reload it" in await answers[0].text()
            assert json.loads(await answers[1].text()) == {"live": False, "said": None, "files": []}
            monkeypatch.setattr(module, "CLIENT_TIMEOUT_S", 0.2)
            await until(lambda: visitors.gauges()["visitors"][1] == 0, "the end of the silent", 10)

    asyncio.run(talk())
