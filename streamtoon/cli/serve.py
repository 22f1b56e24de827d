"""`streamtoon serve`: cartoons of a camera or of files in the browser."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.common.defaults import STABILIZE
from streamtoon.cli.common import (
    ClarityOption,
    DeviceOption,
    EngineOption,
    LookOption,
    PrecisionOption,
    QualityOption,
    StabilizeOption,
    StrengthOption,
    StyleOption,
    say,
)
from streamtoon.cli.event_loop import until_signal

if TYPE_CHECKING:
    from streamtoon.web.serve.access import Access

PAGE_PANEL = "Server"
LIMIT_PANEL = "Limits"
REPLICA_PANEL = "Behind a load balancer"

END_TIMEOUT_S = 5.0
"""For tasks to end after a signal."""
EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon serve
streamtoon serve --style watercolour --look paper=0.6 --port 9000
streamtoon serve --host 0.0.0.0                       # also for phones; prints a QR code
streamtoon serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --max-sessions 2
"""


def serve(
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. 0.0.0.0 lets other machines in, with a token.",
            rich_help_panel=PAGE_PANEL,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=65535,
            help="Port to listen on; 0 chooses a free one.",
            rich_help_panel=PAGE_PANEL,
        ),
    ] = 8080,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TLS certificate (PEM). Browsers allow the camera over HTTPS only, except on this machine.",
            rich_help_panel=PAGE_PANEL,
            show_default=False,
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Private key of the certificate (PEM), if in a file of its own.",
            rich_help_panel=PAGE_PANEL,
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="HOST",
            help="Host name under which the page may be opened, as in the certificate; may be repeated.",
            rich_help_panel=PAGE_PANEL,
            show_default=False,
        ),
    ] = None,
    stun: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="STUN server to find the way through a router. By default none is asked.",
            hidden=True,  # for a server behind a router that viewers reach from outside: rare
            rich_help_panel=PAGE_PANEL,
            show_default=False,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the token, for servers that share one. Default: a new token at every start.",
            rich_help_panel=REPLICA_PANEL,
            show_default=False,
        ),
    ] = None,
    replica: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Name of this server behind a load balancer. Its visits are under /visit/NAME.ID/.",
            rich_help_panel=REPLICA_PANEL,
            show_default=False,
        ),
    ] = "",
    drain: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="On SIGTERM, refuse new work, end live sessions with a message, and wait this long for "
            "files to be drawn and downloaded. 0 stops at once.",
            rich_help_panel=REPLICA_PANEL,
        ),
    ] = 0.0,
    no_open: Annotated[
        bool,
        typer.Option(
            "--no-open",
            help="Do not open a browser. None is opened over SSH or without a display.",
            rich_help_panel=PAGE_PANEL,
        ),
    ] = False,
    style: StyleOption = None,
    look: LookOption = None,
    strength: StrengthOption = 1.0,
    stabilize: StabilizeOption = STABILIZE,
    clarity: ClarityOption = 0.0,
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
            help="Live sessions and files at the same time.",
            rich_help_panel=LIMIT_PANEL,
        ),
    ] = 4,
    max_upload: Annotated[
        int,
        typer.Option(metavar="MB", min=1, help="Largest file, in MB.", rich_help_panel=LIMIT_PANEL),
    ] = 500,
    max_pixels: Annotated[
        float,
        typer.Option(
            metavar="MILLION",
            min=0.01,
            help="Largest frame or photo, in megapixels; 9 allows 4K.",
            rich_help_panel=LIMIT_PANEL,
        ),
    ] = 9.0,
    max_duration: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=1, help="Longest video, in seconds.", rich_help_panel=LIMIT_PANEL
        ),
    ] = 600.0,
) -> None:
    """Serve a web page that draws your camera live and converts files.

    By default only this machine can open it. On any other address the page needs a token, which is printed
    at the start as part of the page's address and as a QR code for phones. A switch on the page lets visitors
    draw on their own devices instead.
    """
    if tls_key is not None and tls_cert is None:
        raise typer.BadParameter("--tls-key needs --tls-cert")
    if stun is not None and not _is_host_and_port(stun):
        raise typer.BadParameter(f"--stun is {stun!r}; use HOST:PORT, such as stun.example.org:3478")
    if replica and not re.fullmatch(r"[a-z0-9-]{1,40}", replica):
        raise typer.BadParameter(
            f"--replica is {replica!r}; use lower-case letters, digits and -, at most 40"
        )
    if drain and sys.platform == "win32":
        raise typer.BadParameter("--drain needs SIGTERM, which Windows does not have")
    from engines.registry.look_changes import read_changes
    from engines.registry.style import DEFAULT_STYLE
    from streamtoon.web.serve.access import Access, read_token
    from streamtoon.web.serve.server import serve as run
    from streamtoon.web.serve.server import tls_context
    from streamtoon.web.serve.settings import Limits, ServeSettings

    settings = ServeSettings(
        style=DEFAULT_STYLE if style is None else style,
        look=read_changes(look or ()),
        strength=strength,
        stabilize=stabilize,
        clarity=clarity,
        engine={"backend": engine, "device": device, "precision": precision, "quality": quality},
        limits=Limits(max_sessions, max_upload, max_pixels, max_duration),
        stun=stun,
        replica=replica,
        drain_s=drain,
    )
    tls = None if tls_cert is None else tls_context(tls_cert, tls_key)
    token = None if token_file is None else read_token(token_file)
    access = Access(host, name or (), encrypted=tls is not None, token=token)
    server = run(
        settings,
        access,
        host,
        port,
        tls=tls,
        ready=lambda real: _greet(
            host, real, access, names=name or [], encrypted=tls is not None, opens=not no_open
        ),
    )
    with asyncio.Runner() as runner:
        try:
            runner.run(until_signal(server, drains=drain > 0))
        except KeyboardInterrupt:
            ended = runner.run(_end_tasks())
            say("stopped")
            _leave(0, ended=ended)
        except SystemExit as end:
            _leave(end.code, ended=runner.run(_end_tasks()))
            raise
        _leave(0, ended=True)


def _is_host_and_port(text: str) -> bool:
    found = re.fullmatch(r"[A-Za-z0-9_.-]+:(\d{1,5})", text)
    return found is not None and 0 < int(found[1]) < 65536


async def _end_tasks() -> bool:
    """End what a second signal has interrupted; return whether everything has ended in time."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    return not tasks or not (await asyncio.wait(tasks, timeout=END_TIMEOUT_S))[1]


def _leave(code: int | str | None, *, ended: bool) -> None:
    """End the process at once if a task or a thread is left, such as one that draws or opens an engine.

    Python would wait for such a thread, or crash while it still runs.
    """
    threads = set(threading.enumerate()) - {threading.main_thread()}
    if not ended or any(not each.daemon or each.name.startswith("streamtoon-") for each in threads):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _greet(host: str, port: int, access: Access, *, names: list[str], encrypted: bool, opens: bool) -> None:
    """Print the page's address, and open it in the browser of a desktop."""
    from streamtoon.cli.page_address import is_at_a_desktop, open_in_browser, print_qr_code
    from streamtoon.web.address import lan_host, own_host, page_address

    scheme = "https" if encrypted else "http"
    secret = "" if access.token is None else f"?token={access.token}"
    address = page_address(scheme, names[0] if names else lan_host(host), port) + secret
    say(f"open {address} in a browser; Ctrl-C stops the server")
    if opens and is_at_a_desktop():
        # A certificate names the public address; without one, browsers allow the camera on localhost only.
        open_in_browser(address if encrypted else page_address(scheme, own_host(host), port) + secret)
    if access.token is None:
        return
    if print_qr_code(address):
        say("scan this code with a phone in the same network to open the page")
    say("anyone with this address can use the page; without --token-file, every start creates a new token")
    if not encrypted:
        say(
            "on other machines, browsers allow the camera over HTTPS only: add --tls-cert and --tls-key; "
            "files work without them",
            style="yellow",
        )
