"""`streamtoon web`: a page that draws on the visitor's own GPU, as files for any web server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from streamtoon.cli.commands import Commands
from streamtoon.cli.common import complete_style, say
from streamtoon.cli.event_loop import until_signal

web = Commands(
    no_args_is_help=True, help="A page that draws in the visitor's own browser: static files, nothing sent."
)

BUILD_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon web build site/
streamtoon web build site/ --style comic --style watercolour
streamtoon web build site/ --style my-look.toml
"""
SERVE_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon web serve
streamtoon web serve --style ink --port 9000 --no-open
"""

StylesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--style",
        "-s",
        metavar="NAME|DIR",
        autocompletion=complete_style,
        help="A look that the page offers; may be repeated. The first one is shown first.",
        show_default="all looks",
    ),
]


@web.command(epilog=BUILD_EXAMPLES)
def build(
    out: Annotated[Path, typer.Argument(metavar="OUT_DIR", file_okay=False, help="The folder to write.")],
    style: StylesOption = None,
) -> None:
    """Write the page as a folder of static files.

    Any web server can serve the folder, at any path, over HTTPS. Visitors download about 1.5 MB once, and
    their pictures stay with them.
    """
    from streamtoon.web.site.build import build_site
    from streamtoon.web.site.contents import site_styles

    built = build_site(site_styles(style or []), out)
    say(f"{built.folder} holds the site: {built.files} files, {built.bytes / 1e6:.2f} MB")


@web.command(epilog=SERVE_EXAMPLES)
def serve(
    style: StylesOption = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where the page is served.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")] = 8090,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser.")] = False,
) -> None:
    """Serve the page for a quick look, without writing files.

    Browsers give a page its camera and its GPU over HTTPS only, except on this machine itself.
    """
    from streamtoon.cli.page_address import is_at_a_desktop, open_in_browser
    from streamtoon.web.address import is_loopback, lan_host, own_host, page_address
    from streamtoon.web.listen import listen
    from streamtoon.web.site.build import site_files
    from streamtoon.web.site.contents import site_styles
    from streamtoon.web.site.server import site_app

    def greet(real: int) -> None:
        say(f"open {page_address('http', lan_host(host), real)} in a browser; Ctrl-C ends it")
        if not is_loopback(host):
            say(
                "browsers give a page on another machine neither camera nor GPU over HTTP; "
                "`streamtoon web build` writes it for a server with HTTPS",
                style="yellow",
            )
        if not no_open and is_at_a_desktop():
            open_in_browser(page_address("http", own_host(host), real))

    found = site_files(site_styles(style or []))
    try:
        asyncio.run(until_signal(listen(site_app(found, host), host, port, greet)))
    except KeyboardInterrupt:
        say("stopped")
