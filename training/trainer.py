"""The trainer: runs a recipe from its first step, or from the last save, to the end."""

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

from engines.common.image_files import make_folder
from engines.errors import StreamtoonError
from training.checkpoint import load_state, save_checkpoint, save_state
from training.data.field_batches import FieldBatches
from training.data.field_pairs import make_share, pair_cache
from training.data.loader import Batch, BatchLoader
from training.ranks import StepRandom, local_ranks
from training.recipe import Recipe
from training.run_logger import RunLogger
from training.setup import load_teacher, load_vggs, precision_on, require_sizes, start_from
from training.train_step import StepInfo, TrainingSystem

MAX_LOSS_RATIO = 1e4
"""Training stops when the total loss exceeds the sum of its weights by this factor."""
SPEED_WINDOW_STEPS = 20
"""Steps over which the speed is averaged."""


@dataclass(frozen=True)
class TrainingProgress:
    """The progress of a run after a step."""

    step: int
    """Completed steps."""
    steps: int
    """Steps of the whole run."""
    epoch: float
    """Completed passes over the source images."""
    losses: dict[str, float]
    """The step's terms without their weights; `total` is the weighted sum, `gradient` the gradient's norm."""
    seconds_per_step: float
    """Averaged over the last steps."""
    batch: int
    """Source crops in a step."""
    waiting: float
    """Share of the time, 0 to 1, that the networks waited for images, over the same steps."""

    @property
    def remaining(self) -> float:
        """Seconds to the end at this speed."""
        return (self.steps - self.step) * self.seconds_per_step


class Trainer:
    """Trains a recipe in a run folder.

    All random numbers depend only on the recipe's random seed and the step. A run that resumes on the same
    kind of CPU therefore continues bit for bit like an uninterrupted one; with fp16, only the loss scale
    starts again. Several processes share each batch, and all of them have the same state. A run can therefore
    resume with another number of processes, and differs from that of one process by the rounding of sums.

    Args:
        recipe: The recipe.
        run: The run's folder.
        fabric: The device, and the other processes.
        weight_files: Local files to use instead of a download, as {"vgg16": file}; keys as in
            `engines.pretrained.downloads.FILES`.
        cache: The folder of photographs with their fields; default: the user's own.

    Raises:
        StreamtoonError: The recipe, its folders or the run folder make training impossible.
    """

    def __init__(
        self,
        recipe: Recipe,
        run: Path,
        fabric: Fabric,
        weight_files: dict[str, Path] | None = None,
        cache: Path | None = None,
    ) -> None:
        require_sizes(recipe, fabric.world_size)
        self.recipe, self.run, self.fabric = recipe, run, fabric
        self.precision = precision_on(fabric.device.type, recipe)
        files = weight_files or {}
        self.batches = _batches(recipe, fabric, cache, files.get("faces"))
        feature_vgg, discriminator_vgg = load_vggs(recipe, fabric, files)
        self.system = TrainingSystem(
            recipe, fabric, feature_vgg, discriminator_vgg, load_teacher(recipe, fabric)
        )
        if recipe.start:
            start_from(recipe, self.system)
        make_folder(run)
        self.step = 0
        length = recipe.steps or math.ceil(recipe.epochs * self.batches.sources / recipe.batch)
        self.steps = recipe.initialization.steps + length
        self._stopping = False

    @property
    def epoch(self) -> float:
        """Completed passes over the source images."""
        return self.step * self.recipe.batch / self.batches.sources

    def resume(self) -> None:
        """Continue from the run folder's saved state. Raises StreamtoonError if that is not possible."""
        self.step = load_state(self.run, self.system, self.recipe)

    def stop(self) -> None:
        """Make `train` save after the current step and raise KeyboardInterrupt. For signal handlers."""
        self._stopping = True

    def train(
        self,
        on_step: Callable[[TrainingProgress], object] = lambda progress: None,
        *,
        save_every: float = 600.0,
    ) -> None:
        """Train to the end. Saves every `save_every` seconds, when stopped, and at the end.

        `on_step` is called after every step, in the first process only. Raises StreamtoonError when a loss is
        not finite or diverges. The message names the last saved state, which is not overwritten.
        """
        saved, kept = time.monotonic(), self._kept_steps()
        pace: deque[tuple[float, float]] = deque(maxlen=SPEED_WINDOW_STEPS)
        batches = self.batches.from_step(self.step)
        losses: dict[str, float] = {}
        with ExitStack() as stack:
            stack.callback(batches.close)
            logger = None
            if self.fabric.is_global_zero:
                logger = stack.enter_context(
                    closing(RunLogger(self.run, self.recipe, self.system, self.step))
                )
            while self.step < self.steps:
                began = time.monotonic()
                try:
                    batch = next(batches)
                except (
                    StreamtoonError
                ):  # an image could not be read: save the progress before the error goes on
                    self.save(losses)
                    raise
                waited = time.monotonic() - began
                losses = self.learn(batch)
                pace.append((time.monotonic() - began, waited))
                if logger:
                    seconds, waits = (sum(column) for column in zip(*pace, strict=True))
                    logger.log_losses(self.step, losses)
                    on_step(TrainingProgress(self.step, self.steps, self.epoch, losses, seconds / len(pace),
                                  self.recipe.batch, waits / seconds))  # fmt: skip
                    if self.step in kept:
                        save_checkpoint(self.run, self.system, self.recipe, self.step, self.epoch)
                        logger.draw_samples(self.step)
                stopping = self._agreed_to_stop()
                if stopping or self.step == self.steps or time.monotonic() - saved >= save_every:
                    self.save(losses)
                    saved = time.monotonic()
                if stopping:
                    raise KeyboardInterrupt

    def learn(self, batch: Batch) -> dict[str, float]:
        """Take one step with all networks and return the losses.

        Raises StreamtoonError when a loss is not finite or diverges.
        """
        values = self.system.step(batch.to(self.fabric.device), self._step_info())
        # One transfer from the device for all losses.
        numbers = torch.stack([value.float() for value in values.values()])
        if self.fabric.world_size > 1:  # losses of the whole batch, so that all processes decide alike
            numbers = cast(torch.Tensor, self.fabric.all_reduce(numbers, reduce_op="mean"))
        losses = dict(zip(values, numbers.tolist(), strict=True))
        self._require_finite_losses(losses)
        self.step += 1
        return losses

    def save(self, losses: dict[str, float]) -> None:
        """Write the state that `resume` continues from."""
        if self.fabric.is_global_zero:
            facts = {"steps": self.steps, "epoch": self.epoch, "losses": losses}
            save_state(self.run, self.system, self.recipe, self.step, facts)

    def _step_info(self) -> StepInfo:
        first = self.recipe.initialization
        early = self.step < first.steps
        begins, ends = (0, first.steps) if early else (first.steps, self.steps)
        return StepInfo(
            self.step,
            self.steps,
            self.step - begins,
            ends - begins,
            first.weights if early else self.recipe.weights,
            StepRandom(self.recipe.seed, self.step, self.fabric.global_rank, self.fabric.world_size),
        )

    def _kept_steps(self) -> set[int]:
        """Return the steps with a checkpoint: evenly spaced, and always the last step."""
        count = min(self.recipe.checkpoints, self.steps)
        return {round(self.steps * at / count) for at in range(1, count + 1)}

    def _require_finite_losses(self, losses: dict[str, float]) -> None:
        scaled = self.precision == "fp16"  # gradients may overflow; the loss scaler skips such a step
        strange = [
            name
            for name, value in losses.items()
            if not math.isfinite(value) and not (scaled and name == "gradient")
        ]
        weights = self._step_info().weights
        limit = MAX_LOSS_RATIO * max(1.0, sum(max(getattr(weights, n).start, getattr(weights, n).end)
                                        for n in weights.used()))  # fmt: skip
        if strange or abs(losses["total"]) > limit:
            what = f"{strange[0]} is not a finite number" if strange else f"the loss is {losses['total']:.3g}"
            raise StreamtoonError(
                f"{what} at step {self.step}; the last saved state is {self._last_saved_state()}. Lower "
                'optimizer.generator_rate, or try precision = "fp32"'
            )

    def _last_saved_state(self) -> str:
        state = self.run / "state.safetensors"
        return str(state) if state.exists() else "none, because nothing had been saved yet"

    def _agreed_to_stop(self) -> bool:
        """Return whether any process was asked to stop. All processes stop after the same step."""
        if self.fabric.world_size == 1:
            return self._stopping
        told = self.fabric.all_reduce(torch.tensor(float(self._stopping)), reduce_op="sum")
        return bool(told)


def _batches(
    recipe: Recipe, fabric: Fabric, cache: Path | None, face_models: Path | None
) -> BatchLoader | FieldBatches:
    """Make the loader of the recipe's training data, with this process's share of every batch."""
    rank, ranks = fabric.global_rank, fabric.world_size
    if recipe.learns_from_fields and ranks > 1:  # the loaders then find all pairs
        make_share(
            Path(recipe.data.source),
            pair_cache(cache),
            recipe.fields,
            recipe.data.scales,
            local_ranks(fabric),
            face_models,
        )
        fabric.barrier()
    if recipe.makes_fields:
        return FieldBatches(
            recipe.data,
            batch=recipe.batch,
            seed=recipe.seed,
            settings=recipe.fields,
            folder=cache,
            face_models=face_models,
            rank=rank,
            ranks=ranks,
        )
    return BatchLoader(
        recipe.data,
        batch=recipe.batch,
        seed=recipe.seed,
        look=recipe.abstraction if "abstraction" in recipe.terms() else None,
        settings=recipe.fields,
        cache=cache,
        face_models=face_models,
        rank=rank,
        ranks=ranks,
    )
