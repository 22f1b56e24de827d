"""Scores as tables and as JSON."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from eval.metrics.li_score import ACCEPTED, accepted
from eval.report.formatting import winners
from eval.scoring.candidates import UNTOUCHED
from eval.scoring.metric_registry import METRICS
from eval.scoring.results import Cost, Number, Score, Spread, value_of
from streamtoon.cli.common import printable

if TYPE_CHECKING:
    from eval.report.model import SweepPoint
    from eval.scoring.video import FilmScore

ARROWS = {"lower": "↓", "higher": "↑", "nearer 0.5": "→ 0.5"}


def score_table(scores: Sequence[Score], tied: Mapping[str, frozenset[str]]) -> Table:
    """Make a table of metrics by candidates; the best figure and those tied with it are bold and starred.

    Without intervals that show ties, only the best figure is marked, and no secondary metric.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for score in scores:
        table.add_column(printable(score.name), justify="right", overflow="fold")
    for name, metric in METRICS.items():
        if not any(name in score.metrics for score in scores):
            continue
        own = {s.name: s.metrics[name] for s in scores if name in s.metrics and s.name != UNTOUCHED}
        marked = tied.get(name) or winners(name, own)
        cells = []
        for score in scores:
            cell = _cell(score.metrics.get(name), best=score.name in marked)
            if bounds := score.intervals.get(name):
                cell.append(f"\n{bounds.low:.4g} to {bounds.high:.4g}", "dim not bold")
            if name == "li" and name in score.metrics:
                is_in = accepted(value_of(score.metrics[name]))
                cell.append(
                    "\naccepted" if is_in else "\noutside {:g} to {:g}".format(*ACCEPTED), "dim not bold"
                )
            cells.append(cell)
        table.add_row(
            f"{metric.title} {ARROWS[metric.better]}", *cells, style="dim" if metric.secondary else ""
        )
    if any(score.parameters for score in scores):
        table.add_row("parameters, M", *(_scaled(score.parameters, 1e6) for score in scores))
        table.add_row("GMAC at 720p", *(_scaled(score.macs, 1e9) for score in scores))
    mark = "*: best" + (", or tied with it within the 95 % intervals" if tied else "")
    table.caption = mark if len(scores) > 1 else None
    table.caption_justify = "left"
    return table


def cost_table(scores: Sequence[Score]) -> Table | None:
    """Make a table of times at 720p, a row per engine; None if nothing was timed."""
    timed: dict[tuple[Cost, ...], str] = {}
    for score in scores:
        if score.costs:
            # A style named twice was timed once; two styles with one name appear as they were named.
            name = score.protocol["candidate"].get("style", score.name)
            timed.setdefault(score.costs, printable(score.name) if name in timed.values() else name)
    if not timed:
        return None
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title="one 1280x720 image, RGB to RGB", title_justify="left"
    )
    for heading in ("style", "engine", "quality"):
        table.add_column(heading)
    for heading in ("ms", "fps"):
        table.add_column(heading, justify="right")
    for costs, name in timed.items():
        for cost in costs:
            table.add_row(name, cost.engine, cost.quality, f"{cost.milliseconds:.1f}", f"{cost.fps:.1f}")
    return table


def sweep_table(points: Sequence[SweepPoint]) -> Table:
    """Make a table of checkpoints by metrics; the best of each column is bold and starred."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = [name for name in METRICS if any(name in point.metrics for point in points)]
    for heading in ("step", "epoch"):
        table.add_column(heading, justify="right")
    for name in names:
        table.add_column(f"{METRICS[name].title} {ARROWS[METRICS[name].better]}", justify="right")
    for point in points:
        cells = [_cell(point.metrics.get(name), best=name in point.best_for) for name in names]
        table.add_row(f"{point.step:,}", f"{point.epoch:.1f}", *cells)
    table.caption, table.caption_justify = "*: best of its column", "left"
    return table


def film_table(film: FilmScore) -> Table:
    """Make a table of a video's figures and those of its source."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, side in (("metric", "left"), ("source", "right"), ("result", "right"), ("ratio", "right")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    titles = {"ewarp": "warping error ↓", "sharpness": "sharpness", "ssim": "luma SSIM to the source"}
    for name, title in titles.items():
        cells = (
            film.metrics.get(f"{name}-source"),
            film.metrics.get(name),
            film.metrics.get(f"{name}-ratio"),
        )
        table.add_row(title, *(_figure(cell) for cell in cells))
    table.caption = f"{film.frames} frames, {film.pairs} pairs compared, {film.cuts} skipped at cuts"
    table.caption_justify = "left"
    return table


def as_dict(score: Score, *, named: bool = False) -> dict[str, Any]:
    """Return a score for JSON: metrics, protocol, images, and cost if measured."""
    result: dict[str, Any] = {"name": score.name} if named else {}
    result["metrics"] = {name: _plain(value) for name, value in score.metrics.items()}
    if score.intervals:
        result["intervals_95"] = {name: list(bounds) for name, bounds in score.intervals.items()}
    result["protocol"] = score.protocol
    result["images"] = {
        "used": score.images.photos,
        "cartoons": score.images.cartoons,
        "skipped": [{"file": str(one.path), "reason": one.reason} for one in score.images.skipped],
    }
    if score.parameters:
        result["cost"] = {
            "parameters": score.parameters,
            "macs_720p": score.macs,
            "engines": [
                {"engine": c.engine, "quality": c.quality, "ms": c.milliseconds, "fps": c.fps}
                for c in score.costs
            ],
        }
    return result


def left_out(scores: Sequence[Score]) -> list[str]:
    """Return a line for each reason why metrics were skipped, with their names."""
    by_reason: dict[str, dict[str, None]] = {}
    for score in scores:
        for name, reason in score.protocol.get("left_out", {}).items():
            by_reason.setdefault(reason, {})[name] = None
    return [f"skipped {', '.join(names)}: {reason}" for reason, names in by_reason.items()]


def made_with() -> dict[str, object]:
    """Return the machine and the versions of the installed packages, for a report."""
    from importlib.metadata import PackageNotFoundError, version

    from streamtoon.tools.system_info import examine_cpu

    packages = ("streamtoon", "torch", "openvino", "numpy", "pillow", "opencv-python-headless")
    cpu = examine_cpu()
    machine = {
        "machine": f"{cpu.cores} cores of {cpu.model}",
        "system": f"{platform.system()} {platform.machine()}",
    }
    versions = {}
    for name in packages:
        with suppress(PackageNotFoundError):  # OpenCV has several package names
            versions[name] = version(name)
    return {**machine, "python": platform.python_version(), **versions}


def _cell(number: Number | None, *, best: bool) -> Text:
    """Format a figure; the best has a star as well, as not every terminal shows bold."""
    figure = _figure(number)
    return Text(f"* {figure}", "bold") if best else Text(figure)


def _figure(number: Number | None) -> str:
    if number is None:
        return ""
    if isinstance(number, Spread):
        return f"{number.mean:.4g} ± {number.std:.2g}" if number.std else f"{number.mean:.4g}"
    return f"{number:.4g}" if math.isfinite(number) else "∞"


def _plain(number: Number) -> Any:
    """Convert a number for JSON: infinity becomes null."""
    if isinstance(number, Spread):
        return {"mean": number.mean, "std": number.std}
    return number if math.isfinite(value_of(number)) else None


def _scaled(number: int | None, unit: float) -> str:
    return f"{number / unit:.3g}" if number else ""
