"""The ink of eyes, brows and mouths, and sheets of heads."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="the extra `train` is not installed")

from drawn_faces import EYES, eye_mask, front_face, photo_of

from training.abstraction.face_finder import Face
from training.abstraction.face_ink import (
    LEFT_SIDE,
    MAX_RESPONSE,
    NOSE_TIP,
    RIGHT_SIDE,
    face_size,
    with_face_ink,
)
from training.data.head_sheets import CELL_PIXELS, COLUMNS, MAX_HEAD_PIXELS, ROWS, head_sheet

X, Y, SIZE = 100.0, 80.0, 90.0
NOTHING = np.zeros((160, 200), np.float32)


def drawn(ink: NDArray[np.float32], photo: NDArray[np.uint8], faces: list[Face]) -> NDArray[np.float32]:
    response, where = with_face_ink(ink, photo, faces)
    assert set(np.unique(where)) <= {0, 255} and where.shape == ink.shape
    assert not (response - ink)[where == 0].any(), "features are marked"
    return response


@pytest.mark.parametrize("faint", [14, 30, 90])
def test_eyes_are_ink_however_faint_they_are(faint: int) -> None:
    ink = drawn(NOTHING, photo_of(X, Y, SIZE, faint), [front_face(X, Y, SIZE)])
    eyes = eye_mask(NOTHING.shape, X, Y, SIZE, 0) | eye_mask(NOTHING.shape, X, Y, SIZE, 1)
    core, around = (method(eyes.astype(np.uint8), np.ones((3, 3))) > 0 for method in (cv2.erode, cv2.dilate))
    assert ink[core].min() == pytest.approx(MAX_RESPONSE, abs=0.02)
    assert ink[~around].max() < 1


def test_the_response_grows_from_the_skin_to_the_darkest_sample() -> None:
    """Half as dark as the darkest is where ink of an eye begins."""
    photo = photo_of(X, Y, SIZE, 60)
    half = np.s_[int(Y + SIZE * EYES[0][1]) - 1 : int(Y + SIZE * EYES[0][1]) + 2]
    right = eye_mask(NOTHING.shape, X, Y, SIZE, 0)
    columns = np.flatnonzero(right.any(0))
    for column, share in zip(columns, np.linspace(0.2, 1, len(columns)), strict=True):
        photo[half, column] = np.array([190, 150, 130]) - np.uint8(60 * share)
    light = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)[..., 0].astype(float)
    skin, darkest = light[0, 0], light[right].min()
    ink = drawn(NOTHING, photo, [front_face(X, Y, SIZE)])
    row = half.start + 1
    inner = columns[3:-3]
    expected = 1 + 2.2 * ((skin - light[row, inner]) / (skin - darkest) - 0.5)
    assert np.abs(ink[row, inner] - np.minimum(expected, MAX_RESPONSE)).max() < 0.3


def test_what_is_as_light_as_the_skin_is_no_feature() -> None:
    assert not drawn(NOTHING, photo_of(X, Y, SIZE, 5), [front_face(X, Y, SIZE)]).any()


@pytest.mark.parametrize("size, seen", [(12, False), (40, True), (140, True), (300, False)])
def test_tiny_and_large_faces_are_left_to_the_filter(size: float, seen: bool) -> None:
    shape = (400, 400)
    ink = drawn(
        np.zeros(shape, np.float32), photo_of(200, 200, size, 50, shape), [front_face(200, 200, size)]
    )
    assert ink.any() == seen


def test_the_far_side_of_a_turned_head_is_left_out() -> None:
    photo = photo_of(X, Y, SIZE, 50)
    for turned_to, seen in ((RIGHT_SIDE, 1), (LEFT_SIDE, 0)):
        face = front_face(X, Y, SIZE)
        face.points[NOSE_TIP] = 0.85 * face.points[turned_to] + 0.15 * np.array([X, Y])
        ink = drawn(NOTHING, photo, [face])
        assert [ink[eye_mask(NOTHING.shape, X, Y, SIZE, eye)].max() > 1 for eye in (0, 1)] == [
            seen == 0,
            seen == 1,
        ]


def test_lines_stay_and_features_are_measured_on_the_clearer_photograph() -> None:
    lines = np.zeros_like(NOTHING)
    lines[30] = 2
    face, clear = front_face(X, Y, SIZE), photo_of(X, Y, SIZE, 50)
    assert not (drawn(lines, photo_of(X, Y, SIZE, 0), [face]) - lines).any()
    inked = drawn(lines, clear, [face])
    assert (inked >= lines).all() and inked[eye_mask(NOTHING.shape, X, Y, SIZE, 0)].min() > 1
    assert drawn(lines, clear, []) is lines


@pytest.mark.parametrize("x, y", [(0, 0), (199, 80), (100, 159), (-60, 80), (100, 300)])
def test_faces_may_be_cut_by_the_border(x: float, y: float) -> None:
    ink = drawn(NOTHING, photo_of(x, y, SIZE, 50), [front_face(x, y, SIZE)])
    assert ink.shape == NOTHING.shape


@pytest.fixture(scope="module")
def marked() -> tuple[np.ndarray, list[Face]]:
    """A large face with a red dot at its left eye's outer corner."""
    photo = cv2.resize(photo_of(50, 40, 20, 40, (80, 100)), (1000, 800))
    face = front_face(505, 405, 200)
    x, y = face.points[263]
    cv2.circle(photo, (round(float(x)), round(float(y))), 12, (255, 0, 0), -1)
    return photo, [face]


def test_landmarks_move_with_the_heads_of_a_sheet(marked: tuple[np.ndarray, list[Face]]) -> None:
    photo, faces = marked
    seen, clear, found = head_sheet(photo, faces, np.random.default_rng(3))
    assert seen.shape == clear.shape == (ROWS * CELL_PIXELS, COLUMNS * CELL_PIXELS, 3)
    assert len(found) == ROWS * COLUMNS
    for face in found:
        size = face_size(face)
        assert size <= MAX_HEAD_PIXELS + 0.1
        x, y = face.points[263]
        red = clear.astype(int)[..., 0] - clear[..., 1]
        rows, columns = np.mgrid[: red.shape[0], : red.shape[1]]
        near = (np.hypot(columns - x, rows - y) < 0.3 * size) & (
            red > 0.7 * red[round(float(y)), round(float(x))]
        )
        assert red[round(float(y)), round(float(x))] > 60
        assert np.hypot(columns[near].mean() - x, rows[near].mean() - y) < 1


def test_a_sheet_depends_on_its_random_numbers_alone(marked: tuple[np.ndarray, list[Face]]) -> None:
    one, same, other = (head_sheet(*marked, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one[0], same[0]) and not np.array_equal(one[0], other[0])
    assert (one[0] != one[1]).any(), "nothing was made worse"
