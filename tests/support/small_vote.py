"""A small vote for tests: three candidates that tint noise, with names that want to be trouble."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engines.common.arrays import Image
from engines.common.image_files import write_image
from eval.scoring.candidates import GeneratedImages
from eval.voting.ballot import Ballot
from eval.voting.gallery import choose, prepare

NAMES = ("cobalt", "=risky", "third, with a comma")


class Tinted(GeneratedImages):
    """A candidate that turns a photo towards one colour, and counts how often it draws."""

    def __init__(self, name: str, color: int) -> None:
        super().__init__(name, self._tint, {"color": color})
        self.color, self.asked = color, 0

    def _tint(self, photo: Image) -> Image:
        self.asked += 1
        result = photo.copy()
        result[..., self.color] = 255
        return result


def tinted() -> list[Tinted]:
    return [Tinted(name, n) for n, name in enumerate(NAMES)]


def make_photos(folder: Path) -> Path:
    """Six pictures of noise."""
    dice = np.random.default_rng(5)
    for n in range(6):
        noise = dice.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        photo = cv2.resize(noise, (96, 72), interpolation=cv2.INTER_CUBIC)
        write_image(folder / f"{n}.png", np.asarray(photo, np.uint8))
    return folder


def make_ballot(photos: Path, work: Path) -> Ballot:
    """Five of them, drawn by every candidate."""
    return prepare(tinted(), choose(photos, 5, 7)[0], work, seed=7)
