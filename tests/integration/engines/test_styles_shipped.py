"""What every shipped style must be: sizes and precisions that look alike, engines that agree, a true cartoon.

All shipped styles are looks over one network, so most of it is asked of the network's fields, once for each
of its two sizes, and of the looks that are drawn of these.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engines_open import open_engine
from numpy.typing import NDArray
from paths import ROOT
from skimage.metrics import structural_similarity

from engines.engine import Engine
from engines.fields_engine import FieldsEngine
from engines.frame import ColorInfo, Frame
from engines.generators import create
from engines.imaging.color import rgb_to_yuv, yuv_to_rgb
from engines.imaging.field_blocks import BLOCK, INK_THRESHOLD, FieldPlanes
from engines.imaging.working_size import fit
from engines.looks.renderer import LookRenderer
from engines.registry.style import DEFAULT_STYLE, Style, available_styles, load_style
from training.recipe_loader import find_recipe, read_recipe

Image = NDArray[np.uint8]
PHOTOS = sorted((ROOT / "samples" / "photos").glob("*.jpg"))
STYLES = available_styles()
SIZES = ("full", "fast")
"""Qualities by which the network's two sizes draw pictures as they are."""
WIDTH, HEIGHT = 640, 360
COLOR = ColorInfo("bt709")
named = pytest.mark.parametrize("style", STYLES, ids=[style.name for style in STYLES])
sized = pytest.mark.parametrize("size", SIZES)


@cache
def photo(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """The middle of a photograph, filling width x height, RGB."""
    image = cv2.imread(str(path))
    assert image is not None
    scale = max(width / image.shape[1], height / image.shape[0])
    image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    part = image[max(0, top) :, max(0, left) :][:height, :width]
    return np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2RGB), np.uint8)


def picture(path: Path) -> Frame:
    """The same as a video's picture: BT.709, limited range."""
    y, u, v = rgb_to_yuv(photo(path), COLOR)
    half = HEIGHT // 2, WIDTH // 2
    return Frame(y, fit(u, *half), fit(v, *half), pts=0, time_base=Fraction(1, 25), color=COLOR)


def open_sized(size: str, precision: str = "fp32", backend: str = "openvino", **other: Any) -> Engine:
    asked: dict[str, Any] = {"quality": size, "precision": precision, "backend": backend} | other
    return open_engine(DEFAULT_STYLE, width=WIDTH, height=HEIGHT, **asked)


@cache
def fields(size: str, precision: str = "fp32", backend: str = "openvino") -> list[FieldPlanes]:
    """Those of the sample photographs, by the network that all shipped styles share."""
    with open_sized(size, precision, backend) as engine:
        assert isinstance(engine, FieldsEngine)
        return [engine.fields(picture(path)) for path in PHOTOS]


@cache
def drawn(name: str, size: str, precision: str = "fp32") -> list[Image]:
    """The sample photographs in a style, RGB."""
    look = load_style(name).look
    assert look is not None
    found = []
    for each in fields(size, precision):
        planes = LookRenderer(look, COLOR, *each.y.shape)(each)
        y, u, v = (fit(plane, HEIGHT, WIDTH) for plane in planes)
        found.append(yuv_to_rgb(y, u, v, COLOR))
    return found


def luma(image: Image) -> NDArray[np.float64]:
    return image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def similarity(a: Image, b: Image) -> float:
    return float(
        structural_similarity(
            luma(a), luma(b), data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def test_seven_looks_share_a_network_of_two_sizes() -> None:
    names = {"anime", "comic", "duotone", "ink", "pencil", "popart", "watercolour"}
    assert {style.name for style in STYLES} == names and DEFAULT_STYLE in names
    assert len({style.network_folder for style in STYLES}) == 1
    assert len({style.look for style in STYLES}) == len(STYLES)
    for style in STYLES:
        assert style.title and style.description and style.licence and style.data
        assert style.lite is not None and style.lite.look == style.look
        assert style.lite.parameters < style.parameters / 2
        assert read_recipe(find_recipe(style.recipe.removesuffix(".toml"))).generator == style.generator


@sized
def test_int8_is_there_where_it_pays(size: str) -> None:
    style = load_style(DEFAULT_STYLE)
    form = style.form(size)
    assert (form.int8_graph is not None) == getattr(create(form.generator), "gains_from_int8", False)


@sized
@named
def test_int8_is_the_twin_of_fp32(style: Style, size: str) -> None:
    exact, int8 = (drawn(style.name, size, precision) for precision in ("fp32", "int8"))
    found = [similarity(a, b) for a, b in zip(exact, int8, strict=True)]
    assert min(found) >= 0.97, found


@sized
def test_int8_draws_the_lines_of_fp32(size: str) -> None:
    both = both_inks(fields(size), fields(size, "int8"))
    assert min(both) >= 0.9, both


def both_inks(ones: list[FieldPlanes], others: list[FieldPlanes]) -> list[float]:
    """Intersection over union of where lines are."""
    inks = [[each.ink >= INK_THRESHOLD for each in several] for several in (ones, others)]
    assert all(0.001 < ink.mean() < 0.5 for several in inks for ink in several), "there are lines to compare"
    return [float((a & b).sum() / (a | b).sum()) for a, b in zip(*inks, strict=True)]


@named
def test_the_small_network_draws_what_the_large_one_draws(style: Style) -> None:
    found = [similarity(a, b) for a, b in zip(*(drawn(style.name, size) for size in SIZES), strict=True)]
    assert np.mean(found) >= 0.85, found


def test_lite_is_the_twin_of_fast() -> None:
    found = []
    for quality in ("fast", "lite"):
        with open_engine(DEFAULT_STYLE, width=1280, height=720, quality=quality) as engine:
            found.append([engine.rgb(photo(path, 1280, 720)) for path in PHOTOS[:3]])
    alike = [similarity(a, b) for a, b in zip(*found, strict=True)]
    assert np.mean(alike) >= 0.85, alike


@sized
@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_engines_give_the_same_fields(size: str, backend: str) -> None:
    """To a code value, which is rounded: the threshold of a look may make more of it at single samples."""
    for a, b in zip(fields(size), fields(size, backend=backend), strict=True):
        for plane in ("y", "u", "v", "ink"):
            apart = np.abs(getattr(a, plane).astype(int) - getattr(b, plane))
            assert apart.max() <= 1 and (apart > 0).mean() < 0.01


def test_engines_draw_the_same_picture() -> None:
    found = []
    for backend in ("openvino", "onnxruntime", "torch"):
        with open_sized("fast", backend=backend) as engine:
            found.append([engine(picture(path)) for path in PHOTOS])
    for ours, *others in zip(*found, strict=True):
        for other in others:
            for plane in ("y", "u", "v"):
                apart = np.abs(getattr(ours, plane).astype(int) - getattr(other, plane))
                assert apart.mean() < 0.1 and (apart > 8).mean() < 0.001


def flatness(image: Image) -> float:
    """The share of neighbours that differ by less than two code values."""
    return float((np.abs(np.diff(luma(image), axis=1)) < 2).mean())


@sized
@named
def test_cartoons_are_flatter_than_photographs(style: Style, size: str) -> None:
    assert style.look is not None
    if style.look.screen != "none" or style.look.paper or style.look.pigment:
        pytest.skip(f"{style.name} has a pattern or paper, which is not flat")
    before = np.mean([flatness(photo(path)) for path in PHOTOS])
    after = np.mean([flatness(image) for image in drawn(style.name, size)])
    assert after > before + 0.06, (before, after)


@sized
def test_paint_is_flatter_than_photographs(size: str) -> None:
    def flat(plane: Image) -> float:
        return float((np.abs(np.diff(plane.astype(int), axis=1)) < 2).mean())

    before = np.mean([flat(picture(path).y) for path in PHOTOS])
    after = np.mean([flat(each.y) for each in fields(size)])
    assert after > before + 0.02, (before, after)


@sized
def test_paint_has_no_checkerboard(size: str) -> None:
    """A pattern would stand out at half the sampling rate, in both directions at once."""

    def checkered(plane: Image) -> float:
        board = (-1.0) ** np.add.outer(np.arange(plane.shape[0]), np.arange(plane.shape[1]))
        return float(np.abs(cv2.boxFilter(plane * board, -1, (16, 16))).mean())

    for path, each in zip(PHOTOS, fields(size), strict=True):
        assert checkered(each.y) <= checkered(picture(path).y) + 0.25, path


@sized
def test_blocks_are_not_seen(size: str) -> None:
    """Steps between two blocks are no larger than those within, beside the photograph's own."""

    def seams(plane: Image) -> float:
        steps = np.abs(np.diff(plane.astype(float), axis=1)).mean(0)
        between = np.arange(len(steps)) % BLOCK == BLOCK - 1
        return float(steps[between].mean() / steps[~between].mean())

    for path, each in zip(PHOTOS, fields(size), strict=True):
        assert seams(each.y) <= 1.1 * seams(picture(path).y), path
        assert seams(each.ink) <= 1.15, path


@named
def test_cartoons_keep_the_photographs_colors(style: Style) -> None:
    """Neither washed out nor tinted: the mean colour moves little, and colourfulness does not fall."""
    look = style.look
    assert look is not None
    if look.color_levels or (look.palette and look.palette_amount > 0.2):
        pytest.skip(f"{style.name} has colours of its own")
    for path, image in zip(PHOTOS, drawn(style.name, "full"), strict=True):
        before, after = (
            cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
            for rgb in (photo(path), image)
        )
        assert np.abs(after[:, 1:].mean(0) - before[:, 1:].mean(0)).max() < 8, path
        assert np.hypot(*after[:, 1:].T).mean() > 0.9 * np.hypot(*before[:, 1:].T).mean(), path


@pytest.mark.parametrize("name", ["ink", "pencil"])
def test_looks_of_one_palette_have_its_colors_alone(name: str) -> None:
    """Every pixel lies near a line between two of the colours that the look's table names."""
    style = load_style(name)
    look = style.look
    assert look is not None
    texts = {*look.palette, look.paper_color, look.line_color, look.screen_color}
    colors = [np.array([int(text[at : at + 2], 16) for at in (1, 3, 5)], float) for text in sorted(texts)]
    for image in drawn(name, "full")[:2]:
        inner = image[64:-64:5, 64:-64:5].reshape(-1, 3).astype(float)
        nearest = np.full(len(inner), np.inf)
        for at, one in enumerate(colors):
            for other in colors[at + 1 :]:
                way = other - one
                share = np.clip((inner - one) @ way / (way @ way), 0, 1)
                nearest = np.minimum(nearest, np.linalg.norm(inner - one - share[:, None] * way, axis=1))
        assert np.percentile(nearest, 95) < 24, np.percentile(nearest, 95)
