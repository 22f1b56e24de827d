"""Photos on the page: drawn as what they are, and given back as something that every browser shows."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heic_files import write_heic
from PIL import Image
from serve_client import Page, ended, send_file, serving

from streamtoon.api import Cartoonizer
from streamtoon.web.serve.settings import ServeSettings
from streamtoon.web.serve.upload import UploadRequest

ENGINE = {"backend": "openvino", "device": "cpu", "precision": "fp32", "quality": "lite"}


def ramp(height: int, width: int) -> Any:
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)]).astype(
        np.uint8
    )


def png_of(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(ramp(height, width)).save(file, "PNG")
    return file.getvalue()


def test_what_browsers_cannot_show_comes_back_as_a_png(tmp_path: Path) -> None:
    heic = write_heic(tmp_path / "in.heic", ramp(200, 300), tile=128, turn=3, deep=True).read_bytes()

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=ENGINE)) as (address, http, _):
            page = Page(http, address)
            await page.open()
            assert (await send_file(page, heic, name="IMG 1.HEIC"))[0] == 202
            file = await ended(page)
            assert file["state"] == "done", file
            assert (file["name"], file["width"], file["height"]) == ("IMG 1_cartoon.png", 200, 300)
            assert file["warnings"] == ["IMG 1.HEIC has 10 bits per channel: the output has 8."]
            async with http.get(f"{address}/visit/{page.id}/result/{file['id']}") as answer:
                assert answer.headers["Content-Type"] == "image/png"
                with Image.open(io.BytesIO(await answer.read())) as image:
                    assert (image.format, image.size) == ("PNG", (200, 300))
            # A photo that is called a video is no video of one frame.
            assert (await send_file(page, png_of(64, 48), name="clip.mp4"))[0] == 202
            file = await ended(page)
            assert file["state"] == "failed" and "still image" in file["error"], file

    asyncio.run(talk())


def test_a_photo_gets_the_servers_local_contrast() -> None:
    async def talk() -> Any:
        settings = ServeSettings("comic", clarity=0.8, engine=ENGINE)
        async with serving(settings) as (address, http, _):
            page = Page(http, address)
            await page.open()
            assert (await send_file(page, png_of(160, 120), name="in.png", quality="lite"))[0] == 202
            file = await ended(page)
            assert file["state"] == "done", file
            async with http.get(f"{address}/visit/{page.id}/result/{file['id']}") as answer:
                return np.asarray(Image.open(io.BytesIO(await answer.read())).convert("RGB"))

    drawn = asyncio.run(talk())
    for clarity, is_same in ((0.8, True), (0.0, False)):
        asked: Any = {"engine": "openvino", "precision": "fp32", "quality": "lite", "clarity": clarity}
        with Cartoonizer("comic", **asked) as api:
            assert np.array_equal(api(ramp(120, 160)), drawn) == is_same


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("a.heic", "a_cartoon.png"),
        ("a.JP2", "a_cartoon.png"),
        ("a.jfif", "a_cartoon.jfif"),
        ("a.avif", "a_cartoon.avif"),
        ("a.mov", "a_cartoon.mp4"),
        ("a", "a_cartoon.mp4"),
    ],
)
def test_a_result_has_a_name_that_can_be_written(name: str, result: str) -> None:
    assert UploadRequest(name=name, style="comic", strength=1, side_by_side=False).result == result
