"""The benchmark with the options of this project's authors: `python -m streamtoon.cli.bench_maintainer`.

It times other projects' networks and generators by themselves, as docs/performance.md shows them. It is a
module of streamtoon and not of `eval.bench`, because only streamtoon may open videos.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamtoon.cli import bench as shared
from streamtoon.cli.commands import Commands
from streamtoon.cli.common import JsonOption, say_error
from streamtoon.cli.score_shared import ReportOption
from streamtoon.errors import StreamtoonError

app = Commands(pretty_exceptions_enable=False, rich_markup_mode="rich", add_completion=False)

EXAMPLES = """\b
[bold]Examples[/bold]
python -m streamtoon.cli.bench_maintainer --networks unet,animegan,cartoongan,cyclegan
python -m streamtoon.cli.bench_maintainer --peers generators/ --json > today.json
python -m streamtoon.cli.bench_maintainer --photos holiday/ --report bench.html
"""


@app.command(epilog=EXAMPLES)
def bench(
    styles: shared.StylesOption = "",
    engines: shared.EnginesOption = "",
    sizes: shared.SizesOption = "720p",
    quality: shared.QualitiesOption = "",
    clip: shared.ClipOption = None,
    seconds: shared.SecondsOption = 2.0,
    networks: Annotated[
        str,
        typer.Option(
            "--networks",
            metavar="A,B,...",
            help="Generators to time by themselves, in every engine, at the first size; or all.",
            rich_help_panel=shared.MEASURE_PANEL,
            show_default=False,
        ),
    ] = "",
    peers: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of ONNX generators to time as well, in ONNX Runtime with default settings.",
            rich_help_panel=shared.COMPARE_PANEL,
            show_default=False,
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Compare the qualities on these photos. Default: frames of the clip.",
            rich_help_panel=shared.COMPARE_PANEL,
            show_default=False,
        ),
    ] = None,
    against: shared.AgainstOption = None,
    threshold: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            min=0,
            max=99,
            help="How much slower than --against a result may be.",
            rich_help_panel=shared.COMPARE_PANEL,
        ),
    ] = shared.THRESHOLD_PERCENT,
    as_json: JsonOption = False,
    report: ReportOption = None,
    quiet: shared.BenchQuietOption = False,
) -> None:
    """Time styles, generators by themselves and other projects' networks on this machine."""
    asked = shared.BenchRequest(
        styles=styles,
        engines=engines,
        sizes=sizes,
        quality=quality,
        clip=clip,
        seconds=seconds,
        against=against,
        threshold=threshold,
        report=report,
        as_json=as_json,
        quiet=quiet,
        peers=peers,
        networks=networks,
        photos=photos,
    )
    try:
        shared.benchmark_and_show(asked)
    except StreamtoonError as error:
        say_error(str(error))
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
