"""`streamtoon webcam`: a camera, drawn as it comes, in a window."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamtoon.cli.common import (
    ENGINE_PANEL,
    OUTPUT_PANEL,
    EngineOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
    QualityOption,
    QuietOption,
    StabilizeOption,
    StrengthOption,
    StyleOption,
    print_json,
    say,
    say_warnings,
)
from streamtoon.cli.live import announce, begins, late, lines

if TYPE_CHECKING:
    from streamtoon.live.camera import Camera
    from streamtoon.live.performer import Performer
    from streamtoon.live.show import Show, Summary
    from streamtoon.pipeline import Progress

CAMERA_PANEL = "Camera"

# Backspace: keep the line breaks of this paragraph.
EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon webcam
streamtoon webcam --mirror --style scroll --record me.mp4
streamtoon webcam --device /dev/video2 --size 640x360
streamtoon webcam --virtual-camera --no-window
"""


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) of "1280x720". Raises typer.BadParameter, which ends as wrong usage."""
    match = re.fullmatch(r"([1-9]\d{0,4})[xX]([1-9]\d{0,4})", text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is no size; write WIDTHxHEIGHT, such as 1280x720")
    return int(match[1]), int(match[2])


def webcam(
    device: Annotated[
        str,
        typer.Option(
            metavar="N|NAME|FILE",
            help="A camera's number or name, or a video file to play in its place.",
            rich_help_panel=CAMERA_PANEL,
        ),
    ] = "0",
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="Picture size to ask the camera for, such as 1280x720.",
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
            help="Pictures a second to ask the camera for.",
            rich_help_panel=CAMERA_PANEL,
            show_default=False,
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Swap left and right.", rich_help_panel=CAMERA_PANEL)
    ] = False,
    style: StyleOption = None,
    strength: StrengthOption = 1.0,
    stabilize: StabilizeOption = 0.0,
    quality: QualityOption = "auto",
    engine: EngineOption = "auto",
    engine_device: Annotated[
        str,
        typer.Option(
            metavar="auto|cpu|cuda|...",
            help="Where the style runs, in the engine's words.",
            rich_help_panel=ENGINE_PANEL,
        ),
    ] = "auto",
    precision: PrecisionOption = "auto",
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Record the cartoon to this file from the start.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    virtual_camera: Annotated[
        bool,
        typer.Option(
            "--virtual-camera",
            help="Send the cartoon to other programs, as a camera they can choose.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False,
    no_window: Annotated[
        bool, typer.Option("--no-window", help="Open no window; Ctrl-C ends.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw a camera's pictures as a cartoon, live, in a window.

    In the window, h shows the keys (styles, strength, compare, mirror, snapshot, record) and q quits. What
    cannot be drawn in time is left out. A camera that is pulled out is waited for.
    """
    if no_window and not virtual_camera and record is None:
        raise typer.BadParameter("--no-window needs --virtual-camera or --record: else nothing comes out")
    wanted = None if size is None else parse_size(size)

    from engines.style import DEFAULT_STYLE, own_names, shipped_names
    from streamtoon.cli.stopping import ended_by_signal
    from streamtoon.live.camera import Camera
    from streamtoon.live.performer import Performer
    from streamtoon.live.show import Show
    from streamtoon.live.virtual_camera import VirtualCamera
    from streamtoon.live.window import Window
    from streamtoon.media.devices import CaptureRequest
    from streamtoon.media.recording import Recording

    shows: list[Show] = []
    with ExitStack() as stack:
        window = None if no_window else Window(lambda pts, at: shows[0].shown(pts, at))
        if window is not None:
            stack.callback(window.close)
        camera = stack.enter_context(Camera(device, CaptureRequest(wanted, fps), mirror=mirror))
        info = camera.info
        if window is not None:
            window.open(info.width, info.height)
        # What is wrong with the outputs is said before the engine takes its time.
        sent = VirtualCamera(info.width, info.height, info.rate) if virtual_camera else None
        if sent is not None:
            stack.callback(sent.close)
        recording = None if record is None else Recording(record, info, overwrite=overwrite)
        if recording is not None:
            stack.callback(recording.abandon)
        performer = stack.enter_context(
            Performer(
                DEFAULT_STYLE if style is None else style,
                width=info.width,
                height=info.height,
                rate=info.rate,
                colour=info.colour,
                backend=engine,
                device=engine_device,
                precision=precision,
                quality=quality,
                strength=strength,
                stabilize=stabilize,
            )
        )
        beginning = _begins(camera, performer, None if sent is None else sent.device)
        announce(beginning, performer.facts, quiet=quiet)
        names = list(dict.fromkeys((*shipped_names(), *own_names())))
        show = Show(camera, performer, names, window=window, virtual_camera=sent, recording=recording)
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


def _begins(camera: Camera, performer: Performer, virtual_camera: str | None) -> str:
    to = f", as the camera {virtual_camera}" if virtual_camera else ""
    return f"{camera.name}: {begins(camera.info, performer.facts)}{to}; Ctrl-C ends"


def _line(show: Show, progress: Progress) -> str:
    return f"{progress.fps:.1f} fps, {show.latency:.0f} ms, {progress.dropped} dropped"


def _ended(summary: Summary) -> str:
    """One line for a person."""
    files = "".join(f"; {name} is saved" for name in summary.files)
    return (
        f"{summary.pictures} pictures in {summary.seconds:.1f} s, {summary.dropped} dropped"
        f"{late(summary.latency_ms, summary.latency_p95_ms)}{files}"
    )
