"""`streamtoon video`: one video, several, or a folder of them."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engines.common.defaults import STABILIZE, STYLE
from streamtoon.cli.cluster import Workers, convert_on_workers
from streamtoon.cli.commands import UsageError
from streamtoon.cli.common import (
    OUTPUT_PANEL,
    STYLE_PANEL,
    ClarityOption,
    DecoderOption,
    DetailOption,
    DeviceOption,
    EngineOption,
    FileQualityOption,
    JsonOption,
    LookOption,
    OnErrorOption,
    OverwriteOption,
    PrecisionOption,
    QuietOption,
    StabilizeOption,
    StrengthOption,
    StyleOption,
    chosen_style,
    parse_fps,
    parse_size,
    parse_time,
    print_json,
    say,
    say_warnings,
)
from streamtoon.cli.files import (
    PIPE,
    InputsOption,
    Jobs,
    OutputOption,
    jobs_of,
    named,
    target_of,
    videos,
    with_lists,
)
from streamtoon.convert.batch import created_folder
from streamtoon.errors import OutputError, UnfinishedError
from streamtoon.wording import counted, drawn_as, length, size

if TYPE_CHECKING:
    from streamtoon.api import Cartoonizer
    from streamtoon.cli.graceful_stop import Stop
    from streamtoon.cli.job_progress import Course
    from streamtoon.reports import Report

RANGE_PANEL = "Range"
WORKERS_PANEL = "Workers"

# Backspace: keep the line breaks of this paragraph.
EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon video in.mp4
streamtoon video in.mp4 out.mkv --quality fast --side-by-side
streamtoon video in.mp4 out.mp4 --style ink --look line_density=1.5 --look "paper_color=#fff4e0"
streamtoon video in.mp4 out.mp4 --from 1:30 --to 2:00 --codec hevc --crf 24
streamtoon video in.mp4 out.gif --size 360p --fps 12 --from 0:05 --to 0:10
streamtoon video *.mp4 cartoons/
streamtoon video holiday/ cartoons/
streamtoon video @list.txt cartoons/ --ray auto
cat in.mkv | streamtoon video - - > out.mkv
"""


def video(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN... [OUT]",
            help="Videos, a folder of videos, @FILE with a video per line, or - for standard input; then the "
            "output file or folder, or - for standard output. Without OUT, in.mp4 becomes in_cartoon.mp4 in "
            "the same folder.",
            show_default=False,
        ),
    ] = None,
    inputs: InputsOption = None,
    output: OutputOption = None,
    style: StyleOption = None,
    look: LookOption = None,
    strength: StrengthOption = 1.0,
    stabilize: StabilizeOption = STABILIZE,
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
    decoder: DecoderOption = "cpu",
    start: Annotated[
        float | None,
        typer.Option(
            "--from",
            parser=parse_time,
            metavar="T",
            help="Start time: seconds, or [HH:]MM:SS[.mmm].",
            rich_help_panel=RANGE_PANEL,
        ),
    ] = None,
    end: Annotated[
        float | None,
        typer.Option("--to", parser=parse_time, metavar="T", help="End time.", rich_help_panel=RANGE_PANEL),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            parser=parse_size,
            metavar="720p|1280x720",
            help="Frame size of the output. 720p sets the short side and keeps the aspect ratio.",
            show_default="as the source",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    fps: Annotated[
        Fraction | None,
        typer.Option(
            "--fps",
            parser=parse_fps,
            metavar="N",
            help="Frames per second of the output; the duration stays the same. Use 10 to 15 for a GIF.",
            show_default="as the source",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="h264, hevc, av1, vp9, or an encoder that [bold]streamtoon doctor[/bold] lists.",
            show_default="h264; vp9 for WebM",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=63,
            help="Quality of the encoder: lower means better and larger.",
            show_default="h264 19, hevc 20, vp9 24, av1 26",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Speed of the encoder: ultrafast to veryslow for h264 and hevc, 13 to 0 for av1, 8 to 0 for "
            "vp9.",
            show_default="h264 ultrafast, hevc veryfast, av1 10, vp9 5",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    on_error: OnErrorOption = "repair",
    overwrite: OverwriteOption = False,
    no_resume: Annotated[
        bool,
        typer.Option(
            "--no-resume",
            help="Start over; discard the unfinished work of an earlier run.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="local|auto|ray://HOST:PORT",
            help="Draw on a Ray cluster: one of this machine, the one that runs here, or one at an address.",
            show_default=False,
            rich_help_panel=WORKERS_PANEL,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of engines that draw at the same time; [bold]--device cuda:all[/bold] opens one for "
            "each GPU.",
            show_default="1; with --ray, as many as fit",
            rich_help_panel=WORKERS_PANEL,
        ),
    ] = None,
    worker_needs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=AMOUNT",
            help="What a worker needs of Ray: num_gpus=1, num_cpus=8, a resource of yours, or "
            "label:KEY=VALUE; may be repeated.",
            show_default=False,
            rich_help_panel=WORKERS_PANEL,
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn videos into cartoons: same duration, same sound, in sync.

    Frames, timestamps, sound, subtitles, chapters and rotation are kept. OUT appears when it is complete. If
    a run is interrupted, the same command resumes it: finished parts are in OUT.unfinished. The first Ctrl-C
    finishes the current part, the second one stops at once.
    """
    line = with_lists(named(files or (), inputs or (), output))
    if PIPE in (line.target, *line.sources[1:]) and len(line.sources) > 1:
        raise UsageError("only one video at a time can go through a pipe")
    if line.target == PIPE and sys.stdout.isatty():
        raise OutputError("standard output is a terminal: add > out.mkv to the command, or name a file")
    if as_json and line.target == PIPE:
        raise UsageError("--json and a video cannot both go to standard output")
    if start is not None and end is not None and end <= start:
        raise UsageError("--to must be later than --from")
    if decoder == "nvdec" and on_error == "stop":
        raise UsageError("NVDEC does not report every error: --on-error stop needs --decoder cpu")

    from streamtoon.api import Cartoonizer
    from streamtoon.cli.graceful_stop import stoppable
    from streamtoon.convert.video import can_be_kept

    options: dict[str, Any] = {
        "start": start,
        "end": end,
        "size": size,
        "fps": fps,
        "side_by_side": side_by_side,
        "stabilize": stabilize,
        "codec": codec,
        "crf": crf,
        "preset": preset,
        "on_error": on_error,
        "decoder": decoder,
        "overwrite": overwrite,
        "resume": not no_resume,
        "compare": as_json or not quiet,
    }
    source, kind = line.sources[0], videos()
    group = Workers(ray, workers, tuple(worker_needs or ()))
    group.check()
    if group.are_asked_for(device):
        from streamtoon.cluster.jobs import EngineChoice

        device = device.removesuffix(":all") if ray is not None else device
        choice = EngineChoice(
            STYLE if style is None else style,
            tuple(look or ()),
            engine,
            device,
            precision,
            quality,
            detail,
            strength,
            stabilize,
            clarity,
        )
        convert_on_workers(group, line, kind, choice, {**options, "as_json": as_json, "quiet": quiet})
        return
    many = len(line.sources) > 1 or line.is_list or (source != PIPE and Path(source).is_dir())
    target = "" if many else target_of(source, line.target, kind)
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
        if many:
            with stoppable() as stop:
                _many(cartoonizer, jobs_of(line, kind), options, stop, as_json=as_json, quiet=quiet)
            return
        made = nullcontext() if target == PIPE else created_folder(Path(target).parent)
        with stoppable() if can_be_kept(source, target) else nullcontext() as stop_one, made:
            to_stderr = as_json or target == PIPE
            report = _one(cartoonizer, source, target, options, stop_one, quiet=quiet, to_stderr=to_stderr)
    if as_json:
        print_json(report.as_dict())


def _one(
    cartoonizer: Cartoonizer,
    source: str,
    target: str,
    options: dict[str, Any],
    stop: Stop | None,
    *,
    quiet: bool,
    to_stderr: bool,
    course: Course | None = None,
) -> Report:
    from streamtoon.cli.progress import shown

    name = "standard input" if source == PIPE else Path(source).name
    told: list[str] = []
    with shown(name, quiet=quiet, stop=stop, course=course) as show:

        def warn(text: str) -> None:
            told.append(text)
            show.warning(text)

        report = cartoonizer.video(
            source, target, stop=stop, on_progress=show.progress, on_warning=warn, **options
        )
    say_warnings(tuple(text for text in report.warnings if text not in told))
    if not quiet:
        for line in summary(report).splitlines():
            say(line, stderr=to_stderr)
    return report


def summary(report: Report) -> str:
    """Summarize a conversion in one line, and name another quality in a second one if that may be better."""
    target = "standard output" if report.output.path == PIPE else report.output.path
    facts = [] if report.size_bytes is None else [size(report.size_bytes)]
    facts += [] if report.output.duration is None else [length(report.output.duration)]
    kept = f" ({report.kept} of them from an earlier run)" if report.kept else ""
    line = (
        f"{target} ({', '.join(facts)}): {counted(report.frames_out, 'frame')}{kept} in "
        f"{length(report.seconds)}. {drawn_as(report.engine)}"
    )
    if report.left_out:
        line = f"{line} {report.left_out}"
    other = report.alternative
    if other is None:
        return line
    return f"{line}\n--quality {other.quality}: about {length(other.seconds)}"


def _many(
    cartoonizer: Cartoonizer,
    todo: Jobs,
    options: dict[str, Any],
    stop: Stop,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Convert several videos. Raises UnfinishedError if stopped: the same command continues."""
    from streamtoon.cli.batch import convert_all
    from streamtoon.cli.job_progress import Course, JobSummary
    from streamtoon.media.segments.packet_store import PacketStore

    if not quiet:
        for text in todo.skipped:
            say(f"skipped: {text}")
    jobs = todo.pairs
    if options["resume"] and not options["overwrite"]:
        jobs = tuple(job for job in jobs if not job[1].exists() or PacketStore.place(job[1]).exists())
        if (done := len(todo.pairs) - len(jobs)) and not quiet:
            said = f"{done} of {counted(len(todo.pairs), 'video')} done already"
            say(f"{said}; --overwrite converts them again")

    course = Course([here for here, _ in jobs])
    whole = JobSummary()

    def convert(here: Path, there: Path) -> Report:
        if stop.is_set():
            raise UnfinishedError("stopped: run the same command to convert the remaining videos")
        own = {**options, "compare": options["compare"] and not whole.knows_better}
        with course.at(here):
            report = _one(
                cartoonizer, str(here), str(there), own, stop, quiet=quiet, to_stderr=as_json, course=course
            )
        whole.add(report)
        return report

    try:
        convert_all(jobs, convert, as_json=as_json)
    finally:
        if not quiet and len(jobs) > 1:
            for line in whole.lines():
                say(line, stderr=as_json)
