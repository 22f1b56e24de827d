"""`streamtoon video` on many workers: those of this machine, or those of a Ray cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from streamtoon.cli.commands import UsageError
from streamtoon.cli.common import console, print_json, printable, say, say_error, say_warnings
from streamtoon.cli.files import PIPE, Jobs, Kind, Named, is_folder, jobs_of, target_of
from streamtoon.convert.batch import result_name
from streamtoon.errors import EngineError, InputError, UnfinishedError
from streamtoon.wording import counted, drawn_as, length

if TYPE_CHECKING:
    from streamtoon.cluster.file_run import VideoResult
    from streamtoon.cluster.jobs import EngineChoice, VideoJob
    from streamtoon.cluster.pool import Pool

ALL_GPUS = ":all"
"""Ending of a device that means every GPU: cuda:all."""
MAX_ROWS = 20
"""Videos in the table at the end. Of more, only those that failed are listed."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Which workers draw."""

    ray: str | None
    """Address of a Ray cluster; None for this machine."""
    count: int | None
    needs: tuple[str, ...]

    def are_asked_for(self, device: str) -> bool:
        """Return whether the command asks for several workers."""
        return self.ray is not None or self.count is not None or device.endswith(ALL_GPUS)

    def check(self) -> None:
        """Raise UsageError for options that do not fit together."""
        if self.needs and self.ray is None:
            raise UsageError("--worker-needs is for --ray: Ray counts what its workers need")
        if self.ray is not None and not re.fullmatch(r"local|auto|ray://.+:\d+", self.ray):
            raise UsageError(f"--ray is {self.ray!r}, expected local, auto or ray://HOST:PORT")

    def open(self, device: str) -> AbstractContextManager[Pool]:
        """Start the workers. Raises UsageError and EngineError."""
        from streamtoon.cluster.pool import LocalPool

        if self.ray is None:
            gpus = _gpus() if device.endswith(ALL_GPUS) else []
            return LocalPool(gpus or [None] * (self.count or 1))
        from streamtoon.cluster.ray_pool import RayPool

        try:
            return RayPool(self.ray, self.needs, self.count)
        except ValueError as error:
            raise UsageError(f"--worker-needs: {error}") from error


def convert_on_workers(
    workers: Workers, line: Named, kind: Kind, choice: EngineChoice, options: dict[str, Any]
) -> None:
    """Convert the videos of a command line. Raises InputError at the end if any failed.

    Args:
        workers: The workers.
        line: The files.
        kind: The kind of files.
        choice: The style and the engine's settings.
        options: The other options of the command, and "as_json" and "quiet".
    """
    from streamtoon.cli.cluster_progress import cluster_progress
    from streamtoon.cli.graceful_stop import stoppable
    from streamtoon.cluster.dispatcher import Callbacks, Dispatcher

    as_json, quiet = options["as_json"], options["quiet"]
    todo, is_one = _todo(line, kind)
    if not quiet:
        for text in todo.skipped:
            say(f"skipped: {text}")
    jobs = [_job(source, target, choice, options) for source, target in todo.pairs]
    if not is_one and options["resume"] and not options["overwrite"]:
        jobs = _without_done(jobs, quiet=quiet)
    results: list[VideoResult] = []

    def named(result: VideoResult, text: str) -> str:
        return text if is_one or result.job.source in text else f"{result.job.source}: {text}"

    def tell(result: VideoResult) -> None:
        results.append(result)
        if result.error:
            say_error(named(result, result.error))
        warnings = result.warnings + (() if result.report is None else result.report.warnings)
        say_warnings(tuple(named(result, text) for text in warnings))

    with stoppable() as stop, workers.open(choice.device) as pool, cluster_progress(quiet=quiet) as show:
        is_over = Dispatcher(jobs, pool, Callbacks(tell, show), stop).run()
    place = {job.target: number for number, job in enumerate(jobs)}
    results.sort(key=lambda result: place[result.job.target])
    if as_json:
        shown = [_as_dict(result) for result in results]
        print_json(shown[0] if is_one and shown else {"files": shown})
    if not quiet:
        _table(results)
    if not is_over:
        raise UnfinishedError("stopped: run the same command to convert the rest")
    failed = [result.job.source for result in results if result.error]
    if failed:
        raise InputError(f"{len(failed)} of {counted(len(results), 'file')} could not be converted")


def _gpus() -> list[str | None]:
    from engines.backends.selection import available

    every = {name for row in available() for name in row.devices}
    numbers = sorted(int(name[5:]) for name in every if re.fullmatch(r"cuda:\d+", name))
    if not numbers:
        raise EngineError("--device cuda:all: there is no GPU that torch or TensorRT can use")
    return [f"cuda:{number}" for number in numbers]


def _todo(line: Named, kind: Kind) -> tuple[Jobs, bool]:
    """Return (source, target) of all videos as text, and whether the command names a single one."""
    sources = line.sources
    if PIPE in (*sources, line.target):
        raise UsageError("a pipe cannot be shared by several workers: name files")
    if any("://" in name for name in (*sources, line.target or "")):
        return Jobs(_url_pairs(sources, line.target, kind)), len(sources) == 1
    is_one = len(sources) == 1 and not Path(sources[0]).is_dir() and not line.is_list
    if is_one:
        return Jobs(((Path(sources[0]), Path(target_of(sources[0], line.target, kind))),)), True
    return jobs_of(line, kind), False


def _url_pairs(sources: Sequence[str], target: str | None, kind: Kind) -> tuple[tuple[Any, Any], ...]:
    if target is None:
        raise UsageError("OUT is missing: with URLs, name the output, or a folder that ends with a slash")
    if len(sources) == 1 and not is_folder(target):
        return ((sources[0], target),)
    folder = target.rstrip("/")
    names = [result_name(Path(PurePosixPath(source).name), kind.written, kind.instead) for source in sources]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"two files would both be written to {folder}/{double}: rename one of them")
    return tuple((source, f"{folder}/{name}") for source, name in zip(sources, names, strict=True))


def _job(source: object, target: object, choice: EngineChoice, options: dict[str, Any]) -> VideoJob:
    from streamtoon.cluster.jobs import VideoJob
    from streamtoon.media.reader.frame_size import FrameSize
    from streamtoon.media.reader.options import ReaderOptions
    from streamtoon.media.writer.options import WriterOptions

    size = options["size"]
    return VideoJob(
        str(source),
        str(target),
        ReaderOptions(
            start=options["start"],
            end=options["end"],
            on_error=options["on_error"],
            decoder=options["decoder"],
            size=None if size is None else FrameSize.parse(size),
            fps=options["fps"],
        ),
        WriterOptions(
            codec=options["codec"],
            crf=options["crf"],
            preset=options["preset"],
            overwrite=options["overwrite"],
        ),
        choice,
        side_by_side=options["side_by_side"],
        resume=options["resume"],
    )


def _without_done(jobs: Sequence[VideoJob], *, quiet: bool) -> list[VideoJob]:
    """Leave out the videos whose output is complete."""
    from streamtoon.cluster.segment_folder import SegmentFolder
    from streamtoon.cluster.storage import exists, is_url
    from streamtoon.media.segments.packet_store import PacketStore

    def is_unfinished(job: VideoJob) -> bool:
        if not is_url(job.target) and PacketStore.place(Path(job.target)).exists():
            return True
        return bool(SegmentFolder(job.work).facts())

    left = [job for job in jobs if not exists(job.target) or is_unfinished(job)]
    if (done := len(jobs) - len(left)) and not quiet:
        say(f"{done} of {counted(len(jobs), 'video')} done already; --overwrite converts them again")
    return left


def _as_dict(result: VideoResult) -> dict[str, Any]:
    if result.report is not None:
        return result.report.as_dict()
    done = {"input": {"path": result.job.source}}
    return {**done, "error": result.error} if result.error else done


def _table(results: Sequence[VideoResult]) -> None:
    """Print the results: all of a few, and of many those that failed."""
    from rich.table import Table

    rows = results if len(results) <= MAX_ROWS else [result for result in results if result.error]
    if len(results) > 1 and rows:
        table = Table("video", "frames", "time", "result", box=None, pad_edge=False)
        for result in rows:
            report = result.report
            facts = ("", "") if report is None else (str(report.frames_out), length(report.seconds))
            table.add_row(printable(result.job.source), *facts, printable(result.error or result.job.target))
        console().print(table)
    reports = [result.report for result in results if result.report is not None]
    frames, failed = sum(report.frames_out for report in reports), sum(bool(r.error) for r in results)
    said = f"{counted(len(results) - failed, 'video')}, {counted(frames, 'frame')}"
    kept = sum(report.kept for report in reports)
    said += f" ({kept} of them from an earlier run)" if kept else ""
    said += f"; {failed} failed" if failed else ""
    say(f"{said}. {drawn_as(reports[0].engine) if reports else ''}".rstrip())
