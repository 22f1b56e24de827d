"""What a run shows while it goes: curves and pictures for TensorBoard, and the same photos through time.

RUN/logs/                 for `tensorboard --logdir RUN/logs`
RUN/samples/step-*.webp   the photos' cartoons after each kept step
RUN/samples/strip.webp    the photos and, row by row, what became of them
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from torch.utils.tensorboard import SummaryWriter

from engines.picture_files import Image, list_pictures, read_picture, write_picture
from training.preview import cartoon_of
from training.recipe import Recipe
from training.system import System

SHOWN = 6
WIDTH, HEIGHT = 256, 192
"""Of a shown photo, pixels: multiples of every network's size multiple."""
QUALITY = 90
"""Of the pictures, as WebP counts it."""
ROWS = 12
"""Of the strip, beside the photos."""
NOTE_EVERY = 25
"""Steps whose mean is one point of a curve."""
LABEL = 24
"""Height of a row's label, pixels."""


class Watch:
    """Writes curves and pictures of a run; curves of steps after `step`, from before a crash, are dropped."""

    def __init__(self, run: Path, recipe: Recipe, system: System, step: int) -> None:
        self._system = system
        self._samples = run / "samples"
        self._samples.mkdir(exist_ok=True)
        self._photos = _photos(Path(recipe.data.show or recipe.data.source))
        self._writer = SummaryWriter(str(run / "logs"), purge_step=step)
        self._pending: list[dict[str, float]] = []
        self._step = step

    def note(self, step: int, losses: dict[str, float]) -> None:
        """Adds a step to the curves."""
        self._pending.append(losses)
        self._step = step
        if len(self._pending) == NOTE_EVERY:
            self._flush()

    def paint(self, step: int) -> None:
        """Paints the photos with the averaged weights, and the strip anew."""
        there, back = self._system.there, self._system.back
        cartoons = [cartoon_of(there.average, photo) for photo in self._photos]
        row = np.hstack(cartoons)
        if back:
            row = np.vstack([row, np.hstack([cartoon_of(back.average, cartoon) for cartoon in cartoons])])
        write_picture(self._samples / f"step-{step:07d}.webp", row, QUALITY)
        self._writer.add_image("samples", row, step, dataformats="HWC")
        write_picture(self._samples / "strip.webp", self._strip(), QUALITY)

    def close(self) -> None:
        """Writes what is left of the curves: after a failure these are the steps that led to it."""
        if self._pending:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        for name in self._pending[-1]:
            values = [losses[name] for losses in self._pending if name in losses]
            self._writer.add_scalar(name, float(np.mean(values)), self._step)
        self._pending.clear()

    def _strip(self) -> Image:
        files = sorted(self._samples.glob("step-*.webp"))
        chosen = {round(at) for at in np.linspace(0, len(files) - 1, min(ROWS, len(files)))}
        photos = np.hstack(self._photos)
        rows = [_label("photo", photos.shape[1]), photos]
        for at in sorted(chosen):
            row, step = read_picture(files[at]), int(files[at].stem.removeprefix("step-"))
            if row.shape[1] == photos.shape[1]:  # else it is of another choice of photos
                rows += [_label(f"step {step}", photos.shape[1]), row]
        return np.vstack(rows)


def _photos(folder: Path) -> list[Image]:
    """Pictures from all over the folder, cut to one size."""
    paths = list_pictures(folder)
    chosen = sorted({round(at) for at in np.linspace(0, len(paths) - 1, min(SHOWN, len(paths)))})
    return [_cut(read_picture(paths[at])) for at in chosen]


def _cut(photo: Image) -> Image:
    """The middle of a photo at WIDTH x HEIGHT."""
    height, width = photo.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    size = (max(WIDTH, round(width * scale)), max(HEIGHT, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    photo = np.asarray(cv2.resize(photo, size, interpolation=way), np.uint8)
    top, left = (size[1] - HEIGHT) // 2, (size[0] - WIDTH) // 2
    return np.ascontiguousarray(photo[top : top + HEIGHT, left : left + WIDTH])


def _label(text: str, width: int) -> Image:
    line = np.full((LABEL, width, 3), 255, np.uint8)
    cv2.putText(line, text, (6, LABEL - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return line
