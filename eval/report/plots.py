"""The page's plots: SVG with real text and the colours of the page."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter
from matplotlib.transforms import ScaledTranslation

from eval.report.formatting import central_value, winners
from eval.report.model import SweepPoint
from eval.scoring.metric_registry import METRICS
from eval.scoring.results import Cost, Interval, Number, Score, Spread

# Placeholder colours, replaced by the page's variables, which follow its light or dark scheme.
INK, SOFT, RULE, ACCENT, PAPER = "#10fe01", "#10fe02", "#10fe03", "#10fe04", "#10fe05"
_VARIABLES = {INK: "--ink", SOFT: "--soft", RULE: "--rule", ACCENT: "--accent", PAPER: "--paper"}

SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "streamtoon",  # equal plots give equal bytes
    "text.parse_math": False,  # a name may contain a dollar sign
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.grid": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
}
_WIDTH = 5.0
"""Inches: 360 units of the SVG, the width of a phone in CSS pixels."""
_MAX_NAME_CHARS = 26
MARKERS = "osD^vPX*<>"


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot with its description."""

    metric: str
    svg: Markup
    caption: str


def metric_plots(scores: Sequence[Score], untouched: str | None) -> list[Plot]:
    """Plot each metric that at least two scores have: one line per score, with its interval."""
    plots = []
    for key, row in METRICS.items():
        # Comparing the photographs with themselves says nothing, and would stretch the axis.
        trivial = "features" not in row.needs and bool(row.needs & {"pairs", "round trip"})
        shown = [
            score
            for score in scores
            if key in score.metrics
            and math.isfinite(central_value(score.metrics[key]))
            and not (trivial and score.name == untouched)
        ]
        if len(shown) > 1:
            plots.append(_metric_plot(key, shown, untouched))
    return plots


def _metric_plot(key: str, scores: Sequence[Score], untouched: str | None) -> Plot:
    marked = winners(key, {score.name: score.metrics[key] for score in scores if score.name != untouched})
    with_intervals = any(key in score.intervals for score in scores)
    with mpl.rc_context(SETTINGS):
        figure, axes = new_figure(0.45 + 0.27 * len(scores))
        for y, score in enumerate(scores):
            value, ends = central_value(score.metrics[key]), _ends(key, score, with_intervals)
            color = ACCENT if score.name in marked else INK
            if ends:
                axes.plot(ends, (y, y), color=color, linewidth=1.6, solid_capstyle="butt")
            if score.name == untouched:
                axes.plot(value, y, "x", color=SOFT, markersize=6, markeredgewidth=1.4)
            else:
                fill = color if score.name in marked else PAPER
                axes.plot(value, y, "o", color=color, markerfacecolor=fill, markersize=6, markeredgewidth=1.4)
        axes.set_yticks(range(len(scores)), [shortened(score.name) for score in scores])
        for label, score in zip(axes.get_yticklabels(), scores, strict=True):
            label.set_color(SOFT if score.name == untouched else INK)
            label.set_fontweight("bold" if score.name in marked else "normal")
        axes.set_ylim(len(scores) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        svg = to_svg(figure, f"metric-{key}", f"{METRICS[key].title} of {len(scores)} candidates")
    spread = any(isinstance(score.metrics[key], Spread) for score in scores)
    bars = "95 % intervals" if with_intervals else "deviation over subsets" if spread else ""
    return Plot(key, svg, bars)


def _ends(key: str, score: Score, with_intervals: bool) -> Interval | None:
    ends = score.intervals.get(key)
    if not with_intervals:
        ends = _deviation(score.metrics[key])
    return ends if ends and math.isfinite(ends.low) and math.isfinite(ends.high) else None


def sweep_plots(points: Sequence[SweepPoint]) -> list[Plot]:
    """Plot each metric against the epoch, with the best checkpoint marked and named."""
    keys = [key for key in METRICS if sum(key in point.metrics for point in points) > 1]
    return [_sweep_plot(key, [point for point in points if key in point.metrics]) for key in keys]


def _sweep_plot(key: str, points: Sequence[SweepPoint]) -> Plot:
    epochs, values = (
        [point.epoch for point in points],
        [central_value(point.metrics[key]) for point in points],
    )
    bands = [point.intervals.get(key) or _deviation(point.metrics[key]) for point in points]
    with mpl.rc_context(SETTINGS):
        figure, axes = new_figure(2.3)
        if all(bands):
            low, high = zip(*(band for band in bands if band), strict=True)
            axes.fill_between(epochs, low, high, color=RULE, linewidth=0, alpha=0.7)
        axes.plot(epochs, values, "-o", color=INK, linewidth=1.3, markersize=4, markerfacecolor=PAPER)
        for point, value in zip(points, values, strict=True):
            if key in point.best_for and math.isfinite(value):
                axes.plot(point.epoch, value, "o", color=ACCENT, markersize=9, markeredgewidth=1.5)
                _name_best(axes, point, value, sorted(filter(math.isfinite, values)))
        axes.set_xlabel("epoch")
        axes.margins(y=0.2)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        name = METRICS[key].title
        svg = to_svg(figure, f"sweep-{key}", f"{name} of {len(points)} checkpoints against the epoch")
    intervals = any(key in point.intervals for point in points)
    return Plot(key, svg, ("band: 95 % intervals" if intervals else "band: deviation") if all(bands) else "")


def _deviation(number: Number) -> Interval | None:
    if not isinstance(number, Spread):
        return None
    return Interval(number.mean - number.std, number.mean + number.std)


def _name_best(axes: Axes, point: SweepPoint, value: float, values: Sequence[float]) -> None:
    """Write the name away from the curve and towards the middle of the plot."""
    low, high = axes.get_xlim()
    place = (point.epoch - low) / (high - low)
    side = "left" if place < 0.3 else "right" if place > 0.7 else "center"
    below = value < values[len(values) // 2]
    axes.annotate(
        point.name,
        (point.epoch, value),
        (0, -9 if below else 9),
        textcoords="offset points",
        ha=side,
        va="top" if below else "bottom",
        color=ACCENT,
        fontweight="bold",
    )


def cost_plot(scores: Sequence[Score], key: str) -> Plot | None:
    """Plot milliseconds against a quality metric: one line per candidate, one mark per engine."""
    shown = sorted(
        (
            score
            for score in scores
            if score.costs and math.isfinite(central_value(score.metrics.get(key, math.nan)))
        ),
        key=lambda score: central_value(score.metrics[key]),
    )
    if not shown:
        return None
    engines = list(dict.fromkeys(cost.engine for score in shown for cost in score.costs))
    markers = {engine: MARKERS[index % len(MARKERS)] for index, engine in enumerate(engines)}
    with mpl.rc_context(SETTINGS):
        figure, axes = new_figure(2.1 + 0.16 * len(shown) + 0.12 * len(engines))
        for score in shown:
            _cost_row(axes, score.costs, central_value(score.metrics[key]), markers)
        if METRICS[key].better == "lower":
            axes.invert_yaxis()
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.set_xlabel("milliseconds per image of 1280x720")
        axes.set_ylabel(METRICS[key].title)
        axes.margins(x=0.06, y=0.22)
        figure.draw_without_rendering()
        _name_rows(figure, axes, shown, key)
        handles = [
            axes.plot([], [], marker, color=INK, linestyle="", markersize=5.5, label=shortened(engine))[0]
            for engine, marker in markers.items()
        ]
        figure.legend(
            handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9, handletextpad=0.2
        )
        svg = to_svg(figure, "cost", f"{METRICS[key].title} against milliseconds of {len(shown)} candidates")
    return Plot(key, svg, "filled: full; open: fast; up and to the left is better")


def _cost_row(axes: Axes, costs: Sequence[Cost], value: float, markers: Mapping[str, str]) -> None:
    axes.plot([cost.milliseconds for cost in costs], [value] * len(costs), color=SOFT, linewidth=0.8)
    for cost in costs:
        fill = INK if cost.quality == "full" else PAPER
        axes.plot(
            cost.milliseconds, value, markers[cost.engine], color=INK, markerfacecolor=fill, markersize=5.5
        )


def _name_rows(figure: Figure, axes: Axes, scores: Sequence[Score], key: str) -> None:
    """Write the names above their lines, moved up if they would overlap the one below."""
    places = axes.transData.transform(
        [
            (min(cost.milliseconds for cost in score.costs), central_value(score.metrics[key]))
            for score in scores
        ]
    )
    taken: list[float] = []
    for (_, place), score in sorted(zip(places.tolist(), scores, strict=True), key=lambda pair: pair[0][1]):
        y = max([place + 6, *(other + 13 for other in taken)])
        taken.append(y)
        up = ScaledTranslation(0, (y - place) / figure.dpi, figure.dpi_scale_trans)
        left = min(cost.milliseconds for cost in score.costs)
        axes.text(
            left,
            central_value(score.metrics[key]),
            shortened(score.name),
            transform=axes.transData + up,
            fontsize=9,
        )


def new_figure(height: float) -> tuple[Figure, Axes]:
    """Return a figure with the width of the page and one pair of axes. `height` is in inches."""
    figure = Figure(figsize=(_WIDTH, height), dpi=72, layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def shortened(name: str) -> str:
    """Return a name that fits next to a bar, without characters that fonts cannot draw."""
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    return plain if len(plain) <= _MAX_NAME_CHARS else plain[: _MAX_NAME_CHARS - 1] + "…"


def to_svg(figure: Figure, name: str, title: str) -> Markup:
    """Return SVG for use inside HTML, with the colours and font of the page and ids that start with
    `name`.
    """
    data = io.BytesIO()
    with warnings.catch_warnings():
        # Our font only measures the text; the reader's font draws it.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(data, format="svg", transparent=True, metadata=empty)
    root = ElementTree.fromstring(data.getvalue())  # noqa: S314 (matplotlib's own output)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}style", "}metadata")):
                parent.remove(child)  # a style element would apply to the whole page
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        if element.tag == "g":
            attributes.pop("id", None)
        element.attrib = {key: _adapted(key, value, name) for key, value in attributes.items()}
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 (serialised, so escaped)


def _adapted(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key in ("href", "clip-path"):
        return value.replace("#", f"#{name}-")
    if key == "style":
        value = re.sub(r"font-family: [^;]*;?\s*", "", value)
        for color, variable in _VARIABLES.items():
            value = value.replace(color, f"var({variable})")
    return value
