"""A server for a quick look at the site: the files as they would be built, from memory."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from streamtoon.web.address import is_loopback
from streamtoon.web.page_files import content_type
from streamtoon.web.security import is_own_name
from streamtoon.web.site.build import HEADERS


def site_app(found: Mapping[str, bytes], host: str) -> web.Application:
    """Return an application that serves these files, for a server that is bound to `host`."""
    names = {"localhost", host.lower()}

    async def part(request: web.Request) -> web.Response:
        if is_loopback(host) and not is_own_name(request.headers.get("Host", ""), names):
            raise web.HTTPForbidden(text="This server is not known under that name.")
        name = request.match_info["name"] or "index.html"
        if name not in found:
            raise web.HTTPNotFound(text="There is no such file.")
        kind, charset = content_type(name)
        return web.Response(body=found[name], content_type=kind, charset=charset)

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(HEADERS)

    app = web.Application()
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/{name:.*}", part)
    return app
