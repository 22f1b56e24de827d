"""A training's progress on standard error: bar and losses in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamtoon.cli.common import console, printable, say
from streamtoon.cli.progress import clock

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from training.trainer import Progress, Trainer

LINE_EVERY = 30.0
"""Seconds between two lines where standard error is no terminal."""
COLUMNS = 3
"""Losses side by side."""
SMOOTHING = 0.95
"""Of the losses that are shown: the share of the last value in the next."""


@contextmanager
def shown(trainer: Trainer, *, quiet: bool) -> Iterator[Callable[[Progress], object]]:
    """Within this block, what it gives shows the progress that it is called with."""
    screen = console()
    if quiet:
        yield lambda progress: None
        return
    recipe = trainer.recipe
    say(
        f"{printable(recipe.name)}: {recipe.generator}, {trainer.steps} steps of {recipe.batch}, "
        f"from step {trainer.step}, {recipe.precision} on {trainer.fabric.device}; "
        f"curves and samples in {trainer.run}"
    )
    losses = _Smooth()
    if screen.is_terminal:
        with _bar(screen, printable(recipe.name), trainer.step, losses) as show:
            yield show
    else:
        yield _lines(losses)


class _Smooth:
    """Losses without their jitter."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def add(self, losses: dict[str, float]) -> None:
        self.values = {
            name: SMOOTHING * self.values[name] + (1 - SMOOTHING) * value if name in self.values else value
            for name, value in losses.items()
        }


def _lines(losses: _Smooth) -> Callable[[Progress], object]:
    latest = 0.0

    def show(progress: Progress) -> None:
        nonlocal latest
        losses.add(progress.losses)
        if time.monotonic() - latest >= LINE_EVERY or progress.step == progress.steps:
            latest = time.monotonic()
            terms = ", ".join(f"{name} {value:.4g}" for name, value in losses.values.items())
            say(f"step {progress.step}/{progress.steps}, {_rate(progress)}: {terms}")

    return show


@contextmanager
def _bar(screen: Console, name: str, begun: int, losses: _Smooth) -> Iterator[Callable[[Progress], object]]:
    from rich.live import Live
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.completed}/{task.total} steps"),
        TextColumn("{task.fields[rate]}", style="cyan"),
        expand=True,
    )
    bar = bars.add_task(name, total=None, completed=begun, rate="")
    latest = 0.0
    with Live(bars, console=screen, auto_refresh=False, transient=True) as live:

        def show(progress: Progress) -> None:
            nonlocal latest
            losses.add(progress.losses)
            if time.monotonic() - latest < 0.2:
                return
            latest = time.monotonic()
            bars.update(bar, completed=progress.step, total=progress.steps, rate=_rate(progress))
            live.update(_with_losses(bars, losses), refresh=True)

        yield show


def _with_losses(bars: RenderableType, losses: _Smooth) -> RenderableType:
    from rich.console import Group
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for _ in range(COLUMNS):
        table.add_column(style="dim", no_wrap=True)
        table.add_column(no_wrap=True)
    items = list(losses.values.items())
    for row in range(0, len(items), COLUMNS):
        cells = [cell for name, value in items[row : row + COLUMNS] for cell in (name, f"{value:.4g}")]
        table.add_row(*cells)
    return Group(bars, table)


def _rate(progress: Progress) -> str:
    pictures = progress.batch / progress.seconds_per_step
    waiting = f", {progress.waiting:.0%} waiting for pictures" if progress.waiting > 0.05 else ""
    return f"epoch {progress.epoch:.1f}, {pictures:.1f} pictures/s{waiting}, {clock(progress.remaining)} left"
