"""The share of flat steps against loops by hand, closed forms and drawn shapes."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engines.common.arrays import Image
from engines.common.image_files import read_image, write_image
from engines.errors import StreamtoonError
from eval.metrics.flat import EDGE_STEP, FLAT_STEP, MARGIN, MINIMUM_SIDE, SIGMA, flat, near_edges
from eval.scoring.candidates import GeneratedImages
from eval.scoring.image_set import find_images
from eval.scoring.scorer import Scorer

Doubles = NDArray[np.float64]
BLANK = np.full((90, 110), 100.0)


def _camera(height: int = 100, width: int = 130) -> Doubles:
    return np.asarray(skimage.data.camera(), np.float64)[100 : 100 + height, 160 : 160 + width]


def _edges_by_hand(photo: Doubles, sigma: float) -> NDArray[np.bool_]:
    smooth = np.pad(gaussian_filter(photo, sigma, mode="mirror", truncate=6), 1, mode="reflect")
    # Half the difference of two pixels, 0.5 before and 1.5 behind a step that the Gaussian has smoothed.
    at = np.linspace(-0.5, 1.5, 20001)
    bell = np.exp(-(at**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    least = EDGE_STEP * float(np.trapezoid(bell, at)) / 2
    edges = np.zeros(photo.shape, np.bool_)
    for row, column in np.ndindex(photo.shape):
        window = smooth[row : row + 3, column : column + 3]
        across = (window[:, 2] - window[:, 0]) @ [1, 2, 1] / 8
        down = (window[2] - window[0]) @ [1, 2, 1] / 8
        edges[row, column] = math.hypot(across, down) >= least
    return edges


def _by_hand(photo: Doubles, result: Doubles, scale: float) -> float:
    """The definition, place by place."""
    rows, columns = np.nonzero(_edges_by_hand(photo, SIGMA * scale))
    found = []
    for row in range(photo.shape[0] - 1):
        for column in range(photo.shape[1] - 1):
            if np.any((rows - row) ** 2 + (columns - column) ** 2 <= (MARGIN * scale) ** 2):
                continue
            right = result[row, column + 1] - result[row, column]
            lower = result[row + 1, column] - result[row, column]
            found.append(math.sqrt((right**2 + lower**2) / 2) < FLAT_STEP)
    return sum(found) / len(found)


def test_it_is_the_definition_place_by_place() -> None:
    photo = _camera()
    result = cv2.bilateralFilter(photo.astype(np.float32), -1, 20, 3).astype(np.float64)
    for other in (photo, result):
        # One place in 12,771 may lie so near to a threshold that single precision decides.
        assert flat(photo, other, data_range=255) == pytest.approx(_by_hand(photo, other, 0.5), abs=1e-3)
    assert flat(photo, result, data_range=255) > flat(photo, photo, data_range=255) + 0.1


def test_one_level_color_is_flat_everywhere_whatever_the_photograph() -> None:
    assert flat(BLANK, BLANK, data_range=255) == 1
    assert flat(_camera(90, 110), BLANK, data_range=255) == 1


@pytest.mark.parametrize(
    ("slope", "share"), [((1.49, 1.49), 1), ((1.51, 1.51), 0), ((0, 2.1), 1), ((0, 2.13), 0)]
)
def test_a_ramp_is_flat_below_a_root_mean_square_of_one_and_a_half(
    slope: tuple[float, float], share: int
) -> None:
    y, x = np.mgrid[0:70, 0:70]
    assert flat(np.full((70, 70), 9.0), slope[0] * y + slope[1] * x, data_range=255) == share


def test_noise_has_the_share_that_its_distribution_has() -> None:
    values = np.random.default_rng(4).integers(0, 4, (300, 400)).astype(np.float64)
    expected = np.mean(
        [(b - a) ** 2 + (c - a) ** 2 < 2 * FLAT_STEP**2 for a in range(4) for b in range(4) for c in range(4)]
    )
    got = flat(np.full(values.shape, 50.0), values, data_range=255)
    assert got == pytest.approx(expected, abs=0.01)


def test_the_range_scales_what_is_flat() -> None:
    photo = _camera()
    assert flat(photo / 255, photo / 255, data_range=1) == pytest.approx(
        flat(photo, photo, data_range=255), abs=1e-3
    )


@pytest.mark.parametrize("side", [64, 360, 720, 1080])
def test_what_lies_at_an_edge_is_left_out_and_the_margin_grows_with_the_side(side: int) -> None:
    scale = max(side / 720, 0.5)
    photo = np.zeros((side, side), np.float32)
    photo[:, side // 2 :] = 0.95 * EDGE_STEP
    assert not near_edges(photo).any()
    photo[:, side // 2 :] = 1.05 * EDGE_STEP  # small Gaussians of whole pixels are off by up to 2 %
    columns = np.flatnonzero(near_edges(photo)[side // 2])
    # The two pixels beside the step peak; nothing else reaches it by so little.
    assert columns.tolist() == list(
        range(side // 2 - 1 - round(MARGIN * scale), side // 2 + 1 + round(MARGIN * scale))
    )
    line = np.zeros_like(photo)
    line[:, side // 2] = 255
    assert flat(photo, line, data_range=255) == 1
    assert flat(line * 0, line, data_range=255) == pytest.approx(1 - 2 / (side - 1))


def test_a_photograph_that_is_edges_everywhere_counts_everywhere() -> None:
    y, x = np.mgrid[0:80, 0:80]
    stripes = (x // 3 % 2) * 255.0
    assert near_edges(stripes.astype(np.float32)).all()
    assert flat(stripes, np.where(x < 40, 0, 3.0 * y), data_range=255) == pytest.approx((39 * 79 + 1) / 79**2)


def test_pictures_that_do_not_fit_are_refused() -> None:
    for photo, result in (
        (BLANK, BLANK[1:]),
        (BLANK[:63], BLANK[:63]),
        (np.dstack([BLANK] * 3), np.dstack([BLANK] * 3)),
    ):
        with pytest.raises(ValueError, match=f"sides >= {MINIMUM_SIDE}"):
            flat(photo, result, data_range=255)
    with pytest.raises(ValueError, match="data_range"):
        flat(BLANK, BLANK, data_range=0)


def test_it_has_a_file_of_its_name() -> None:
    module = importlib.import_module("eval.metrics.flat")
    assert module.__doc__ and module.flat.__doc__


def _noise(folder: Path, side: int) -> Path:
    for seed in range(2):
        small = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
        photo = cv2.resize(small, (side + 8, side), interpolation=cv2.INTER_CUBIC)
        write_image(folder / f"{seed}.png", np.asarray(photo, np.uint8))
    return folder


def _posterized(photo: Image) -> Image:
    return photo // 64 * 64


def test_scores_hold_its_mean_over_photographs_on_luma_that_is_not_rounded(tmp_path: Path) -> None:
    photos = find_images(_noise(tmp_path, 120))
    with (
        Scorer(photos=photos, cartoons=None, metrics=["flat"]) as scorer,
        GeneratedImages("hard", _posterized) as candidate,
    ):
        score = scorer.score(candidate).score
    weights = [0.299, 0.587, 0.114]
    pictures = [read_image(path) for path in photos.paths]
    each = [flat(one @ weights, _posterized(one) @ weights, data_range=255) for one in pictures]
    assert score.metrics == {"flat": pytest.approx(np.mean(each), abs=1e-3)}
    assert "BT.601" in score.protocol["pairs"]


def test_photographs_too_small_for_it_are_said(tmp_path: Path) -> None:
    photos = find_images(_noise(tmp_path, 63))
    with pytest.raises(StreamtoonError, match="flat needs images of at least 64 pixels a side"):
        Scorer(photos=photos, cartoons=None, metrics=["flat"])
