"""The page that draws on the visitor's own device, as the server offers it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from posixpath import dirname, join, normpath

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

import aiohttp
from serve_client import serving

from engines.registry.style import shipped_names
from streamtoon.web.serve.access import Access
from streamtoon.web.serve.device import DevicePage
from streamtoon.web.serve.settings import ServeSettings

ENGINE = {"backend": "auto", "device": "cpu", "precision": "fp32", "quality": "fast"}
IMPORTS = r"""(?:from|import\(|new URL\() ?"(\.{1,2}/[\w./]+|pattern_worker\.js)\""""


async def fetched(http: aiohttp.ClientSession, address: str) -> bytes:
    async with http.get(address) as answer:
        assert answer.status == 200, address
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy and "*" not in policy
        return await answer.read()


def test_the_choice_leads_to_a_page_that_is_whole_and_has_the_servers_policy() -> None:
    async def talk() -> None:
        settings = ServeSettings("ink", look={"levels": "3"}, engine=ENGINE)
        async with serving(settings) as (address, http, _):
            page = (await fetched(http, address)).decode()
            assert '<a href="./" aria-current="page">On the server</a>' in page
            assert '<a href="device/">On this device</a>' in page
            page = (await fetched(http, f"{address}/device/")).decode()
            assert '<a href="../">On the server</a>' in page
            assert '<a href="./" aria-current="page">On this device</a>' in page

            waiting = set(re.findall(r'(?:href|src)="([\w.]+)"', page))
            seen: dict[str, bytes] = {}
            while waiting:
                name = waiting.pop()
                seen[name] = await fetched(http, f"{address}/device/{name}")
                if name.endswith(".js"):
                    found = re.findall(IMPORTS, seen[name].decode())
                    waiting |= {normpath(join(dirname(name), path)) for path in found} - seen.keys()
            scripts = [name for name in seen if name.endswith(".js")]
            assert {"app.js", "look.js", "engine/gl.js", "engine/pattern_worker.js"} <= set(scripts)
            # The server is there whenever the page is, so nothing is kept in a browser that others may use.
            assert not any(b"serviceWorker" in seen[name] for name in scripts)

            facts = json.loads(await fetched(http, f"{address}/device/site.json"))
            assert {style["name"] for style in facts["styles"]} == set(shipped_names())
            first = facts["styles"][0]
            # A changed look has no thumbnail, because the one that ships shows the look as it was.
            assert (first["name"], first["look"]["levels"], first["thumbnail"]) == ("ink", 3, "")
            for forms in facts["networks"].values():
                for network in forms.values():
                    data = await fetched(http, f"{address}/device/{network['file']}")
                    assert hashlib.sha256(data).hexdigest() == network["sha256"]
            for name in ("sw.js", "manifest.webmanifest", "keep.js", "../site.json", "engine", "engine/"):
                async with http.get(f"{address}/device/{name}") as answer:
                    assert answer.status == 404, name

    asyncio.run(talk())


def test_the_page_needs_the_servers_token() -> None:
    access = Access("0.0.0.0", encrypted=True)

    async def talk() -> None:
        async with serving(ServeSettings("ink", engine=ENGINE), access) as (address, http, _):
            for path in ("device/", "device/app.js", "device/site.json", f"device/?token={access.token}"):
                async with http.get(f"{address}/{path}") as answer:
                    assert answer.status == 401, path
            bearer = {"Authorization": f"Bearer {access.token}"}
            async with http.get(f"{address}/device/", headers=bearer) as answer:
                assert answer.status == 200

    asyncio.run(talk())


def test_a_server_without_looks_offers_no_choice() -> None:
    assert DevicePage([], {}).places == []
