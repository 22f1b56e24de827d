"""A small vote for tests: three candidates that tint noise, with names that want to be trouble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from engines.common.arrays import Image
from engines.common.image_files import read_image, write_image
from eval.voting.ballot import Ballot
from eval.voting.gallery import choose, prepare

NAMES = ("cobalt", "=risky", "third, with a comma")


class Tinted:
    """A candidate that turns a photo towards one colour, and counts what it is asked for."""

    style = None

    def __init__(self, name: str, colour: int) -> None:
        self.name, self.colour, self.asked = name, colour, 0
        self.facts: dict[str, Any] = {"colour": colour}

    def pictures(self, paths: Sequence[Path]) -> Iterator[Image]:
        for path in paths:
            self.asked += 1
            picture = read_image(path).copy()
            picture[..., self.colour] = 255
            yield picture

    def close(self) -> None:
        pass

    def __enter__(self) -> Tinted:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def tinted() -> list[Tinted]:
    return [Tinted(name, n) for n, name in enumerate(NAMES)]


def make_photos(folder: Path) -> Path:
    """Six pictures of noise."""
    dice = np.random.default_rng(5)
    for n in range(6):
        noise = dice.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        write_image(folder / f"{n}.png", cv2.resize(noise, (96, 72), interpolation=cv2.INTER_CUBIC))
    return folder


def make_ballot(photos: Path, work: Path) -> Ballot:
    """Five of them, drawn by every candidate."""
    return prepare(tinted(), choose(photos, 5, 7)[0], work, seed=7)
