"""`streamtoon webcam`: a camera as a live cartoon, in a window."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
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
    print_json,
    say,
    say_warnings,
)
from streamtoon.cli.live import announce, begins, late, lines
from streamtoon.wording import counted

if TYPE_CHECKING:
    from streamtoon.live.camera import ReconnectingCamera
    from streamtoon.live.renderer import LiveRenderer
    from streamtoon.live.webcam_session import WebcamSession, WebcamSummary
    from streamtoon.pipeline.run import Progress

CAMERA_PANEL = "Camera"

# Backspace: keep the line breaks of this paragraph.
EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon webcam
streamtoon webcam --mirror --style ink --record me.mp4
streamtoon webcam --style comic --look levels=4 --look line_width=1.5
streamtoon webcam --camera /dev/video2 --size 640x360
streamtoon webcam --virtual-camera --no-window
"""


def _complete_camera(incomplete: str) -> list[str]:
    """Complete the cameras of this machine, for shells."""
    from streamtoon.media.devices.capabilities import cameras

    return [each.device for each in cameras() if each.device.startswith(incomplete)]


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) of "1280x720". Raises typer.BadParameter for anything else."""
    match = re.fullmatch(r"([1-9]\d{0,4})[xX]([1-9]\d{0,4})", text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is not a size; use WIDTHxHEIGHT, such as 1280x720")
    return int(match[1]), int(match[2])


def webcam(
    camera: Annotated[
        str,
        typer.Option(
            metavar="N|NAME|FILE",
            autocompletion=_complete_camera,
            help="A camera's number or name, or a video file to play in a loop instead.",
            rich_help_panel=CAMERA_PANEL,
        ),
    ] = "0",
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="Frame size to request from the camera, such as 1280x720.",
            rich_help_panel=CAMERA_PANEL,
            show_default=False,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=1,
            max=1000,
            help="Frames per second to request from the camera.",
            rich_help_panel=CAMERA_PANEL,
            show_default=False,
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Swap left and right.", rich_help_panel=CAMERA_PANEL)
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
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Record the cartoon to this file, from the first frame on.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    virtual_camera: Annotated[
        bool,
        typer.Option(
            "--virtual-camera",
            help="Offer the cartoon to other programs as a camera.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False,
    no_window: Annotated[
        bool,
        typer.Option(
            "--no-window", help="Open no window; Ctrl-C ends the run.", rich_help_panel=OUTPUT_PANEL
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show a camera as a cartoon, live, in a window.

    In the window, h shows the keys (style, look, strength, compare, mirror, full screen, snapshot, record)
    and q quits. Frames that come too fast to draw are dropped. If the camera is unplugged, the command waits
    for it. A file that is only recorded plays once.
    """
    _refuse_old_meaning(device)
    if no_window and not virtual_camera and record is None:
        raise typer.BadParameter(
            "--no-window needs --virtual-camera or --record; otherwise there is no output"
        )
    wanted = None if size is None else parse_size(size)

    from engines.registry.style import shipped_names, user_style_names
    from engines.settings import EngineSettings
    from streamtoon.cli.graceful_stop import ended_by_signal
    from streamtoon.live.camera import ReconnectingCamera
    from streamtoon.live.renderer import LiveRenderer
    from streamtoon.live.virtual_camera import VirtualCamera
    from streamtoon.live.webcam_session import WebcamSession
    from streamtoon.live.window import Window
    from streamtoon.media.devices.discovery import CaptureRequest
    from streamtoon.media.writer.recorder import Recording

    first = chosen_style(style, look)
    shows: list[WebcamSession] = []
    with ExitStack() as stack:
        window = None if no_window else Window(lambda pts, at: shows[0].shown(pts, at))
        if window is not None:
            stack.callback(window.close)
        loops = window is not None or virtual_camera
        opened = stack.enter_context(
            ReconnectingCamera(camera, CaptureRequest(wanted, fps), mirror=mirror, loops=loops)
        )
        info = opened.info
        if window is not None:
            window.open(info.width, info.height)
        # Open the outputs first: the engine takes seconds, and an error should not wait for it.
        sent = VirtualCamera(info.width, info.height, info.rate) if virtual_camera else None
        if sent is not None:
            stack.callback(sent.close)
        recording = None if record is None else Recording(record, info, overwrite=overwrite)
        if recording is not None:
            stack.callback(recording.abandon)
        performer = stack.enter_context(
            LiveRenderer(
                EngineSettings(
                    first,
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
            )
        )
        beginning = _begins(opened, performer, None if sent is None else sent.device)
        announce(beginning, performer.facts, quiet=quiet)
        names = {name: name for name in (*shipped_names(), *user_style_names())}
        styles = names | {first.name: first}
        show = WebcamSession(
            opened,
            performer,
            styles,
            window=window,
            virtual_camera=sent,
            recording=recording,
            on_warning=lambda sentence: say_warnings((f"{sentence}.",)),
        )
        shows.append(show)
        with ended_by_signal() as ended:
            told = None if quiet or window is not None else lines(partial(_line, show))
            summary = show.run(ended, told)
        if recording is not None:
            say_warnings(tuple(recording.warnings))
    if as_json:
        print_json(asdict(summary))
    elif not quiet:
        say(_ended(summary), stderr=False)


def _refuse_old_meaning(device: str) -> None:
    """Point to --camera if --device names a camera or a file, as it did in earlier versions."""
    if re.fullmatch(r"\d+|/dev/video.*|.*::.*", device) or Path(device).is_file():
        raise typer.BadParameter(
            f"--device chooses what runs the style (auto, cpu, cuda); for a camera, use --camera {device}"
        )


def _begins(camera: ReconnectingCamera, performer: LiveRenderer, virtual_camera: str | None) -> str:
    to = f", as the camera {virtual_camera}" if virtual_camera else ""
    return f"{camera.name}: {begins(camera.info, performer.facts)}{to}; Ctrl-C ends"


def _line(show: WebcamSession, progress: Progress) -> str:
    return f"{progress.fps:.1f} fps, {show.latency:.0f} ms, {progress.dropped} dropped"


def _ended(summary: WebcamSummary) -> str:
    """Sum up the run in one line."""
    files = "".join(f"; saved {name}" for name in summary.files)
    return (
        f"{counted(summary.pictures, 'frame')} in {summary.seconds:.1f} s, {summary.dropped} dropped"
        f"{late(summary.latency_ms, summary.latency_p95_ms)}{files}"
    )
