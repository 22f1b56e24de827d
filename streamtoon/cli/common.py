"""What the commands share: their options on style and engine, and how they speak to a person."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console

STYLE_PANEL = "Look"
ENGINE_PANEL = "Speed"
OUTPUT_PANEL = "Output"
TALK_PANEL = "Messages"


def _complete_style(incomplete: str) -> list[str]:
    from engines.style import own_names, shipped_names

    return [name for name in (*shipped_names(), *own_names()) if name.startswith(incomplete)]


StyleOption = Annotated[
    str | None,
    typer.Option(
        "--style",
        metavar="NAME|DIR",
        autocompletion=_complete_style,
        help="A style (see [bold]streamtoon styles list[/bold]) or the folder of one.",
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
        help="How much cartoon is mixed into the source.",
        rich_help_panel=STYLE_PANEL,
    ),
]
StabilizeOption = Annotated[
    float,
    typer.Option(
        metavar="X",
        min=0,
        max=1,
        help="How steady the cartoon is held where nothing moves.",
        rich_help_panel=STYLE_PANEL,
    ),
]
DetailOption = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        min=0.25,
        max=1,
        help="Size at which the style sees a picture: smaller paints broader strokes, and faster.",
        rich_help_panel=STYLE_PANEL,
    ),
]
QualityOption = Annotated[
    Literal["auto", "full", "fast", "lite"],
    typer.Option(
        help="[bold]fast[/bold] works at half size, [bold]lite[/bold] with a smaller network too; "
        "[bold]auto[/bold] keeps up with the video where it can.",
        rich_help_panel=ENGINE_PANEL,
    ),
]
EngineOption = Annotated[
    Literal["auto", "openvino", "onnxruntime", "torch", "tensorrt"],
    typer.Option(help="What runs the style.", rich_help_panel=ENGINE_PANEL),
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
    Literal["auto", "fp32", "bf16", "fp16", "int8", "fp8"],
    typer.Option(help="Arithmetic of the style.", rich_help_panel=ENGINE_PANEL),
]
OnErrorOption = Annotated[
    Literal["repair", "stop"],
    typer.Option(
        "--on-error",
        help="A damaged video: [bold]repair[/bold] keeps what can be decoded, in sync, and counts the rest; "
        "[bold]stop[/bold] ends at the first damage.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
DecoderOption = Annotated[
    Literal["cpu", "nvdec"],
    typer.Option(
        help="[bold]nvdec[/bold]: an NVIDIA GPU decodes H.264, HEVC and VP9, to the same pictures.",
        rich_help_panel=ENGINE_PANEL,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is there.", rich_help_panel=OUTPUT_PANEL)
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on standard output.", rich_help_panel=TALK_PANEL),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No progress and no summary, only warnings.", rich_help_panel=TALK_PANEL
    ),
]


def parse_time(text: str) -> float:
    """Seconds of "12.5", "1:02.5" or "1:00:02.5". Raises typer.BadParameter, which ends as wrong usage."""
    match = re.fullmatch(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d*)?|\.\d+)", text.strip())
    if not match or (match[2] is not None and float(match[3]) >= 60):
        raise typer.BadParameter(f"{text!r} is no time; write seconds or [HH:]MM:SS[.mmm], such as 1:02.5")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def console(*, stderr: bool = True) -> Console:
    """A console on the stream as it is now. Text that comes from outside is never read as markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def say(text: str, *, style: str = "", stderr: bool = True) -> None:
    """One line for a person, never broken by us: a terminal wraps it, a log keeps it whole."""
    console(stderr=stderr).print(printable(text), style=style, soft_wrap=True)


def say_error(sentence: str) -> None:
    """The one sentence of a failed run."""
    say(f"error: {sentence.rstrip('.')}.", style="bold red")


def say_warnings(warnings: tuple[str, ...]) -> None:
    """One line each."""
    for warning in warnings:
        say(f"warning: {warning}", style="yellow")


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output; ASCII, so that no terminal or pipe can fail on a file's name."""
    typer.echo(json.dumps(value, indent=2))


def printable(text: str) -> str:
    """`text` on one line without control characters or lone surrogates, as file names may hold both."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in clean
    )


def interrupted() -> None:
    """The sentence after Ctrl-C."""
    say("interrupted: nothing half-written is left behind.", style="bold red")
