"""Writes the progress of a run: curves and images for TensorBoard, and sample pictures.

RUN/logs/                 for `tensorboard --logdir RUN/logs`
RUN/samples/step-*.webp   the cartoons of the sample photos at each checkpoint
RUN/samples/strip.webp    the photos, and below them one row of cartoons per checkpoint
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from torch.utils.tensorboard import SummaryWriter

from engines.common.arrays import Image
from engines.common.image_files import list_images, read_image, write_image
from training.preview import draw_photo
from training.recipe import Recipe
from training.train_step import TrainingSystem

SHOWN_PHOTOS = 6
WIDTH, HEIGHT = 256, 192
"""Size of a sample photo, in pixels: multiples of every network's size multiple."""
WEBP_QUALITY = 90
"""WebP quality of the sample pictures, 0 to 100."""
MAX_STRIP_ROWS = 12
"""Rows of the strip, not counting the photos."""
STEPS_PER_POINT = 25
"""Steps that are averaged for one point of a curve."""
LABEL_PIXELS = 24
"""Height of a row's label, in pixels."""


class RunLogger:
    """Writes the curves and sample pictures of a run. Curves after `step` are left from before a crash and
    are dropped.
    """

    def __init__(self, run: Path, recipe: Recipe, system: TrainingSystem, step: int) -> None:
        self._system = system
        self._samples = run / "samples"
        self._samples.mkdir(exist_ok=True)
        self._photos = _photos(Path(recipe.data.show or recipe.data.source))
        self._writer = SummaryWriter(str(run / "logs"), purge_step=step)
        self._pending: list[dict[str, float]] = []
        self._step = step

    def log_losses(self, step: int, losses: dict[str, float]) -> None:
        """Add the losses of a step to the curves."""
        self._pending.append(losses)
        self._step = step
        if len(self._pending) == STEPS_PER_POINT:
            self._flush()

    def draw_samples(self, step: int) -> None:
        """Draw the sample photos with the averaged weights, and rewrite the strip."""
        forward, backward = self._system.forward, self._system.backward
        cartoons = [draw_photo(forward.average, photo) for photo in self._photos]
        row = np.hstack(cartoons)
        if backward:
            row = np.vstack([row, np.hstack([draw_photo(backward.average, cartoon) for cartoon in cartoons])])
        write_image(self._samples / f"step-{step:07d}.webp", row, WEBP_QUALITY)
        self._writer.add_image("samples", row, step, dataformats="HWC")
        write_image(self._samples / "strip.webp", self._strip(), WEBP_QUALITY)

    def close(self) -> None:
        """Write the remaining points of the curves. After a failure they show the steps that led to it."""
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
        chosen = {round(at) for at in np.linspace(0, len(files) - 1, min(MAX_STRIP_ROWS, len(files)))}
        photos = np.hstack(self._photos)
        rows = [_label("photo", photos.shape[1]), photos]
        for at in sorted(chosen):
            row, step = read_image(files[at]), int(files[at].stem.removeprefix("step-"))
            if row.shape[1] == photos.shape[1]:  # otherwise the row is of other sample photos
                rows += [_label(f"step {step}", photos.shape[1]), row]
        return np.vstack(rows)


def _photos(folder: Path) -> list[Image]:
    """Read images from all over the folder and crop them to one size."""
    paths = list_images(folder)
    chosen = sorted({round(at) for at in np.linspace(0, len(paths) - 1, min(SHOWN_PHOTOS, len(paths)))})
    return [_cut(read_image(paths[at])) for at in chosen]


def _cut(photo: Image) -> Image:
    """Crop the centre of a photo to WIDTH x HEIGHT."""
    height, width = photo.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    size = (max(WIDTH, round(width * scale)), max(HEIGHT, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    photo = np.asarray(cv2.resize(photo, size, interpolation=way), np.uint8)
    top, left = (size[1] - HEIGHT) // 2, (size[0] - WIDTH) // 2
    return np.ascontiguousarray(photo[top : top + HEIGHT, left : left + WIDTH])


def _label(text: str, width: int) -> Image:
    line = np.full((LABEL_PIXELS, width, 3), 255, np.uint8)
    cv2.putText(
        line, text, (6, LABEL_PIXELS - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA
    )
    return line
