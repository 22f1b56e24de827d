"""Progress of many videos on many workers, on standard error: bars in a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamtoon.cli.common import console, printable, say
from streamtoon.cli.progress import LINE_INTERVAL_S, short_name
from streamtoon.wording import clock

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streamtoon.cluster.progress import ClusterProgress, FileProgress

Show = Callable[["ClusterProgress"], object]
SHOWN_FILES = 8
"""Open videos with a bar of their own."""
REDRAW_INTERVAL_S = 0.2


@contextmanager
def cluster_progress(*, quiet: bool) -> Iterator[Show | None]:
    """Yield a function that shows the progress of all videos; None with `quiet`."""
    screen = console()
    if quiet:
        yield None
        return
    if not screen.is_terminal:
        yield _lines()
        return
    from rich.live import Live

    latest = 0.0
    # Each call redraws: rich does not start a thread of its own.
    with Live(console=screen, auto_refresh=False, transient=True) as live:

        def show(progress: ClusterProgress) -> None:
            nonlocal latest
            if time.monotonic() - latest >= REDRAW_INTERVAL_S:
                latest = time.monotonic()
                live.update(_bars(progress), refresh=True)

        yield show


def line(progress: ClusterProgress) -> str:
    """Return the progress of all videos in one line."""
    said = [f"{progress.done + progress.failed}/{progress.files} files"]
    if progress.failed:
        said.append(f"{progress.failed} failed")
    if progress.segments_total:
        said.append(f"{progress.segments}/{progress.segments_total} segments of the open ones")
    said += [f"{progress.workers}/{progress.workers_total} workers", f"{progress.fps:.1f} fps"]
    if progress.is_stopping:
        said.append("stopping after the present segments; Ctrl-C again stops at once")
    elif progress.remaining is not None:
        said.append(f"{clock(progress.remaining)} left")
    return ", ".join(said)


def _lines() -> Show:
    latest = time.monotonic()

    def show(progress: ClusterProgress) -> None:
        nonlocal latest
        if time.monotonic() - latest >= LINE_INTERVAL_S:
            latest = time.monotonic()
            say(line(progress))

    return show


def _bars(progress: ClusterProgress) -> RenderableType:
    from rich.console import Group
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.text import Text

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[count]}", markup=False),
        expand=True,
    )
    bars.add_task("all", total=progress.files, completed=progress.done + progress.failed, count="")
    for file in progress.opened[:SHOWN_FILES]:
        bars.add_task(
            printable(short_name(file.name)), total=file.total, completed=file.frames, count=_count(file)
        )
    foot = Text(line(progress), "bold yellow" if progress.is_stopping else "cyan")
    foot.no_wrap, foot.overflow = True, "ellipsis"
    return Group(bars, foot)


def _count(file: FileProgress) -> str:
    if file.stage != "drawing" or file.total is None:
        return file.stage
    return f"{file.frames}/{file.total} frames"
