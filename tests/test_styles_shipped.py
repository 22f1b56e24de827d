"""What every shipped style must be: two qualities that look alike, engines that agree, a true cartoon."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from engines.colour import rgb_to_yuv
from engines.generators import create
from engines.opening import open_engine
from engines.picture import Colour, Picture
from engines.style import Style, available_styles, load_style
from training.recipe_file import find_recipe, read_recipe

PHOTOS = sorted((Path(__file__).parents[1] / "samples" / "photos").glob("*.jpg"))
WHOLE = available_styles()
STYLES = [*WHOLE, *(style.lite for style in WHOLE if style.lite)]
named = pytest.mark.parametrize("style", STYLES, ids=[style.name for style in STYLES])


def photo(path: Path, width: int = 640, height: int = 360) -> NDArray[np.uint8]:
    """The middle of a photograph, filling width x height, RGB."""
    image = cv2.imread(str(path))
    assert image is not None
    scale = max(width / image.shape[1], height / image.shape[0])
    image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    part = image[max(0, top) :, max(0, left) :][:height, :width]
    return np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2RGB), np.uint8)


def luma(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    return image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def similarity(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(
        structural_similarity(
            luma(a), luma(b), data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def cartoons(style: Style, size: tuple[int, int] = (640, 360), **settings: object) -> list[NDArray[np.uint8]]:
    width, height = size
    with open_engine(style, width=width, height=height, **settings) as engine:  # type: ignore[arg-type]
        return [engine.rgb(photo(path, width, height)) for path in PHOTOS]


def test_there_is_a_style() -> None:
    assert "comic" in [style.name for style in STYLES]


@named
def test_fast_is_the_twin_of_full(style: Style) -> None:
    size = (1280, 720)
    full, fast = cartoons(style, size, quality="full"), cartoons(style, size, quality="fast")
    found = [similarity(a, b) for a, b in zip(full, fast, strict=True)]
    # A network that standardises by the picture's own statistics sees another picture at half its size.
    normalized = style.generator not in ("lite", "unet")
    assert np.mean(found) >= (0.88 if normalized else 0.95), found


@named
def test_int8_is_there_where_it_pays_and_the_twin_of_fp32(style: Style) -> None:
    assert (style.int8_graph is not None) == getattr(create(style.generator), "gains_from_int8", False)
    if style.int8_graph is None:
        pytest.skip(f"{style.generator} gains nothing from int8")
    exact, int8 = (cartoons(style, quality="full", precision=precision) for precision in ("fp32", "int8"))
    found = [similarity(a, b) for a, b in zip(exact, int8, strict=True)]
    assert min(found) >= 0.97, found


def test_lite_draws_what_its_style_draws() -> None:
    taught = [style for style in WHOLE if style.lite]
    assert "comic" in [style.name for style in taught]
    for style in taught:
        size = (1280, 720)
        fast, lite = cartoons(style, size, quality="fast"), cartoons(style, size, quality="lite")
        found = [similarity(a, b) for a, b in zip(fast, lite, strict=True)]
        assert min(found) >= 0.93, (style.name, found)


def test_lite_is_near_its_teacher_on_photographs_nobody_was_trained_on() -> None:
    folder = Path(os.environ.get("STREAMTOON_DATA", "")) / "photos" / "free" / "heldout"
    paths = sorted(folder.glob("*.webp"))[::12]
    if not paths:
        pytest.skip("STREAMTOON_DATA does not name a folder with photographs")
    comic = load_style("comic")
    assert comic.lite
    drawn = []
    for style in (comic, comic.lite):
        with open_engine(style, width=288, height=288, quality="full", precision="fp32") as engine:
            drawn.append([engine.rgb(photo(path, 288, 288)) for path in paths])
    assert np.mean([similarity(a, b) for a, b in zip(*drawn, strict=True)]) >= 0.93


def picture(path: Path) -> Picture:
    """The same as a video's picture: 640 x 360, BT.709, limited range."""
    y, u, v = rgb_to_yuv(photo(path), Colour())
    u, v = (np.asarray(cv2.resize(plane, (320, 180), interpolation=cv2.INTER_AREA)) for plane in (u, v))
    return Picture(y, u, v, pts=0, time_base=Fraction(1, 25))


@named
@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_engines_draw_the_same_picture(style: Style, backend: str) -> None:
    drawn = []
    for name in ("openvino", backend):
        with open_engine(
            style, width=640, height=360, quality="fast", backend=name, precision="fp32"
        ) as engine:
            drawn.append([engine(picture(path)) for path in PHOTOS])
    for a, b in zip(*drawn, strict=True):
        for plane in ("y", "u", "v"):
            assert np.abs(getattr(a, plane).astype(int) - getattr(b, plane)).max() <= 1


@named
def test_cartoons_are_flatter_than_photographs(style: Style) -> None:
    """The share of neighbours that differ by less than two code values grows."""

    def flat(image: NDArray[np.uint8]) -> float:
        return float((np.abs(np.diff(luma(image), axis=1)) < 2).mean())

    before = np.mean([flat(photo(path)) for path in PHOTOS])
    after = np.mean([flat(image) for image in cartoons(style, quality="full")])
    # Lines that are put back are no flat paint: the more of them, the less is asked.
    assert after > before + 0.06 * (1 - style.lines), (before, after)


@named
def test_cartoons_have_no_checkerboard(style: Style) -> None:
    """Upsampling's pattern would stand out at half the sampling rate, in both directions at once."""

    def checkered(image: NDArray[np.uint8]) -> float:
        y = luma(image)
        board = (-1.0) ** np.add.outer(np.arange(y.shape[0]), np.arange(y.shape[1]))
        return float(np.abs(cv2.boxFilter(y * board, -1, (16, 16))).mean())

    for path, image in zip(PHOTOS, cartoons(style, quality="full"), strict=True):
        assert checkered(image) <= checkered(photo(path)) + 0.25, path


@named
def test_cartoons_keep_the_photographs_colours(style: Style) -> None:
    """Neither washed out nor tinted: the mean colour moves little, and colourfulness does not fall."""
    if read_recipe(find_recipe(style.recipe.removesuffix(".toml"))).abstraction.palette:
        pytest.skip(f"{style.name} has a palette of its own")
    for path, image in zip(PHOTOS, cartoons(style, quality="full"), strict=True):
        before, after = (
            cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
            for rgb in (photo(path), image)
        )
        assert np.abs(after[:, 1:].mean(0) - before[:, 1:].mean(0)).max() < 8, path
        assert np.hypot(*after[:, 1:].T).mean() > 0.9 * np.hypot(*before[:, 1:].T).mean(), path
