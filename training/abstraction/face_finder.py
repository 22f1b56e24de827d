"""Find faces in a photograph and the landmarks of each, with the published models of MediaPipe.

Sources: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019 (the
detector: one anchor per cell, offsets in pixels of its input); Kartynnik et al., "Real-time Facial Surface
Geometry from Monocular Video on Mobile GPUs", 2019 (468 landmarks in a crop that the eyes make upright).

The models are read from MediaPipe's wheel, because they are published there with a licence (Apache 2.0), and
run by OpenVINO.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines.common.arrays import Floats, Image
from engines.errors import StreamtoonError

MODELS = "mediapipe/modules/"
DETECTOR = MODELS + "face_detection/face_detection_full_range_sparse.tflite"
LANDMARKS = MODELS + "face_landmark/face_landmark.tflite"
INPUT_SIDE = 192
"""Side of the input of both models, pixels."""
CELLS = 48
"""Cells of the detector along each side."""
MIN_SCORE = 0.5
"""Probability above which a detection is a face, and above which a crop shows one."""
MAX_OVERLAP = 0.3
"""Intersection over union from which two detections are the same face."""
CROP_SCALE = 1.5
"""Side of the crop for landmarks, relative to the longer side of the face."""
RIGHT_EYE_CORNER, LEFT_EYE_CORNER = 33, 263
"""Landmarks: the outer corners of the eyes. Right is the person's right."""


@dataclass(frozen=True, slots=True)
class Face:
    """The landmarks of a face."""

    points: Floats
    """468 x 2, pixels: x from the left edge of the photograph, y from its upper edge. They are those of
    MediaPipe's face mesh.
    """

    @property
    def box(self) -> Floats:
        """Left, top, right and bottom of the landmarks, pixels."""
        return np.concatenate([self.points.min(0), self.points.max(0)])

    def moved(self, matrix: NDArray[Any]) -> Face:
        """Return the face after a 2 x 3 affine map of the photograph."""
        points = self.points @ matrix[:, :2].T + matrix[:, 2]
        return Face(np.asarray(points, np.float32))


class FaceFinder:
    """Finds faces. Used by one thread at a time.

    Args:
        wheel: MediaPipe's wheel, version 0.10.21, or another ZIP archive with its models.

    Raises:
        StreamtoonError: The file cannot be read or does not contain the models.
    """

    def __init__(self, wheel: Path) -> None:
        core = ov.Core()
        try:
            # OpenVINO knows these models by the names of their files, so it cannot read them from memory.
            with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
                models = [core.read_model(archive.extract(name, folder)) for name in (DETECTOR, LANDMARKS)]
        except (OSError, zipfile.BadZipFile) as error:
            raise StreamtoonError(
                f"{wheel} cannot be read as MediaPipe's wheel ({error}); name that of 0.10.21 with --faces"
            ) from error
        except (
            KeyError,
            RuntimeError,
        ) as error:  # missing, or no models; OpenVINO then says so in many lines
            raise StreamtoonError(
                f"{wheel} does not contain MediaPipe's face models; name the wheel of 0.10.21 with --faces"
            ) from error
        one = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        self._detect, self._locate = (core.compile_model(model, "CPU", one) for model in models)

    def __call__(self, photo: Image) -> list[Face]:
        """Return the faces of an H x W x 3 RGB photograph, the surest first.

        It is searched as a whole and in squares as large as its short side, in which small faces are found.
        """
        found = sorted(self._detections(photo), key=lambda detection: -detection[0])
        tried: list[Floats] = []
        faces: list[Face] = []
        for _, box, eyes in found:
            if any(_overlap(box, other) > MAX_OVERLAP for other in tried):
                continue
            tried.append(box)
            face = self._face(photo, box, eyes)
            # Half a face at the border of a square may become a face that was already found as a whole.
            if face and all(_overlap(face.box, other.box) <= MAX_OVERLAP for other in faces):
                faces.append(face)
        return faces

    def _detections(self, photo: Image) -> Iterator[tuple[float, Floats, Floats]]:
        """Yield scores, boxes (left, top, right, bottom) and the centres of the eyes (2 x 2), in pixels."""
        for left, top, width, height in _places(*photo.shape[:2]):
            part = photo[top : top + height, left : left + width]
            scale = INPUT_SIDE / max(height, width)
            size = max(1, round(width * scale)), max(1, round(height * scale))
            given = np.zeros((INPUT_SIDE, INPUT_SIDE, 3), np.float32)
            small = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
            given[: size[1], : size[0]] = small / np.float32(127.5) - 1
            outputs = self._detect(given[None])
            values, logits = sorted((outputs[0][0], outputs[1][0]), key=lambda output: -output.shape[1])
            likely = np.flatnonzero(logits[:, 0] > np.log(MIN_SCORE / (1 - MIN_SCORE)))
            for at in likely:
                cell = (np.array([at % CELLS, at // CELLS]) + 0.5) * (INPUT_SIDE / CELLS)
                middle, extent = values[at, :2] + cell, values[at, 2:4]
                corners = np.array([middle - extent / 2, middle + extent / 2])
                eyes = values[at, 4:8].reshape(2, 2) + cell
                box, eyes = (
                    np.asarray(points / scale + np.array((left, top)), np.float32)
                    for points in (corners, eyes)
                )
                yield float(logits[at, 0]), box.ravel(), eyes

    def _face(self, photo: Image, box: Floats, eyes: Floats) -> Face | None:
        """Return the face in a box, or None if there is none."""
        for _ in range(2):  # the first landmarks place the second crop more precisely than the box
            middle = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
            side = CROP_SCALE * max(float(box[2] - box[0]), float(box[3] - box[1]))
            along = eyes[1] - eyes[0]
            angle = float(np.degrees(np.arctan2(along[1], along[0])))
            matrix = np.asarray(cv2.getRotationMatrix2D(middle, angle, INPUT_SIDE / max(side, 1.0)), float)
            matrix[:, 2] += INPUT_SIDE / 2 - np.array(middle)
            crop = cv2.warpAffine(photo, matrix, (INPUT_SIDE, INPUT_SIDE), flags=cv2.INTER_LINEAR)
            outputs = self._locate(np.asarray(crop, np.float32)[None] / np.float32(255))
            landmarks, presence = sorted((outputs[0].ravel(), outputs[1].ravel()), key=lambda one: -one.size)
            if presence[0] < np.log(MIN_SCORE / (1 - MIN_SCORE)):
                return None
            inverse = cv2.invertAffineTransform(matrix)
            face = Face(landmarks.reshape(-1, 3)[:, :2]).moved(inverse)
            box = face.box
            eyes = face.points[[RIGHT_EYE_CORNER, LEFT_EYE_CORNER]]
        return face


def _places(height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, width and height of the parts of a photograph in which faces are searched."""
    yield 0, 0, width, height
    side = min(height, width)
    count = -(-2 * max(height, width) // side) - 1
    if count < 2:
        return
    for at in np.linspace(0, max(height, width) - side, count).round().astype(int).tolist():
        yield (at, 0, side, side) if width > height else (0, at, side, side)


def _overlap(one: Floats, other: Floats) -> float:
    """Return intersection over union of two boxes."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = float(np.prod(np.clip(high - low, 0, None)))
    areas = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return common / max(areas - common, 1e-6)
