"""One training process of `streamtoon train`: from the device to the finished style."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engines.common.extras import install_line
from streamtoon.cli.common import say, say_warnings
from streamtoon.errors import StreamtoonError

if TYPE_CHECKING:
    from training.recipe import Recipe
    from training.trainer import Trainer


@dataclass(frozen=True)
class TrainJob:
    """What the user asked for. Relative paths start at `directory`."""

    recipe: Recipe
    run: Path
    out: Path
    directory: Path
    device: str
    devices: int
    weight_files: dict[str, Path]
    cache: Path | None
    resume: bool
    save_every_min: float
    quiet: bool


def train_here(job: TrainJob) -> None:
    """Train in this process, and in those that Fabric starts. The first process writes the style."""
    try:
        from eval.scoring.filter_choice import choose_filter
        from training.export_style import finish
        from training.setup import open_fabric
        from training.trainer import Trainer
    except ModuleNotFoundError as error:
        raise StreamtoonError(
            f"training needs the package {error.name}; install it with: {install_line('train')}"
        ) from error
    from streamtoon.cli.training_progress import report_images

    fabric = open_fabric(job.recipe, job.device, job.devices)
    if fabric.is_global_zero:
        report_images(job.recipe, quiet=job.quiet)
    trainer = Trainer(job.recipe, job.run, fabric, job.weight_files, job.cache)
    if job.resume:
        trainer.resume()
    _train(trainer, job)
    if not fabric.is_global_zero:
        return
    if not job.quiet:
        say("training finished; exporting the style")
    style = finish(trainer, job.out, choose_filter)
    if not job.quiet:
        say(f"{style.folder}: style {style.name}, {trainer.step} steps, licence {style.licence}")
        say(f"try it: streamtoon video in.mp4 out.mp4 --style {style.folder}")


def train_in_worker(job: TrainJob) -> None:
    """Train in one of Ray Train's workers. Continues from the saved state after a failure."""
    os.chdir(job.directory)
    saved = (job.run / "state.safetensors").exists()
    train_here(replace(job, resume=job.resume or saved))


def train_on_ray(job: TrainJob, address: str) -> None:
    """Train in `job.devices` workers of a Ray cluster, each with a GPU of its own where it has enough."""
    from training.ray_cluster import cluster_devices, ray_cluster, ray_train

    with ray_cluster(address):
        cpus, cards = cluster_devices()
        gpus = job.device == "cuda" or (job.device == "auto" and cards >= job.devices)
        found = cards if gpus else cpus
        if found < job.devices:
            kind = "GPUs" if gpus else "CPUs"
            say_warnings((f"waiting for {job.devices} {kind}: the cluster has {found} now",))
        work = partial(train_in_worker, replace(job, device="cuda" if gpus else "cpu", devices=1))
        ray_train(work, job.run, workers=job.devices, gpus=gpus)


def _train(trainer: Trainer, job: TrainJob) -> None:
    """Train to the end. The first Ctrl-C saves after the current step."""
    from streamtoon.cli.training_progress import shown

    first_process = trainer.fabric.is_global_zero
    with _stop_signals(trainer) as received:
        try:
            with shown(trainer, quiet=job.quiet or not first_process) as show:
                trainer.train(show, save_every=job.save_every_min * 60)
        except KeyboardInterrupt:
            if first_process:
                kept = (trainer.run / "state.safetensors").exists()
                what = f"saved in {trainer.run}; add --resume to the same command to continue"
                say(f"interrupted: {what if kept else 'nothing was saved yet'}.", style="bold red")
            sys.exit(128 + (received[-1] if received else signal.SIGINT))


@contextmanager
def _stop_signals(trainer: Trainer) -> Iterator[list[signal.Signals]]:
    """Stop the trainer on SIGINT and SIGTERM; yield the list of those received.

    A second one of a kind stops at once. Under torchrun it does not: torchrun passes each signal on to
    processes that have already received it from the terminal.
    """
    from training.ranks import is_launched

    received: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():  # a worker of Ray, which stops it itself
        yield received
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _: object) -> None:
        received.append(signal.Signals(number))
        if not is_launched():
            signal.signal(number, before[signal.Signals(number)])
        trainer.stop()

    for number in before:
        signal.signal(number, stop)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
