"""Progress on standard error: a bar in a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamtoon.cli.common import console, printable, say
from streamtoon.wording import clock, counted, size

if TYPE_CHECKING:
    from rich.console import Console

    from streamtoon.cli.graceful_stop import Stop
    from streamtoon.cli.job_progress import Course
    from streamtoon.pipeline.run import Progress

LINE_INTERVAL_S = 5.0
"""Between two lines if standard error is not a terminal."""
NAME_WIDTH = 24
ESTIMATE_AFTER_S = 2.0
"""Time after which an estimate is printed that stays on the screen."""
MIN_ESTIMATE_S = 10.0
"""The estimate is printed only if at least this much time remains."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Two callbacks to report while a conversion runs."""

    progress: Callable[[Progress], object] | None
    """None if no progress is shown."""
    warning: Callable[[str], object]
    """Prints a line that stays, above the bar if there is one."""


@contextmanager
def shown(
    name: str, *, quiet: bool, stop: Stop | None = None, course: Course | None = None
) -> Iterator[Shown]:
    """Yield callbacks that show progress and warnings.

    A bar also shows that `stop` is set. `course` is the progress over all files, if there are several.
    """
    screen = console()
    name = printable(name)

    def warn(text: str) -> None:
        screen.print(printable(f"warning: {text}"), style="yellow", soft_wrap=True)

    if quiet:
        yield Shown(None, warn)
    elif screen.is_terminal:
        with _bar(screen, name, stop, course) as show:
            yield Shown(_with_estimate(name, screen, show), warn)
    else:
        yield Shown(_with_estimate(name, screen, _lines(name, course)), warn)


def _with_estimate(
    name: str, screen: Console, show: Callable[[Progress], object]
) -> Callable[[Progress], object]:
    """Wrap `show`: print the estimated time once, as a line that stays, after the first seconds."""
    is_told = False

    def tell(progress: Progress) -> None:
        nonlocal is_told
        left = progress.remaining
        if (
            not is_told
            and left is not None
            and progress.size is not None
            and progress.seconds > ESTIMATE_AFTER_S
        ):
            is_told = True
            if left > MIN_ESTIMATE_S:
                text = f"{name}: ready in about {clock(left)}, about {size(progress.size)}"
                screen.print(text, soft_wrap=True)
        show(progress)

    return tell


@contextmanager
def _bar(
    screen: Console, name: str, stop: Stop | None, course: Course | None
) -> Iterator[Callable[[Progress], object]]:
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[rate]}", style="cyan"),
        expand=True,
    )
    place = "" if course is None else f"{course.place} "
    bar = bars.add_task(place + short_name(name), total=None, count="starting", rate="")
    said = b"" if stop is None else stop.said
    # Each call redraws: rich does not start a thread of its own.
    with Live(bars, console=screen, auto_refresh=False, transient=True) as live:
        live.refresh()

        def show(progress: Progress) -> None:
            if stop is not None:
                stop.said = b""  # the next redraw would erase it
            total = None if progress.total is None else max(progress.total, progress.frames)
            bars.update(
                bar, completed=progress.frames, total=total, count=_count(progress), rate=_rate(progress)
            )
            stopping = _stopping(progress, stop is not None and stop.is_set())
            second = Text(stopping, style="bold yellow") if stopping else Text(_foot(progress, course), "dim")
            second.no_wrap, second.overflow = True, "ellipsis"
            live.update(Group(bars, second), refresh=True)

        try:
            yield show
        finally:
            if stop is not None:
                stop.said = said


def _lines(name: str, course: Course | None) -> Callable[[Progress], object]:
    latest = time.monotonic()
    place = "" if course is None else f"{course.place} "

    def show(progress: Progress) -> None:
        nonlocal latest
        if time.monotonic() - latest >= LINE_INTERVAL_S:
            latest = time.monotonic()
            stopping = _stopping(progress, progress.stopping is not None)
            foot = stopping or _foot(progress, course)
            say(f"{place}{name}: {_count(progress)}, {_rate(progress)} ({foot})")

    return show


def short_name(name: str) -> str:
    """Shorten the name of a file for a bar."""
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 9]}…{name[-8:]}"


def _count(progress: Progress) -> str:
    if progress.total is None:
        return counted(progress.frames, "frame")
    return f"{progress.frames}/{counted(max(progress.total, progress.frames), 'frame')}"


def _rate(progress: Progress) -> str:
    left = progress.remaining
    return f"{progress.fps:.1f} fps" + ("" if left is None else f", {clock(left)} left")


def _stopping(progress: Progress, is_asked: bool) -> str:
    """Describe a requested stop; empty if there is none, or if it is too late for one."""
    if progress.stopping is not None:
        left = f"at most {counted(progress.stopping, 'frame')} more"
        return f"stopping after this part, {left}; Ctrl-C again stops at once"
    if is_asked and progress.joining:
        return "all frames are drawn, writing the file; Ctrl-C again stops at once"
    return ""


def _foot(progress: Progress, course: Course | None) -> str:
    if progress.reading:
        return "reading up to where the last run stopped"
    if progress.joining:
        return "writing the file"
    said = [] if progress.size is None else [f"about {size(progress.size)}"]
    left = None if course is None else course.left(progress)
    if left is not None:
        said.append(f"about {clock(left)} left for all files")
    said += [f"{stage} {spent:.1f} ms" for stage, spent in progress.stages.items()]
    return ", ".join(said)
