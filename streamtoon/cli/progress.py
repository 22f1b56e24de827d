"""Progress on standard error: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamtoon.cli.common import console, printable, say

if TYPE_CHECKING:
    from rich.console import Console

    from streamtoon.pipeline import Progress

LINE_EVERY = 5.0
"""Seconds between two lines where standard error is no terminal."""
NAME_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Shown:
    """Two ways to tell a person something while work goes on."""

    progress: Callable[[Progress], object] | None
    """None where none is wanted."""
    warning: Callable[[str], object]
    """A line that stays, above the bar where there is one."""


@contextmanager
def shown(name: str, *, quiet: bool) -> Iterator[Shown]:
    """Within this block, what it gives shows the progress and the warnings that it is called with."""
    screen = console()

    def warn(text: str) -> None:
        screen.print(printable(f"warning: {text}"), style="yellow", soft_wrap=True)

    if quiet:
        yield Shown(None, warn)
    elif screen.is_terminal:
        with _bar(screen, _short(printable(name))) as show:
            yield Shown(show, warn)
    else:
        yield Shown(_lines(printable(name)), warn)


@contextmanager
def _bar(screen: Console, name: str) -> Iterator[Callable[[Progress], object]]:
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
    bar = bars.add_task(name, total=None, count="starting", rate="")
    # Each call redraws: no thread of rich's own beside the three that work.
    with Live(bars, console=screen, auto_refresh=False, transient=True) as live:
        live.refresh()

        def show(progress: Progress) -> None:
            total = None if progress.total is None else max(progress.total, progress.frames)
            bars.update(
                bar, completed=progress.frames, total=total, count=_count(progress), rate=_rate(progress)
            )
            live.update(Group(bars, Text(_times(progress), style="dim")), refresh=True)

        yield show


def _lines(name: str) -> Callable[[Progress], object]:
    latest = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal latest
        if time.monotonic() - latest >= LINE_EVERY:
            latest = time.monotonic()
            say(f"{name}: {_count(progress)}, {_rate(progress)} ({_times(progress)})")

    return show


def _short(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 9]}…{name[-8:]}"


def _count(progress: Progress) -> str:
    total = "" if progress.total is None else f"/{max(progress.total, progress.frames)}"
    return f"{progress.frames}{total} frames"


def _rate(progress: Progress) -> str:
    left = progress.remaining
    return f"{progress.fps:.1f} fps" + ("" if left is None else f", {clock(left)} left")


def _times(progress: Progress) -> str:
    if progress.reading:
        return "reading up to where it was"
    return ", ".join(f"{stage} {spent:.1f} ms" for stage, spent in progress.stages.items())


def clock(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
