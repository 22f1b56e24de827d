"""What each style looks like: one picture that ships with the page, drawn in it when somebody asks."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import Any

import cv2
import numpy as np

from engines.opening import open_engine

QUALITY = 82
SAMPLE = files("streamtoon.serve") / "page" / "sample.jpg"


class Gallery:
    """Thumbnails, WebP, kept in memory once they are drawn; one is drawn at a time."""

    def __init__(self, styles: dict[str, str], engine: dict[str, str]) -> None:
        self._styles = styles
        self._engine: dict[str, Any] = {key: value for key, value in engine.items() if key != "quality"}
        self._drawn: dict[str, bytes] = {}
        self._drawing = asyncio.Lock()

    async def thumbnail(self, name: str) -> bytes:
        """Of a style that the server has. Raises StyleError and EngineError."""
        async with self._drawing:
            if name not in self._drawn:
                self._drawn[name] = await asyncio.to_thread(self._draw, name)
        return self._drawn[name]

    def _draw(self, name: str) -> bytes:
        sample = cv2.imdecode(np.frombuffer(SAMPLE.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
        assert sample is not None, "the picture ships with the page"
        height, width = sample.shape[:2]
        with open_engine(
            self._styles[name], quality="full", width=width, height=height, **self._engine
        ) as engine:
            cartoon = engine.rgb(np.asarray(sample, np.uint8))
        _, data = cv2.imencode(".webp", cartoon[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
        return data.tobytes()
