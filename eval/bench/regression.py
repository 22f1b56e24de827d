"""Compare a run with an earlier one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import StreamtoonError
from eval.bench.results import Bench, BenchRow, row_key, title_parts

WATCHED = ("fps", "file_fps")
"""Figures that must not fall."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both runs."""

    row: str
    figure: str
    old: float
    new: float
    ratio: float
    """New value divided by the old one. Above 1 is faster."""
    fell: bool
    """It fell by more than the threshold."""
    noisy: bool
    """The row was noisy in one of the two runs."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run, read from its file."""

    path: Path
    machine: Mapping[str, Any]
    clip: Mapping[str, Any]
    rows: Mapping[tuple[str, ...], Mapping[str, Any]]


def read_earlier(path: Path) -> Earlier:
    """Read an earlier run. Raises StreamtoonError unless it is output of `streamtoon bench --json`."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StreamtoonError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise StreamtoonError(f"{path} is not JSON; give the output of `streamtoon bench --json`") from error
    try:
        rows = {row_key(row): row for row in said["results"]}
        for row in rows.values():
            if not all(_is_rate(row[figure]) for figure in WATCHED):
                raise ValueError
            if not all(_is_rate(ratio) for ratio in row.get("ratios", {}).values()):
                raise ValueError
        return Earlier(path, dict(said["machine"]), dict(said["clip"]), rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StreamtoonError(f"{path} is not the output of `streamtoon bench --json`") from error


def same_machine(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether the times of two runs are comparable: same processor, number of cores and GPUs."""
    return all(one.get(fact) == other.get(fact) for fact in ("cpu", "cores", "gpus"))


def require_comparable(earlier: Earlier, machine: Mapping[str, Any], peers: Sequence[str]) -> bool:
    """Return whether times are comparable. If not, ratios to peers are, and one peer must be in both runs.

    Raises StreamtoonError if neither can be compared. It does so before anything is timed.
    """
    if same_machine(earlier.machine, machine):
        return True
    known = {name for row in earlier.rows.values() for name in row.get("ratios", {})}
    if known.isdisjoint(peers):
        there, here = (f"{one.get('cores')} cores of {one.get('cpu')}" for one in (earlier.machine, machine))
        names = ", ".join(sorted(known))
        way = f"--peers with {names}" if known else "the same --peers for both"
        raise StreamtoonError(
            f"{earlier.path} was measured on another machine ({there}; this one has {here}). To "
            f"compare ratios, run python -m streamtoon.cli.bench_maintainer with {way}"
        )
    return False


def compare(earlier: Earlier, bench: Bench, threshold: float, *, times: bool) -> list[Change]:
    """Compare the rates of every row that is in both runs, or their ratios to peers if `times` is false.

    `threshold` is the largest allowed fall, 0 to 1. Returns an empty list if the runs have no row in common.
    """
    moved = []
    for row in bench.results:
        old = earlier.rows.get(row.key)
        if old is not None:
            moved += _change(old, row, threshold, times=times)
    return moved


def missing_row(earlier: Earlier) -> StreamtoonError:
    """Return the error for two runs without a common row."""
    had = "; ".join(" ".join(title_parts(key)) for key in earlier.rows) or "none"
    return StreamtoonError(f"{earlier.path} and this run have no row in common; the earlier run has {had}")


def _change(old: Mapping[str, Any], row: BenchRow, threshold: float, *, times: bool) -> list[Change]:
    if times:
        pairs = {figure: (old[figure], float(getattr(row, figure))) for figure in WATCHED}
    else:
        before = old.get("ratios", {})
        pairs = {f"x {name}": (before[name], ratio) for name, ratio in row.ratios.items() if name in before}
    noisy = row.noisy or bool(old.get("noisy"))
    return [
        Change(row.title, figure, then, now, round(now / then, 4), now < then * (1 - threshold), noisy)
        for figure, (then, now) in pairs.items()
    ]


def _is_rate(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and value > 0
