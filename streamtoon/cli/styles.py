"""`streamtoon styles`: list, show, add and remove styles."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streamtoon.cli.commands import Commands
from streamtoon.cli.common import (
    JsonOption,
    complete_style,
    console,
    print_json,
    printable,
    say,
    say_warnings,
)

if TYPE_CHECKING:
    from rich.table import Table

    from engines.looks.look import Look, LookKey
    from engines.registry.style import Style

styles = Commands(no_args_is_help=True, help="List the styles, show one in detail, add or remove your own.")


@styles.command("list")
def list_styles(as_json: JsonOption = False) -> None:
    """List the shipped styles and your own."""
    from engines.registry.style import DEFAULT_STYLE, available_styles

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
        say("No style is installed here: use --style with the folder of one.", stderr=False)
    say_warnings(tuple(damaged.values()))


def _own_styles() -> tuple[list[Style], dict[str, str]]:
    """Return the user's own styles, and the error of each that cannot be used."""
    from engines.errors import StyleError
    from engines.registry.style import load_style, user_style_names

    whole, damaged = [], {}
    for name in user_style_names():
        try:
            whole.append(load_style(name))
        except StyleError as error:  # one broken style must not hide the others
            damaged[name] = str(error)
    return whole, damaged


def _overview(shipped: list[Style], own: list[Style], default: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("style", "kind", "description", "network", "licence"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "style")
    notes = [(style, " (default)" if style.name == default else "") for style in shipped]
    for style, note in [*notes, *((style, " (yours)") for style in own)]:
        table.add_row(
            f"{style.folder.name}{note}",
            _kind(style),
            printable(style.description),
            style.network or _network(style),
            printable(style.licence),
        )
    return table


@styles.command("show")
def show_style(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|DIR", autocompletion=complete_style, help="Name or folder of a style."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show a style in detail: its network, look, training data and licence."""
    from rich.table import Table

    from engines.registry.style import load_style

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
    screen = console(stderr=False)
    screen.print(table)
    if style.look is not None:
        screen.print()
        screen.print(_look(style.look))
        say("* differs from the default", style="dim", stderr=False)
        example = f"--style {name} --look levels={7 if style.look.levels == 4 else 4}"
        say(f"To change a key, add to any command: {example}", stderr=False)


def _rows(style: Style) -> list[tuple[str, str]]:
    rows = [
        ("description", style.description),
        (
            "made for",
            f"a short side of {style.working_height} pixels; larger frames are drawn at that size",
        ),
        ("kind", "a look on top of a field network" if style.look else "an image-to-image network"),
        ("network", ", ".join(filter(None, [style.network, f"{_network(style)} parameters"]))),
        ("guided filter", _guided_filter(style)),
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
        ("network's folder", str(style.network_folder) if style.network_folder != style.folder else ""),
    ]
    return [(heading, text.strip(", ")) for heading, text in rows if text]


def _guided_filter(style: Style) -> str:
    if style.gives_fields:
        return ""
    return f"radius {style.radius}, eps {style.eps:g}, line strength {style.lines:g}"


def _kind(style: Style) -> str:
    return "look" if style.look else "network"


def _look(look: Look) -> Table:
    """Make a table of every key of a look: value, range and meaning."""
    from rich import box
    from rich.table import Table

    from engines.looks.look import look_keys
    from streamtoon.live.look_controls import groups, spoken

    of_group = groups()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading, width in (("key", None), ("value", 8), ("range", 14), ("meaning", None)):
        table.add_column(heading, overflow="fold", no_wrap=heading == "key", max_width=width)
    last = ""
    for key in look_keys():
        if of_group[key.name] != last:
            last = of_group[key.name]
            table.add_row(last, style="bold")
        value = getattr(look, key.name)
        mark = "*" if value != key.default else " "
        table.add_row(f"{mark} {key.name}", spoken(value), key_range(key), key.text)
    return table


def key_range(key: LookKey) -> str:
    """Describe the range of a look key, in a few characters."""
    if key.kind in ("number", "whole"):
        return f"{key.low:g} to {key.high:g}"
    return {"color": "#rrggbb", "colors": "up to 8 #rrggbb"}.get(key.kind) or ", ".join(key.choices)


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
    return f"{'ONNX graph' if style.graph_alone else style.generator}, {_millions(style)}"


def _millions(style: Style) -> str:
    return f"{style.parameters / 1e6:.2f} M"


def _plain(style: Style) -> dict[str, Any]:
    """Return a style for JSON."""
    return {
        **asdict(style),
        "folder": str(style.folder),
        "network_folder": str(style.network_folder),
        "preview": str(style.preview) if style.preview else None,
        "lite": _plain(style.lite) if style.lite else None,
    }


ADD_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon styles add my-look.toml
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
            help="A look file (.toml), an ONNX model, a style's folder, or weights (.safetensors, .pt) of a "
            "supported network.",
        ),
    ],
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Name for --style. Default: the file's name.")
    ] = "",
    title: Annotated[str, typer.Option(metavar="TEXT", help="Title shown to people.")] = "",
    licence: Annotated[str, typer.Option(metavar="TEXT", help="Licence of the style.")] = "",
    height: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            min=16,
            max=4320,
            help="Short side of the frames it was made for.",
            show_default="720",
        ),
    ] = None,
    bgr: Annotated[
        bool, typer.Option("--bgr", help="The model expects BGR images, as OpenCV reads them.")
    ] = False,
    values: Annotated[
        Literal["auto", "-1..1", "0..1", "0..255"],
        typer.Option(help="Value range of the model's input, if the detected one looks wrong."),
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Add a style of your own: a look file, or a third-party model.

    It is validated and tried in a sandbox before it is added.
    """
    from engines.importing.importer import ImportOptions, add_style

    added = add_style(
        source, ImportOptions(name, title, licence, height or 0, bgr, "" if values == "auto" else values)
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
    if style.network:
        say(f"{style.folder.name}: a look on top of the network {style.network}")
    else:
        multiple = f"frame sizes in multiples of {style.size_multiple}"
        say(f"{style.folder.name}: {_network(style)} parameters, {multiple}")
    if added.form:
        size = (
            f" of the fixed size {added.fixed[1]}x{added.fixed[0]}, and now takes any size"
            if added.fixed
            else ""
        )
        say(f"imported from {added.form}{size}; the test image matches")
    for other in added.also:
        say(f"{other} fits almost as well; if the colours look wrong, add it again with --values {other}")
    say(f"use it with --style {style.folder.name} (licence: {style.licence})")


def _complete_own(incomplete: str) -> list[str]:
    from engines.registry.style import user_style_names

    return [name for name in user_style_names() if name.startswith(incomplete.lower())]


@styles.command("remove")
def remove(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", autocompletion=_complete_own, help="One of your own styles."),
    ],
) -> None:
    """Remove one of your own styles."""
    from engines.importing.importer import remove_style

    say(f"removed {remove_style(name)}")
