"""`streamtoon image`: one photo, several, or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamtoon.cli.common import (
    DetailOption,
    DeviceOption,
    EngineOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
    QualityOption,
    QuietOption,
    StrengthOption,
    StyleOption,
    print_json,
    say,
    say_warnings,
)

if TYPE_CHECKING:
    from streamtoon.cartoonizer import Cartoonizer
    from streamtoon.report import ImageReport

# Backspace: keep the line breaks of this paragraph.
EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon image photo.jpg cartoon.png
streamtoon image cat.gif drawn.webp --strength 0.8
streamtoon image *.jpg cartoons/
streamtoon image holiday/ cartoons/
"""


def image(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Photos, animated GIF or WebP files, or a folder.")
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to write; a folder for several or a folder.")
    ],
    style: StyleOption = None,
    strength: StrengthOption = 1.0,
    detail: DetailOption = None,
    quality: QualityOption = "auto",
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn photos and animations into cartoons.

    Orientation, transparency, colour profile, timings and loop count are kept. OUT's extension names the
    format: PNG, JPEG, WebP, TIFF, BMP or GIF.
    """
    from engines.style import DEFAULT_STYLE
    from streamtoon.cartoonizer import Cartoonizer
    from streamtoon.cli.batch import convert_all

    jobs, several = _jobs(sources, target, quiet=quiet)
    with Cartoonizer(
        DEFAULT_STYLE if style is None else style,
        engine=engine,
        device=device,
        precision=precision,
        quality=quality,
        detail=detail,
        strength=strength,
    ) as cartoonizer:

        def convert(source: Path, there: Path) -> ImageReport:
            return _one(cartoonizer, source, there, overwrite=overwrite, quiet=quiet, to_stderr=as_json)

        if several:
            convert_all(jobs, convert, as_json=as_json)
            return
        report = convert(*jobs[0])
    if as_json:
        print_json(report.as_dict())


def _one(
    cartoonizer: Cartoonizer, source: Path, target: Path, *, overwrite: bool, quiet: bool, to_stderr: bool
) -> ImageReport:
    report = cartoonizer.image(source, target, overwrite=overwrite)
    say_warnings(report.warnings)
    if not quiet:
        written, engine = report.output, report.engine
        frames = "" if written.frames == 1 else f", {written.frames} frames"
        say(
            f"{target}: {written.width}x{written.height}{frames} in {report.seconds:.1f} s, "
            f"{engine.style} by {engine.backend} {engine.precision} on {engine.device}, {engine.quality}",
            stderr=to_stderr,
        )
    return report


def _jobs(sources: Sequence[Path], target: Path, *, quiet: bool) -> tuple[Sequence[tuple[Path, Path]], bool]:
    """(source, target) of all that is to be done, and whether it is a folder's worth."""
    from streamtoon.folder import pair, plan
    from streamtoon.images import SUFFIXES

    if len(sources) == 1 and sources[0].is_dir():
        todo = plan(sources[0], target, SUFFIXES)
        if not quiet:
            for path in todo.skipped:
                say(f"skipped: {path} is no picture")
        return todo.jobs, True
    if len(sources) == 1:
        return [(sources[0], target / sources[0].name if target.is_dir() else target)], False
    return pair(sources, target), True
