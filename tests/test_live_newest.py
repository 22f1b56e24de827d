"""Live runs of the pipeline: the newest picture wins, and nothing else is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from engines.picture import Picture
from streamtoon.pipeline import Progress, run


def _picture(number: int) -> Picture:
    y, u, v = (np.full(shape, number % 256, np.uint8) for shape in ((4, 6), (2, 3), (2, 3)))
    return Picture(y, u, v, pts=number, time_base=Fraction(1, 1000))


def _jobs(work: Callable[[Picture], Picture]) -> Callable[[Picture], Callable[[], Picture]]:
    return lambda picture: partial(work, picture)


def test_a_slow_engine_gets_the_newest_picture_and_never_an_old_one() -> None:
    given: list[int] = []
    begun: list[tuple[int, int]] = []

    def source() -> Iterator[Picture]:
        for number in range(200):
            given.append(number)
            yield _picture(number)
            time.sleep(0.001)

    def work(picture: Picture) -> Picture:
        time.sleep(0.02)
        return picture

    def start(picture: Picture) -> Callable[[], Picture]:
        begun.append((picture.pts, given[-1]))
        return partial(work, picture)

    written: list[Picture] = []
    reads: list[Progress] = []
    outcome = run(source(), start, written.append, newest=True, on_progress=reads.append, interval=0.01)
    assert outcome.frames_in == 200
    assert outcome.dropped == 200 - len(written) > 100
    assert reads[-1].dropped == outcome.dropped
    assert [picture.pts for picture in written] == sorted(picture.pts for picture in written)
    assert written[-1].pts == 199  # what is newest at the end is shown
    # One may be on its way into the queue while the one before is taken.
    assert all(newest - taken <= 1 for taken, newest in begun)


def test_a_slow_writer_holds_the_engine_back_instead_of_what_is_drawn() -> None:
    drawn: list[int] = []
    waits: list[float] = []

    def source() -> Iterator[Picture]:
        for number in range(150):
            yield _picture(number)
            time.sleep(0.002)

    def work(picture: Picture) -> Picture:
        drawn.append(picture.pts)
        waits.append(time.monotonic())
        return picture

    ages: list[float] = []

    def write(picture: Picture) -> None:
        ages.append(time.monotonic() - waits[drawn.index(picture.pts)])
        time.sleep(0.02)

    outcome = run(source(), _jobs(work), write, newest=True)
    # Nothing that was drawn is thrown away, and nothing drawn waits for more than one other.
    assert outcome.frames_out == len(drawn) < 100
    assert sorted(ages)[len(ages) // 2] < 0.035


def test_what_is_no_picture_is_never_dropped_and_keeps_its_order() -> None:
    def source() -> Iterator[object]:
        for number in range(300):
            yield SimpleNamespace(number=number) if number % 3 else _picture(number)
            time.sleep(0.0005)

    def work(picture: Picture) -> Picture:
        time.sleep(0.01)
        return picture

    written: list[object] = []
    outcome = run(source(), _jobs(work), written.append, newest=True)  # type: ignore[arg-type]
    assert outcome.dropped > 0
    packets = [item.number for item in written if isinstance(item, SimpleNamespace)]
    assert packets == [number for number in range(300) if number % 3]


def test_no_run_but_a_live_one_drops_anything() -> None:
    outcome = run(map(_picture, range(50)), _jobs(lambda picture: picture), lambda item: None)
    assert (outcome.frames_out, outcome.dropped) == (50, 0)


@pytest.mark.parametrize("stage", ["source", "engine", "writer"])
def test_an_error_ends_a_live_run_and_wakes_a_source_that_waits(stage: str) -> None:
    stopped = threading.Event()

    def fail(where: str, number: int) -> None:
        if where == stage and number == 5:
            raise OSError(where)

    def source() -> Iterator[Picture]:
        for number in range(10_000):
            fail("source", number)
            yield _picture(number)
            if stopped.wait(0.001 if number < 5 or stage == "source" else 60):
                return

    def work(picture: Picture) -> Picture:
        fail("engine", picture.pts)
        return picture

    with pytest.raises(OSError, match=stage):
        run(
            source(),
            _jobs(work),
            lambda picture: fail("writer", picture.pts),
            newest=True,
            unblock=stopped.set,
        )
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("streamtoon-")]
