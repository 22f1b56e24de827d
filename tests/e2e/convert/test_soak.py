"""The soak's judgement: what grows is seen, what only comes and goes is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from soak import NOISE, RATE, Look, complaints, pictures, slope, steady, summary

from streamtoon.media.segments.packet_store import PacketStore, Segment
from streamtoon.media.writer.coded_frame import CodedFrame

ENDS = {"video": 3600.0, "audio": 3599.99}
HOUR = RATE * 3600
BEFORE = [Look(9.0 * n, 9 * (n % 2), n, 0, joining=False) for n in range(20)]
DRAWING = [Look(200 + 3 * (n % 2), 12, 20 + n % 3, (n + 1) * HOUR // 100, joining=False) for n in range(100)]
AFTER = [Look(203, 14, 3, n * HOUR, joining=True) for n in (1, 1, 0)]
FLAT = [*BEFORE, *DRAWING, *AFTER]


def _said(looks: list[Look], after: dict[str, float] = ENDS) -> str:
    return "; ".join(complaints(looks, ENDS, after, frame=0.04))


def _with(name: str, by: float, share: float = 1.0) -> list[Look]:
    """FLAT with a value that grows by so much over the whole drawing, `share` of an hour."""
    return [
        replace(
            each,
            **{name: type(getattr(each, name))(getattr(each, name) + by * each.kept / HOUR)},
            kept=round(each.kept * share),
        )
        for each in FLAT
    ]


def test_the_slope_is_of_video_time() -> None:
    line = [Look(100 + 3 * n, 0, 0, n * 2 * HOUR // 10, joining=False) for n in range(11)]
    assert slope(line) == pytest.approx(15)


def test_start_and_joining_are_no_drawing() -> None:
    assert steady(FLAT) == DRAWING[20:]
    assert _said(FLAT) == ""
    assert "open files 12 to 12, threads 20 to 22, 80 looks" in summary(FLAT)


def test_what_comes_and_goes_is_no_growth() -> None:
    assert _said(_with("megabytes", 5.0)) == ""
    opened = [replace(each, files=each.files + (n % 3 == 0)) for n, each in enumerate(FLAT)]
    assert _said(opened) == ""


def test_every_bound_is_held_to() -> None:
    assert "memory grows by 20.1 MB" in _said(_with("megabytes", 20.0))
    assert "open files grow from" in _said(_with("files", 5.0))
    assert "open threads grow from" in _said(_with("threads", 5.0))
    joining = [replace(each, megabytes=each.megabytes + 100 * each.joining) for each in FLAT]
    assert "joining takes 100 MB more" in _said(joining)
    assert "audio ends at 3599.900 s" in _said(FLAT, after={**ENDS, "audio": 3599.9})
    assert "the result has video" in _said(FLAT, after={"video": 3600.0})


def test_a_short_video_is_not_judged_by_noise() -> None:
    assert _said(_with("megabytes", NOISE / 2, share=0.01)) == ""
    assert "memory grows" in _said(_with("megabytes", 3 * NOISE, share=0.01))


@pytest.mark.parametrize("looks", [BEFORE, [*BEFORE, *AFTER], [*BEFORE, *DRAWING[:6]], [DRAWING[0]] * 50])
def test_too_little_is_not_judged(looks: list[Look]) -> None:
    assert "too few to judge by" in _said(looks)
    assert summary(looks)


def test_pictures_are_those_in_kept_parts(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    assert pictures(target) == (0, False)
    with PacketStore(target) as work:
        work.begin({"engine": "none"})
        for number in range(3):
            work.write(CodedFrame(number, number, 1, True, b"coded"))
            assert pictures(target) == (7 * number, False)
            work.keep(Segment(7, 5 if number < 2 else None, 5 if number < 2 else None, True, 0, number, 9))
            assert pictures(target) == (7 * (number + 1), number == 2)
        target.write_bytes(b"joined")
        assert pictures(target) == (0, True)
        target.unlink()
    PacketStore.place(target).write_bytes(b"something else" * 100)
    assert pictures(target) is None
