"""`streamtoon preview`: one frame in every style, as one image."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from streamtoon.cli.common import (
    JsonOption,
    LookOption,
    OverwriteOption,
    QuietOption,
    complete_style,
    console,
    parse_time,
    print_json,
    say,
    say_warnings,
)

EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon preview holiday.mp4
streamtoon preview holiday.mp4 sheet.png --at 1:05
streamtoon preview photo.jpg --style comic --style ink
streamtoon preview photo.jpg --look line_density=2
"""


def preview(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video or a photo.")],
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OUT.png]", help="The image to write. Default: IN_styles.png in the folder of IN."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time of the frame, such as 1:05.5.",
            show_default="a third of the video",
        ),
    ] = None,
    styles: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            "-s",
            metavar="NAME|DIR",
            autocompletion=complete_style,
            help="Only this style; may be repeated.",
            show_default=False,
        ),
    ] = None,
    look: LookOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw one frame in every style, as one labelled image: the quickest way to choose a style."""
    from engines.registry.look_changes import read_changes
    from engines.registry.style import shipped_names, user_style_names
    from streamtoon.tools.preview import preview as draw

    changes = read_changes(look or ())
    time = None if at is None else parse_time(at)
    place = target or source.with_name(f"{source.stem}_styles.png")
    names = styles or [*shipped_names(), *user_style_names()]
    with console().status("") as status:
        done = draw(
            source,
            place,
            names,
            at=time,
            look=changes,
            overwrite=overwrite,
            show=lambda name: None if quiet else status.update(f"drawing {name}"),
        )
    say_warnings(tuple(f"skipped {name}: {why}" for name, why in done.skipped.items()))
    if as_json:
        print_json(asdict(done) | {"output": str(done.output)})
    elif not quiet:
        say(f"{done.output}: {done.width}x{done.height}, {len(done.styles)} styles", stderr=False)
