"""Training progress on standard error: a bar and losses in a terminal, lines at intervals elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamtoon.cli.common import console, printable, say, say_warnings
from streamtoon.wording import clock, counted

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from training.recipe import Recipe
    from training.trainer import Trainer, TrainingProgress

LINE_INTERVAL_S = 30.0
"""Between two lines if standard error is not a terminal."""
COLUMNS = 3
"""Columns of losses."""
SMOOTHING = 0.95
"""Exponential smoothing of the losses shown: the share of the previous value."""
MIN_IMAGES = 500
"""Photos, and drawings. The shipped network was trained on 540 photographs; the recipes were tried with 550
or more drawings."""
ESTIMATE_AFTER_STEPS = 30
"""The first steps are slower than the last 20, over which the speed is measured."""
MIN_ESTIMATE_S = 60
"""The estimate is printed only if at least this much time remains."""


def report_images(recipe: Recipe, *, quiet: bool) -> None:
    """Print how many images there are to learn from, and a warning if they are few.

    Raises StreamtoonError if a folder is missing or has no images.
    """
    from pathlib import Path

    from engines.common.image_files import list_images

    photos = len(list_images(Path(recipe.data.source)))
    counts = {"photo": photos}
    if recipe.data.target and not recipe.makes_fields:
        counts["drawing"] = len(list_images(Path(recipe.data.target)))
    if not quiet:
        say(f"learning from {' and '.join(counted(number, noun) for noun, number in counts.items())}")
    few = [counted(number, noun) for noun, number in counts.items() if number < MIN_IMAGES]
    if few:
        warning = (
            f"only {' and '.join(few)}: use {MIN_IMAGES} or more of each (the shipped network learned "
            "from 540); a style trained on few images may fail on new ones"
        )
        say_warnings((warning,))


@contextmanager
def shown(trainer: Trainer, *, quiet: bool) -> Iterator[Callable[[TrainingProgress], object]]:
    """Yield a function that shows a progress."""
    screen = console()
    if quiet:
        yield lambda progress: None
        return
    recipe = trainer.recipe
    say(
        f"{printable(recipe.name)}: {recipe.generator}, {trainer.steps} steps of {recipe.batch}, "
        f"from step {trainer.step}, {trainer.precision} on {trainer.fabric.device}; "
        f"curves and samples in {trainer.run}"
    )
    losses = _Smooth()
    if screen.is_terminal:
        with _bar(screen, printable(recipe.name), trainer.step, losses) as show:
            yield _with_estimate(screen, trainer.step, show)
    else:
        yield _with_estimate(screen, trainer.step, _lines(losses))


def _with_estimate(
    screen: Console, begun: int, show: Callable[[TrainingProgress], object]
) -> Callable[[TrainingProgress], object]:
    """Wrap `show`: print the estimated time once, as soon as the speed is known; a bar may use `screen`."""

    def told(progress: TrainingProgress) -> None:
        show(progress)
        if progress.step == begun + ESTIMATE_AFTER_STEPS and progress.remaining >= MIN_ESTIMATE_S:
            left = clock(progress.remaining)
            screen.print(
                f"about {left} left; Ctrl-C saves the run, and --resume continues it",
                soft_wrap=True,
            )

    return told


class _Smooth:
    """Exponentially smoothed losses."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def add(self, losses: dict[str, float]) -> None:
        self.values = {
            name: SMOOTHING * self.values[name] + (1 - SMOOTHING) * value if name in self.values else value
            for name, value in losses.items()
        }


def _lines(losses: _Smooth) -> Callable[[TrainingProgress], object]:
    latest = 0.0

    def show(progress: TrainingProgress) -> None:
        nonlocal latest
        losses.add(progress.losses)
        if time.monotonic() - latest >= LINE_INTERVAL_S or progress.step == progress.steps:
            latest = time.monotonic()
            terms = ", ".join(f"{name} {value:.4g}" for name, value in losses.values.items())
            say(f"step {progress.step}/{progress.steps}, {_rate(progress)}: {terms}")

    return show


@contextmanager
def _bar(
    screen: Console, name: str, begun: int, losses: _Smooth
) -> Iterator[Callable[[TrainingProgress], object]]:
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

        def show(progress: TrainingProgress) -> None:
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


def _rate(progress: TrainingProgress) -> str:
    images = progress.batch / progress.seconds_per_step
    waiting = f", {progress.waiting:.0%} waiting for data" if progress.waiting > 0.05 else ""
    return f"epoch {progress.epoch:.1f}, {images:.1f} images/s{waiting}, {clock(progress.remaining)} left"
