from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.frame import ColorInfo, Frame
from engines.imaging.field_blocks import FieldPlanes
from engines.imaging.temporal_filter import INK_MARGIN, MAX_PAST_WEIGHT, PAINT_MARGIN, Stabilizer

HEIGHT, WIDTH = 48, 64
Plane = NDArray[np.uint8]


def _picture(y: Plane, number: int = 0, chroma: int = 128) -> Frame:
    rows, columns = (y.shape[0] + 1) // 2, (y.shape[1] + 1) // 2
    u, v = (np.full((rows, columns), chroma, np.uint8) for _ in "uv")
    return Frame(y, u, v, number, Fraction(1, 25))


def _plain(level: int) -> Plane:
    return np.full((HEIGHT, WIDTH), level, np.uint8)


def _noise(seed: int, level: int = 120, deviation: float = 10) -> Plane:
    dice = np.random.default_rng(seed)
    return np.clip(dice.normal(level, deviation, (HEIGHT, WIDTH)), 0, 255).round().astype(np.uint8)


def _fields(seed: int, deviation: float = 10, *, height: int = HEIGHT, width: int = WIDTH) -> FieldPlanes:
    dice = np.random.default_rng(seed)
    sizes = (height, width), (height // 2, width // 2), (height // 2, width // 2), (height, width)
    return FieldPlanes(
        *(np.clip(dice.normal(120, deviation, size), 0, 255).round().astype(np.uint8) for size in sizes)
    )


def _four(fields: FieldPlanes) -> tuple[Plane, ...]:
    return fields.y, fields.u, fields.v, fields.ink


def test_amount_0_gives_the_very_same_picture() -> None:
    steady, cartoon = Stabilizer(0), _picture(_noise(1))
    for number in range(3):
        assert steady(_picture(_plain(90), number), cartoon) is cartoon


@pytest.mark.parametrize("amount", [0.3, 1.0])
def test_where_the_source_stands_still_it_is_the_exponential_average(amount: float) -> None:
    steady, weight = Stabilizer(amount), MAX_PAST_WEIGHT * amount
    source = _picture(_plain(90))
    expected: NDArray[np.float64] | None = None
    for number in range(12):
        new = _noise(number)
        expected = new.astype(float) if expected is None else weight * expected + (1 - weight) * new
        given = steady(source, _picture(new, number, chroma=100 + number))
        assert given.pts == number
        assert np.abs(given.y - expected).max() <= 0.5 + 1e-3
    assert expected is not None
    assert 100 < given.u[0, 0] <= 111
    assert (given.u == given.v).all()


def test_what_moves_is_shown_as_it_is_and_leaves_no_trail() -> None:
    steady = Stabilizer(1)
    for number in range(20):
        y = _plain(60)
        y[10:30, 2 * number : 2 * number + 12] = 200
        cartoon = replace(_picture(y, number), u=np.full((HEIGHT // 2, WIDTH // 2), 90, np.uint8))
        given = steady(_picture(y, number), cartoon)
        assert np.abs(given.y.astype(int) - y).max() <= 1
        assert (given.u == 90).all()


def test_a_light_that_slowly_changes_is_not_left_behind() -> None:
    steady = Stabilizer(1)
    for number in range(100):
        level = 60 + number
        given = steady(_picture(_plain(level), number), _picture(_plain(level), number))
        assert abs(int(given.y[0, 0]) - level) <= 8


def test_a_cut_restarts_the_filter_even_between_similar_scenes() -> None:
    steady = Stabilizer(1)
    a, b = _plain(60), _plain(180)
    b[:, :3] = 60  # a strip that both scenes share, where nothing seems to have changed
    for number in range(10):
        steady(_picture(a, number), _picture(_noise(number, 90)))
    cartoon = _picture(_noise(99, 150), 10)
    assert (steady(_picture(b, 10), cartoon).y == cartoon.y).all()


def test_another_size_restarts_the_filter() -> None:
    steady = Stabilizer(1)
    steady(_picture(_plain(60)), _picture(_plain(60)))
    other = _picture(np.full((30, 41), 60, np.uint8))
    cartoon = _picture(np.full((30, 41), 77, np.uint8), 1)
    assert (steady(other, cartoon).y == 77).all()
    assert steady(other, _picture(np.full((30, 41), 97, np.uint8), 2)).y.max() < 97


def test_another_color_restarts_the_filter() -> None:
    steady, source = Stabilizer(1), _picture(_plain(60))
    steady(source, _picture(_plain(60)))
    cartoon = replace(_picture(_plain(200), 1), color=ColorInfo("bt601", full_range=True))
    assert (steady(source, cartoon).y == 200).all()


def test_reset_forgets() -> None:
    steady, source = Stabilizer(1), _picture(_plain(60))
    steady(source, _picture(_plain(100)))
    steady.reset()
    assert (steady(source, _picture(_plain(200))).y == 200).all()


def test_the_source_itself_stays_as_it_is() -> None:
    # What strength 0 gives.
    steady = Stabilizer(1)
    for number in range(5):
        source = _picture(_noise(number, 120, 1), number)
        assert steady(source, source) is source


@pytest.mark.parametrize("amount", [0.3, 1.0])
def test_fields_stay_until_they_leave_their_margin(amount: float) -> None:
    steady = Stabilizer(amount)
    margins = [round(amount * most) for most in (PAINT_MARGIN, PAINT_MARGIN, PAINT_MARGIN, INK_MARGIN)]
    # The play operator as its definition says, sample by sample.
    expected = [plane.astype(int).ravel().tolist() for plane in _four(_fields(0))]
    for number in range(12):
        new = _fields(number)
        given = steady.hold(_plain(90), new, ColorInfo())
        for past, plane, margin in zip(expected, _four(new), margins, strict=True):
            for at, code in enumerate(plane.ravel().tolist()):
                past[at] = max(min(past[at], min(code + margin, 255)), max(code - margin, 0))
        for past, plane in zip(expected, _four(given), strict=True):
            assert plane.ravel().tolist() == past


def test_noise_below_the_margin_changes_nothing_in_fields() -> None:
    steady = Stabilizer(0.3)  # 3 and 9 code values
    first = steady.hold(_plain(90), _fields(0, deviation=0), ColorInfo())
    kept = [plane.copy() for plane in _four(first)]
    for number in range(1, 10):
        new = _fields(number, deviation=0.6)
        assert any((plane != past).any() for plane, past in zip(_four(new), kept, strict=True))
        given = steady.hold(_noise(number, 90, 1), new, ColorInfo())
        assert all((plane == past).all() for plane, past in zip(_four(given), kept, strict=True))


def test_fields_of_what_moves_leave_no_trail() -> None:
    steady = Stabilizer(1)
    for number in range(20):
        y = _plain(60)
        y[10:30, 2 * number : 2 * number + 12] = 200
        ink = np.where(y > 100, 200, 50).astype(np.uint8)
        new = FieldPlanes(y, np.ascontiguousarray(y[::2, ::2]), np.ascontiguousarray(y[1::2, 1::2]), ink)
        given = steady.hold(y, new, ColorInfo())
        assert all((plane == wanted).all() for plane, wanted in zip(_four(given), _four(new), strict=True))


def test_fields_never_leave_their_margin_in_a_light_that_changes() -> None:
    steady = Stabilizer(1)
    for number in range(100):
        new = FieldPlanes(*(np.full_like(plane, 60 + number) for plane in _four(_fields(0))))
        given = steady.hold(_plain(60 + number), new, ColorInfo())
        assert 60 + number - given.y.min() <= PAINT_MARGIN
        assert 60 + number - given.ink.min() <= INK_MARGIN


def test_a_cut_another_size_or_another_color_restarts_fields() -> None:
    steady = Stabilizer(1)
    other_color = ColorInfo("bt601", full_range=True)
    steps = [
        (_plain(60), ColorInfo(), _fields(0)),
        (_plain(180), ColorInfo(), _fields(1)),
        (_plain(180), other_color, _fields(2)),
        (_plain(180)[:32], other_color, _fields(3, height=32)),
    ]
    for luma, color, new in steps:
        given = steady.hold(luma, new, color)
        assert all((plane == wanted).all() for plane, wanted in zip(_four(given), _four(new), strict=True))
    given = steady.hold(_plain(180)[:32], _fields(4, height=32), other_color)
    assert (given.y != _fields(4, height=32).y).any()


def test_fields_that_were_given_stay_as_they_are() -> None:
    steady = Stabilizer(1)
    clip, same = [_fields(number) for number in range(4)], [_fields(number) for number in range(4)]
    for each in clip:
        steady.hold(_plain(90), each, ColorInfo())
    for one, two in zip(clip, same, strict=True):
        assert all((a == b).all() for a, b in zip(_four(one), _four(two), strict=True))


@pytest.mark.parametrize("amount", [-0.1, 1.1])
def test_amounts_out_of_range_are_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        Stabilizer(amount)
