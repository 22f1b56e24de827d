"""The gallery of styles: drawn from the bundled sample image, or from a client's own image."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from engines.common.image_files import read_image
from engines.imaging.field_blocks import FieldPlanes
from engines.looks.look import Look
from engines.registry.style import Style
from streamtoon.errors import InputError, StreamtoonError
from streamtoon.tools.every_style import Rgb, drawn_with, fields_of, in_every_style, of_one_network
from streamtoon.web.page_files import SHARED
from streamtoon.web.serve.clients import BusyError

WEBP_QUALITY = 82
WIDTH, HEIGHT = 640, 400
"""Pixels of a thumbnail, and of a client's image."""
IMAGE_BYTES = WIDTH * HEIGHT * 3
Drawn = TypeVar("Drawn")
MAX_WAITING = 8
"""Requests that may wait: one is drawn at a time."""
SAMPLE = SHARED / "sample.jpg"


class Gallery:
    """Thumbnails of the styles, as WebP. Those of the sample image are cached in memory.

    Looks that share a network need one run of it.
    """

    def __init__(
        self, styles: Mapping[str, Style], engine: Mapping[str, str], previews: Mapping[str, Path]
    ) -> None:
        self._styles, self._previews = styles, previews
        self._cut: dict[str, bytes] = {}
        """Cached results of `preview`, by style."""
        self._engine: dict[str, Any] = {key: value for key, value in engine.items() if key != "quality"}
        self._pictures: dict[str, asyncio.Future[bytes]] = {}
        self._fields: dict[str, FieldPlanes] = {}
        """Fields of the sample image, by style."""
        self._turn = asyncio.Lock()
        self._waiting = 0

    def has_preview(self, name: str) -> bool:
        """Return whether a style has a preview."""
        return name in self._previews

    def preview(self, name: str) -> bytes:
        """Return the drawn half of a style's before/after image, as a JPEG in the shape of a thumbnail.

        It shows the sample image and takes milliseconds, as nothing is drawn.
        """
        if name not in self._cut:
            both = read_image(self._previews[name])
            drawn = both[:, both.shape[1] // 2 :]
            height = min(drawn.shape[0], drawn.shape[1] * HEIGHT // WIDTH)
            top = (drawn.shape[0] - height) // 2
            cut = drawn[top : top + height, :, ::-1]
            self._cut[name] = cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
        return self._cut[name]

    async def thumbnail(self, name: str) -> bytes:
        """Draw the sample image in a style. Raises StyleError and EngineError."""
        if name not in self._pictures:
            await self._draw_sample(self._of_one_network(name))
        return await asyncio.shield(self._pictures[name])

    async def changed(self, name: str, look: Look) -> bytes:
        """Draw the sample image in a style with a changed look. Raises BusyError, too."""
        await self.thumbnail(name)
        return await self._in_turn(lambda: _webp(drawn_with(self._fields[name], look, HEIGHT, WIDTH)))

    async def of_picture(self, data: bytes) -> dict[str, bytes]:
        """Draw `IMAGE_BYTES` of RGB in every look. Raises BusyError, InputError and EngineError."""
        if len(data) != IMAGE_BYTES:
            raise InputError(f"The image must be {WIDTH} x {HEIGHT} pixels of RGB: {IMAGE_BYTES} bytes.")
        image = np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, 3)
        looks = {name: style for name, style in self._styles.items() if style.look is not None}

        def draw() -> dict[str, bytes]:
            names = list(looks)
            drawn = in_every_style(image, list(looks.values()), **self._engine)
            return {names[place]: _webp(picture) for place, picture in drawn}

        return await self._in_turn(draw)

    def _of_one_network(self, name: str) -> list[str]:
        names = list(self._styles)
        groups = of_one_network(list(self._styles.values()))
        return next([names[place] for place in group] for group in groups if names.index(name) in group)

    async def _draw_sample(self, names: Sequence[str]) -> None:
        """Fill `_pictures` for styles of one network; a failed style is tried again next time."""
        loop = asyncio.get_running_loop()
        promised = {name: loop.create_future() for name in names}
        self._pictures |= promised
        try:
            async with self._turn:
                drawn = await asyncio.to_thread(self._draw, names)
            for name, picture in drawn.items():
                promised[name].set_result(picture)
        except BaseException as error:
            for name, future in promised.items():
                self._pictures.pop(name, None)
                if isinstance(error, StreamtoonError):
                    future.set_exception(error)
                    future.exception()  # mark it as retrieved: maybe no caller waits for it
                else:
                    future.cancel()
            raise

    def _draw(self, names: Sequence[str]) -> dict[str, bytes]:
        sample = _sample()
        styles = [self._styles[name] for name in names]
        if styles[0].look is None:
            return {
                names[place]: _webp(each) for place, each in in_every_style(sample, styles, **self._engine)
            }
        fields = fields_of(sample, styles[0], **self._engine)
        self._fields |= dict.fromkeys(names, fields)
        looks = {name: style.look for name, style in zip(names, styles, strict=True)}
        return {
            name: _webp(drawn_with(fields, look, HEIGHT, WIDTH))
            for name, look in looks.items()
            if look is not None
        }

    async def _in_turn(self, draw: Callable[[], Drawn]) -> Drawn:
        if self._waiting >= MAX_WAITING:
            raise BusyError("The server is busy. Try again in a moment.")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(draw)
        finally:
            self._waiting -= 1


def _sample() -> Rgb:
    sample = cv2.imdecode(np.frombuffer(SAMPLE.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert sample is not None and sample.shape == (HEIGHT, WIDTH, 3), "the bundled image has this size"
    return np.asarray(sample, np.uint8)


def _webp(picture: Rgb) -> bytes:
    _, data = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    return data.tobytes()
