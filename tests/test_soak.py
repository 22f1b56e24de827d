"""The soak's judgement: what grows is seen, what only comes and goes is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from soak import NOISE, Look, complaints, slope

ENDS = {"video": 3600.0, "audio": 3599.99}
FLAT = [Look(n, 200 + 3 * (n % 2), 12 + n % 2, 20 + n % 3, joining=n >= 100) for n in range(105)]


def _said(looks: list[Look], hours: float = 1.0, after: dict[str, float] = ENDS) -> str:
    return "; ".join(complaints(looks, hours, ENDS, after, frame=0.04))


def _with(name: str, by: float) -> list[Look]:
    """FLAT with a value that grows by so much over the whole drawing."""
    added = [type(getattr(each, name))(by * each.seconds / 100) for each in FLAT]
    return [
        replace(each, **{name: getattr(each, name) + more}) for each, more in zip(FLAT, added, strict=True)
    ]


def test_the_slope_is_of_video_time() -> None:
    line = [Look(10 + n, 100 + 3 * n, 0, 0, joining=False) for n in range(11)]
    assert slope(line, 2.0) == pytest.approx(15)


def test_what_comes_and_goes_is_no_growth() -> None:
    assert _said(FLAT) == ""
    assert _said(_with("megabytes", 5.0)) == ""


def test_every_bound_is_held_to() -> None:
    assert "memory grows by 19.8 MB" in _said(_with("megabytes", 20.0))
    assert "files grow from" in _said(_with("files", 5.0))
    assert "threads grow from" in _said(_with("threads", 5.0))
    joining = [replace(each, megabytes=each.megabytes + 100 * each.joining) for each in FLAT]
    assert "joining takes 100 MB more" in _said(joining)
    assert "audio ends at 3599.900 s" in _said(FLAT, after={**ENDS, "audio": 3599.9})
    assert "the result has video" in _said(FLAT, after={"video": 3600.0})


def test_a_short_video_is_not_judged_by_noise() -> None:
    assert _said(_with("megabytes", NOISE / 2), hours=0.01) == ""
    assert "memory grows" in _said(_with("megabytes", 3 * NOISE), hours=0.01)
