"""`streamtoon styles`: the shipped styles, and the facts about one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamtoon.cli.common import JsonOption, console, print_json, printable, say

if TYPE_CHECKING:
    from rich.table import Table

    from engines.style import Style

styles = typer.Typer(no_args_is_help=True, help="List the styles, or show the facts about one.")


@styles.command("list")
def list_styles(as_json: JsonOption = False) -> None:
    """List the shipped styles."""
    from engines.style import DEFAULT_STYLE, available_styles

    found = available_styles()
    if as_json:
        print_json({"default": DEFAULT_STYLE, "styles": [_plain(style) for style in found]})
    elif found:
        console(stderr=False).print(_overview(found, DEFAULT_STYLE))
    else:
        say("No style is shipped here: name the folder of one.", stderr=False)


def _overview(found: list[Style], default: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("style", "what it draws", "network", "licence"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "style")
    for style in found:
        name = f"{style.name} (default)" if style.name == default else style.name
        table.add_row(
            name,
            printable(style.description),
            f"{style.generator}, {_millions(style)}",
            printable(style.licence),
        )
    return table


@styles.command("show")
def show_style(
    name: Annotated[str, typer.Argument(metavar="NAME|DIR", help="A shipped style or the folder of one.")],
    as_json: JsonOption = False,
) -> None:
    """Show the facts about a style: what it is made of, and what may be done with it."""
    from rich.table import Table

    from engines.style import load_style

    style = load_style(name)
    if as_json:
        print_json(_plain(style))
        return
    say(f"{style.title} ({style.name})", style="bold", stderr=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for heading, text in _rows(style):
        table.add_row(heading, printable(text))
    console(stderr=False).print(table)


def _rows(style: Style) -> list[tuple[str, str]]:
    rows = [
        ("what it draws", style.description),
        (
            "made for",
            f"{style.working_height} pixels of the short side; larger pictures are drawn at that size",
        ),
        ("network", f"{style.generator}, {_millions(style)} parameters"),
        ("guided filter", f"radius {style.radius}, eps {style.eps:g}, lines kept {style.lines:g}"),
        ("int8 graph", "yes" if style.int8_graph else "no"),
        ("lite network", _lite(style)),
        ("recipe", style.recipe),
        ("training", _training(style)),
        ("scores", _scores(style)),
        ("licence", style.licence),
        ("attribution", style.attribution),
        *(("trained on", f"{data.name}, {data.licence}, {data.source}") for data in style.data),
        ("before/after", str(style.preview or "")),
        ("folder", str(style.folder)),
    ]
    return [(heading, text.strip(", ")) for heading, text in rows if text]


def _scores(style: Style) -> str:
    if not style.scores:
        return ""
    figures = ", ".join(f"{name} {value:.4g}" for name, value in style.scores.metrics.items())
    return f"{figures}; {style.scores.pictures}"


def _training(style: Style) -> str:
    training = style.training
    return f"{training.steps} steps, seed {training.seed}, {training.versions}" if training else ""


def _lite(style: Style) -> str:
    return f"{style.lite.generator}, {_millions(style.lite)} parameters" if style.lite else "no"


def _millions(style: Style) -> str:
    return f"{style.parameters / 1e6:.2f} M"


def _plain(style: Style) -> dict[str, Any]:
    """A style as plain values for JSON."""
    return {
        **asdict(style),
        "folder": str(style.folder),
        "preview": str(style.preview) if style.preview else None,
        "lite": _plain(style.lite) if style.lite else None,
    }
