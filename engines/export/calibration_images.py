"""Photographs that are part of every installation: one sheet, made by `samples/make_samples.py`.

They validate built engines and calibrate quantized ones.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engines.common.arrays import Image
from engines.common.image_files import read_image
from engines.export.tasks import FrameTask, Samples, Task
from engines.frame import ColorInfo, Planes
from engines.imaging.color import rgb_to_yuv
from engines.imaging.field_blocks import pack
from engines.imaging.working_size import extend, fit

SHEET = Path(__file__).with_suffix(".webp")
SHEET_ROWS, SHEET_COLUMNS = 2, 3
"""Rows and columns of photographs on the sheet, all of one size."""


def calibration_images() -> list[Image]:
    """Return the photographs, H x W x 3 RGB."""
    sheet = read_image(SHEET)
    height, width = sheet.shape[0] // SHEET_ROWS, sheet.shape[1] // SHEET_COLUMNS
    return [
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
        for row in range(SHEET_ROWS)
        for column in range(SHEET_COLUMNS)
    ]


def to_samples(image: Image, task: Task) -> Samples:
    """Return an image as a task's input: its planes, or its blocks in limited range."""
    if isinstance(task, FrameTask):
        return _as_planes(image, task)
    sized = cv2.resize(image, (task.width, task.height), interpolation=cv2.INTER_AREA)
    y, u, v = rgb_to_yuv(np.asarray(sized, np.uint8), ColorInfo())
    half = task.height // 2, task.width // 2
    return (pack((y, fit(u, *half), fit(v, *half))),)


def _as_planes(image: Image, task: FrameTask) -> Planes:
    """Return the planes of an image in the size, chroma size and colour of a task."""
    color = ColorInfo(task.matrix, full_range=task.full_range)
    sized = cv2.resize(image, (task.width, task.height), interpolation=cv2.INTER_AREA)
    even = extend(np.asarray(sized, np.uint8), task.size.height, task.size.width)
    y, u, v = rgb_to_yuv(even, color)
    chroma = (task.chroma_height, task.chroma_width)
    return np.ascontiguousarray(y[: task.height, : task.width]), fit(u, *chroma), fit(v, *chroma)
