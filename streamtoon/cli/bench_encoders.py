"""The benchmark of encoders, for this project's authors: `python -m streamtoon.cli.bench_encoders`.

It is a module of streamtoon and not of `eval.bench`, because only streamtoon may open videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich import box
from rich.table import Table

from engines.common.defaults import STABILIZE
from streamtoon.api import Cartoonizer
from streamtoon.cli.commands import Commands
from streamtoon.cli.common import JsonOption, console, print_json, printable, say, say_error
from streamtoon.errors import StreamtoonError
from streamtoon.tools.benchmark.encoders import EncoderRow, EncoderSetting, compare_encoders
from streamtoon.tools.benchmark.run import machine_facts

app = Commands(pretty_exceptions_enable=False, rich_markup_mode="rich", add_completion=False)

DEFAULT_SETTINGS = ["h264", "hevc", "av1"]


@app.command()
def bench(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Videos to draw and encode.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--setting",
            metavar='"CODEC[:PRESET] [OPTION=VALUE ...]"',
            help="An encoder, with FFmpeg's options. Give several; the first one is the reference.",
            show_default=", ".join(DEFAULT_SETTINGS),
        ),
    ] = None,
    crf: Annotated[int, typer.Option(metavar="N", min=1, max=51, help="CRF of the first setting.")] = 19,
    style: Annotated[str, typer.Option(metavar="NAME|DIR", help="Style to draw.")] = "comic",
    quality: Annotated[Literal["full", "fast", "lite"], typer.Option(help="Quality, as for video.")] = "lite",
    frames: Annotated[int, typer.Option(metavar="N", min=2, help="Frames of each clip.")] = 60,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Encodings of each kind, in turns.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Compare encoders on finished cartoons: CPU time and size at the SSIM of the first setting."""
    try:
        parsed = [EncoderSetting.parse(text) for text in settings or DEFAULT_SETTINGS]
        engine = Cartoonizer(style, quality=quality).settings.replace(stabilize=STABILIZE)
        rows: list[EncoderRow] = []
        for clip in clips:
            if not as_json:
                say(f"{printable(clip.name)} ...")
            rows += compare_encoders(clip, parsed, engine, frames=frames, rounds=rounds, crf=crf)
    except StreamtoonError as error:
        say_error(str(error))
        raise typer.Exit(1) from error
    if as_json:
        results = [{"clip": row.clip, "setting": row.setting, **asdict(row.point)} for row in rows]
        print_json({"machine": machine_facts(), "crf": crf, "frames": frames, "results": results})
    else:
        console(stderr=False).print(_table(rows))


def _table(rows: Sequence[EncoderRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("clip")
    table.add_column("setting")
    for heading in ("CRF", "SSIM", "CPU ms per frame", "kB per frame"):
        table.add_column(heading, justify="right")
    for row in rows:
        point = row.point
        table.add_row(
            printable(row.clip), row.setting, f"{point.crf:.1f}", f"{point.ssim:.4f}",
            f"{point.cpu_ms:.1f}", f"{point.kilobytes:.1f}",
        )  # fmt: skip
    return table


if __name__ == "__main__":
    app()
