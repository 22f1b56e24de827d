"""The vote's page and its HTTP calls. A pick is on disk before it is answered."""

from __future__ import annotations

import asyncio
import json
import math
import unicodedata
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jinja2
from aiohttp import web

from engines.errors import StreamtoonError
from eval.voting.ballot import VoteItem
from eval.voting.ranking import Ranking, rank
from eval.voting.vote_log import VoteLog
from eval.voting.webp_padding import OVERHEAD_BYTES, pad_webp
from streamtoon.web.vote.access import MAX_BODY_BYTES, add_headers, guard

MAX_NAME_CHARACTERS = 60
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_PAGE = files("streamtoon.web.vote") / "page"


class VoteServer:
    """The HTTP calls of one vote."""

    def __init__(self, box: VoteLog, finished: Callable[[str], object] | None = None) -> None:
        self.box, self.ballot, self._finished = box, box.ballot, finished
        self._writing = asyncio.Lock()
        self._templates = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )

    def app(self, host: str) -> web.Application:
        """Make the application of a server that is bound to `host`."""
        app = web.Application(middlewares=[guard(host)], client_max_size=MAX_BODY_BYTES)
        app.on_response_prepare.append(add_headers)
        app.router.add_get("/", self.page)
        app.router.add_get("/results", self.results)
        app.router.add_get("/state", self.state)
        app.router.add_get("/picture/{plate}/{position}", self.picture)
        app.router.add_get("/{name:vote|results|icon}.{kind:css|js|svg}", self.part)
        app.router.add_post("/vote", self.vote)
        app.router.add_post("/undo", self.undo)
        return app

    async def page(self, _: web.Request) -> web.Response:
        """Send the page of the vote."""
        pictures, candidates = len(self.ballot.items), len(self.ballot.candidates)
        return self._html("vote.html", pictures=pictures, candidates=candidates)

    async def results(self, _: web.Request) -> web.Response:
        """Send the ranking of the votes so far."""
        ranking = await asyncio.to_thread(rank, list(self.box.tally))
        pictures = len(self.ballot.items)
        return self._html("results.html", ranking=ranking, scale=_scale(ranking), pictures=pictures)

    async def part(self, request: web.Request) -> web.Response:
        """Send the style sheet, script or icon of a page."""
        name, kind = request.match_info["name"], request.match_info["kind"]
        part = _PAGE / f"{name}.{kind}"
        if not part.is_file():
            raise web.HTTPNotFound
        return web.Response(text=part.read_text(encoding="utf-8"), content_type=_KINDS[kind])

    async def state(self, request: web.Request) -> web.Response:
        """Send a reviewer's progress and the next photo."""
        return self._state(_reviewer(request.query.get("reviewer", "")))

    async def picture(self, request: web.Request) -> web.Response:
        """Send the photo (position 0), or the cartoon that a reviewer sees at position 1, 2, ..."""
        item = self.ballot.by_id.get(request.match_info["plate"])
        position = request.match_info["position"]
        if item is None or position not in map(str, range(len(self.ballot.candidates) + 1)):
            raise web.HTTPNotFound
        if position == "0":
            return web.Response(body=item.original.read_bytes(), content_type="image/webp")
        reviewer = _reviewer(request.query.get("reviewer", ""))
        name = self.ballot.shown(reviewer, item)[int(position) - 1]
        data = pad_webp(item.results[name].read_bytes(), item.bytes + OVERHEAD_BYTES)
        return web.Response(body=data, content_type="image/webp")

    async def vote(self, request: web.Request) -> web.Response:
        """Store a pick."""
        asked = await self._asked(request)
        item, position = self.ballot.by_id.get(str(asked.get("photo"))), asked.get("position")
        if item is None or type(position) is not int or not 1 <= position <= len(self.ballot.candidates):
            raise web.HTTPBadRequest(text="This image does not exist.")
        reviewer = _reviewer(asked.get("reviewer"))
        await self._write(self.box.cast, reviewer, item, position - 1)
        if self._finished and not self.box.queue(reviewer):
            self._finished(self.box.tally.spelling(reviewer))
        return self._state(reviewer)

    async def undo(self, request: web.Request) -> web.Response:
        """Undo a reviewer's latest pick."""
        reviewer = _reviewer((await self._asked(request)).get("reviewer"))
        if not await self._write(self.box.take_back, reviewer):
            raise web.HTTPConflict(text="There is no pick to undo.")
        return self._state(reviewer)

    async def _asked(self, request: web.Request) -> dict[str, Any]:
        try:
            asked = await request.json()
        except (json.JSONDecodeError, UnicodeDecodeError, LookupError, RecursionError) as error:
            raise web.HTTPBadRequest(text="The body is not valid JSON.") from error
        if not isinstance(asked, dict):
            raise web.HTTPBadRequest(text="The body must be a JSON object.")
        if asked.get("ballot") != self.ballot.id:
            # The server was started again on something else: position 2 would be another candidate's.
            raise web.HTTPPreconditionFailed(text="The vote has changed. Reload the page.")
        return asked

    async def _write(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Write one after the other, in a thread, and to the end even if the client disconnects."""

        async def alone() -> Any:
            async with self._writing:
                return await asyncio.to_thread(call, *arguments)

        try:
            return await asyncio.shield(asyncio.create_task(alone()))
        except StreamtoonError as error:
            raise web.HTTPInsufficientStorage(text=f"The pick was not saved: {error}.") from error

    def _state(self, reviewer: str) -> web.Response:
        queue = self.box.queue(reviewer)
        total = len(self.ballot.items)
        return web.json_response(
            {
                "ballot": self.ballot.id,
                "reviewer": self.box.tally.spelling(reviewer),
                "candidates": len(self.ballot.candidates),
                "done": total - len(queue),
                "total": total,
                "next": [_facts(item) for item in queue[:2]],
            }
        )

    def _html(self, name: str, **values: Any) -> web.Response:
        template = self._templates.from_string((_PAGE / name).read_text(encoding="utf-8"))
        return web.Response(text=template.render(**values), content_type="text/html")


def _reviewer(name: object) -> str:
    """Check the name of a reviewer and return it on one line. Raises HTTPBadRequest."""
    if not isinstance(name, str) or len(name) > 4 * MAX_NAME_CHARACTERS:
        raise web.HTTPBadRequest(text="The name of the reviewer is missing.")
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not clean or len(clean) > MAX_NAME_CHARACTERS or not clean.isprintable():
        raise web.HTTPBadRequest(text=f"A name must have 1 to {MAX_NAME_CHARACTERS} printable characters.")
    return clean


def _facts(item: VoteItem) -> dict[str, Any]:
    return {"id": item.id}


def _scale(ranking: Ranking) -> float:
    """Return the right end of the axis of intervals, rounded up to a tenth."""
    farthest = max((one.interval.high for one in ranking.standings), default=1.0)
    return min(1.0, math.ceil(farthest * 10) / 10)
