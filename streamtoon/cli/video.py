"""`streamtoon video`: one video, or a folder of them."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamtoon.cli.common import (
    OUTPUT_PANEL,
    STYLE_PANEL,
    DecoderOption,
    DetailOption,
    DeviceOption,
    EngineOption,
    JsonOption,
    OnErrorOption,
    OverwriteOption,
    PrecisionOption,
    QualityOption,
    QuietOption,
    StabilizeOption,
    StrengthOption,
    StyleOption,
    parse_time,
    print_json,
    say,
    say_warnings,
)
from streamtoon.errors import OutputError, UnfinishedError

if TYPE_CHECKING:
    from streamtoon.cartoonizer import Cartoonizer
    from streamtoon.report import Report

PART_PANEL = "Which part"
PIPE = "-"

# Backspace: keep the line breaks of this paragraph.
EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon video in.mp4 out.mp4
streamtoon video in.mp4 out.mkv --quality fast --side-by-side
streamtoon video in.mp4 out.mp4 --from 1:30 --to 2:00 --codec hevc --crf 24
streamtoon video holiday/ cartoons/
cat in.mkv | streamtoon video - - > out.mkv
"""


def video(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="Any video that FFmpeg reads, a folder of them, or - for stdin."),
    ],
    target: Annotated[
        str, typer.Argument(metavar="OUT", help="The file to write, a folder for a folder, or - for stdout.")
    ],
    style: StyleOption = None,
    strength: StrengthOption = 1.0,
    stabilize: StabilizeOption = 0.0,
    detail: DetailOption = None,
    side_by_side: Annotated[
        bool,
        typer.Option(
            "--side-by-side", help="Source on the left, cartoon on the right.", rich_help_panel=STYLE_PANEL
        ),
    ] = False,
    quality: QualityOption = "auto",
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    decoder: DecoderOption = "cpu",
    start: Annotated[
        float | None,
        typer.Option(
            "--from",
            parser=parse_time,
            metavar="T",
            help="Begin here: seconds, or [HH:]MM:SS[.mmm].",
            rich_help_panel=PART_PANEL,
        ),
    ] = None,
    end: Annotated[
        float | None,
        typer.Option("--to", parser=parse_time, metavar="T", help="End here.", rich_help_panel=PART_PANEL),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="h264, hevc, av1, vp9 or any encoder that [bold]streamtoon doctor[/bold] lists.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=63,
            help="The encoder's quality: lower is better and larger.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The encoder's speed, such as veryfast.", rich_help_panel=OUTPUT_PANEL
        ),
    ] = None,
    on_error: OnErrorOption = "repair",
    overwrite: OverwriteOption = False,
    no_resume: Annotated[
        bool,
        typer.Option(
            "--no-resume",
            help="Begin afresh, and throw away what an earlier run has left beside OUT.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn a video into a cartoon: same length, same sound, same sync.

    Frames, times, sound, subtitles, chapters and rotation are kept. OUT appears when it is whole. Whatever
    ends the work before, the same command goes on from there: finished parts wait in OUT.unfinished.
    """
    if as_json and target == PIPE:
        raise typer.BadParameter("--json and a video cannot both go to standard output")
    if start is not None and end is not None and end <= start:
        raise typer.BadParameter("--to must be later than --from")
    if decoder == "nvdec" and on_error == "stop":
        raise typer.BadParameter("NVDEC does not tell of all damage: --on-error stop needs --decoder cpu")

    from engines.style import DEFAULT_STYLE
    from streamtoon.cartoonizer import Cartoonizer
    from streamtoon.cli.stopping import stoppable
    from streamtoon.conversion import can_be_kept

    options: dict[str, Any] = {
        "start": start,
        "end": end,
        "side_by_side": side_by_side,
        "stabilize": stabilize,
        "codec": codec,
        "crf": crf,
        "preset": preset,
        "on_error": on_error,
        "decoder": decoder,
        "overwrite": overwrite,
        "resume": not no_resume,
    }
    with Cartoonizer(
        DEFAULT_STYLE if style is None else style,
        engine=engine,
        device=device,
        precision=precision,
        quality=quality,
        detail=detail,
        strength=strength,
    ) as cartoonizer:
        if source != PIPE and Path(source).is_dir():
            with stoppable() as stop:
                _folder(cartoonizer, Path(source), target, options, stop, as_json=as_json, quiet=quiet)
            return
        with stoppable() if can_be_kept(source, target) else nullcontext() as stop_one:
            to_stderr = as_json or target == PIPE
            report = _one(cartoonizer, source, target, options, stop_one, quiet=quiet, to_stderr=to_stderr)
    if as_json:
        print_json(report.as_dict())


def _one(
    cartoonizer: Cartoonizer,
    source: str,
    target: str,
    options: dict[str, Any],
    stop: threading.Event | None,
    *,
    quiet: bool,
    to_stderr: bool,
) -> Report:
    from streamtoon.cli.progress import shown

    name = "standard input" if source == PIPE else Path(source).name
    told: list[str] = []
    with shown(name, quiet=quiet) as show:

        def warn(text: str) -> None:
            told.append(text)
            show.warning(text)

        report = cartoonizer.video(
            source, target, stop=stop, on_progress=show.progress, on_warning=warn, **options
        )
    say_warnings(tuple(text for text in report.warnings if text not in told))
    if not quiet:
        say(summary(report), stderr=to_stderr)
    return report


def summary(report: Report) -> str:
    """One line for a person."""
    engine = report.engine
    target = "standard output" if report.output.path == PIPE else report.output.path
    kept = f"{report.kept} of them from an earlier run, " if report.kept else ""
    again = f"{report.reused} of them like the one before, " if report.reused else ""
    return (
        f"{target}: {report.frames_out} frames in {report.seconds:.1f} s ({report.fps:.1f} fps), "
        f"{kept}{again}{engine.style} by {engine.backend} {engine.precision} on {engine.device}, "
        f"{engine.quality}"
    )


def _folder(
    cartoonizer: Cartoonizer,
    source: Path,
    target: str,
    options: dict[str, Any],
    stop: threading.Event,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Raises UnfinishedError when stopped: the same command goes on with what is missing."""
    from streamtoon.cli.batch import convert_all
    from streamtoon.folder import VIDEO_SUFFIXES, plan
    from streamtoon.media.containers import BY_EXTENSION
    from streamtoon.media.work import Work

    if target == PIPE:
        raise OutputError("a folder of videos cannot go to standard output: name a folder for the results.")
    # Matroska takes the streams of whatever is read here but not written, such as .mpg and .wmv.
    todo = plan(source, Path(target), VIDEO_SUFFIXES, writable=BY_EXTENSION, instead=".mkv")
    if not quiet:
        for path in todo.skipped:
            say(f"skipped: {path} is no video")
    jobs = todo.jobs
    if options["resume"] and not options["overwrite"]:
        jobs = tuple(job for job in jobs if not job[1].exists() or Work.place(job[1]).exists())
        if (done := len(todo.jobs) - len(jobs)) and not quiet:
            say(f"{done} of {len(todo.jobs)} videos are there already; --overwrite draws them again")

    def convert(here: Path, there: Path) -> Report:
        if stop.is_set():
            raise UnfinishedError("stopped: the same command goes on with the videos that are missing")
        return _one(cartoonizer, str(here), str(there), options, stop, quiet=quiet, to_stderr=as_json)

    convert_all(jobs, convert, as_json=as_json)
