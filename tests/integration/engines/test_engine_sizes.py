"""Sizes at which a network and a look draw: large and small frames, and smooth edges by a larger drawing."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from fields_styles import LOOK, fields_by_hand, save_network
from numpy.typing import NDArray
from skimage import data

pytest.importorskip("torch", reason="the extra `torch` is not installed")

from engines_open import open_engine

from engines.fields_engine import FieldsEngine
from engines.frame import ColorInfo, Frame
from engines.imaging.color import rgb_to_yuv
from engines.imaging.field_blocks import FieldPlanes
from engines.imaging.working_size import BlockSize, drawing_scale, field_scale, field_size
from engines.looks.renderer import LookRenderer
from engines.registry.style import Style

COLOR = ColorInfo("bt709")
Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    """Made for 128 lines."""
    return save_network(tmp_path_factory.mktemp("styles") / "shaken", look=LOOK)


@pytest.fixture(scope="module")
def source() -> Frame:
    """128 x 160 pixels."""
    y, u, v = rgb_to_yuv(np.ascontiguousarray(data.coffee()[40:168, 60:220]), COLOR)
    u, v = (
        np.asarray(cv2.resize(plane, (80, 64), interpolation=cv2.INTER_AREA), np.uint8) for plane in (u, v)
    )
    return Frame(y, u, v, 0, Fraction(1, 25), color=COLOR)


def opened(style: Style, **settings: Any) -> FieldsEngine:
    engine = open_engine(style, width=160, height=128, precision="fp32", **settings)
    assert isinstance(engine, FieldsEngine)
    return engine


def half_as_large_again(planes: Any) -> list[Bytes]:
    return [
        np.asarray(
            cv2.resize(plane.astype(np.uint8), (plane.shape[1] * 3 // 2, plane.shape[0] * 3 // 2)), np.uint8
        )
        for plane in planes
    ]


def drawn_by_hand(style: Style, fields: list[Bytes]) -> list[NDArray[np.float64]]:
    """The look's drawing of 192 x 240 fields, reduced to 128 x 160."""
    assert style.look is not None
    drawn = LookRenderer(style.look, COLOR, 192, 240)(FieldPlanes(*fields))
    return [two_thirds(plane) for plane in drawn]


def two_thirds(plane: NDArray[Any]) -> NDArray[np.float64]:
    """Two rows of three and two columns of three, each weighted by how near it is."""
    for _ in range(2):
        first, middle, last = (plane[at::3].astype(float) for at in range(3))
        pairs = np.stack(((3 * first + middle) / 4, (middle + 3 * last) / 4), axis=1)
        plane = pairs.reshape(-1, plane.shape[1]).T
    return plane


def assert_near(given: Frame, expected: list[NDArray[np.float64]]) -> None:
    for plane, wanted in zip((given.y, given.u, given.v), expected, strict=True):
        assert plane.shape == wanted.shape
        assert (np.abs(plane - wanted) > 0.6).mean() < 0.025  # a field that is one code off


@pytest.mark.parametrize("settings", [{"quality": "full"}, {"quality": "fast"}, {"detail": 1.5}], ids=str)
def test_a_small_frame_is_enlarged_and_its_drawing_reduced(
    style: Style, source: Frame, settings: dict[str, Any]
) -> None:
    made_for = dataclasses.replace(style, working_height=192)
    fields = fields_by_hand(style, *half_as_large_again((source.y, source.u, source.v)))
    expected = drawn_by_hand(style, [plane.astype(np.uint8) for plane in fields])
    with opened(made_for, **settings) as engine:
        assert (engine.facts.working_width, engine.facts.working_height) == (240, 192)
        assert_near(engine(source), expected)


@pytest.mark.parametrize("stabilize", [0.0, 0.5])
def test_full_draws_larger_than_the_frame_from_the_same_fields(
    style: Style, source: Frame, stabilize: float
) -> None:
    fields = half_as_large_again(fields_by_hand(style, source.y, source.u, source.v))
    expected = drawn_by_hand(style, fields)
    with opened(style, quality="full", stabilize=stabilize) as engine:
        assert (engine.facts.working_width, engine.facts.working_height) == (160, 128)
        assert engine.fields(source).ink.shape == (192, 240)
        assert_near(engine(source), expected)


def test_an_edge_that_moves_by_parts_of_a_pixel_moves_smoothly(style: Style) -> None:
    """Between two frames, an edge with hard steps stays for a while, and then jumps by a whole pixel."""

    def jumps(**settings: Any) -> float:
        """Return the mean square of the changes from frame to frame."""
        columns = np.arange(160, dtype=float)
        drawn = []
        with opened(style, **settings) as engine:
            for step in range(9):
                ramp = 110 + 90 * np.tanh((columns - 80 - step / 8) / 12)
                y = np.repeat(np.rint(ramp)[None], 128, axis=0).astype(np.uint8)
                gray = np.full((64, 80), 128, np.uint8)
                drawn.append(
                    engine(Frame(y, gray, gray, step, Fraction(1, 25), color=COLOR)).y[32:96, 16:144]
                )
        return float((np.diff(np.asarray(drawn, float), axis=0) ** 2).mean())

    assert jumps(quality="full") < 0.9 * jumps(detail=1.0)


@pytest.mark.parametrize(
    "quality, height, expected",
    [
        ("full", 720, 1), ("full", 1440, 1 / 2), ("full", 600, 1.2), ("full", 480, 1.5), ("full", 240, 1.5),
        ("fast", 720, 1), ("fast", 2160, 1 / 3), ("fast", 480, 1.5),
        ("lite", 720, 3 / 4), ("lite", 1080, 1 / 2), ("lite", 540, 1), ("lite", 240, 1),
    ],
)  # fmt: skip
def test_the_working_height_is_reached_from_both_sides(quality: Any, height: int, expected: float) -> None:
    assert field_scale(quality, None, 720, height, 2 * height) == pytest.approx(expected)
    assert field_scale(quality, None, 720, 2 * height, height) == pytest.approx(expected)
    assert field_scale("custom", 1.7, 720, height, height) == 1.7


@pytest.mark.parametrize(
    "size, scale, multiple, expected",
    [
        ((720, 1280), 1.0, 1, (720, 1280, 720, 1280, (180, 320, 24))),
        ((719, 1278), 1.0, 1, (720, 1280, 720, 1280, (180, 320, 24))),
        ((1080, 1920), 2 / 3, 1, (1080, 1920, 720, 1280, (180, 320, 24))),
        ((720, 1280), 3 / 4, 1, (720, 1280, 540, 960, (135, 240, 24))),
        ((720, 1280), 3 / 4, 2, (720, 1280, 544, 960, (136, 240, 24))),
        ((500, 1278), 1.0, 2, (504, 1280, 504, 1280, (126, 320, 24))),
        ((1, 1), 1.0, 1, (4, 4, 4, 4, (1, 1, 24))),
        ((10, 4000), 0.1, 1, (12, 4000, 4, 400, (1, 100, 24))),
        ((480, 854), 1.5, 2, (720, 1280, 720, 1280, (180, 320, 24))),
    ],
)
def test_sizes_are_whole_blocks(
    size: tuple[int, int], scale: float, multiple: int, expected: tuple[Any, ...]
) -> None:
    given = BlockSize.of(*size, scale, multiple)
    blocks = given.block_height, given.block_width
    assert (*blocks, given.working_height, given.working_width, given.given) == expected
    assert (given.height, given.width) == tuple(side + side % 2 for side in size)
    source = tuple(2 * round(side * max(1, scale) / 2) for side in (given.height, given.width))
    assert (given.source_height, given.source_width) == (given.drawn_height, given.drawn_width) == source
    assert given.enlarges == given.oversamples == (scale > 1)
    assert given.field_sides == blocks


@pytest.mark.parametrize(
    "quality, height, width, expected",
    [
        ("full", 720, 1280, 1.5), ("full", 900, 1600, 1.2), ("full", 1080, 1920, 1), ("full", 2160, 3840, 1),
        ("full", 1280, 720, 1.5), ("full", 240, 320, 1.5), ("fast", 720, 1280, 1), ("lite", 720, 1280, 1),
        ("custom", 720, 1280, 1),
    ],
)  # fmt: skip
def test_full_draws_frames_below_1080_lines_larger(
    quality: Any, height: int, width: int, expected: float
) -> None:
    assert drawing_scale(quality, height, width) == pytest.approx(expected)


@pytest.mark.parametrize(
    "height, width", [(720, 1280), (721, 1279), (480, 853), (902, 1600), (333, 77), (1, 1)]
)
@pytest.mark.parametrize("quality", ["full", "fast", "lite"])
def test_fields_cover_the_drawing_and_keep_their_place(quality: Any, height: int, width: int) -> None:
    size = field_size(quality, None, 720, height, width, 2)
    sides = zip(
        size.field_sides,
        (size.block_height, size.block_width),
        (size.source_height, size.source_width),
        (size.drawn_height, size.drawn_width),
        strict=True,
    )
    for whole, block, source, drawn in sides:
        assert drawn <= whole
        assert abs(whole * source / drawn - block) <= 1  # a pixel of the source at most, at the far end
