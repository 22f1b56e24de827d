"""Live runs of the pipeline: the newest picture wins, and nothing else is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from renderers import FunctionRenderer

from engines.frame import Frame
from streamtoon.pipeline.run import Progress, run


def _picture(number: int) -> Frame:
    y, u, v = (np.full(shape, number % 256, np.uint8) for shape in ((4, 6), (2, 3), (2, 3)))
    return Frame(y, u, v, pts=number, time_base=Fraction(1, 1000))


def _jobs(work: Callable[[Frame], Frame]) -> FunctionRenderer:
    return FunctionRenderer(lambda picture: partial(work, picture))


PATIENCE = 60
"""Seconds after which something hangs, on the busiest machine."""


def test_a_slow_engine_gets_the_newest_picture_and_never_an_old_one() -> None:
    """Each drawing takes until five more pictures have come."""
    at_work, arrived = threading.Semaphore(0), threading.Semaphore(0)

    def source() -> Iterator[Frame]:
        for number in range(200):
            if number % 5 == 0 and number:  # asked for, so the five before it wait to be taken
                if number > 5:
                    arrived.release()
                assert at_work.acquire(timeout=PATIENCE)
            yield _picture(number)
        arrived.release(200)

    def work(picture: Frame) -> Frame:
        at_work.release()
        assert arrived.acquire(timeout=PATIENCE)
        return picture

    written: list[Frame] = []
    reads: list[Progress] = []
    outcome = run(source(), _jobs(work), written.append, newest=True, on_progress=reads.append, interval=0.01)
    assert outcome.frames_in == 200
    assert outcome.dropped == reads[-1].dropped == 200 - len(written)
    first, *rest = (picture.pts for picture in written)
    assert first < 5
    assert rest == list(range(9, 200, 5)), "the newest each time, and what is newest at the end"


def test_a_slow_writer_holds_the_engine_back_instead_of_what_is_drawn() -> None:
    """Each writing takes until five more pictures have come, or none will."""
    given = threading.Semaphore(0)
    drawn: list[int] = []
    waiting: list[int] = []

    def source() -> Iterator[Frame]:
        for number in range(150):
            yield _picture(number)
            given.release()
        given.release(5 * 150)

    def work(picture: Frame) -> Frame:
        drawn.append(picture.pts)
        return picture

    def write(picture: Frame) -> None:
        waiting.append(len(drawn) - 1 - drawn.index(picture.pts))
        for _ in range(5):
            assert given.acquire(timeout=PATIENCE)

    outcome = run(source(), _jobs(work), write, newest=True)
    # Nothing that was drawn is thrown away, and nothing drawn waits for more than one other.
    assert outcome.frames_out == len(drawn) < 150 / 5 + 4
    assert max(waiting) <= 1


def test_what_is_no_picture_is_never_dropped_and_keeps_its_order() -> None:
    halfway = threading.Event()

    def source() -> Iterator[object]:
        for number in range(300):
            yield SimpleNamespace(number=number) if number % 3 else _picture(number)
            if number == 150:
                halfway.set()

    def work(picture: Frame) -> Frame:
        assert halfway.wait(PATIENCE)
        return picture

    written: list[object] = []
    outcome = run(source(), _jobs(work), written.append, newest=True)
    assert outcome.dropped >= 150 / 3 - 2
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

    def source() -> Iterator[Frame]:
        for number in range(10_000):
            fail("source", number)
            yield _picture(number)
            if stopped.wait(0.001 if number < 5 or stage == "source" else 60):
                return

    def work(picture: Frame) -> Frame:
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
