"""Cut collages of two by two parts into pairs of photograph and cartoon.

The cartoon-to-human paper collects such images, in which one part is the photograph and the others are
cartoons of it, and cuts two parts out of each. It does not specify their places, so the caller does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.common.image_files import list_images, make_folder, read_image, require_separate, write_image
from engines.errors import StreamtoonError
from training.data.parallel import parallel_map

Quarter = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
QUARTERS: tuple[Quarter, ...] = ("top-left", "top-right", "bottom-left", "bottom-right")

MIDDLE_SHARE = 0.02
"""A seam, or a line between the quarters, must be within this share of the side around the middle."""
MIN_STEP = 10
"""Least difference between neighbouring pixels, 0..255, at a seam between two different colours."""
MIN_COVERED_SHARE = 0.4
"""Least share of its length on which a seam is visible, in each half of the image. Edges of objects rarely
reach both.
"""
MIN_STEP_RATIO = 2.5
"""Least ratio of a seam's differences to those next to it."""

MAX_LINE_DEVIATION = 14
"""Largest standard deviation, 0..255, of a uniform line between two seams."""


@dataclass(frozen=True, slots=True)
class Seams:
    """The places where an image is divided into four: the last pixels before and the first after the
    division.
    """

    rows: tuple[int, int]
    """(end of the upper quarters, start of the lower ones)."""
    columns: tuple[int, int]
    """(end of the left quarters, start of the right ones)."""

    def cut(self, image: Image, quarter: Quarter) -> Image:
        """Return one quarter. All four have the same size; larger ones are cropped at the outer sides."""
        height, width = image.shape[:2]
        tall = min(self.rows[0], height - self.rows[1])
        wide = min(self.columns[0], width - self.columns[1])
        upper, left = quarter.startswith("top"), quarter.endswith("left")
        top = self.rows[0] - tall if upper else self.rows[1]
        side = self.columns[0] - wide if left else self.columns[1]
        return image[top : top + tall, side : side + wide]


def find_seams(image: Image) -> Seams | None:
    """Return the seams of a 2 x 2 collage, H x W x 3 RGB, or None unless both middles have one."""
    columns = _seam(image)
    rows = _seam(np.ascontiguousarray(image.transpose(1, 0, 2)))
    return Seams(rows, columns) if rows and columns else None


def _seam(image: Image) -> tuple[int, int] | None:
    """Return the seam from top to bottom: (end of the left, start of the right), equal if they touch."""
    height, width = image.shape[:2]
    if min(height, width) < 32:
        return None
    reach = max(2, round(MIDDLE_SHARE * width))
    first, last = width // 2 - reach, (width + 1) // 2 + reach
    part = image[:, max(0, first - 2 * reach) : last + 2 * reach].astype(np.int16)
    shift = max(0, first - 2 * reach)
    # steps[y, x] is between the columns x and x + 1 of `part`.
    steps = np.abs(np.diff(part, axis=1)).max(-1).astype(np.float32)
    near = range(first - shift - 1, last - shift)
    found = [x for x in near if _is_seam(steps, x, reach)]
    if not found:
        return None
    best = max(found, key=lambda x: float(steps[:, x].mean()))
    lines = [
        (a, b)
        for a in found
        for b in found
        if a < b and part[:, a + 1 : b + 1].std((0, 1)).max() < MAX_LINE_DEVIATION
    ]
    a, b = max(lines, key=lambda line: line[1] - line[0], default=(best, best))
    return a + 1 + shift, b + 1 + shift


def _is_seam(steps: NDArray[np.float32], x: int, reach: int) -> bool:
    """Return whether the steps from column x to x + 1 form a seam in both the upper and the lower half."""
    around = np.r_[max(0, x - 2 * reach) : max(0, x - 2), x + 3 : min(steps.shape[1], x + 2 * reach)]
    half = len(steps) // 2
    for part in (slice(0, half), slice(half, None)):
        here = steps[part, x]
        usual = float(steps[part][:, around].mean())
        if (here >= MIN_STEP).mean() < MIN_COVERED_SHARE or here.mean() < MIN_STEP_RATIO * usual:
            return False
    return True


@dataclass(frozen=True, slots=True)
class CutResult:
    """The result of a run."""

    pairs: int
    left_out: tuple[str, ...]
    """One sentence for each image that gave no pair."""


def cut_folder(
    folder: Path,
    out: Path,
    *,
    real: Quarter = "top-left",
    cartoon: Quarter = "top-right",
    workers: int | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> CutResult:
    """Cut every collage in `folder` into OUT/real/NAME.png and OUT/cartoon/NAME.png, both of one size.

    NAME includes subfolders of `folder`. Images that are not 2 x 2 collages are skipped and listed.

    Args:
        folder: The folder of collages.
        out: The folder of pairs, which must be outside `folder` so that no pair replaces a collage.
        real: The quarter with the photograph.
        cartoon: The quarter with the cartoon.
        workers: Processes; None for one per core.
        on_progress: Called with the number of finished images and their total.

    Returns:
        The number of pairs and the skipped images.

    Raises:
        StreamtoonError: There are no images, or one of the folders is inside the other.
    """
    require_separate(folder, out)
    paths = list_images(folder)
    stems = [path.relative_to(folder).with_suffix("") for path in paths]
    counts, jobs = Counter(stems), []
    for path, stem in zip(paths, stems, strict=True):
        # Files that differ only in their suffix keep it: otherwise one pair would overwrite the other.
        name = stem if counts[stem] == 1 else path.relative_to(folder)
        jobs.append((path, f"{name.as_posix()}.png"))
    left_out: list[str] = []
    for done, ((path, _), problem) in enumerate(
        parallel_map(partial(_cut, out, real, cartoon), jobs, workers), 1
    ):
        if problem:
            left_out.append(f"{path.relative_to(folder).as_posix()}: {problem}")
        if on_progress:
            on_progress(done, len(jobs))
    return CutResult(len(jobs) - len(left_out), tuple(sorted(left_out)))


def _cut(out: Path, real: Quarter, cartoon: Quarter, job: tuple[Path, str]) -> str:
    """Cut one collage. Returns "" or the reason why it failed."""
    path, name = job
    try:
        image = read_image(path)
    except StreamtoonError:
        return "cannot be opened"
    seams = find_seams(image)
    if seams is None:
        return "not a collage of two by two: its middle has no seam in both directions"
    for kind, quarter in (("real", real), ("cartoon", cartoon)):
        target = out / kind / name
        make_folder(target.parent)
        write_image(target, seams.cut(image, quarter))
    return ""
