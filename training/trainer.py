"""The trainer: a recipe's run from its first step, or from its last save, to its end."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric

from engines.errors import StreamtoonError
from engines.picture_files import make_folder
from training.checkpoint import load_state, save_checkpoint, save_state
from training.data.batches import Batch, Batches
from training.data.structure import default_cache
from training.recipe import Recipe
from training.start import check_sizes, load_teacher, load_vggs, start_from
from training.system import Moment, System
from training.watch import Watch

EXPLODED = 1e4
"""A total loss beyond this many times its weights is not coming back."""
PACE_OVER = 20
"""Steps over which speed is told."""


@dataclass(frozen=True)
class Progress:
    """Where a run is after a step."""

    step: int
    """Steps done."""
    steps: int
    """Of the whole run."""
    epoch: float
    """Passes over the source that are done."""
    losses: dict[str, float]
    """The step's terms without their weights, `total` with them, `gradient` its norm."""
    seconds_per_step: float
    """Over the last steps."""
    batch: int
    """Sources in a step."""
    waiting: float
    """Share of the time, 0 to 1, in which the networks waited for pictures, over the same steps."""

    @property
    def remaining(self) -> float:
        """Seconds to the end at this speed."""
        return (self.steps - self.step) * self.seconds_per_step


class Trainer:
    """A recipe at work in a run folder.

    Everything random is a function of the recipe's seed and the step, so a run that is resumed on a CPU
    goes on bit for bit as one that was never interrupted. (Remembered fakes, where a recipe has a history
    of them, are those of the first process: with several, a resumed run differs in these; and fp16 begins
    with a new scale.)

    `vgg` names weight files that shall not be fetched, as {"vgg16": file}.
    Raises StreamtoonError for what a recipe, its folders or the run folder make impossible.
    """

    def __init__(self, recipe: Recipe, run: Path, fabric: Fabric, vgg: dict[str, Path] | None = None) -> None:
        check_sizes(recipe, fabric.world_size)
        self.recipe, self.run, self.fabric = recipe, run, fabric
        self.batches = Batches(
            recipe.data,
            batch=recipe.batch,
            seed=recipe.seed,
            how=recipe.abstraction,
            cache=default_cache() if "abstraction" in recipe.terms() else None,
            rank=fabric.global_rank,
            ranks=fabric.world_size,
        )
        looks, judges = load_vggs(recipe, fabric, vgg or {})
        self.system = System(recipe, fabric, looks, judges, load_teacher(recipe, fabric))
        if recipe.start:
            start_from(recipe, self.system)
        make_folder(run)
        self.step = 0
        length = recipe.steps or math.ceil(recipe.epochs * self.batches.sources / recipe.batch)
        self.steps = recipe.initialization.steps + length
        self._stopping = False

    @property
    def epoch(self) -> float:
        """Passes over the source that are done."""
        return self.step * self.recipe.batch / self.batches.sources

    def resume(self) -> None:
        """Goes on from the run folder's state. Raises StreamtoonError where that is not possible."""
        self.step = load_state(self.run, self.system, self.recipe)

    def stop(self) -> None:
        """Has `train` save after the step at hand and raise KeyboardInterrupt; for signal handlers."""
        self._stopping = True

    def train(
        self, show: Callable[[Progress], object] = lambda progress: None, *, save_every: float = 600.0
    ) -> None:
        """Runs to the end; saves every `save_every` seconds, when stopped, and at the end.

        `show` is called after every step, in the first process alone. Raises StreamtoonError when a loss is
        no longer a number or runs away, and names the last good state, which it leaves as it is.
        """
        saved, kept = time.monotonic(), self._kept_steps()
        pace: deque[tuple[float, float]] = deque(maxlen=PACE_OVER)
        batches = self.batches.from_step(self.step)
        losses: dict[str, float] = {}
        with ExitStack() as stack:
            stack.callback(batches.close)
            watch = None
            if self.fabric.is_global_zero:
                watch = stack.enter_context(closing(Watch(self.run, self.recipe, self.system, self.step)))
            while self.step < self.steps:
                began = time.monotonic()
                try:
                    batch = next(batches)
                except StreamtoonError:  # a picture that cannot be read: nothing learned so far is lost
                    self.save(losses)
                    raise
                waited = time.monotonic() - began
                losses = self.learn(batch)
                pace.append((time.monotonic() - began, waited))
                if watch:
                    seconds, waits = (sum(column) for column in zip(*pace, strict=True))
                    watch.note(self.step, losses)
                    show(Progress(self.step, self.steps, self.epoch, losses, seconds / len(pace),
                                  self.recipe.batch, waits / seconds))  # fmt: skip
                    if self.step in kept:
                        save_checkpoint(self.run, self.system, self.recipe, self.step, self.epoch)
                        watch.paint(self.step)
                stopping = self._agreed_to_stop()
                if stopping or self.step == self.steps or time.monotonic() - saved >= save_every:
                    self.save(losses)
                    saved = time.monotonic()
                if stopping:
                    raise KeyboardInterrupt

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step of everything that learns, and what it lost.

        Raises StreamtoonError when that is no longer a number or runs away.
        """
        values = self.system.step(batch.to(self.fabric.device), self._moment())
        # One exchange with the device for all of them.
        numbers = torch.stack([value.float() for value in values.values()])
        if self.fabric.world_size > 1:  # of the whole batch: all processes judge it alike
            numbers = cast(torch.Tensor, self.fabric.all_reduce(numbers, reduce_op="mean"))
        losses = dict(zip(values, numbers.tolist(), strict=True))
        self._demand_sane(losses)
        self.step += 1
        return losses

    def save(self, losses: dict[str, float]) -> None:
        """Writes the state that `resume` goes on from."""
        if self.fabric.is_global_zero:
            facts = {"steps": self.steps, "epoch": self.epoch, "losses": losses}
            save_state(self.run, self.system, self.recipe, self.step, facts)

    def _moment(self) -> Moment:
        first = self.recipe.initialization
        early = self.step < first.steps
        begins, ends = (0, first.steps) if early else (first.steps, self.steps)
        return Moment(
            self.step,
            self.steps,
            self.step - begins,
            ends - begins,
            first.weights if early else self.recipe.weights,
            torch.Generator().manual_seed(
                (self.recipe.seed * 1_000_003 + self.step) * self.fabric.world_size + self.fabric.global_rank
            ),
        )

    def _kept_steps(self) -> set[int]:
        """The steps whose averaged weights are kept: as many as the recipe says, evenly, the last one too."""
        count = min(self.recipe.checkpoints, self.steps)
        return {round(self.steps * at / count) for at in range(1, count + 1)}

    def _demand_sane(self, losses: dict[str, float]) -> None:
        scaled = self.recipe.precision == "fp16"  # whose gradients may overflow: its scaler skips such a step
        strange = [
            name
            for name, value in losses.items()
            if not math.isfinite(value) and not (scaled and name == "gradient")
        ]
        weights = self._moment().weights
        limit = EXPLODED * max(1.0, sum(max(getattr(weights, n).start, getattr(weights, n).end)
                                        for n in weights.used()))  # fmt: skip
        if strange or abs(losses["total"]) > limit:
            what = f"{strange[0]} is no longer a number" if strange else f"the loss is {losses['total']:.3g}"
            raise StreamtoonError(
                f"{what} at step {self.step}; the last good state is {self._last_good()}. "
                'Lower optimizer.generator_rate, or try precision = "fp32"'
            )

    def _last_good(self) -> str:
        state = self.run / "state.safetensors"
        return str(state) if state.exists() else "the start: nothing had been saved yet"

    def _agreed_to_stop(self) -> bool:
        """Whether any process was told to stop: all of them stop after the same step."""
        if self.fabric.world_size == 1:
            return self._stopping
        told = self.fabric.all_reduce(torch.tensor(float(self._stopping)), reduce_op="sum")
        return bool(told)
