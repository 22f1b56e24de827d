"""`streamtoon stream`: draw a live stream, from a network, camera or file to a network or file."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from engines.common.defaults import STABILIZE
from streamtoon.cli.common import (
    OUTPUT_PANEL,
    ClarityOption,
    DeviceOption,
    EngineOption,
    JsonOption,
    LookOption,
    OverwriteOption,
    PrecisionOption,
    QualityOption,
    QuietOption,
    StabilizeOption,
    StrengthOption,
    StyleOption,
    chosen_style,
    console,
    print_json,
    printable,
    say,
    say_warnings,
)
from streamtoon.cli.live import announce, begins, late, lines
from streamtoon.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamtoon.live.stream_session import Status, StreamSummary

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
    """Return the bits per second of "2500k" or "2.5M". Raises typer.BadParameter."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text.strip())
    bits = round(float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2].lower()]) if match else 0
    if not 10_000 <= bits <= 500_000_000:
        raise typer.BadParameter(f"{text!r} is not a bit rate; use 10k to 500M, such as 2500k or 2.5M")
    return bits


def stream(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="An rtsp, rtmp, http(s) (HLS), udp or rtp address; a file; or a camera, as for webcam.",
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="DST",
            help="An rtmp, rtsp, udp, rtp or http(s) (WHIP) address; an HLS playlist (.m3u8); or a file.",
        ),
    ],
    style: StyleOption = None,
    look: LookOption = None,
    strength: StrengthOption = 1.0,
    stabilize: StabilizeOption = STABILIZE,
    clarity: ClarityOption = 0.0,
    quality: QualityOption = "auto",
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    bitrate: Annotated[
        int | None,
        typer.Option(
            parser=parse_bits,
            metavar="N",
            help="Video bit rate, such as 2500k.",
            rich_help_panel=OUTPUT_PANEL,
            show_default="by frame size",
        ),
    ] = None,
    keyframe_interval: Annotated[
        float,
        typer.Option(
            metavar="S",
            min=0.1,
            max=60,
            help="Seconds between keyframes, at which a viewer can join; also the length of HLS segments.",
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
            help="Buffer this many seconds of SRC, to smooth out network jitter; not for cameras.",
            rich_help_panel=NETWORK_PANEL,
            show_default="0.5",
        ),
    ] = None,
    loop: Annotated[
        bool,
        typer.Option("--loop", help="Play a file again and again.", rich_help_panel=NETWORK_PANEL),
    ] = False,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry",
            help="Wait for an address that does not answer yet. Lost connections are always retried.",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = False,
    give_up: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            min=0,
            help="End when SRC has been unreachable for this many seconds.",
            rich_help_panel=NETWORK_PANEL,
            show_default=False,
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Accept any TLS certificate, such as a camera's self-signed one.",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw a live stream and send it on, with its sound in sync.

    Sound is copied where DST supports its codec. Late frames are dropped, never queued. A lost connection at
    either end is retried at growing intervals. Ctrl-C ends cleanly: playlists and files are complete.
    """
    from engines.settings import EngineSettings
    from streamtoon.cli.graceful_stop import ended_by_signal
    from streamtoon.live.renderer import LiveRenderer
    from streamtoon.live.stream_session import LiveStream, open_source
    from streamtoon.media.network.sink import Coding
    from streamtoon.media.network.urls import is_address

    if retry and not (is_address(source) or is_address(target)):
        raise typer.BadParameter("--retry needs an address as SRC or DST")
    drawn_in = chosen_style(style, look)
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
        with LiveRenderer(
            EngineSettings(
                drawn_in,
                backend=engine,
                device=device,
                precision=precision,
                quality=quality,
                strength=strength,
                stabilize=stabilize,
                clarity=clarity,
            ),
            width=info.width,
            height=info.height,
            rate=info.rate,
            color=info.color,
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
    """Yield a function that shows the stream's status; None with `quiet`."""
    screen = console()
    if quiet:
        yield None
    elif screen.is_terminal:
        with screen.status("connecting", spinner="dots") as line:
            yield lambda status: line.update(_line(status))
    else:
        yield lines(_line)


def _line(status: Status) -> str:
    away = "" if status.is_connected else ", target disconnected"
    return (
        f"{counted(status.frames, 'frame')}, {status.fps:.1f} fps, {status.dropped} dropped, "
        f"{status.reconnects} reconnects, latency {status.latency_ms:.0f} ms{away}"
    )


def _ended(summary: StreamSummary) -> str:
    """Sum up the run in one line."""
    reconnects = summary.source_reconnects + summary.target_reconnects
    missing = summary.dropped + summary.skipped + summary.lost
    return printable(
        f"{summary.target}: {counted(summary.pictures_out, 'frame')} in {summary.seconds:.1f} s, "
        f"{missing} dropped, "
        f"{reconnects} reconnects{late(summary.latency_ms, summary.latency_p95_ms)}"
    )
