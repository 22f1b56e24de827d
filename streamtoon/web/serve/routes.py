"""The HTTP calls: those of the page, the health check and the metrics."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from engines.looks.look import Value, look_keys
from engines.registry.look_changes import with_look
from engines.registry.style import Style
from streamtoon import __version__
from streamtoon.convert.batch import VIDEO_SUFFIXES
from streamtoon.errors import InputError, StreamtoonError
from streamtoon.images.formats import READ_SUFFIXES
from streamtoon.live import look_controls
from streamtoon.media.reader.frame_size import FrameSize
from streamtoon.web.page_files import content_type, page_files, page_html
from streamtoon.web.serve import connections
from streamtoon.web.serve.access import Access
from streamtoon.web.serve.clients import BusyError, Client, Clients
from streamtoon.web.serve.device import DevicePage
from streamtoon.web.serve.gallery import HEIGHT, IMAGE_BYTES, WIDTH, Gallery
from streamtoon.web.serve.metrics import CONTENT_TYPE
from streamtoon.web.serve.render_session import RenderChoice
from streamtoon.web.serve.settings import is_share, look_changes, require_range
from streamtoon.web.serve.upload import Upload, UploadRequest, clean_name

MAX_BODY_BYTES = 65536
"""Of a JSON body; files are read in chunks and have their own limit."""
CHUNK_BYTES = 1 << 18
BODY_TIMEOUT_S = 20.0
"""For a JSON body or an image for the gallery to arrive."""
_PAGE = files("streamtoon.web.serve") / "page"


class Routes:
    """The HTTP calls of one server."""

    def __init__(self, visitors: Clients, access: Access) -> None:
        self._visitors, self._access = visitors, access
        cards, settings = visitors.cards, visitors.settings
        previews = settings.previews(cards)
        self._gallery = Gallery(cards, settings.engine, previews)
        self._device = DevicePage(cards.values(), previews)
        self._parts = page_files(_PAGE)

    def app(self) -> web.Application:
        """Make the aiohttp application."""
        app = web.Application(
            middlewares=[connections.middleware(), self._access.middleware(), _errors_to_answers],
            client_max_size=MAX_BODY_BYTES,
        )
        app.on_response_prepare.append(self._access.add_headers)
        route = app.router
        route.add_get("/", self.page)
        route.add_get("/{name:[a-z]+\\.(?:css|js|svg|jpg)}", self.part)
        route.add_get("/device/{name:.*}", self._device.part)
        route.add_get("/facts", self.facts)
        route.add_get("/style/{name}.webp", self.thumbnail)
        route.add_get("/preview/{name}.jpg", self.preview)
        route.add_get("/healthz", self.health)
        route.add_get("/readyz", self.ready)
        route.add_get("/metrics", self.metrics)
        route.add_post("/visit", self.enter)
        route.add_get("/visit/{id}", self.state)
        route.add_post("/visit/{id}/offer", self.offer)
        route.add_post("/visit/{id}/stop", self.stop)
        route.add_post("/visit/{id}/gallery", self.gallery)
        route.add_post("/visit/{id}/file", self.file)
        route.add_post("/visit/{id}/discard", self.discard)
        route.add_post("/visit/{id}/discard/{number}", self.discard)
        route.add_post("/visit/{id}/leave", self.leave)
        route.add_get("/visit/{id}/result/{number}", self.result)
        return app

    # --- the page --------------------------------------------------------------------------------

    async def page(self, _: web.Request) -> web.Response:
        """Send the page."""
        return web.Response(text=page_html(_PAGE, places=self._device.places), content_type="text/html")

    async def part(self, request: web.Request) -> web.Response:
        """Send a style sheet, script or image of the page."""
        name = request.match_info["name"]
        if name not in self._parts:
            raise web.HTTPNotFound(text="Not found.")
        kind, charset = content_type(name)
        return web.Response(body=self._parts[name], content_type=kind, charset=charset)

    async def facts(self, _: web.Request) -> web.Response:
        """Send the styles, look keys and limits to the page."""
        settings = self._visitors.settings
        limits = settings.limits
        return web.json_response(
            {
                "version": __version__,
                "styles": [
                    {
                        "name": name,
                        "title": style.title,
                        "description": style.description,
                        "look": _look(style),
                        "qualities": settings.qualities(style),
                        "preview": self._gallery.has_preview(name),
                    }
                    for name, style in self._visitors.cards.items()
                ],
                "look_keys": _look_keys(),
                "gallery": [WIDTH, HEIGHT],
                "strength": settings.strength,
                "upload": limits.upload,
                "duration": limits.duration,
                "suffixes": {"video": sorted(VIDEO_SUFFIXES), "photo": sorted(READ_SUFFIXES)},
                "stun": settings.stun,
            }
        )

    async def thumbnail(self, request: web.Request) -> web.Response:
        """Send the sample image in a style, with the look of the request."""
        name = request.match_info["name"]
        if name not in self._visitors.cards:
            raise web.HTTPNotFound(text="This server does not have this style.")
        own = self._visitors.cards[name]
        changed = with_look(own, _look_in(request))
        if changed.look is None or changed.look == own.look:
            picture = await self._gallery.thumbnail(name)
        else:
            picture = await self._gallery.changed(name, changed.look)
        return web.Response(body=picture, content_type="image/webp")

    async def preview(self, request: web.Request) -> web.Response:
        """Send the bundled preview of a shipped style."""
        name = request.match_info["name"]
        if not self._gallery.has_preview(name):
            raise web.HTTPNotFound(text="This style has no preview.")
        return web.Response(body=self._gallery.preview(name), content_type="image/jpeg")

    async def health(self, _: web.Request) -> web.Response:
        """Answer that the server is alive."""
        return web.Response(text="ok\n")

    async def ready(self, _: web.Request) -> web.Response:
        """Answer whether new visitors may come: 200, or 503 from the moment that the server drains."""
        if self._visitors.is_draining:
            raise web.HTTPServiceUnavailable(text="draining\n")
        return web.Response(text="ready\n")

    async def metrics(self, _: web.Request) -> web.Response:
        """Answer with the metrics, for Prometheus."""
        text = self._visitors.metrics.text(self._visitors.gauges())
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    # --- a client --------------------------------------------------------------------------------

    async def enter(self, _: web.Request) -> web.Response:
        """Register an opened page."""
        return web.json_response({"id": self._visitors.enter().id})

    async def state(self, request: web.Request) -> web.Response:
        """Send the state of a client's session and files; this is also the page's keep-alive."""
        return _state(self._visitor(request))

    async def offer(self, request: web.Request) -> web.Response:
        """Start a live session."""
        visitor, asked = self._visitor(request), await _asked(request)
        offer = asked.get("sdp")
        if not isinstance(offer, str):
            raise InputError("An offer needs the text field sdp.")
        style = with_look(
            self._visitors.cards[self._style(asked.get("style"))], look_changes(asked.get("look"))
        )
        choice = RenderChoice(style, self._strength(asked.get("strength")))
        return web.json_response({"sdp": await self._visitors.answer(visitor, offer, choice)})

    async def gallery(self, request: web.Request) -> web.Response:
        """Draw every look from the client's own image, which is not stored."""
        visitor = self._visitor(request)
        if request.content_type != "application/octet-stream" or request.content_length != IMAGE_BYTES:
            raise InputError(f"The gallery needs {IMAGE_BYTES} bytes of application/octet-stream.")
        self._visitors.require_gallery_interval(visitor)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                data = await request.content.readexactly(IMAGE_BYTES)
        except (TimeoutError, asyncio.IncompleteReadError, web.RequestPayloadError, ConnectionError) as error:
            raise InputError("The image is incomplete.") from error
        drawn = await self._gallery.of_picture(data)
        return web.json_response({name: base64.b64encode(each).decode() for name, each in drawn.items()})

    async def stop(self, request: web.Request) -> web.Response:
        """End the live session."""
        visitor = self._visitor(request)
        if visitor.session is not None:
            visitor.session.end()
        return _state(visitor)

    async def file(self, request: web.Request) -> web.Response:
        """Receive a file and start to draw it."""
        visitor, query = self._visitor(request), request.query
        if request.content_type != "application/octet-stream":
            raise web.HTTPUnsupportedMediaType(text="Send a file as application/octet-stream.")
        name, look = self._style(query.get("style")), _look_in(request)
        with_look(self._visitors.cards[name], look)  # check the look before the upload
        start, end = _number(query, "start"), _number(query, "end")
        require_range(start, end)
        wanted = UploadRequest(
            name=clean_name(query.get("name", "")),
            style=self._visitors.styles[name],
            strength=self._strength(_number(query, "strength")),
            quality=self._quality(name, query.get("quality")),
            side_by_side=query.get("side_by_side") == "1",
            start=start,
            end=end,
            size=_size(query.get("size")),
            look=self._visitors.own_look(name) | look,
        )
        chunks = request.content.iter_chunked(CHUNK_BYTES)
        try:
            await self._visitors.receive(visitor, wanted, aiter(chunks), request.content_length)
        except (web.RequestPayloadError, ConnectionError) as error:
            raise InputError("The upload was interrupted. Send the file again.") from error
        return _state(visitor, status=202)

    async def discard(self, request: web.Request) -> web.Response:
        """Remove a file by its number, or the one that is being received or drawn."""
        visitor, number = self._visitor(request), request.match_info.get("number")
        if number is None:
            self._visitors.cancel(visitor)
        else:
            self._visitors.discard(visitor, number)
        return _state(visitor)

    async def leave(self, request: web.Request) -> web.Response:
        """Remove the client of a closed page."""
        self._visitors.leave(self._visitor(request))
        return web.Response()

    async def result(self, request: web.Request) -> web.StreamResponse:
        """Send a finished file."""
        upload = self._visitor(request).files.get(request.match_info["number"])
        if upload is None or upload.state != "done":
            raise web.HTTPNotFound(text="This file is not finished.")
        connections.limit_download(request, upload.result.stat().st_size)
        return _Download(upload)

    def _visitor(self, request: web.Request) -> Client:
        visitor = self._visitors.find(request.match_info["id"])
        if visitor is None:
            raise web.HTTPGone(text="This page has expired. Reload it.")
        return visitor

    def _style(self, name: Any) -> str:
        """Check the name of a style and return it. Raises InputError."""
        styles = self._visitors.cards
        if name is None:
            return next(iter(styles))
        if not isinstance(name, str) or name not in styles:
            raise InputError("This server does not have this style.")
        return name

    def _quality(self, style: str, value: str | None) -> str:
        """Check a quality for files in a style and return it. Raises InputError."""
        offered = self._visitors.settings.qualities(self._visitors.cards[style])
        if value is None:
            return offered[0]
        if value not in offered:
            raise InputError(f"quality must be one of {', '.join(offered)} for the style {style}.")
        return value

    def _strength(self, value: Any) -> float:
        if value is None:
            return self._visitors.settings.strength
        if not is_share(value):
            raise InputError("strength must be a number from 0 to 1.")
        return float(value)


class _Download(web.FileResponse):
    """A finished file; notes when all of it was sent."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(upload.result, headers={"Content-Disposition": upload.request.disposition})
        self._upload = upload

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the file."""
        writer = await super().prepare(request)
        if request.method == "GET" and self.status == 200:
            self._upload.is_downloaded = True
        return writer


@web.middleware
async def _errors_to_answers(request: web.Request, handler: Any) -> web.StreamResponse:
    """Turn exceptions with a message for the user into HTTP answers."""
    try:
        answer: web.StreamResponse = await handler(request)
        return answer
    except BusyError as error:
        raise web.HTTPServiceUnavailable(text=str(error), headers={"Retry-After": "30"}) from error
    except StreamtoonError as error:
        raise web.HTTPBadRequest(text=str(error)) from error


def _number(query: Mapping[str, str], name: str) -> float | None:
    """Return a number of the query. Raises InputError."""
    try:
        return float(query[name]) if name in query else None
    except ValueError as error:
        raise InputError(f"{name} must be a number.") from error


def _size(text: str | None) -> str | None:
    """Check a frame size of the query and return it. Raises InputError."""
    if text is not None:
        try:
            FrameSize.parse(text)
        except ValueError as error:
            raise InputError(f"size: {error}") from error
    return text


def _look_in(request: web.Request) -> dict[str, str]:
    """Return the look of the query. Raises InputError and StyleError."""
    try:
        return look_changes(json.loads(request.query.get("look", "{}")))
    except (ValueError, RecursionError) as error:
        raise InputError("look must be a JSON object of numbers and texts.") from error


def _look(style: Style) -> dict[str, Value] | None:
    """Return the value of every look key, for the page; None if the style is not a look."""
    look = style.look
    return None if look is None else {key.name: getattr(look, key.name) for key in look_keys()}


def _look_keys() -> list[dict[str, Any]]:
    """Return the look keys, for the page's controls."""
    groups = look_controls.groups()
    return [
        {
            "name": key.name,
            "group": groups[key.name],
            "kind": key.kind,
            "low": key.low,
            "high": key.high,
            "step": look_controls.slider_step(key),
            "choices": key.choices,
            "needs": look_controls.needs(key.name),
            "text": key.text,
        }
        for key in look_keys()
    ]


async def _asked(request: web.Request) -> dict[str, Any]:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            asked = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError, LookupError, RecursionError) as error:
        raise InputError("The body is not valid JSON.") from error
    except (TimeoutError, web.RequestPayloadError, ConnectionError) as error:
        raise InputError("The body is incomplete.") from error
    if not isinstance(asked, dict):
        raise InputError("The body must be a JSON object.")
    return asked


def _state(visitor: Client, status: int = 200) -> web.Response:
    return web.json_response(
        {
            "live": visitor.session is not None,
            "said": visitor.said,
            "files": [file.as_dict() for file in visitor.files.values()],
        },
        status=status,
    )
