"""Progress over the files of a folder, on standard error: a bar in a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamtoon.cli.common import console, printable, say
from streamtoon.cli.progress import LINE_INTERVAL_S

Count = Callable[[int, int | None, str], None]
"""Called with the number done, the total (None: unknown) and a remark."""
REDRAW_INTERVAL_S = 0.1


@contextmanager
def counting(name: str, unit: str, *, quiet: bool) -> Iterator[Count | None]:
    """Yield a function that shows how many `unit` of `name` are done; None with `quiet`."""
    screen = console()
    name = printable(name)
    if quiet:
        yield None
        return
    if not screen.is_terminal:
        yield _lines(name, unit)
        return
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[remark]}", style="cyan", markup=False),
        TimeRemainingColumn(),
        expand=True,
    )
    bar = bars.add_task(name, total=None, count="starting", remark="")
    latest = 0.0
    # Each call redraws: rich does not start a thread of its own.
    with Live(bars, console=screen, auto_refresh=False, transient=True) as live:
        live.refresh()

        def show(done: int, total: int | None, remark: str) -> None:
            nonlocal latest
            if time.monotonic() - latest < REDRAW_INTERVAL_S and done != total:
                return
            latest = time.monotonic()
            total = None if total is None else max(total, done)
            bars.update(bar, completed=done, total=total, count=_count(done, total, unit), remark=remark)
            live.refresh()

        yield show


def _lines(name: str, unit: str) -> Count:
    latest = time.monotonic()

    def show(done: int, total: int | None, remark: str) -> None:
        nonlocal latest
        if time.monotonic() - latest >= LINE_INTERVAL_S:
            latest = time.monotonic()
            say(f"{name}: {_count(done, total, unit)}{', ' if remark else ''}{remark}")

    return show


def _count(done: int, total: int | None, unit: str) -> str:
    return f"{done}{'' if total is None else f'/{max(total, done)}'} {unit}"
