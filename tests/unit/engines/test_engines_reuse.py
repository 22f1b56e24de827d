"""A picture that is the last one again costs no drawing, and its cartoon is what drawing it would give."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines_open import open_engine
from skimage import data

from engines.common.cpu import cores
from engines.engine import Engine, PendingFrame
from engines.frame import ColorInfo, Frame, Planes
from engines.frame_dedup import LastFrameCache, PendingDrawing
from engines.registry.style import Style, load_style


@pytest.fixture(scope="module")
def style(style_folder: Path) -> Style:
    return load_style(style_folder)


@pytest.fixture
def engine(style: Style) -> Iterator[Engine]:
    with open_engine(style, quality="full", width=64, height=48) as opened:
        yield opened


def picture(
    number: int, height: int = 48, width: int = 64, pts: int = 0, color: ColorInfo | None = None
) -> Frame:
    """Part of a photograph, another for every number, in arrays of its own."""
    at = 3 * number
    photo = data.astronaut()
    y = photo[at : at + height, at : at + width, 1].copy()
    half = ((height + 1) // 2, (width + 1) // 2)
    u, v = (photo[at : at + half[0], at : at + half[1], channel].copy() for channel in (0, 2))
    return Frame(y, u, v, pts, Fraction(1, 25), 1, color or ColorInfo())


def same(left: Frame, right: Frame) -> bool:
    return all(np.array_equal(getattr(left, plane), getattr(right, plane)) for plane in "yuv")


@pytest.mark.parametrize("settings", [{}, {"strength": 0.4}, {"quality": "fast"}, {"strength": 0.0}], ids=str)
@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
def test_a_clip_with_duplicates_is_drawn_bit_for_bit_as_without(
    style: Style, settings: dict[str, Any], size: tuple[int, int]
) -> None:
    numbers = [0, 0, 0, 1, 0, 1, 1, 2, 2, 2, 2, 3]
    clip = [picture(number, *size, pts=pts) for pts, number in enumerate(numbers)]
    asked: dict[str, Any] = {"quality": "full", "width": size[1], "height": size[0]} | settings
    with open_engine(style, **asked) as engine:
        cartoons = [engine(each) for each in clip]
        reused = engine.reused
    assert reused == (0 if settings.get("strength") == 0 else 6)
    with open_engine(style, **asked) as engine:
        for source, cartoon in zip(clip, cartoons, strict=True):
            # Another picture between: nothing to reuse.
            engine(picture(20, *size))
            expected = engine(source)
            assert same(cartoon, expected)
            assert (cartoon.pts, cartoon.time_base, cartoon.duration, cartoon.color) == (
                source.pts,
                source.time_base,
                source.duration,
                source.color,
            )
        assert engine.reused == 0


def test_time_is_the_new_pictures(engine: Engine) -> None:
    first = engine(picture(0, pts=3))
    second = engine(dataclasses.replace(picture(0), pts=9, duration=4, time_base=Fraction(1, 90000)))
    assert engine.reused == 1
    assert (first.pts, second.pts, second.duration, second.time_base) == (3, 9, 4, Fraction(1, 90000))
    assert same(first, second)


@pytest.mark.parametrize("plane", ["y", "u", "v"])
@pytest.mark.parametrize("at", [(0, 0), (-1, -1), (1, 5)])
def test_one_sample_makes_another_picture(engine: Engine, plane: str, at: tuple[int, int]) -> None:
    engine(picture(0))
    other = picture(0)
    getattr(other, plane)[at] ^= 1
    engine(other)
    assert engine.reused == 0


def test_another_size_or_color_makes_another_picture(engine: Engine) -> None:
    grey = np.full((48, 64), 90, np.uint8)
    plain = Frame(grey, grey[::2, ::2], grey[::2, ::2], 0, Fraction(1, 25))
    low = dataclasses.replace(plain, y=grey[:32], u=grey[:16, :32], v=grey[:16, :32])
    full_range = dataclasses.replace(plain, color=ColorInfo(full_range=True))
    for other in (low, plain, full_range, plain):
        assert engine(other).y.shape == other.y.shape
    assert engine.reused == 0
    engine(plain)
    assert engine.reused == 1


def test_an_array_that_is_filled_again_counts_as_changed(engine: Engine) -> None:
    """As a camera's: the same buffers, other pictures."""
    buffer, others = picture(0), [picture(1), picture(2)]
    engine(buffer)
    for other in others:
        for plane in "yuv":
            getattr(buffer, plane)[:] = getattr(other, plane)
        cartoon = engine(buffer)
        assert engine.reused == 0
        with open_engine(engine._style, quality="full", width=64, height=48) as fresh:
            assert same(cartoon, fresh(other))


def test_a_clip_drawn_by_several_threads_is_the_clip_drawn_by_one(style: Style) -> None:
    clip = [picture(number, pts=pts) for pts, number in enumerate([0, 1, 1, 2, 3, 3, 3, 4, 5, 0, 0, 6])]
    asked: dict[str, Any] = {"quality": "full", "width": 64, "height": 48, "backend": "openvino"}
    with open_engine(style, **asked) as engine:
        assert engine.concurrency == 1
        expected = [engine(each) for each in clip]
    with open_engine(style, throughput=True, **asked) as engine, ThreadPoolExecutor(4) as threads:
        assert engine.concurrency == min(4, cores())
        pending = [engine.submit(each) for each in clip]
        assert engine.reused == 4
        # The last first: a frame that equals an earlier one must not wait for that one to be computed.
        for _ in threads.map(PendingFrame.compute, reversed(pending)):
            pass
        drawn = [each.result() for each in pending]
    for one, other, source in zip(expected, drawn, clip, strict=True):
        assert same(one, other)
        assert other.pts == source.pts


def test_what_is_asked_for_by_many_is_drawn_once() -> None:
    drawn = []
    together = threading.Barrier(4)

    def draw() -> Planes:
        drawn.append(1)
        time.sleep(0.02)
        source = picture(0)
        return source.y, source.u, source.v

    def ask(drawing: PendingDrawing[Planes]) -> Planes:
        together.wait(60)
        return drawing.planes()

    with ThreadPoolExecutor(4) as threads:
        planes = list(threads.map(ask, [PendingDrawing(draw)] * 4))
    assert drawn == [1]
    assert all(each is planes[0] for each in planes)


def test_read_only_planes_are_not_copied() -> None:
    source, last = picture(0), LastFrameCache[Planes]()
    for plane in "yuv":
        getattr(source, plane).flags.writeable = False
    last.remember(source, PendingDrawing(lambda: (source.y, source.u, source.v)))
    assert last._frame is not None
    assert last._frame.y is source.y


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_a_cartoon_cannot_be_painted_over(style: Style, strength: float) -> None:
    with open_engine(style, quality="full", width=64, height=48, strength=strength) as engine:
        first = engine(picture(0))
        kept = [getattr(first, plane).copy() for plane in "yuv"]
        for plane in "yuv":
            with pytest.raises(ValueError, match="read-only"):
                getattr(first, plane)[:] = 0
        for number in (1, 2):
            engine(picture(number))
        for plane, before in zip("yuv", kept, strict=True):
            assert np.array_equal(getattr(first, plane), before)


def test_photographs_between_do_not_disturb(engine: Engine) -> None:
    first = engine(picture(0))
    engine.rgb(np.asarray(data.coffee()[:48, :64]))
    second = engine(picture(0))
    assert engine.reused == 1
    assert same(first, second)


def test_a_closed_engine_draws_nothing_again(style: Style) -> None:
    with open_engine(style, quality="full", width=64, height=48) as engine:
        engine(picture(0))
    with pytest.raises(ValueError, match="the engine is closed"):
        engine(picture(0))
