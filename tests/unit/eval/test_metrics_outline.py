"""The depth of outlines against loops by hand, closed forms and drawn lines."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, sobel

from engines.common.arrays import Image
from engines.common.image_files import read_image, write_image
from engines.errors import StreamtoonError
from eval.metrics.outline import MINIMUM_SIDE, outline, strongest_edges
from eval.scoring.candidates import GeneratedImages
from eval.scoring.image_set import find_images
from eval.scoring.scorer import Scorer

Doubles = NDArray[np.float64]
LOW, HIGH = 90.0, 210.0


def _step(side: int = 120, slope: float = 0.0) -> Doubles:
    """A straight, smoothed edge through the middle, `slope` rows for each column off the upright."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    away = ((x - side / 2 + 0.5) + slope * (y - side / 2)) / math.hypot(1, slope)
    return np.asarray(LOW + (HIGH - LOW) / (1 + np.exp(np.clip(-2 * away, -60, 60))), np.float64)


def _inked(side: int, half: float, depth: float, slope: float = 0.0) -> Doubles:
    """The same edge, hard, under a line of `2 half` pixels that is `depth` darker than its dark side."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    away = ((x - side / 2 + 0.5) + slope * (y - side / 2)) / math.hypot(1, slope)
    return np.where(np.abs(away) <= half, LOW - depth, np.where(away < 0, LOW, HIGH))


def _by_hand(photo: Doubles, result: Doubles) -> float:
    """The definition at half the reference's lengths, one place at a time, by SciPy."""
    smooth = gaussian_filter(photo, 1.0, mode="mirror", truncate=6)
    across, down = (sobel(smooth, axis, mode="mirror") / 8 for axis in (1, 0))
    size = np.hypot(across, down)
    inside = size[4:-4, 4:-4]
    least = max(np.quantile(inside, 0.98), 1.0)
    depths = []
    for row, column in np.argwhere(inside >= least) + 4:
        way = np.array([down[row, column], across[row, column]]) / size[row, column]

        def at(picture: Doubles, distance: int, start: tuple[int, int], way: Doubles) -> float:
            place = (np.array(start) + distance * way)[:, None]
            return float(map_coordinates(picture, place, order=1, mode="nearest")[0])

        here = (row, column)
        if not at(size, -1, here, way) < size[row, column] >= at(size, 1, here, way):
            continue
        pair = []
        for picture in (photo, result):
            value = {d: at(picture, d, here, way) for d in range(-4, 5)}
            shoulders = min(value[-4], value[-3]), min(value[3], value[4])
            pair.append(max(min(shoulders) - min(value[d] for d in range(-2, 3)), 0))
        depths.append((pair[1] - pair[0]) / 255)
    return float(np.mean(depths))


def _camera() -> Doubles:
    return np.asarray(skimage.data.camera(), np.float64)[60:210, 160:340]


def test_it_is_the_definition_place_by_place() -> None:
    photo = _camera()
    ink = cv2.Canny(photo.astype(np.uint8), 100, 200) > 0
    for result in (np.where(ink, photo * 0.3, photo), np.clip(photo * 1.4 - 40, 0, 255)):
        assert outline(photo, result, data_range=255) == pytest.approx(_by_hand(photo, result), abs=1e-4)


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0, -0.7])
@pytest.mark.parametrize("depth", [20.0, 60.0, 90.0])
def test_a_line_drawn_on_an_edge_has_its_depth(slope: float, depth: float) -> None:
    photo = _step(slope=slope)
    assert outline(photo, _inked(120, 1.6, depth, slope), data_range=255) == pytest.approx(
        depth / 255, abs=2e-3
    )


@pytest.mark.parametrize("side", [64, 360, 720, 1440])
def test_lines_grow_with_the_side(side: int) -> None:
    scale = max(side / 720, 0.5)
    photo = _step(side)
    assert outline(photo, _inked(side, 3 * scale, 50), data_range=255) == pytest.approx(50 / 255, abs=1e-6)
    # So wide that the dark reaches over the shoulders: that is a dark band, no line.
    assert outline(photo, _inked(side, 12 * scale, 50), data_range=255) == 0


def test_neither_the_photograph_itself_nor_a_plain_step_has_any() -> None:
    photo = _camera()
    assert outline(photo, photo, data_range=255) == 0
    for result in (_step(), _inked(120, -1, 0), 255 - _step(), np.full((120, 120), 30.0)):
        assert outline(_step(), result, data_range=255) == pytest.approx(0, abs=1e-6)


def test_the_photographs_own_lines_are_taken_off() -> None:
    drawn = _inked(120, 0.6, 40)
    assert outline(drawn, drawn, data_range=255) == 0
    assert outline(drawn, _inked(120, -1, 0), data_range=255) == pytest.approx(-40 / 255, abs=1e-6)


def test_blur_does_not_win() -> None:
    photo = 100 + 0.6 * _camera()
    ink = np.where(cv2.Canny(photo.astype(np.uint8), 100, 200) > 0, photo * 0.3, photo)
    blurred, inked_and_blurred = (cv2.GaussianBlur(one, (0, 0), 2) for one in (photo, ink))
    of = [outline(photo, one, data_range=255) for one in (blurred, inked_and_blurred, ink)]
    assert of[0] < 0 and of[0] < of[1] < of[2] and of[2] > 0.03


def test_a_bright_line_is_no_outline() -> None:
    assert outline(_step(), _inked(120, 1.6, -150), data_range=255) == pytest.approx(0, abs=1e-6)


def test_a_photograph_without_edges_has_no_outlines() -> None:
    blank = np.full((70, 90), 100.0)
    drawn = blank.copy()
    drawn[:, 40:43] = 0
    assert outline(blank, drawn, data_range=255) == 0


def test_edges_are_thin_and_lie_where_the_step_is() -> None:
    edges = strongest_edges((_step() / 255).astype(np.float32))
    assert np.all(np.abs(edges.x - 59.5) <= 0.5) and len(edges.x) == len(set(edges.y.tolist())) > 100
    np.testing.assert_allclose(edges.across, 1, atol=1e-4)


def test_pictures_larger_than_opencv_samples_are_taken() -> None:
    tall = np.tile(_step(200), (200, 1))  # remap takes fewer rows
    inked = np.tile(_inked(200, 1.6, 60), (200, 1))
    assert strongest_edges((tall / 255).astype(np.float32)).x.size > 32767
    assert outline(tall, inked, data_range=255) == pytest.approx(60 / 255, abs=1e-6)


def test_the_range_scales_brightness() -> None:
    photo, result = _step(), _inked(120, 1.6, 70)
    assert outline(photo / 255, result / 255, data_range=1) == pytest.approx(
        outline(photo, result, data_range=255), abs=1e-6
    )


def test_pictures_that_do_not_fit_are_refused() -> None:
    photo = _step()
    for a, b in (
        (photo, photo[1:]),
        (photo[:63], photo[:63]),
        (np.dstack([photo] * 3), np.dstack([photo] * 3)),
    ):
        with pytest.raises(ValueError, match=f"sides >= {MINIMUM_SIDE}"):
            outline(a, b, data_range=255)
    with pytest.raises(ValueError, match="data_range"):
        outline(photo, photo, data_range=0)


def test_it_has_a_file_of_its_name() -> None:
    module = importlib.import_module("eval.metrics.outline")
    assert module.__doc__ and module.outline.__doc__


def _photos(folder: Path, side: int) -> Path:
    for seed in range(2):
        small = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
        photo = cv2.resize(small, (side + 8, side), interpolation=cv2.INTER_NEAREST)
        write_image(folder / f"{seed}.png", np.asarray(photo, np.uint8))
    return folder


def _inked_photo(photo: Image) -> Image:
    edges = cv2.Canny(np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.uint8), 20, 60)
    return np.where(cv2.dilate(edges, np.ones((3, 3)))[..., None] > 0, np.uint8(0), photo)


def test_scores_hold_its_mean_over_photographs_and_take_the_pair_in_order(tmp_path: Path) -> None:
    photos = find_images(_photos(tmp_path, 200))
    with (
        Scorer(photos=photos, cartoons=None, metrics=["outline"]) as scorer,
        GeneratedImages("inked", _inked_photo) as candidate,
    ):
        score = scorer.score(candidate).score
    weights = [0.299, 0.587, 0.114]
    pictures = [read_image(path) for path in photos.paths]
    each = [outline(one @ weights, _inked_photo(one) @ weights, data_range=255) for one in pictures]
    # The last bit of a float32 decides between places of equal gradient, and processors round it differently.
    assert score.metrics == {"outline": pytest.approx(np.mean(each), abs=1e-3)}
    assert np.mean(each) > 0.1


def test_photographs_too_small_for_it_are_said(tmp_path: Path) -> None:
    photos = find_images(_photos(tmp_path, 63))
    with pytest.raises(StreamtoonError, match="outline needs images of at least 64 pixels a side"):
        Scorer(photos=photos, cartoons=None, metrics=["outline"])
