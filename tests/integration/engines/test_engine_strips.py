"""Drawing only the strip of a frame that moves: bit for bit what drawing the whole frame gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, cast

import cv2
import numpy as np
import pytest
from fields_styles import LOOK, OTHER_LOOK, save_network
from skimage import data

pytest.importorskip("torch", reason="the extra `torch` is not installed")

from engines_open import open_engine

from engines import strips
from engines.backends.base import Runner
from engines.engine import PendingFrame
from engines.fields_engine import FieldsEngine
from engines.frame import ColorInfo, Frame
from engines.imaging.field_blocks import Blocks
from engines.looks.look import Look
from engines.quantization.nncf_ptq import quantize_style
from engines.registry.style import Style

HEIGHT, WIDTH = 480, 72
"""120 x 18 blocks: the reach of 17 fits four times, and the columns are no multiple of a vector."""
BACKENDS = ("openvino", "onnxruntime")


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    whole = save_network(tmp_path_factory.mktemp("styles") / "shaken", look=LOOK)
    photos = [np.asarray(getattr(data, name)()) for name in ("astronaut", "coffee", "chelsea", "rocket")]
    return dataclasses.replace(quantize_style(whole, photos), working_height=WIDTH)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "OPEN_AFTER", 2)


def opened(style: Style, **settings: Any) -> FieldsEngine:
    asked: dict[str, Any] = {"quality": "full", "width": WIDTH, "height": HEIGHT, "backend": "onnxruntime"}
    asked |= {"precision": "int8", "device": "cpu"} | settings
    engine = open_engine(style, **asked)
    assert isinstance(engine, FieldsEngine)
    return engine


def still(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> tuple[Any, ...]:
    """A photograph with a camera's noise, as three planes."""
    dice = np.random.default_rng(seed)
    photo = cv2.resize(np.asarray(data.astronaut()), (width, height), interpolation=cv2.INTER_AREA)
    y, u, v = (
        np.clip(photo[:, :, at] + dice.normal(0, 4, (height, width)), 0, 255).astype(np.uint8)
        for at in (1, 0, 2)
    )
    return y, *(np.ascontiguousarray(plane[::2, ::2]) for plane in (u, v))


def clip(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Iterator[Frame]:
    """Everything that may move: luma, chroma, at the borders and between, more, less, nothing and all."""
    dice = np.random.default_rng(seed)
    y, u, v = still(height, width)
    last = height - 1
    moves = [
        # at first, so that both strips are opened: rows that fit in half and three quarters of the frame
        *[("yuv", 0, 40)] * 5, *[("yuv", 180, 300)] * 5,
        *[("y", top, top + 24) for top in range(0, height - 24, 60)],
        ("u", 0, 2), ("v", last - 1, last + 1), ("u", 200, 202), ("y", 0, 1), ("y", last, last + 1),
        *[("y", 200 - grown, 230 + grown) for grown in (0, 30, 90, 200, 60, 10)],
        ("", 0, 0), ("yuv", 0, height), ("yuv", 100, 120), ("", 0, 0), ("y", 300, 310),
    ]  # fmt: skip
    for number, (names, first, end) in enumerate(moves):
        y, u, v = (plane.copy() for plane in (y, u, v))
        for plane, name, part in ((y, "y", 1), (u, "u", 2), (v, "v", 2)):
            if name in names:
                at = slice(first // part, -(-end // part))
                columns = slice(number % 7, number % 7 + 9)
                plane[at, columns] = dice.integers(0, 256, plane[at, columns].shape, np.uint8)
        yield Frame(y, u, v, number, Fraction(1, 25), 1, ColorInfo())


def drawn(engine: FieldsEngine, frame: Frame) -> Frame:
    """A cartoon. A runner that is being opened is waited for."""
    cartoon = engine(frame)
    if engine._strips is not None and engine._strips._opener is not None:
        engine._strips._opener.join()
    return cartoon


def whole(engine: FieldsEngine, frame: Frame) -> Frame:
    """A cartoon that knows of no other frame."""
    engine._last.forget()
    return engine(frame)


def same(left: Frame, right: Frame) -> bool:
    return all(np.array_equal(getattr(left, plane), getattr(right, plane)) for plane in "yuv")


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_floats_are_drawn_whole(style: Style, backend: str) -> None:
    """Their sums may depend on the size, though they seldom do."""
    with opened(style, backend=backend, precision="fp32") as engine:
        for frame in list(clip())[:12]:
            drawn(engine, frame)
        assert engine.partly_reused == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_clip_is_drawn_bit_for_bit_as_frame_by_frame(style: Style, backend: str) -> None:
    with opened(style, backend=backend) as engine, opened(style, backend=backend) as plain:
        frames = list(clip())
        for frame in frames:
            assert same(drawn(engine, frame), whole(plain, frame)), frame.pts
        assert engine._strips is not None
        assert sorted(engine._strips._runners) == [60, 90]
        assert engine.reused == 2
        assert engine.partly_reused >= 15
        assert plain.partly_reused == plain.reused == 0


def test_frames_with_more_local_contrast_are_drawn_whole(style: Style) -> None:
    """A change in one row changes the tone curves of others."""
    with opened(style, clarity=0.7) as engine, opened(style, clarity=0.7) as plain:
        for frame in list(clip())[:14]:
            assert same(drawn(engine, frame), whole(plain, frame)), frame.pts
        assert engine.partly_reused == 0


class _Seen:
    """A runner that writes down the shapes that it is given."""

    def __init__(self, runner: Runner, shapes: list[tuple[int, ...]]) -> None:
        self._runner, self._shapes = runner, shapes

    def __call__(self, blocks: Blocks) -> Blocks:
        self._shapes.append(blocks.shape)
        return self._runner(blocks)


def test_only_the_strip_is_given_to_the_network(style: Style) -> None:
    with opened(style) as engine:
        given: list[tuple[int, ...]] = []
        for frame in clip():
            drawn(engine, frame)
            if frame.pts == 4:
                break
        assert engine._strips is not None
        (height,) = engine._strips._runners
        strip = engine._strips._runners[height]
        seen = cast(Runner, _Seen(strip, given))
        engine._strips._runners[height] = seen
        engine._runners.clear()
        engine._open_at = lambda *size: pytest.fail(f"opened {size}")
        for frame in clip(seed=1):
            frame.y[40:] = still()[0][40:]
            drawn(engine, frame)
            if frame.pts == 2:
                break
        engine._strips._runners[height] = strip
    assert height == 60
    assert given == [(60, WIDTH // 4, 24)] * 3


@pytest.mark.parametrize("stabilize", [0.0, 0.6])
def test_looks_and_strengths_that_change_keep_the_fields(style: Style, stabilize: float) -> None:
    other = Look(**OTHER_LOOK)  # type: ignore[arg-type]
    with opened(style, stabilize=stabilize) as engine, opened(style, stabilize=stabilize) as plain:
        own = engine.look
        for frame in clip():
            for each in (engine, plain):
                each.look = other if frame.pts % 5 == 3 else own
                each.strength = (1, 0.5, 0, 1)[frame.pts % 4]
            assert same(drawn(engine, frame), whole(plain, frame)), frame.pts
        assert engine.partly_reused > 5
        # The same frame in another look needs no network at all.
        engine.strength = plain.strength = 1
        engine._runners.clear()
        engine._open_at = lambda *size: pytest.fail(f"opened {size}")
        engine(dataclasses.replace(frame))
        engine.look = plain.look = other
        assert same(engine(frame), whole(plain, frame))


@pytest.mark.parametrize("height, width, working_height", [(897, 401, 200), (897, 401, 333), (499, 71, 92)])
def test_frames_of_other_sizes_are_drawn_alike(
    style: Style, height: int, width: int, working_height: int
) -> None:
    """Scaled down to blocks, or enlarged before, and not by a whole number."""
    tall = {"width": width, "height": height}
    form = dataclasses.replace(style, working_height=working_height)
    with opened(form, **tall) as engine, opened(form, **tall) as plain:
        for frame in clip(height=height + 1, width=width + 1):
            odd = dataclasses.replace(frame, y=frame.y[:height, :width])
            assert same(drawn(engine, odd), whole(plain, odd)), frame.pts
        assert engine.partly_reused > 5


def test_sizes_and_colors_that_change_are_drawn_whole(style: Style) -> None:
    with opened(style) as engine, opened(style) as plain:
        for frame in clip():
            if frame.pts % 6 == 5:
                frame = dataclasses.replace(frame, color=ColorInfo(full_range=True))
            if frame.pts % 8 == 7:
                frame = dataclasses.replace(frame, y=frame.y[:400], u=frame.u[:200], v=frame.v[:200])
            assert same(drawn(engine, frame), whole(plain, frame)), frame.pts


def test_several_threads_in_any_order_draw_the_same(style: Style) -> None:
    with opened(style, throughput=True) as engine, opened(style) as plain, ThreadPoolExecutor(4) as threads:
        frames = list(clip())
        for frame in frames[:12]:
            drawn(engine, frame)
        engine.stabilizer.reset()  # the other engine has not seen these frames
        pending = [engine.submit(frame) for frame in frames]
        for _ in threads.map(PendingFrame.compute, reversed(pending)):
            pass
        assert engine.partly_reused >= 15
        for frame, each in zip(frames, pending, strict=True):
            assert same(each.result(), whole(plain, frame)), frame.pts


def test_a_runner_that_sums_otherwise_is_not_used(style: Style) -> None:
    """As another size may do in a library; here the strip's runner adds one to a single sample."""
    with opened(style) as engine:
        open_at = engine._open_at

        class Off:
            def __init__(self, height: int, width: int) -> None:
                self.runner = open_at(height, width)
                self.device, self.precision = self.runner.device, self.runner.precision
                self.concurrency = self.runner.concurrency

            def __call__(self, blocks: Any) -> Any:
                out = self.runner(blocks).copy()
                out[len(out) // 2, 0, 0] ^= 1
                return out

            def close(self) -> None:
                self.runner.close()

        engine._open_at = Off  # type: ignore[assignment]
        for frame in clip():
            drawn(engine, frame)
        assert engine._strips is not None
        assert engine._strips._asked == {60, 90}
        assert not engine._strips._runners
        assert engine.partly_reused == 0


def test_an_engine_closes_while_a_strip_is_being_opened(style: Style) -> None:
    engine = opened(style)
    for frame in list(clip())[:4]:
        engine(frame)
    made = engine._strips
    assert made is not None
    assert made._opener is not None
    engine.close()
    assert not made._opener.is_alive()
    assert not made._runners


def test_stills_are_drawn_whole(style: Style) -> None:
    with opened(style) as engine:
        frames = list(clip())
        for frame in frames[:12]:
            drawn(engine, frame)
        before = engine.partly_reused
        fields = engine._fields((frames[11].y, frames[11].u, frames[11].v), frames[11].color)
        assert engine.partly_reused == before
        assert engine._last_fields is not None
        held = engine._last_fields.planes()
        for name in ("y", "u", "v", "ink"):
            assert np.array_equal(getattr(fields, name), getattr(held, name))
