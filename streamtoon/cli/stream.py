"""`streamtoon stream`: from a network, a camera or a file to a network or a file, drawn on the way."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from streamtoon.cli.common import (
    OUTPUT_PANEL,
    DeviceOption,
    EngineOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
    QualityOption,
    QuietOption,
    StabilizeOption,
    StrengthOption,
    StyleOption,
    console,
    print_json,
    printable,
    say,
    say_warnings,
)
from streamtoon.cli.live import announce, begins, late, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamtoon.live.stream import Status, Summary

NETWORK_PANEL = "Network"

# Backspace: keep the line breaks of this paragraph.
EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon stream rtsp://camera.local/live rtmp://127.0.0.1/live/cartoon
streamtoon stream https://example.org/live.m3u8 live.m3u8 --quality fast
streamtoon stream film.mp4 udp://192.168.1.20:5000 --loop
streamtoon stream 0 https://example.org/whip --bitrate 2M
"""


def parse_bits(text: str) -> int:
    """Bits a second of "2500k" or "2.5M". Raises typer.BadParameter, which ends as wrong usage."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text.strip())
    bits = round(float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2].lower()]) if match else 0
    if not 10_000 <= bits <= 500_000_000:
        raise typer.BadParameter(f"{text!r} is no bit rate; write 10k to 500M, such as 2500k or 2.5M")
    return bits


def stream(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC", help="rtsp, rtmp, http(s) with HLS, udp or rtp; a file; a camera, as for webcam."
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="DST", help="rtmp, rtsp, udp, rtp; http(s) for WHIP; an HLS playlist (.m3u8); a file."
        ),
    ],
    style: StyleOption = None,
    strength: StrengthOption = 1.0,
    stabilize: StabilizeOption = 0.0,
    quality: QualityOption = "auto",
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    bitrate: Annotated[
        int | None,
        typer.Option(
            parser=parse_bits,
            metavar="N",
            help="Bits a second of the pictures, such as 2500k; as their size asks for, if not given.",
            rich_help_panel=OUTPUT_PANEL,
            show_default=False,
        ),
    ] = None,
    keyframe_interval: Annotated[
        float,
        typer.Option(
            metavar="S",
            min=0.1,
            max=60,
            help="Seconds between pictures at which a viewer can begin; of a playlist's segments.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = 2.0,
    overwrite: OverwriteOption = False,
    latency: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            min=0,
            max=60,
            help="Seconds of an address or a file that may be held back, to even out what stutters.",
            rich_help_panel=NETWORK_PANEL,
            show_default="0.5",
        ),
    ] = None,
    loop: Annotated[
        bool,
        typer.Option("--loop", help="A file begins again at its end.", rich_help_panel=NETWORK_PANEL),
    ] = False,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry",
            help="Wait for an address that is not there yet; one that is lost later is always waited for.",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = False,
    give_up: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            min=0,
            help="End when SRC, an address, has been away for so many seconds.",
            rich_help_panel=NETWORK_PANEL,
            show_default=False,
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Take any certificate of SRC and DST, such as a camera's own.",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw a stream on its way: its sound goes along, in sync, untouched where DST takes it.

    Pictures that would be late are dropped, never queued. Whichever end is lost is reconnected, at growing
    intervals. Ctrl-C ends cleanly: playlists and files are complete.
    """
    from engines.style import DEFAULT_STYLE
    from streamtoon.cli.stopping import ended_by_signal
    from streamtoon.live.performer import Performer
    from streamtoon.live.stream import LiveStream, open_source
    from streamtoon.media.network import is_address
    from streamtoon.media.network_sink import Coding

    if retry and not (is_address(source) or is_address(target)):
        raise typer.BadParameter("--retry is for addresses, and neither SRC nor DST is one")
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        say(text, style="yellow")

    opened = open_source(
        source, latency=latency, loop=loop, retry=retry, give_up=give_up, insecure=insecure, tell=tell
    )
    coding = Coding(bitrate, keyframe_interval)
    with (
        closing(opened),
        LiveStream(
            opened,
            source,
            target,
            coding,
            overwrite=overwrite,
            retry=retry,
            insecure=insecure,
            tell=tell,
        ) as live,
    ):
        info = opened.info
        with Performer(
            DEFAULT_STYLE if style is None else style,
            width=info.width,
            height=info.height,
            rate=info.rate,
            colour=info.colour,
            backend=engine,
            device=device,
            precision=precision,
            quality=quality,
            strength=strength,
            stabilize=stabilize,
        ) as performer:
            facts = performer.facts
            announce(f"{begins(info, facts)}; Ctrl-C ends", facts, quiet=quiet)
            with ended_by_signal() as ended, _shown(quiet=quiet) as show:
                summary = live.run(performer, ended, show)
    say_warnings(tuple(text for text in summary.warnings if text not in told))
    if as_json:
        print_json(asdict(summary))
    if not quiet:
        say(_ended(summary), stderr=as_json)


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[Status], object] | None]:
    """Within this block, what it gives shows how the stream stands."""
    screen = console()
    if quiet:
        yield None
    elif screen.is_terminal:
        with screen.status("connecting", spinner="dots") as line:
            yield lambda status: line.update(_line(status))
    else:
        yield lines(_line)


def _line(status: Status) -> str:
    away = "" if status.is_connected else ", target away"
    return (
        f"{status.frames} pictures, {status.fps:.1f} fps, {status.dropped} dropped, "
        f"{status.reconnects} reconnects, latency {status.latency_ms:.0f} ms{away}"
    )


def _ended(summary: Summary) -> str:
    """One line for a person."""
    reconnects = summary.source_reconnects + summary.target_reconnects
    missing = summary.dropped + summary.skipped + summary.lost
    return printable(
        f"{summary.target}: {summary.pictures_out} pictures in {summary.seconds:.1f} s, {missing} dropped, "
        f"{reconnects} reconnects{late(summary.latency_ms, summary.latency_p95_ms)}"
    )
