"""What moved since an earlier run."""

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
"""What must not fall."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure then and now."""

    row: str
    figure: str
    old: float
    new: float
    ratio: float
    """New over old: above 1 is faster."""
    fell: bool
    """By more than the threshold."""
    noisy: bool
    """One of the two runs says of itself that this row cannot be relied on."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run, as it was written."""

    path: Path
    machine: Mapping[str, Any]
    clip: Mapping[str, Any]
    rows: Mapping[tuple[str, ...], Mapping[str, Any]]


def read_earlier(path: Path) -> Earlier:
    """Raises StreamtoonError when it is not what `streamtoon bench --json` prints."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StreamtoonError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise StreamtoonError(f"{path} is no JSON; give what streamtoon bench --json printed") from error
    try:
        rows = {row_key(row): row for row in said["results"]}
        for row in rows.values():
            if not all(_is_rate(row[figure]) for figure in WATCHED):
                raise ValueError
            if not all(_is_rate(ratio) for ratio in row.get("ratios", {}).values()):
                raise ValueError
        return Earlier(path, dict(said["machine"]), dict(said["clip"]), rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StreamtoonError(f"{path} is no result of streamtoon bench --json") from error


def same_machine(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether times of the two can be compared: the same processor, as many cores, the same GPUs."""
    return all(one.get(fact) == other.get(fact) for fact in ("cpu", "cores", "gpus"))


def require_comparable(earlier: Earlier, machine: Mapping[str, Any], peers: Sequence[str]) -> bool:
    """Whether times may be compared; else the ratios to peers, of which one has to be in both runs.

    Raises StreamtoonError where neither is possible: before minutes are spent.
    """
    if same_machine(earlier.machine, machine):
        return True
    known = {name for row in earlier.rows.values() for name in row.get("ratios", {})}
    if known.isdisjoint(peers):
        there, here = (f"{one.get('cores')} cores of {one.get('cpu')}" for one in (earlier.machine, machine))
        names = ", ".join(sorted(known))
        way = f"--peers with {names}" if known else "the same --peers for both"
        raise StreamtoonError(
            f"{earlier.path} was measured on another machine ({there}; this one has {here}): "
            f"to compare ratios, run python -m streamtoon.cli.bench_maintainer with {way}"
        )
    return False


def compare(earlier: Earlier, bench: Bench, threshold: float, *, times: bool) -> list[Change]:
    """Every row that is in both runs: its rates, or with `times` false its ratios to peers.

    `threshold` is the share, 0 to 1, by which a figure may fall. Empty where the runs have no row in common.
    """
    moved = []
    for row in bench.results:
        old = earlier.rows.get(row.key)
        if old is not None:
            moved += _change(old, row, threshold, times=times)
    return moved


def missing_row(earlier: Earlier) -> StreamtoonError:
    """What to say where `compare` found nothing."""
    had = "; ".join(" ".join(title_parts(key)) for key in earlier.rows) or "none"
    return StreamtoonError(f"{earlier.path} has no row of this run: it has {had}")


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
