"""The vote's page and its few calls. Every answer to a pick is given after the pick is on the disk."""

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
from eval.votes.ballot import Plate
from eval.votes.box import VoteBox
from eval.votes.guard import LARGEST_BODY, add_headers, guard
from eval.votes.ranking import Ranking, rank
from eval.votes.webp import OVERHEAD, padded

LONGEST_NAME = 60
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_PAGE = files("eval.votes") / "page"


class Station:
    """The calls, on one box of votes."""

    def __init__(self, box: VoteBox, finished: Callable[[str], object] | None = None) -> None:
        self.box, self.ballot, self._finished = box, box.ballot, finished
        self._writing = asyncio.Lock()
        self._templates = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )

    def app(self, host: str) -> web.Application:
        """An application for a server that is bound to `host`."""
        app = web.Application(middlewares=[guard(host)], client_max_size=LARGEST_BODY)
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
        """The page of the vote."""
        pictures, candidates = len(self.ballot.plates), len(self.ballot.candidates)
        return self._html("vote.html", pictures=pictures, candidates=candidates)

    async def results(self, _: web.Request) -> web.Response:
        """The ranking of what was cast so far."""
        ranking = await asyncio.to_thread(rank, list(self.box.tally))
        pictures = len(self.ballot.plates)
        return self._html("results.html", ranking=ranking, scale=_scale(ranking), pictures=pictures)

    async def part(self, request: web.Request) -> web.Response:
        """The page's style, script and icon."""
        name, kind = request.match_info["name"], request.match_info["kind"]
        part = _PAGE / f"{name}.{kind}"
        if not part.is_file():
            raise web.HTTPNotFound
        return web.Response(text=part.read_text(encoding="utf-8"), content_type=_KINDS[kind])

    async def state(self, request: web.Request) -> web.Response:
        """How far a reviewer is, and which photo is next."""
        return self._state(_reviewer(request.query.get("reviewer", "")))

    async def picture(self, request: web.Request) -> web.Response:
        """The photo (position 0) or what a reviewer sees at position 1, 2, ... beside it."""
        plate = self.ballot.by_id.get(request.match_info["plate"])
        position = request.match_info["position"]
        if plate is None or position not in map(str, range(len(self.ballot.candidates) + 1)):
            raise web.HTTPNotFound
        if position == "0":
            return web.Response(body=plate.original.read_bytes(), content_type="image/webp")
        reviewer = _reviewer(request.query.get("reviewer", ""))
        name = self.ballot.shown(reviewer, plate)[int(position) - 1]
        data = padded(plate.results[name].read_bytes(), plate.bytes + OVERHEAD)
        return web.Response(body=data, content_type="image/webp")

    async def vote(self, request: web.Request) -> web.Response:
        """Keeps a pick."""
        asked = await self._asked(request)
        plate, position = self.ballot.by_id.get(str(asked.get("photo"))), asked.get("position")
        if plate is None or type(position) is not int or not 1 <= position <= len(self.ballot.candidates):
            raise web.HTTPBadRequest(text="There is no such picture.")
        reviewer = _reviewer(asked.get("reviewer"))
        await self._write(self.box.cast, reviewer, plate, position - 1)
        if self._finished and not self.box.queue(reviewer):
            self._finished(self.box.tally.spelling(reviewer))
        return self._state(reviewer)

    async def undo(self, request: web.Request) -> web.Response:
        """Takes back a reviewer's latest pick."""
        reviewer = _reviewer((await self._asked(request)).get("reviewer"))
        if not await self._write(self.box.take_back, reviewer):
            raise web.HTTPConflict(text="There is no pick to take back.")
        return self._state(reviewer)

    async def _asked(self, request: web.Request) -> dict[str, Any]:
        try:
            asked = await request.json()
        except (json.JSONDecodeError, UnicodeDecodeError, LookupError, RecursionError) as error:
            raise web.HTTPBadRequest(text="That is no JSON.") from error
        if not isinstance(asked, dict):
            raise web.HTTPBadRequest(text="That is no JSON object.")
        if asked.get("ballot") != self.ballot.id:
            # The server was started again on something else: position 2 would be another candidate's.
            raise web.HTTPPreconditionFailed(text="The vote has changed. Load the page again.")
        return asked

    async def _write(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """One after the other, on a thread as disks take time, and to its end though a client leaves."""

        async def alone() -> Any:
            async with self._writing:
                return await asyncio.to_thread(call, *arguments)

        try:
            return await asyncio.shield(asyncio.create_task(alone()))
        except StreamtoonError as error:
            raise web.HTTPInsufficientStorage(text=f"The pick was not kept: {error}.") from error

    def _state(self, reviewer: str) -> web.Response:
        queue = self.box.queue(reviewer)
        total = len(self.ballot.plates)
        return web.json_response(
            {
                "ballot": self.ballot.id,
                "reviewer": self.box.tally.spelling(reviewer),
                "candidates": len(self.ballot.candidates),
                "done": total - len(queue),
                "total": total,
                "next": [_facts(plate) for plate in queue[:2]],
            }
        )

    def _html(self, name: str, **values: Any) -> web.Response:
        template = self._templates.from_string((_PAGE / name).read_text(encoding="utf-8"))
        return web.Response(text=template.render(**values), content_type="text/html")


async def serve(app: web.Application, host: str, port: int, ready: Callable[[int], object]) -> None:
    """Serves until cancelled; `ready` is told the port. Raises StreamtoonError where it cannot be had."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise StreamtoonError(
                f"{host}:{port} cannot be served on ({error.strerror or error}); try another --port"
            ) from error
        ready(runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _reviewer(name: object) -> str:
    """A name on one line. Raises HTTPBadRequest for none, a long one, and one that is no text."""
    if not isinstance(name, str) or len(name) > 4 * LONGEST_NAME:
        raise web.HTTPBadRequest(text="A reviewer has a name.")
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable():
        raise web.HTTPBadRequest(text=f"A name has 1 to {LONGEST_NAME} printable characters.")
    return clean


def _facts(plate: Plate) -> dict[str, Any]:
    return {"id": plate.id}


def _scale(ranking: Ranking) -> float:
    """The right end of the intervals' axis: the next tenth."""
    farthest = max((one.interval.high for one in ranking.standings), default=1.0)
    return min(1.0, math.ceil(farthest * 10) / 10)
