"""Live sessions over real WebRTC on this machine: what comes back, what is refused, what is freed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from serve_client import Moving, Page, Still, serving, until

from engines.opening import open_engine
from streamtoon.serve import session as session_module
from streamtoon.serve import visitors as rooms_module
from streamtoon.serve.settings import Limits, Settings

LITE = {"backend": "auto", "device": "cpu", "precision": "fp32", "quality": "fast"}
PHOTO = Path(__file__).parent.parent / "samples" / "photos" / "city.jpg"


def _photo() -> np.ndarray[Any, Any]:
    picture = cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(cv2.resize(picture, (320, 192), interpolation=cv2.INTER_AREA), np.uint8)


def _cartoon(photo: np.ndarray[Any, Any], style: str) -> np.ndarray[Any, Any]:
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
    pictures = {"photo": photo, "comic": _cartoon(photo, "comic"), "scroll": _cartoon(photo, "scroll")}

    async def talk() -> None:
        async with serving(Settings("comic", engine=LITE)) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            assert await page.go_live(Still(photo), style="comic", strength=1.0) == ""
            await _looks_like(page, pictures, "comic")
            assert (page.latest.width, page.latest.height) == (320, 192)
            page.send('{"style": "scroll"}')
            await _looks_like(page, pictures, "scroll")
            page.send('{"strength": 0}')
            await _looks_like(page, pictures, "photo")
            # Nonsense is answered in a sentence, and changes nothing.
            for nonsense in ('{"style": "../../x"}', '{"strength": 2}', "[]", "{", '{"strength": true}'):
                page.messages.clear()
                page.send(nonsense)
                await until(lambda: any("error" in one for one in page.messages), "an answer")
            page.send('{"strength": 1, "style": "comic"}')
            await _looks_like(page, pictures, "comic")
            await until(lambda: any(one.get("style") == "comic" for one in page.messages), "how it goes")
            told = [one for one in page.messages if "fps" in one][-1]
            assert told["fps"] > 0 and told["ms"] > 0 and told["dropped"] >= 0
            assert "fast" in told["engine"]
            await page.close()
            await until(lambda: visitors.taken == 0, "the free place")

    asyncio.run(talk())


def test_a_full_house_says_so_and_a_page_that_closes_makes_room() -> None:
    async def talk() -> None:
        settings = Settings("comic", engine=LITE, limits=Limits(sessions=1))
        async with serving(settings) as (address, http, visitors):
            first, second = Page(http, address), Page(http, address)
            await first.open()
            await second.open()
            assert await first.go_live(Moving(160, 96)) == ""
            await first.frames_above(2)
            assert "all places are taken" in await second.go_live(Moving(160, 96))
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


def test_a_page_that_dies_without_a_word_frees_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "SILENCE", 2.0)

    async def talk() -> None:
        async with serving(Settings("comic", engine=LITE)) as (address, http, visitors):
            dying, living = Page(http, address), Page(http, address)
            for page in (dying, living):
                await page.open()
                assert await page.go_live(Moving(160, 96)) == ""
                await page.frames_above(2)
            await dying.vanish()
            await until(lambda: visitors.taken == 1, "the free place", 60)
            await living.frames_above(living.frames + 10)
            said = (await dying.state())["said"]
            assert "No picture came" in said and "UDP" in said
            await asyncio.gather(dying.close(), living.close())

    asyncio.run(talk())


def test_pictures_beyond_the_limit_end_the_session_with_a_sentence() -> None:
    async def talk() -> None:
        settings = Settings("comic", engine=LITE, limits=Limits(pixels=0.02))
        async with serving(settings) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            assert await page.go_live(Moving(320, 180)) == ""
            said = await until(lambda: [one["end"] for one in page.messages if "end" in one], "the sentence")
            assert said == ["The pictures are 320x180: this server takes at most 0.02 million pixels."]
            await until(lambda: visitors.taken == 0, "the free place")
            assert (await page.state())["said"] == said[0]
            await page.close()

    asyncio.run(talk())


def test_the_server_closes_in_mid_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms_module, "GOODBYE", 20.0)

    async def talk() -> None:
        async with serving(Settings("comic", engine=LITE)) as (address, http, visitors):
            pages = [Page(http, address) for _ in range(3)]
            for page in pages:
                await page.open()
                assert await page.go_live(Moving(160, 96)) == ""
            await pages[0].frames_above(2)
            await visitors.close()
            assert visitors.taken == 0
            await asyncio.gather(*(page.close() for page in pages))

    asyncio.run(talk())
