"""Trains recipes without the command line, alone or under torchrun, always on the CPU.

Takes one argument, a JSON list of jobs: {"recipe": FILE, "run": FOLDER, "vgg": FOLDER, "settings": [...]},
and where wanted "resume": true and "until": STEP, which stops the run as a signal would, after it has saved.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from training.recipe_loader import read_recipe
from training.setup import open_fabric
from training.trainer import Trainer, TrainingProgress


def train(job: dict[str, Any]) -> None:
    recipe, run = read_recipe(Path(job["recipe"]), settings=job["settings"]), Path(job["run"])
    vgg = {name: Path(job["vgg"]) / f"{name}.safetensors" for name in ("vgg16", "vgg19")}
    trainer = Trainer(recipe, run, open_fabric(recipe, "cpu"), vgg, run.parent / "pairs")
    if job.get("resume"):
        trainer.resume()

    def stop(progress: TrainingProgress) -> None:
        if progress.step == job.get("until"):
            trainer.stop()

    with suppress(KeyboardInterrupt):
        trainer.train(stop)


if __name__ == "__main__":
    for each in json.loads(sys.argv[1]):
        train(each)
