from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.picture import Colour, Picture
from engines.stabilize import LONGEST, Stabilizer

HEIGHT, WIDTH = 48, 64
Plane = NDArray[np.uint8]


def _picture(y: Plane, number: int = 0, chroma: int = 128) -> Picture:
    rows, columns = (y.shape[0] + 1) // 2, (y.shape[1] + 1) // 2
    u, v = (np.full((rows, columns), chroma, np.uint8) for _ in "uv")
    return Picture(y, u, v, number, Fraction(1, 25))


def _plain(level: int) -> Plane:
    return np.full((HEIGHT, WIDTH), level, np.uint8)


def _noise(seed: int, level: int = 120, deviation: float = 10) -> Plane:
    dice = np.random.default_rng(seed)
    return np.clip(dice.normal(level, deviation, (HEIGHT, WIDTH)), 0, 255).round().astype(np.uint8)


def test_amount_0_gives_the_very_same_picture() -> None:
    steady, cartoon = Stabilizer(0), _picture(_noise(1))
    for number in range(3):
        assert steady(_picture(_plain(90), number), cartoon) is cartoon


@pytest.mark.parametrize("amount", [0.3, 1.0])
def test_where_the_source_stands_still_it_is_the_exponential_average(amount: float) -> None:
    steady, weight = Stabilizer(amount), LONGEST * amount
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


def test_a_cut_begins_anew_even_where_the_scenes_are_alike() -> None:
    steady = Stabilizer(1)
    a, b = _plain(60), _plain(180)
    b[:, :3] = 60  # a strip that both scenes share, where nothing seems to have changed
    for number in range(10):
        steady(_picture(a, number), _picture(_noise(number, 90)))
    cartoon = _picture(_noise(99, 150), 10)
    assert (steady(_picture(b, 10), cartoon).y == cartoon.y).all()


def test_another_size_begins_anew() -> None:
    steady = Stabilizer(1)
    steady(_picture(_plain(60)), _picture(_plain(60)))
    other = _picture(np.full((30, 41), 60, np.uint8))
    cartoon = _picture(np.full((30, 41), 77, np.uint8), 1)
    assert (steady(other, cartoon).y == 77).all()
    assert steady(other, _picture(np.full((30, 41), 97, np.uint8), 2)).y.max() < 97


def test_another_colour_begins_anew() -> None:
    steady, source = Stabilizer(1), _picture(_plain(60))
    steady(source, _picture(_plain(60)))
    cartoon = replace(_picture(_plain(200), 1), colour=Colour("bt601", full_range=True))
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


def test_its_state_goes_on_exactly_where_it_was() -> None:
    whole, first = Stabilizer(0.7), Stabilizer(0.7)
    pictures = [(_picture(_noise(n, 100, 2), n), _picture(_noise(50 + n), n)) for n in range(9)]
    expected = [whole(*pair) for pair in pictures]
    for pair in pictures[:4]:
        first(*pair)
    second = Stabilizer(0.7)
    second.restore(first.state())
    for pair, wanted in zip(pictures[4:], expected[4:], strict=True):
        given = second(*pair)
        assert all((getattr(given, plane) == getattr(wanted, plane)).all() for plane in "yuv")


def test_a_state_of_nothing_is_a_beginning() -> None:
    steady = Stabilizer(1)
    steady.restore(Stabilizer(1).state())
    cartoon = _picture(_noise(1))
    assert (steady(_picture(_plain(60)), cartoon).y == cartoon.y).all()


def test_a_damaged_state_is_refused_and_changes_nothing() -> None:
    first = Stabilizer(0.7)
    first(_picture(_noise(0)), _picture(_noise(1)))
    whole = first.state()
    plain = io.BytesIO()
    np.save(plain, np.zeros(3))
    other = io.BytesIO()
    np.savez(other, np.array(["bt709", "0", "1", "1"]), np.zeros((2, 2), np.float32))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    cut = [whole[: len(whole) * n // 7] for n in range(7)]
    steady = Stabilizer(0.7)
    steady.restore(whole)
    for state in (*cut, b"nonsense", bytes(100), bytes(flipped), plain.getvalue(), other.getvalue()):
        with pytest.raises(ValueError, match="no state of a Stabilizer"):
            steady.restore(state)
    pair = _picture(_noise(2), 1), _picture(_noise(3), 1)
    assert (steady(*pair).y == first(*pair).y).all()


@pytest.mark.parametrize("amount", [-0.1, 1.1])
def test_amounts_out_of_range_are_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        Stabilizer(amount)
