"""`streamtoon serve`: cartoons of a camera or a file in the browser."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamtoon.cli.common import (
    DeviceOption,
    EngineOption,
    PrecisionOption,
    QualityOption,
    StabilizeOption,
    StrengthOption,
    StyleOption,
    say,
)
from streamtoon.errors import StreamtoonError

if TYPE_CHECKING:
    from streamtoon.serve.access import Access

PAGE_PANEL = "The page"
LIMIT_PANEL = "Limits"

EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon serve
streamtoon serve --style scroll --port 9000
streamtoon serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --max-sessions 2
"""


def serve(
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where the page is served; 0.0.0.0 lets other machines in, with a token.",
            rich_help_panel=PAGE_PANEL,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.", rich_help_panel=PAGE_PANEL),
    ] = 8080,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A certificate, PEM: browsers give a page their camera over HTTPS only, "
            "except on this machine itself.",
            rich_help_panel=PAGE_PANEL,
            show_default=False,
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Its key, PEM, where it is not in the same file.",
            rich_help_panel=PAGE_PANEL,
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="HOST",
            help="Another name of this machine under which the page may be opened; may be repeated.",
            rich_help_panel=PAGE_PANEL,
            show_default=False,
        ),
    ] = None,
    stun: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A STUN server to ask for the way through a router; by default nobody is asked.",
            rich_help_panel=PAGE_PANEL,
            show_default=False,
        ),
    ] = None,
    style: StyleOption = None,
    strength: StrengthOption = 1.0,
    stabilize: StabilizeOption = 0.0,
    quality: QualityOption = "auto",
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    max_sessions: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=1000,
            help="Live sessions and files drawn at the same time.",
            rich_help_panel=LIMIT_PANEL,
        ),
    ] = 4,
    max_upload: Annotated[
        int,
        typer.Option(metavar="MB", min=1, help="Size of a visitor's file.", rich_help_panel=LIMIT_PANEL),
    ] = 500,
    max_pixels: Annotated[
        float,
        typer.Option(
            metavar="MILLION",
            min=0.01,
            help="Pixels of a picture, in millions: 9 takes 4K.",
            rich_help_panel=LIMIT_PANEL,
        ),
    ] = 9.0,
    max_duration: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=1, help="Length of a visitor's video.", rich_help_panel=LIMIT_PANEL
        ),
    ] = 600.0,
) -> None:
    """Open a page that draws a camera or a file live in the browser, and takes whole files.

    Only this machine reaches it by default. On any other address the page asks for a token, which is printed
    once, in the page's address.
    """
    try:
        import aiohttp  # noqa: F401 - named before anything is begun
        import aiortc  # noqa: F401 - likewise
    except ModuleNotFoundError as error:
        raise StreamtoonError(
            f"the page needs the package {error.name}; install it with: pip install 'streamtoon[live]'"
        ) from error
    if tls_key is not None and tls_cert is None:
        raise typer.BadParameter("--tls-key needs --tls-cert")
    if stun is not None and not _is_host_and_port(stun):
        raise typer.BadParameter(f"--stun is {stun!r}, expected HOST:PORT, such as stun.example.org:3478")
    from engines.style import DEFAULT_STYLE
    from streamtoon.serve.access import Access
    from streamtoon.serve.server import serve as run
    from streamtoon.serve.server import tls_context
    from streamtoon.serve.settings import Limits, Settings

    settings = Settings(
        style=DEFAULT_STYLE if style is None else style,
        strength=strength,
        stabilize=stabilize,
        engine={"backend": engine, "device": device, "precision": precision, "quality": quality},
        limits=Limits(max_sessions, max_upload, max_pixels, max_duration),
        stun=stun,
    )
    tls = None if tls_cert is None else tls_context(tls_cert, tls_key)
    access = Access(host, name or (), encrypted=tls is not None)
    try:
        asyncio.run(
            run(
                settings,
                access,
                host,
                port,
                tls=tls,
                ready=lambda real: _greet(host, real, access, encrypted=tls is not None),
            )
        )
    except KeyboardInterrupt:
        say("stopped")
        _leave(0)
    except SystemExit as end:
        _leave(end.code)
        raise


def _is_host_and_port(text: str) -> bool:
    found = re.fullmatch(r"[A-Za-z0-9_.-]+:(\d{1,5})", text)
    return found is not None and 0 < int(found[1]) < 65536


def _leave(code: int | str | None) -> None:
    """Ends the process at once where an engine is still being opened.

    Nothing can interrupt that, and the interpreter must not be taken down under it.
    """
    if any(thread.name.startswith("streamtoon-") for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _greet(host: str, port: int, access: Access, *, encrypted: bool) -> None:
    scheme = "https" if encrypted else "http"
    address = f"{scheme}://{_spoken(host)}:{port}/"
    if access.token is None:
        say(f"open {address} in a browser; Ctrl-C ends it")
        return
    say(f"open {address}?token={access.token} in a browser; Ctrl-C ends it")
    say("whoever has this address can use the page; every start makes a new token")
    if not encrypted:
        say(
            "browsers give a page on another machine their camera over HTTPS only: --tls-cert and --tls-key "
            "name a certificate and its key; files work without",
            style="yellow",
        )


def _spoken(host: str) -> str:
    """The host as it stands in an address that others can open."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - read, not bound to
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
