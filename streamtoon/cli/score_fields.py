"""`streamtoon score fields`: compare a look's network with the program that it imitates."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from engines.common.extras import install_line
from streamtoon.cli.common import (
    EngineOption,
    JsonOption,
    PrecisionOption,
    QuietOption,
    console,
    print_json,
)
from streamtoon.cli.score_shared import ticks
from streamtoon.errors import StreamtoonError


def score_fields(
    photos: Annotated[
        Path,
        typer.Option("--photos", metavar="DIR", help="Folder of photos; best not from the training data."),
    ],
    style: Annotated[
        str, typer.Option("--style", metavar="NAME|DIR", help="Name or folder of a style with a look.")
    ] = "comic",
    quality: Annotated[Literal["full", "fast", "lite"], typer.Option(help="Quality, as for video.")] = "full",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    faces: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="MediaPipe's wheel 0.10.21: the program then draws small faces, as it did for training.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare a look's network with the abstraction program that taught it.

    Both draw every photo with the style's look. SSIM and ink measure how similar they are; flat and outline
    measure how much each looks like a drawing. Needs the extras train and eval.
    """
    from rich import box
    from rich.table import Table

    from engines.common.image_files import list_images
    from engines.registry.style import load_style

    try:
        from streamtoon.tools.score_fields import FieldScore, mean_score
        from streamtoon.tools.score_fields import score_fields as scores_of
    except ModuleNotFoundError as error:
        raise StreamtoonError(
            f"scoring fields needs the package {error.name}; install it with: {install_line('train', 'eval')}"
        ) from error
    total = len(list_images(photos))
    each: dict[str, FieldScore] = {}
    with ticks(style, "photos", total, quiet) as tick:
        found = scores_of(
            load_style(style),
            photos,
            backend=engine,
            precision=precision,
            quality=quality,
            face_models=faces,
        )
        for path, score in found:
            each[path.name] = score
            if tick:
                tick()
    mean = mean_score(each.values())
    lowest = min(score.ink_iou for score in each.values())
    if as_json:
        print_json(
            {
                "style": style,
                "quality": quality,
                "photos": {name: asdict(score) for name, score in each.items()},
                "mean": asdict(mean),
            }
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "SSIM", "ink IoU", "flat", "outline"):
        table.add_column(heading, justify="left" if not heading else "right")
    table.add_row(
        f"{style}, {quality}", f"{mean.ssim:.3f}", f"{mean.ink_iou:.3f} (lowest {lowest:.2f})",
        f"{mean.flat:.3f}", f"{mean.outline:+.3f}",
    )  # fmt: skip
    table.add_row("the program", "1", "1", f"{mean.program_flat:.3f}", f"{mean.program_outline:+.3f}")
    table.add_row("photographs", "", "", f"{mean.photo_flat:.3f}", "+0.000")
    console(stderr=False).print(table)
