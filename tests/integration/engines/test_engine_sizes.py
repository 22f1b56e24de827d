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
from engines.imaging.working_size import BlockSize, drawing_scale, field_scale
from engines.looks.look import Look
from engines.looks.renderer import LookRenderer
from engines.registry.style import Style

COLOR = ColorInfo("bt709")
Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    """Made for 128 lines."""
    look = LOOK | {"gradients": 0.0, "features": 0.0, "line_length": 0.0, "smooth": 0}
    return save_network(tmp_path_factory.mktemp("styles") / "shaken", look=look)


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


def enlarged(planes: Any, times: Fraction) -> list[Bytes]:
    sizes = [(int(plane.shape[1] * times), int(plane.shape[0] * times)) for plane in planes]
    return [
        np.asarray(cv2.resize(plane.astype(np.uint8), size), np.uint8)
        for plane, size in zip(planes, sizes, strict=True)
    ]


def drawn_by_hand(style: Style, fields: Any) -> list[NDArray[np.float64]]:
    """The look's drawing of fields, reduced to 128 x 160."""
    assert style.look is not None
    planes = LookRenderer(style.look, COLOR, *fields[0].shape)(FieldPlanes(*fields))
    return reduced(planes)


def reduced(planes: Any) -> list[NDArray[np.float64]]:
    """Planes of a drawing, interpolated at the centres of the pixels of 128 x 160."""
    return [
        between_rows(between_rows(plane.astype(float), rows).T, columns).T
        for plane, (rows, columns) in zip(planes, ((128, 160), (64, 80), (64, 80)), strict=True)
    ]


def between_rows(plane: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    at = (np.arange(count) + 0.5) * len(plane) / count - 0.5
    share = (at % 1)[:, None]
    return plane[np.floor(at).astype(int)] * (1 - share) + plane[np.ceil(at).astype(int)] * share


def assert_near(given: Frame, expected: list[NDArray[np.float64]]) -> None:
    for plane, wanted in zip((given.y, given.u, given.v), expected, strict=True):
        assert plane.shape == wanted.shape
        assert (np.abs(plane - wanted) > 0.8).mean() < 0.01  # or a field is one code off


@pytest.mark.parametrize("settings", [{"quality": "full"}, {"quality": "fast"}, {"detail": 1.5}], ids=str)
def test_a_small_frame_is_enlarged_and_its_drawing_reduced(
    style: Style, source: Frame, settings: dict[str, Any]
) -> None:
    made_for = dataclasses.replace(style, working_height=192)
    fields = fields_by_hand(style, *enlarged((source.y, source.u, source.v), Fraction(3, 2)))
    expected = drawn_by_hand(style, [plane.astype(np.uint8) for plane in fields])
    with opened(made_for, **settings) as engine:
        assert (engine.facts.working_width, engine.facts.working_height) == (240, 192)
        assert_near(engine(source), expected)


@pytest.mark.parametrize("stabilize", [0.0, 0.5])
def test_full_draws_larger_than_the_frame_from_the_same_fields(
    style: Style, source: Frame, stabilize: float
) -> None:
    fields = fields_by_hand(style, source.y, source.u, source.v)
    expected = drawn_by_hand(style, enlarged(fields, Fraction(5, 4)))
    with opened(style, quality="full", stabilize=stabilize) as engine:
        assert (engine.facts.working_width, engine.facts.working_height) == (160, 128)
        assert engine.fields(source).ink.shape == (128, 160)
        assert_near(engine(source), expected)


def test_surroundings_are_measured_before_fields_are_scaled_to_the_drawing(
    style: Style, source: Frame
) -> None:
    look = Look(gradients=1.0, features=1.0, line_length=20.0)
    with opened(dataclasses.replace(style, look=look), quality="full") as engine:
        given, fields = engine(source), engine.fields(source)
    drawn = LookRenderer(look, COLOR, 128, 160, drawn=(160, 200))(fields)
    assert_near(given, reduced(drawn))


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


@pytest.mark.parametrize(
    "quality, height, width, expected",
    [
        ("full", 720, 1280, 1.25), ("full", 900, 1600, 1.2), ("full", 1080, 1920, 1), ("full", 2160, 3840, 1),
        ("full", 1280, 720, 1.25), ("full", 240, 320, 1.25), ("fast", 720, 1280, 1), ("lite", 720, 1280, 1),
        ("custom", 720, 1280, 1),
    ],
)  # fmt: skip
def test_full_draws_frames_below_1080_lines_larger(
    quality: Any, height: int, width: int, expected: float
) -> None:
    assert drawing_scale(quality, height, width) == pytest.approx(expected)
