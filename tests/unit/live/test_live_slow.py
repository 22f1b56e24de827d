"""When a style counts as too slow to be live."""

from __future__ import annotations

from fractions import Fraction

import pytest

from streamtoon.live.too_slow import AFTER_S, MIN_FPS, SlowWatch, advice


def _news(
    watch: SlowWatch, style: str, fps: float, *, dropped: bool, seconds: float, begin: float
) -> list[float]:
    """Seconds after `begin` at which it is said, of so many in which it is asked ten times a second."""
    times = [begin + n / 10 for n in range(round(10 * seconds))]
    return [now - begin for now in times if watch.is_news(style, fps, round(10 * now) if dropped else 0, now)]


def test_it_is_said_once_for_each_style_after_some_seconds() -> None:
    watch = SlowWatch(Fraction(30))
    assert _news(watch, "a", MIN_FPS, dropped=True, seconds=60, begin=0) == []
    (at,) = _news(watch, "a", MIN_FPS - 0.1, dropped=True, seconds=60, begin=60)
    assert AFTER_S - 0.11 < at < AFTER_S + 0.3
    assert _news(watch, "b", 25, dropped=True, seconds=60, begin=120) == []
    assert _news(watch, "a", 1, dropped=True, seconds=60, begin=180) == []
    assert len(_news(watch, "b", 1, dropped=True, seconds=60, begin=240)) == 1


def test_a_camera_that_gives_few_frames_is_no_slow_style() -> None:
    assert _news(SlowWatch(Fraction(30)), "a", 3, dropped=False, seconds=60, begin=0) == []
    watch = SlowWatch(Fraction(10))  # of which eight a second are not far off
    assert _news(watch, "a", 8, dropped=True, seconds=60, begin=0) == []
    assert len(_news(watch, "a", 7, dropped=True, seconds=60, begin=60)) == 1
    assert len(_news(SlowWatch(None), "a", 11, dropped=True, seconds=60, begin=0)) == 1


def test_a_break_restarts_the_wait() -> None:
    watch = SlowWatch(Fraction(30))
    for begin in range(0, 100, 5):
        assert _news(watch, "a", 3, dropped=True, seconds=AFTER_S - 1, begin=begin) == []
        watch.pause()


@pytest.mark.parametrize(
    ("quality", "has_lite", "word"),
    [
        ("full", True, "--quality lite"),
        ("fast", True, "--quality lite"),
        ("full", False, "--quality fast"),
        ("custom", False, "--quality fast"),
        ("fast", False, "--size"),
        ("lite", True, "--size"),
    ],
)
def test_the_way_out_is_one_that_is_left(quality: str, has_lite: bool, word: str) -> None:
    assert word in advice(quality, has_lite=has_lite)
