"""Live sessions over real WebRTC on this machine: what comes back, what is refused, what is freed."""

from __future__ import annotations

import asyncio
from typing import Any

import cv2
import numpy as np
import pytest
from paths import ROOT

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from engines_open import open_engine
from serve_client import Moving, Page, Still, serving, until

from engines.common.memory import release_memory
from engines.registry.look_changes import with_look
from engines.registry.style import Style, load_style
from streamtoon.web.serve import clients as rooms_module
from streamtoon.web.serve import session as session_module
from streamtoon.web.serve.settings import Limits, ServeSettings

LITE = {"backend": "auto", "device": "cpu", "precision": "fp32", "quality": "fast"}
PHOTO = ROOT / "samples" / "photos" / "city.jpg"


NONSENSE = (
    '{"style": "../../x"}',
    '{"strength": 2}',
    "[]",
    "{",
    '{"strength": true}',
    '{"look": {"levels": 99}}',
    '{"look": {"levels": true}}',
    '{"look": {"lift": NaN}}',
    '{"look": {"lift": 1e999}}',
    '{"look": {"line_color": "url(x)"}}',
    '{"look": {"palette": ["#000000"]}}',
    '{"look": {"__class__": "x"}}',
    '{"look": [1]}',
    '{"look": {"levels": 3}, "style": "none"}',
    '{"look": {"line_color": "' + "a" * 3000 + '"}}',
    '{"look": {"line_color": "' + "a" * 5000 + '"}}',
)


def _photo() -> np.ndarray[Any, Any]:
    picture = cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(cv2.resize(picture, (320, 192), interpolation=cv2.INTER_AREA), np.uint8)


def _cartoon(photo: np.ndarray[Any, Any], style: str | Style) -> np.ndarray[Any, Any]:
    with open_engine(style, width=320, height=192, **LITE) as engine:  # type: ignore[arg-type]
        return engine.rgb(photo)


def _apart(frame: Any, picture: np.ndarray[Any, Any]) -> float:
    """Mean difference of a returned frame from a picture, code values; coding and colour blurred away."""
    shown = frame.reformat(format="rgb24", src_colorspace="ITU601").to_ndarray()
    small = [cv2.GaussianBlur(one, (0, 0), 1.5).astype(np.float64) for one in (shown, picture)]
    return float(np.abs(small[0] - small[1]).mean())


async def _looks_like(page: Page, pictures: dict[str, np.ndarray[Any, Any]], name: str) -> None:
    """Until what comes back is far nearer to that one of `pictures` than to all others."""

    def there() -> bool:
        apart = {key: _apart(page.latest, picture) for key, picture in pictures.items()}
        nearest = apart.pop(name)
        return nearest < 0.6 * min(apart.values())

    await until(lambda: page.latest is not None and there(), f"{name} as what comes back")


def test_what_comes_back_is_the_cartoon_of_what_was_sent_in_the_style_and_strength_asked_for() -> None:
    photo = _photo()
    changed = with_look(load_style("comic"), {"levels": 1, "line_color": "#ff0000", "line_chroma": 0})
    pictures = {
        "photo": photo,
        "comic": _cartoon(photo, "comic"),
        "ink": _cartoon(photo, "ink"),
        "changed": _cartoon(photo, changed),
    }

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=LITE)) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            assert await page.go_live(Still(photo), style="comic", strength=1.0) == ""
            await _looks_like(page, pictures, "comic")
            assert (page.latest.width, page.latest.height) == (320, 192)
            page.send('{"style": "ink"}')
            await _looks_like(page, pictures, "ink")
            page.send('{"strength": 0}')
            await _looks_like(page, pictures, "photo")
            # Nonsense is answered in a sentence, and changes nothing.
            for nonsense in NONSENSE:
                page.messages.clear()
                page.send(nonsense)
                said = await until(
                    lambda: [one["error"] for one in page.messages if "error" in one], nonsense
                )
                assert len(said) == 1 and len(said[0]) < 1000, nonsense
            page.send('{"strength": 1, "style": "comic"}')
            await _looks_like(page, pictures, "comic")
            # A look is all that is changed of the style's own, and comes with the next picture.
            page.send('{"look": {"levels": 1, "line_color": "#FF0000", "line_chroma": 0}}')
            await _looks_like(page, pictures, "changed")
            page.send('{"look": {}}')
            await _looks_like(page, pictures, "comic")
            await until(lambda: any(one.get("style") == "comic" for one in page.messages), "how it goes")
            told = [one for one in page.messages if "fps" in one][-1]
            assert told["fps"] > 0 and told["ms"] > 0 and told["dropped"] >= 0
            assert "fast" in told["engine"]
            await page.close()
            await until(lambda: visitors.taken == 0, "the free place")

    asyncio.run(talk())


def test_a_full_server_says_so_and_a_closed_page_frees_its_place() -> None:
    async def talk() -> None:
        settings = ServeSettings("comic", engine=LITE, limits=Limits(sessions=1))
        async with serving(settings) as (address, http, visitors):
            first, second = Page(http, address), Page(http, address)
            await first.open()
            await second.open()
            assert await first.go_live(Moving(160, 96)) == ""
            await first.frames_above(2)
            assert "slots are in use" in await second.go_live(Moving(160, 96))
            await first.close()
            await until(lambda: visitors.taken == 0, "the free place")
            assert await second.go_live(Moving(160, 96)) == ""
            await second.frames_above(2)
            # Beginning again takes the place of what was there.
            old = second.peer
            assert await second.go_live(Moving(160, 96)) == ""
            assert visitors.taken == 1
            assert old is not None
            await old.close()
            await (await second.post(f"visit/{second.id}/leave")).read()
            await until(lambda: visitors.taken == 0, "the free place")
            await second.close()

    asyncio.run(talk())


def test_a_page_that_dies_silently_frees_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "SILENCE_TIMEOUT_S", 2.0)

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=LITE)) as (address, http, visitors):
            dying, living = Page(http, address), Page(http, address)
            for page in (dying, living):
                await page.open()
                assert await page.go_live(Moving(160, 96)) == ""
                await page.frames_above(2)
            await dying.vanish()
            await until(lambda: visitors.taken == 1, "the free place", 60)
            await living.frames_above(living.frames + 10)
            said = (await dying.state())["said"]
            assert "No video arrived" in said and "UDP" in said
            await asyncio.gather(dying.close(), living.close())

    asyncio.run(talk())


def test_pictures_beyond_the_limit_end_the_session_with_a_sentence() -> None:
    async def talk() -> None:
        settings = ServeSettings("comic", engine=LITE, limits=Limits(pixels=0.02))
        async with serving(settings) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            assert await page.go_live(Moving(320, 180)) == ""
            said = await until(lambda: [one["end"] for one in page.messages if "end" in one], "the sentence")
            assert said == ["The frames are 320x180; the limit of this server is 0.02 megapixels."]
            await until(lambda: visitors.taken == 0, "the free place")
            assert (await page.state())["said"] == said[0]
            await page.close()

    asyncio.run(talk())


def test_the_server_closes_in_mid_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms_module, "CLOSE_TIMEOUT_S", 20.0)

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=LITE)) as (address, http, visitors):
            pages = [Page(http, address) for _ in range(3)]
            for page in pages:
                await page.open()
                assert await page.go_live(Moving(160, 96)) == ""
            await pages[0].frames_above(2)
            await visitors.close()
            assert visitors.taken == 0
            await asyncio.gather(*(page.close() for page in pages))

    asyncio.run(talk())


def test_memory_is_released_once_for_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collecting garbage holds up the loop, so it happens between sweeps and not once a session."""
    released: list[float] = []

    def release() -> None:
        released.append(asyncio.get_running_loop().time())
        release_memory()

    monkeypatch.setattr(rooms_module, "SWEEP_INTERVAL_S", 1.0)
    monkeypatch.setattr(rooms_module, "release_memory", release)

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=LITE)) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            for _ in range(20):
                offer = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=fingerprint:sha-256 00\r\n"
                answer = await page.post(f"visit/{page.id}/offer", {"sdp": offer})
                assert answer.status == 400
            await until(lambda: released and visitors.taken == 0, "the memory")
            await asyncio.sleep(3)  # three more sweeps
            assert len(released) <= 2  # the sessions may have ended on both sides of a sweep

    asyncio.run(talk())
