"""The calls of the page, and those of whoever watches the server."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from aiohttp import web

from streamtoon import __version__
from streamtoon.errors import InputError, StreamtoonError
from streamtoon.serve.access import Access
from streamtoon.serve.drawing import Look
from streamtoon.serve.gallery import Gallery
from streamtoon.serve.metrics import CONTENT_TYPE
from streamtoon.serve.settings import is_share
from streamtoon.serve.upload import UploadRequest, clean_name
from streamtoon.serve.visitors import BusyError, Visitor, Visitors

LARGEST_BODY = 65536
"""Bytes of an offer; files are read piece by piece and have their own limit."""
CHUNK = 1 << 18
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "jpg": "image/jpeg"}
_PAGE = files("streamtoon.serve") / "page"


class Routes:
    """On one server's visitors."""

    def __init__(self, visitors: Visitors, access: Access) -> None:
        self._visitors, self._access = visitors, access
        self._gallery = Gallery(visitors.styles, visitors.settings.engine)

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._access.middleware(), _told], client_max_size=LARGEST_BODY)
        app.on_response_prepare.append(self._access.add_headers)
        route = app.router
        route.add_get("/", self.page)
        route.add_get("/{name:[a-z]+}.{kind:css|js|svg|jpg}", self.part)
        route.add_get("/facts", self.facts)
        route.add_get("/style/{name}.webp", self.thumbnail)
        route.add_get("/healthz", self.health)
        route.add_get("/metrics", self.metrics)
        route.add_post("/visit", self.enter)
        route.add_get("/visit/{id}", self.state)
        route.add_post("/visit/{id}/offer", self.offer)
        route.add_post("/visit/{id}/stop", self.stop)
        route.add_post("/visit/{id}/file", self.file)
        route.add_post("/visit/{id}/discard", self.discard)
        route.add_post("/visit/{id}/leave", self.leave)
        route.add_get("/visit/{id}/result", self.result)
        return app

    # --- the page --------------------------------------------------------------------------------

    async def page(self, _: web.Request) -> web.Response:
        """The page itself."""
        return web.Response(text=(_PAGE / "index.html").read_text(encoding="utf-8"), content_type="text/html")

    async def part(self, request: web.Request) -> web.Response:
        """Its style, script and pictures."""
        kind = request.match_info["kind"]
        part = _PAGE / f"{request.match_info['name']}.{kind}"
        if not part.is_file():
            raise web.HTTPNotFound(text="There is no such thing here.")
        charset = None if kind == "jpg" else "utf-8"
        return web.Response(body=part.read_bytes(), content_type=_KINDS[kind], charset=charset)

    async def facts(self, _: web.Request) -> web.Response:
        """What the page has to know."""
        settings = self._visitors.settings
        limits = settings.limits
        return web.json_response(
            {
                "version": __version__,
                "styles": [
                    {"name": name, "title": style.title, "description": style.description}
                    for name, style in self._visitors.cards.items()
                ],
                "strength": settings.strength,
                "upload": limits.upload,
                "pixels": limits.pixels,
                "stun": settings.stun,
            }
        )

    async def thumbnail(self, request: web.Request) -> web.Response:
        """What a style looks like."""
        name = request.match_info["name"]
        if name not in self._visitors.styles:
            raise web.HTTPNotFound(text="There is no such style here.")
        return web.Response(body=await self._gallery.thumbnail(name), content_type="image/webp")

    async def health(self, _: web.Request) -> web.Response:
        """That the server is alive."""
        return web.Response(text="ok\n")

    async def metrics(self, _: web.Request) -> web.Response:
        """What it counts, for Prometheus."""
        text = self._visitors.metrics.text(self._visitors.gauges())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    # --- a visitor -------------------------------------------------------------------------------

    async def enter(self, _: web.Request) -> web.Response:
        """A page was opened."""
        return web.json_response({"id": self._visitors.enter().id})

    async def state(self, request: web.Request) -> web.Response:
        """How it stands with a visitor's things; the page asks now and then, and is thereby known to live."""
        return _state(self._visitor(request))

    async def offer(self, request: web.Request) -> web.Response:
        """Begins a live session."""
        visitor, asked = self._visitor(request), await _asked(request)
        offer = asked.get("sdp")
        if not isinstance(offer, str):
            raise InputError("An offer has a text named sdp.")
        look = Look(self._style(asked.get("style")), self._strength(asked.get("strength")))
        return web.json_response({"sdp": await self._visitors.answer(visitor, offer, look)})

    async def stop(self, request: web.Request) -> web.Response:
        """Ends the live session."""
        visitor = self._visitor(request)
        if visitor.session is not None:
            visitor.session.end()
        return _state(visitor)

    async def file(self, request: web.Request) -> web.Response:
        """Receives a file and begins to draw it."""
        visitor, query = self._visitor(request), request.query
        if request.content_type != "application/octet-stream":
            raise web.HTTPUnsupportedMediaType(text="A file is sent as application/octet-stream.")
        try:
            strength = float(query["strength"]) if "strength" in query else None
        except ValueError as error:
            raise InputError("strength is a number from 0 to 1.") from error
        wanted = UploadRequest(
            clean_name(query.get("name", "")),
            self._style(query.get("style")),
            self._strength(strength),
            query.get("side_by_side") == "1",
        )
        chunks = request.content.iter_chunked(CHUNK)
        try:
            await self._visitors.receive(visitor, wanted, aiter(chunks), request.content_length)
        except (web.RequestPayloadError, ConnectionError) as error:
            raise InputError("The file did not come whole; send it again.") from error
        return _state(visitor, status=202)

    async def discard(self, request: web.Request) -> web.Response:
        """Cancels a file's job, or takes away what came of it."""
        visitor = self._visitor(request)
        self._visitors.discard(visitor)
        return _state(visitor)

    async def leave(self, request: web.Request) -> web.Response:
        """A page was closed."""
        self._visitors.leave(self._visitor(request))
        return web.Response()

    async def result(self, request: web.Request) -> web.StreamResponse:
        """The file that was made."""
        upload = self._visitor(request).upload
        if upload is None or upload.state != "done":
            raise web.HTTPNotFound(text="There is no finished file.")
        return web.FileResponse(upload.result, headers={"Content-Disposition": upload.request.disposition})

    def _visitor(self, request: web.Request) -> Visitor:
        visitor = self._visitors.find(request.match_info["id"])
        if visitor is None:
            raise web.HTTPGone(text="The server has forgotten this page; load it again.")
        return visitor

    def _style(self, name: Any) -> str:
        styles = self._visitors.styles
        if name is None:
            return next(iter(styles.values()))
        if not isinstance(name, str) or name not in styles:
            raise InputError("There is no such style here.")
        return styles[name]

    def _strength(self, value: Any) -> float:
        if value is None:
            return self._visitors.settings.strength
        if not is_share(value):
            raise InputError("strength is a number from 0 to 1.")
        return float(value)


@web.middleware
async def _told(request: web.Request, handler: Any) -> web.StreamResponse:
    """Sentences for visitors become answers."""
    try:
        answer: web.StreamResponse = await handler(request)
        return answer
    except BusyError as error:
        raise web.HTTPServiceUnavailable(text=str(error), headers={"Retry-After": "30"}) from error
    except StreamtoonError as error:
        raise web.HTTPBadRequest(text=str(error)) from error


async def _asked(request: web.Request) -> dict[str, Any]:
    try:
        asked = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError, LookupError, RecursionError) as error:
        raise InputError("That is no JSON.") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InputError("The message did not come whole.") from error
    if not isinstance(asked, dict):
        raise InputError("That is no JSON object.")
    return asked


def _state(visitor: Visitor, status: int = 200) -> web.Response:
    upload = visitor.upload
    return web.json_response(
        {
            "live": visitor.session is not None,
            "said": visitor.said,
            "file": None if upload is None else upload.as_dict(),
        },
        status=status,
    )
