"""`streamtoon styles`: the styles that are there, the facts about one, and the user's own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streamtoon.cli.common import JsonOption, console, print_json, printable, say, say_warnings

if TYPE_CHECKING:
    from rich.table import Table

    from engines.style import Style

styles = typer.Typer(
    no_args_is_help=True, help="List the styles, show the facts about one, add or remove one of your own."
)


@styles.command("list")
def list_styles(as_json: JsonOption = False) -> None:
    """List the shipped styles and your own."""
    from engines.style import DEFAULT_STYLE, available_styles

    found = available_styles()
    own, damaged = _own_styles()
    if as_json:
        rows = [_plain(style) | {"own": False} for style in found]
        rows += [_plain(style) | {"own": True} for style in own]
        print_json({"default": DEFAULT_STYLE, "styles": rows, "damaged": damaged})
        return
    if found or own:
        console(stderr=False).print(_overview(found, own, DEFAULT_STYLE))
    else:
        say("No style is shipped here: name the folder of one.", stderr=False)
    say_warnings(tuple(damaged.values()))


def _own_styles() -> tuple[list[Style], dict[str, str]]:
    """The user's own styles, and of those that cannot be used what is wrong."""
    from engines.errors import StyleError
    from engines.style import load_style, own_names

    whole, damaged = [], {}
    for name in own_names():
        try:
            whole.append(load_style(name))
        except StyleError as error:  # one bad style must not hide the others
            damaged[name] = str(error)
    return whole, damaged


def _overview(shipped: list[Style], own: list[Style], default: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("style", "what it draws", "network", "licence"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "style")
    notes = [(style, " (default)" if style.name == default else "") for style in shipped]
    for style, note in [*notes, *((style, " (yours)") for style in own)]:
        table.add_row(
            f"{style.folder.name}{note}",
            printable(style.description),
            _network(style),
            printable(style.licence),
        )
    return table


@styles.command("show")
def show_style(
    name: Annotated[str, typer.Argument(metavar="NAME|DIR", help="A style or the folder of one.")],
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
        ("network", f"{_network(style)} parameters"),
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


def _network(style: Style) -> str:
    return f"{'a graph alone' if style.graph_alone else style.generator}, {_millions(style)}"


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


ADD_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon styles add hayao.onnx --licence "non-commercial"
streamtoon styles add downloads/ink --name ink
streamtoon styles add generator.pt --name mine
streamtoon video in.mp4 out.mp4 --style hayao
"""


@styles.command("add", epilog=ADD_EXAMPLES)
def add(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            help="An ONNX graph, a style's folder, or weights (.safetensors, .pt) of a network known here.",
        ),
    ],
    name: Annotated[
        str, typer.Option(metavar="NAME", help="What --style calls it; else the file's name.")
    ] = "",
    title: Annotated[str, typer.Option(metavar="TEXT", help="What people call it.")] = "",
    licence: Annotated[str, typer.Option(metavar="TEXT", help="What may be done with it.")] = "",
    height: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            min=16,
            max=4320,
            help="Short side it was made for; else 720.",
            show_default=False,
        ),
    ] = None,
    bgr: Annotated[
        bool, typer.Option("--bgr", help="The graph was trained on BGR, as OpenCV reads pictures.")
    ] = False,
    values: Annotated[
        Literal["auto", "-1..1", "0..1", "0..255"],
        typer.Option(help="What black and white are to the graph, where what is found looks wrong."),
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Make a style of your own of somebody's generator. It is checked and tried before it is kept."""
    from engines.adopt.style import AddOptions, add_style

    added = add_style(
        source, AddOptions(name, title, licence, height or 0, bgr, "" if values == "auto" else values)
    )
    style = added.style
    if as_json:
        fixed = list(added.fixed) if added.fixed else None
        print_json(
            {
                "style": _plain(style) | {"own": True},
                "came_as": added.form,
                "also": added.also,
                "fixed_size": fixed,
            }
        )
        return
    say(f"{style.folder.name}: {_network(style)} parameters, for sizes in multiples of {style.size_multiple}")
    if added.form:
        size = f", {added.fixed[1]}x{added.fixed[0]} alone and now of any size" if added.fixed else ""
        say(f"it came as {added.form}{size}; the test picture comes out as it should")
    for other in added.also:
        say(f"{other} fits nearly as well: if pictures look wrong, add it anew with --values {other}")
    say(f"use it with --style {style.folder.name}; licence: {style.licence}")


@styles.command("remove")
def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="One of your own styles.")]) -> None:
    """Remove one of your own styles."""
    from engines.adopt.style import remove_style

    say(f"removed {remove_style(name)}")
