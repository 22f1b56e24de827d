"""The page that draws on the visitor's own device, under `device/` of the server's page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from engines.registry.style import Style
from streamtoon.web.page_files import content_type
from streamtoon.web.site.build import site_files
from streamtoon.web.site.contents import is_drawable

SERVER, DEVICE = "On the server", "On this device"


class DevicePage:
    """The files of that page, which are made once, when a visitor first opens it.

    Args:
        styles: All styles of the server. The page offers those that are looks.
        previews: Before/after images by style; styles without one have no thumbnail.
    """

    def __init__(self, styles: Iterable[Style], previews: Mapping[str, Path]) -> None:
        drawable = filter(is_drawable, styles)
        self._styles = [replace(style, preview=previews.get(style.name)) for style in drawable]
        self._making: asyncio.Task[dict[str, bytes]] | None = None

    @property
    def places(self) -> list[tuple[str, str]]:
        """What the server's page offers as the place to draw; empty if there is no choice."""
        return [(SERVER, "./"), (DEVICE, "device/")] if self._styles else []

    async def part(self, request: web.Request) -> web.Response:
        """Send a file of the page."""
        name = request.match_info["name"] or "index.html"
        found = await self._files() if self._styles else {}
        if name not in found:
            raise web.HTTPNotFound(text="Not found.")
        kind, charset = content_type(name)
        return web.Response(body=found[name], content_type=kind, charset=charset)

    async def _files(self) -> dict[str, bytes]:
        if self._making is None:
            places = [(SERVER, "../"), (DEVICE, "./")]
            self._making = asyncio.create_task(asyncio.to_thread(site_files, self._styles, places))
        return await asyncio.shield(self._making)
