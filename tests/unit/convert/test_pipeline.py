from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from renderers import FunctionRenderer

from engines.frame import Frame
from streamtoon.media.side_by_side import side_by_side, side_by_side_size
from streamtoon.pipeline.run import QUEUE_ITEMS, STAGES, Progress, run


def _picture(number: int, width: int = 6, height: int = 4) -> Frame:
    dice = np.random.default_rng(number)
    chroma = ((height + 1) // 2, (width + 1) // 2)
    y, u, v = (dice.integers(0, 256, shape, np.uint8) for shape in ((height, width), chroma, chroma))
    return Frame(y, u, v, pts=number, time_base=Fraction(1, 25))


def _jobs(work: Callable[[Frame], Frame]) -> FunctionRenderer:
    return FunctionRenderer(lambda picture: partial(work, picture))


_same = _jobs(lambda picture: picture)
PATIENCE = 60
"""Seconds after which something hangs, on the busiest machine."""


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("streamtoon")]


def test_every_item_arrives_once_and_in_order() -> None:
    # Every third item stands for a packet: whatever is no Picture goes past the engine untouched.
    items = [SimpleNamespace(number=n) if n % 3 == 2 else _picture(n) for n in range(200)]
    seen: list[int] = []
    written: list[object] = []

    def work(picture: Frame) -> Frame:
        seen.append(picture.pts)
        time.sleep(0.001 * (picture.pts % 5 == 0))
        return picture

    outcome = run(items, _jobs(work), written.append)
    assert written == items
    assert seen == [n for n in range(200) if n % 3 != 2]
    assert outcome.frames_in == outcome.frames_out == len(seen)
    assert not _threads()


def test_several_at_a_time_stay_in_order() -> None:
    items = [SimpleNamespace(number=n) if n % 7 == 3 else _picture(n) for n in range(60)]
    started: list[int] = []
    written: list[object] = []
    together = threading.Barrier(3)

    def start(picture: Frame) -> Callable[[], Frame]:
        started.append(picture.pts)
        return partial(work, picture)

    def work(picture: Frame) -> Frame:
        if picture.pts < 3:
            together.wait(PATIENCE)  # broken, and raised, unless three are drawn at the same time
        time.sleep(0.002 * (picture.pts % 3 == 0))  # so that some overtake others
        return picture

    outcome = run(items, FunctionRenderer(start, 3), written.append)
    assert written == items
    assert started == sorted(started)
    assert outcome.frames_out == len(started)
    assert not _threads()


def test_an_empty_source_is_an_empty_run() -> None:
    outcome = run([], _same, lambda item: None)
    assert (outcome.frames_in, outcome.frames_out) == (0, 0)
    assert outcome.stages["run"].mean_ms == 0


def test_the_decoder_runs_only_so_far_ahead() -> None:
    given = 0
    furthest = 0

    def source() -> Iterator[Frame]:
        nonlocal given
        for number in range(60):
            given += 1
            yield _picture(number)

    def write(item: object) -> None:
        nonlocal furthest
        time.sleep(0.002)
        furthest = max(furthest, given - item.pts)  # type: ignore[attr-defined]

    run(source(), _same, write)
    # Two full queues, one item in the hands of each stage, and the one about to be put.
    assert furthest <= 2 * QUEUE_ITEMS + 4


class _SomeError(Exception):
    pass


@pytest.mark.parametrize("stage", STAGES)
def test_an_error_stops_all_and_arrives_as_itself(stage: str) -> None:
    error = _SomeError(stage)

    def check(wanted: str, number: int) -> None:
        if stage == wanted and number == 20:
            raise error

    def source() -> Iterator[Frame]:
        for number in range(10_000):
            check("decode", number)
            yield _picture(number)

    def work(picture: Frame) -> Frame:
        check("run", picture.pts)
        return picture

    def write(item: object) -> None:
        check("encode", item.pts)  # type: ignore[attr-defined]
        time.sleep(0.001)

    with pytest.raises(_SomeError) as caught:
        run(source(), _jobs(work), write)
    assert caught.value is error
    assert not _threads()


def test_an_error_in_the_callback_stops_all() -> None:
    def on_progress(progress: Progress) -> None:
        raise _SomeError

    endless = (_picture(number) for number in range(10**9))
    with pytest.raises(_SomeError):
        run(endless, _same, lambda item: time.sleep(0.001), on_progress=on_progress, interval=0.02)
    assert not _threads()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="POSIX signals")
def test_ctrl_c_stops_all_promptly() -> None:
    main = threading.main_thread().ident
    assert main

    def write(item: Frame) -> None:
        if item.pts == 50:
            signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.001)

    endless = (_picture(number) for number in range(10**9))
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(endless, _same, write)
    assert time.monotonic() - began < PATIENCE
    assert not _threads()


def test_a_waiting_source_is_unblocked() -> None:
    free = threading.Event()

    def source() -> Iterator[Frame]:
        yield _picture(0)
        free.wait()

    def work(picture: Frame) -> Frame:
        raise _SomeError

    with pytest.raises(_SomeError):
        run(source(), _jobs(work), lambda item: None, unblock=free.set)
    assert not _threads()


def test_times_are_of_work_and_not_of_waiting() -> None:
    slept: list[float] = []

    def work(picture: Frame) -> Frame:
        began = time.perf_counter()
        time.sleep(0.020 if picture.pts < 18 else 0.120)
        slept.append(1000 * (time.perf_counter() - began))
        return picture

    began = time.perf_counter()
    outcome = run([_picture(number) for number in range(20)], _jobs(work), lambda item: None)
    took = 1000 * (time.perf_counter() - began)
    spent = outcome.stages["run"]
    # (18 x 20 + 2 x 120) / 20 = 30, and more where others take the cores.
    assert 30 <= sum(slept) / 20 <= spent.mean_ms + 0.001 <= took / 20
    assert sorted(slept)[18] * 0.98 <= spent.p95_ms <= took
    # Of the run's time they waited for most.
    assert outcome.stages["decode"].mean_ms < took / 20 / 2
    assert outcome.stages["encode"].mean_ms < took / 20 / 2


def _told(pictures: int, calls: int) -> list[Progress]:
    """What a run tells whose pictures take as long as so many calls for progress each."""
    told: list[Progress] = []
    called = threading.Semaphore(0)

    def tell(progress: Progress) -> None:
        told.append(progress)
        called.release()

    def write(item: object) -> None:
        enough = len(told) + calls
        while len(told) < enough:
            assert called.acquire(timeout=PATIENCE), "progress is not told"

    items = [_picture(number) for number in range(pictures)]
    run(items, _same, write, total=pictures, on_progress=tell, interval=0.002)
    return told


def test_progress_counts_up_to_the_end() -> None:
    told = _told(pictures=40, calls=2)
    counts = [progress.frames for progress in told]
    assert counts == sorted(counts)
    assert counts[-1] == 40
    assert told[-1].remaining == 0
    assert set(told[-1].stages) == set(STAGES)
    marks = [(0.0, 0)]  # seconds and pictures of each call that found more of them
    for progress in told:
        since, before = marks[-20:][0]
        assert progress.fps == pytest.approx((progress.frames - before) / (progress.seconds - since))
        if progress.frames > marks[-1][1]:
            marks.append((progress.seconds, progress.frames))
    assert len(marks) > 20


def test_slow_pictures_have_a_rate_and_an_end_too() -> None:
    told = _told(pictures=4, calls=30)
    calls = Counter(progress.frames for progress in told)
    assert all(calls[frames] > 20 for frames in range(4)), "too few calls to fill the meter's memory"
    begun = [progress for progress in told if progress.frames]
    for progress in begun:
        rate = progress.frames / progress.seconds
        assert progress.fps == pytest.approx(rate)
        assert progress.remaining == pytest.approx((4 - progress.frames) / rate)


@pytest.mark.parametrize(("width", "height"), [(6, 4), (7, 4), (7, 5), (1, 1)])
def test_side_by_side_keeps_both_halves_exactly(width: int, height: int) -> None:
    left, right = _picture(1, width, height), _picture(2, width, height)
    joined = side_by_side(left, right)
    assert (joined.width, joined.height) == side_by_side_size(width, height)
    assert joined.pts == left.pts
    begin = width + width % 2
    chroma = (width + 1) // 2
    np.testing.assert_array_equal(joined.y[:, :width], left.y)
    np.testing.assert_array_equal(joined.y[:, begin:], right.y)
    for plane in ("u", "v"):
        np.testing.assert_array_equal(getattr(joined, plane)[:, :chroma], getattr(left, plane))
        np.testing.assert_array_equal(getattr(joined, plane)[:, chroma:], getattr(right, plane))


@pytest.mark.parametrize(("width", "height"), [(6, 4), (7, 5)])
def test_the_second_picture_may_lie_on_any_side(width: int, height: int) -> None:
    first, second = _picture(1, width, height), _picture(2, width, height)
    for side in ("left", "above", "below"):
        joined = side_by_side(first, second, side)
        assert (joined.width, joined.height) == side_by_side_size(width, height, side)
        assert joined.pts == first.pts
        for plane in ("y", "u", "v"):
            whole, one, two = (getattr(picture, plane) for picture in (joined, first, second))
            rows, columns = one.shape
            before, after = (one, two) if side == "below" else (two, one)
            np.testing.assert_array_equal(whole[:rows, :columns], before)
            np.testing.assert_array_equal(whole[-rows:, -columns:], after)


def test_side_by_side_refuses_unequal_sizes() -> None:
    with pytest.raises(ValueError, match="6x4 and 8x4"):
        side_by_side(_picture(1, 6), _picture(2, 8))
