"""Finding faces with the published models: against another detector, at every size and turn."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.feature import Cascade

pytest.importorskip("torch", reason="the extra `train` is not installed")

from engines.errors import StreamtoonError
from training.abstraction.face_finder import DETECTOR, LANDMARKS, FaceFinder
from training.abstraction.face_ink import face_size

RIGHT_EYE, LEFT_EYE = (33, 133), (263, 362)
"""Corners of the eyes."""


@pytest.fixture(scope="module")
def find(face_models: Path) -> FaceFinder:
    return FaceFinder(face_models)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.asarray(data.astronaut())


def test_a_face_is_where_another_detector_finds_it(find: FaceFinder, astronaut: np.ndarray) -> None:
    cascade = Cascade(data.lbp_frontal_face_cascade_filename())
    (box,) = cascade.detect_multi_scale(astronaut, 1.2, 1, min_size=(80, 80), max_size=(200, 200))
    (face,) = find(astronaut)
    middle = np.array([box["c"] + box["width"] / 2, box["r"] + box["height"] / 2])
    size = face_size(face)
    assert 0.6 < size / box["width"] < 1.6
    assert np.linalg.norm((face.points.min(0) + face.points.max(0)) / 2 - middle) < 0.25 * size
    right, left = (face.points[list(corners)].mean(0) for corners in (RIGHT_EYE, LEFT_EYE))
    assert 0.3 * size < left[0] - right[0] < 0.6 * size
    grey = cv2.GaussianBlur(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY), (0, 0), 2)
    for x, y in (right, left):  # the eyes are darker than the cheeks below
        assert (
            grey[round(float(y)), round(float(x))] < grey[round(float(y + 0.25 * size)), round(float(x))] - 20
        )


def test_landmarks_scale_and_turn_with_the_photograph(find: FaceFinder, astronaut: np.ndarray) -> None:
    (face,) = find(astronaut)
    for turn, scale in ((0.0, 0.5), (20.0, 1.0), (-15.0, 0.7)):
        matrix = cv2.getRotationMatrix2D((224, 130), turn, scale)
        changed = np.asarray(cv2.warpAffine(astronaut, matrix, (512, 512)), np.uint8)
        (found,) = find(changed)
        expected = face.moved(matrix)
        assert np.linalg.norm(found.points - expected.points, axis=1).mean() < 0.03 * face_size(expected)


def test_a_small_head_in_a_wide_photograph_is_found_and_a_cup_is_not(
    find: FaceFinder, astronaut: np.ndarray
) -> None:
    wide = np.asarray(cv2.resize(data.coffee(), (1280, 720)), np.uint8)
    assert find(wide) == []
    wide[300:556, 900:1156] = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    (face,) = find(wide)
    assert 900 < face.points[:, 0].min() < face.points[:, 0].max() < 1156


def test_other_files_are_one_sentence(tmp_path: Path) -> None:
    wrong = tmp_path / "wheel.whl"
    wrong.write_bytes(b"no archive")
    for path in (wrong, tmp_path / "none.whl", tmp_path):
        with pytest.raises(StreamtoonError, match=r"cannot be read as MediaPipe's wheel .* --faces"):
            FaceFinder(path)


@pytest.mark.parametrize("names", [["other.txt"], [DETECTOR, LANDMARKS]])
def test_archives_without_the_models_are_one_sentence(names: list[str], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "wheel.whl", "w") as archive:
        for name in names:
            archive.writestr(name, b"no model")
    with pytest.raises(StreamtoonError, match=r"does not contain MediaPipe's face models.*--faces") as raised:
        FaceFinder(tmp_path / "wheel.whl")
    assert "\n" not in str(raised.value)
