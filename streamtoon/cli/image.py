"""`streamtoon image`: one photo, several, or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamtoon.cli.common import (
    STYLE_PANEL,
    ClarityOption,
    DetailOption,
    DeviceOption,
    EngineOption,
    FileQualityOption,
    JsonOption,
    LookOption,
    OverwriteOption,
    PrecisionOption,
    QuietOption,
    StrengthOption,
    StyleOption,
    chosen_style,
    print_json,
    say,
    say_warnings,
)
from streamtoon.cli.files import PHOTOS, InputsOption, OutputOption, jobs_of, named, target_of
from streamtoon.convert.batch import created_folder
from streamtoon.wording import counted, drawn_as, length, size

if TYPE_CHECKING:
    from streamtoon.api import Cartoonizer
    from streamtoon.reports import ImageReport

# Backspace: keep the line breaks of this paragraph.
EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon image photo.jpg
streamtoon image photo.jpg cartoon.png
streamtoon image cat.gif drawn.webp --strength 0.8
streamtoon image photo.jpg poster.png --style popart --look screen_size=12
streamtoon image IMG_1234.heic before_and_after.jpg --side-by-side
streamtoon image *.jpg cartoons/
streamtoon image holiday/ cartoons/
"""


def image(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN... [OUT]",
            help="Photos (also HEIC), animated GIF, WebP or AVIF files, or a folder; then the output file or "
            "folder. Without OUT, photo.jpg becomes photo_cartoon.jpg in the same folder.",
            show_default=False,
        ),
    ] = None,
    inputs: InputsOption = None,
    output: OutputOption = None,
    style: StyleOption = None,
    look: LookOption = None,
    strength: StrengthOption = 1.0,
    detail: DetailOption = None,
    clarity: ClarityOption = 0.0,
    side_by_side: Annotated[
        bool,
        typer.Option(
            "--side-by-side", help="Source on the left, cartoon on the right.", rich_help_panel=STYLE_PANEL
        ),
    ] = False,
    quality: FileQualityOption = "full",
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn photos and animations into cartoons.

    Orientation, transparency, colour profile, frame timing and loop count are kept, and so is metadata about
    the photograph: when, where, by whom. The extension of OUT sets the format: PNG, JPEG, WebP, AVIF, TIFF,
    BMP or GIF.
    """
    from streamtoon.api import Cartoonizer
    from streamtoon.cli.batch import convert_all

    line = named(files or (), inputs or (), output)
    several = len(line.sources) > 1 or Path(line.sources[0]).is_dir()
    with Cartoonizer(
        chosen_style(style, look),
        engine=engine,
        device=device,
        precision=precision,
        quality=quality,
        detail=detail,
        clarity=clarity,
        strength=strength,
    ) as cartoonizer:

        def convert(source: Path, there: Path) -> ImageReport:
            return _one(
                cartoonizer,
                source,
                there,
                overwrite=overwrite,
                side_by_side=side_by_side,
                quiet=quiet,
                to_stderr=as_json,
            )

        if several:
            todo = jobs_of(line, PHOTOS)
            if not quiet:
                for text in todo.skipped:
                    say(f"skipped: {text}")
            convert_all(todo.pairs, convert, as_json=as_json)
            return
        target = Path(target_of(line.sources[0], line.target, PHOTOS))
        with created_folder(target.parent):
            report = convert(Path(line.sources[0]), target)
    if as_json:
        print_json(report.as_dict())


def _one(
    cartoonizer: Cartoonizer,
    source: Path,
    target: Path,
    *,
    overwrite: bool,
    side_by_side: bool,
    quiet: bool,
    to_stderr: bool,
) -> ImageReport:
    report = cartoonizer.image(source, target, overwrite=overwrite, side_by_side=side_by_side)
    say_warnings(report.warnings)
    if not quiet:
        written = report.output
        frames = "" if written.frames == 1 else f", {counted(written.frames, 'frame')}"
        say(
            f"{target} ({size(target.stat().st_size)}): {written.width}x{written.height}{frames} in "
            f"{length(report.seconds)}. {drawn_as(report.engine)}",
            stderr=to_stderr,
        )
    return report
