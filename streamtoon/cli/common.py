"""The options that commands share, and helpers to print to the terminal."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from engines.common.defaults import STYLE
from engines.settings import BACKEND_NAMES
from engines.spec import MAX_DETAIL, MIN_DETAIL, AskedPrecision, AskedQuality

if TYPE_CHECKING:
    from rich.console import Console

    from engines.registry.style import Style

STYLE_PANEL = "Style"
ENGINE_PANEL = "Speed"
OUTPUT_PANEL = "Output"
TALK_PANEL = "Reporting"


def complete_style(incomplete: str) -> list[str]:
    """Complete the name of a style, for shells."""
    from engines.registry.style import shipped_names, user_style_names

    return [name for name in (*shipped_names(), *user_style_names()) if name.startswith(incomplete.lower())]


def parse_engine(text: str) -> str:
    """Return the name of an engine in lower case. Raises typer.BadParameter for an unknown one."""
    name = text.lower()
    if name not in BACKEND_NAMES:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(map(repr, BACKEND_NAMES))}.")
    return name


StyleOption = Annotated[
    str | None,
    typer.Option(
        "--style",
        "-s",
        metavar="NAME|DIR",
        autocompletion=complete_style,
        help="Name or folder of a style; [bold]streamtoon styles list[/bold] shows all.",
        show_default=STYLE,
        rich_help_panel=STYLE_PANEL,
    ),
]
LookOption = Annotated[
    list[str] | None,
    typer.Option(
        "--look",
        metavar="KEY=VALUE",
        help="Change a key of the style's look, such as levels=4; may be repeated. "
        "[bold]streamtoon styles show NAME[/bold] lists the keys.",
        show_default=False,
        rich_help_panel=STYLE_PANEL,
    ),
]
StrengthOption = Annotated[
    float,
    typer.Option(
        metavar="X",
        min=0,
        max=1,
        help="Strength of the effect: 0 shows the source, 1 the cartoon.",
        rich_help_panel=STYLE_PANEL,
    ),
]
StabilizeOption = Annotated[
    float,
    typer.Option(
        metavar="X",
        min=0,
        max=1,
        help="Temporal smoothing where nothing moves: reduces flicker.",
        rich_help_panel=STYLE_PANEL,
    ),
]
ClarityOption = Annotated[
    float,
    typer.Option(
        metavar="X",
        min=0,
        max=1,
        help="Local contrast added before drawing, 0 to 1: draws faces in dim light, and what haze hides.",
        rich_help_panel=STYLE_PANEL,
    ),
]
DetailOption = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        min=MIN_DETAIL,
        max=MAX_DETAIL,
        help="Scale at which the style is applied; 1 is the frame's own size. Smaller is faster, with "
        "broader strokes. Looks can go above 1, for finer strokes and the faces of small heads.",
        show_default="the style's own",
        rich_help_panel=STYLE_PANEL,
    ),
]
QualityOption = Annotated[
    AskedQuality,
    typer.Option(
        case_sensitive=False,
        help="[bold]full[/bold] draws the finest lines, [bold]fast[/bold] and [bold]lite[/bold] are quicker. "
        "[bold]auto[/bold] takes the best that keeps up with live video; whole files are drawn in full.",
        rich_help_panel=ENGINE_PANEL,
    ),
]
"""Of what is live."""
FileQualityOption = Annotated[
    Literal["full", "fast", "lite", "auto"],
    typer.Option(
        case_sensitive=False,
        help="[bold]full[/bold] draws the finest lines, [bold]fast[/bold] and [bold]lite[/bold] are quicker. "
        "[bold]auto[/bold] is full here: nothing waits for a file.",
        rich_help_panel=ENGINE_PANEL,
    ),
]
"""Of files."""
EngineOption = Annotated[
    str,
    typer.Option(
        metavar=f"<{'|'.join(BACKEND_NAMES)}>",
        parser=parse_engine,
        autocompletion=lambda: list(BACKEND_NAMES),
        help="What runs the style.",
        rich_help_panel=ENGINE_PANEL,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|...",
        help="Where it runs, in the engine's words; several GPUs as cuda:0,cuda:1.",
        rich_help_panel=ENGINE_PANEL,
    ),
]
PrecisionOption = Annotated[
    AskedPrecision,
    typer.Option(case_sensitive=False, help="Arithmetic of the style.", rich_help_panel=ENGINE_PANEL),
]
OnErrorOption = Annotated[
    Literal["repair", "stop"],
    typer.Option(
        "--on-error",
        help="On a corrupt video, [bold]repair[/bold] keeps what can be decoded, in sync, and reports the "
        "rest; [bold]stop[/bold] ends at the first error.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
DecoderOption = Annotated[
    Literal["cpu", "nvdec"],
    typer.Option(
        help="[bold]nvdec[/bold]: an NVIDIA GPU decodes H.264, HEVC and VP9, to the same frames.",
        rich_help_panel=ENGINE_PANEL,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", "-y", help="Overwrite existing files.", rich_help_panel=OUTPUT_PANEL)
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on standard output.", rich_help_panel=TALK_PANEL),
]
FacesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="MediaPipe's wheel 0.10.21, whose models find faces for a recipe with fields.faces. "
        "Default: downloaded once.",
        show_default=False,
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print warnings only, no progress and no summary.", rich_help_panel=TALK_PANEL
    ),
]


def require_use_of_faces(faces: Path | None, *, found: bool) -> None:
    """Raise BadParameter if `--faces` is given, but the recipe finds no faces."""
    if faces and not found:
        raise typer.BadParameter("the recipe has fields.faces = false; leave out --faces, or name a variant")


def chosen_style(style: str | None, look: list[str] | None) -> Style:
    """Load the style of `--style` with the changes of `--look`. Raises StyleError."""
    from engines.registry.look_changes import read_changes, with_look
    from engines.registry.style import load_style

    changes = read_changes(look or ())
    return with_look(load_style(STYLE if style is None else style), changes)


def parse_time(text: str) -> float:
    """Return the seconds of "12.5", "1:02.5" or "1:00:02.5". Raises typer.BadParameter for anything else."""
    match = re.fullmatch(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d*)?|\.\d+)", text.strip())
    if not match or (match[2] is not None and float(match[3]) >= 60):
        raise typer.BadParameter(f"{text!r} is not a time; use seconds or [HH:]MM:SS[.mmm], such as 1:02.5")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def parse_size(text: str) -> str:
    """Check a frame size such as "720p" and return it. Raises typer.BadParameter."""
    from streamtoon.media.reader.frame_size import FrameSize

    try:
        return str(FrameSize.parse(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def parse_fps(text: str) -> Fraction:
    """Return the frames per second of "10" or "29.97". Raises typer.BadParameter."""
    from streamtoon.media.reader.frame_rate import parse_rate

    try:
        return parse_rate(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def console(*, stderr: bool = True) -> Console:
    """Return a console on the current stream. It never reads text from outside as markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def say(text: str, *, style: str = "", stderr: bool = True) -> None:
    """Print one line without breaking it: a terminal wraps it, a log keeps it whole."""
    console(stderr=stderr).print(printable(text), style=style, soft_wrap=True)


def say_error(sentence: str) -> None:
    """Print the error of a failed run, one sentence."""
    end = "" if sentence.endswith("?") else "."
    say(f"error: {sentence.rstrip('.')}{end}", style="bold red")


def say_warnings(warnings: tuple[str, ...]) -> None:
    """Print warnings, one line each."""
    for warning in warnings:
        say(f"warning: {warning}", style="yellow")


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object, in ASCII, so that no terminal or pipe can fail on a file name."""
    typer.echo(json.dumps(value, indent=2))


def printable(text: str) -> str:
    """Return `text` without control characters and lone surrogates, which file names may contain."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in clean
    )


def interrupted() -> None:
    """Print the message after Ctrl-C."""
    say("interrupted: no partial files are left.", style="bold red")
