"""Draw the report's plots in the style of `eval.report`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from eval.bench.results import Bench, BenchRow, LengthRow, TimeSpan
from eval.report.plots import ACCENT, INK, MARKERS, PAPER, SETTINGS, SOFT, new_figure, shortened, to_svg

MAX_LABEL_CHARS = 40
"""Longest label of a bar, in characters."""


def rate_plot(bench: Bench) -> Markup:
    """Plot the frame rate of every row from file to file and of each peer. The fastest row of each size is
    marked.
    """
    bars: list[tuple[str, float, str]] = []
    for size, rows in _by_size(bench.results):
        best = max(row.file_fps for row in rows)
        ordered = sorted(rows, key=lambda row: -row.file_fps)
        bars += [
            (_name(row, bench), row.file_fps, ACCENT if row.file_fps == best else INK) for row in ordered
        ]
        bars += [(f"{shortened(p.name)} alone {size}", p.fps, SOFT) for p in bench.peers if p.size == size]
    with mpl.rc_context(SETTINGS):
        figure, axes = new_figure(0.5 + 0.27 * len(bars))
        for y, (_, value, color) in enumerate(bars):
            axes.barh(y, value, 0.62, color=color)
            axes.annotate(
                f"{value:.3g}", (value, y), (4, 0), textcoords="offset points", va="center", fontsize=9
            )
        axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
        for label, (_, _, color) in zip(axes.get_yticklabels(), bars, strict=True):
            label.set_color(SOFT if color == SOFT else INK)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 1.12 * max(value for _, value, _ in bars))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return to_svg(figure, "rates", f"Frames per second of {len(bars)} rows")


def scaling_plot(bench: Bench) -> Markup | None:
    """Plot milliseconds per frame from file to file against its pixels. Returns None for a single size."""
    lines: dict[str, list[BenchRow]] = {}
    for row in bench.results:
        lines.setdefault(" ".join(row.title.split()[:-1]), []).append(row)
    if len({(row.width, row.height) for row in bench.results}) < 2:
        return None
    sizes = {row.width * row.height / 1e6: row.size for row in bench.results}
    with mpl.rc_context(SETTINGS):
        figure, axes = new_figure(2.6 + 0.12 * len(lines))
        for n, (name, rows) in enumerate(lines.items()):
            rows = sorted(rows, key=lambda row: row.width * row.height)
            axes.plot(
                [row.width * row.height / 1e6 for row in rows],
                [1000 / row.file_fps for row in rows],
                f"-{MARKERS[n % len(MARKERS)]}",
                color=INK,
                linewidth=1.1,
                markersize=5.5,
                markerfacecolor=PAPER if n % 2 else INK,
                label=name if len(name) <= MAX_LABEL_CHARS else name[: MAX_LABEL_CHARS - 1] + "…",
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sorted(sizes)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([sizes[pixels] for pixels in sorted(sizes)])
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.set_ylabel("milliseconds")
        figure.legend(loc="outside lower left", frameon=False, fontsize=9)
        return to_svg(figure, "scaling", f"Milliseconds per frame against pixels, {len(lines)} rows")


def length_plot(lengths: Sequence[LengthRow]) -> Markup | None:
    """Plot memory against the length of the video. Returns None if that was not measured."""
    shown = [(one.frames, one.peak_rss_mb) for one in lengths if one.peak_rss_mb is not None]
    if len(shown) < 2:
        return None
    with mpl.rc_context(SETTINGS):
        figure, axes = new_figure(2.0)
        frames, megabytes = zip(*shown, strict=True)
        axes.plot(frames, megabytes, "-o", color=INK, linewidth=1.3, markersize=5, markerfacecolor=PAPER)
        axes.set_xlim(0, 1.05 * max(frames))
        axes.set_ylim(0, 1.2 * max(megabytes))
        axes.set_xlabel("frames")
        axes.set_ylabel("peak MB")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        return to_svg(figure, "length", "Peak memory against the number of frames")


def overlap_plot(timeline: Sequence[TimeSpan]) -> Markup | None:
    """Plot when a GPU copied and when it drew. Returns None without a GPU."""
    if not timeline:
        return None
    rows = {"in": ("to the GPU", SOFT), "draw": ("drawing", INK), "out": ("back", SOFT)}
    first = timeline[0].begin
    with mpl.rc_context(SETTINGS):
        figure, axes = new_figure(1.6)
        for y, (kind, (_, color)) in enumerate(rows.items()):
            bars = [(one.begin - first, one.end - one.begin) for one in timeline if one.kind == kind]
            axes.broken_barh(bars, (y - 0.3, 0.6), facecolors=color)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows.values()])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("milliseconds")
        axes.xaxis.set_major_locator(MaxNLocator(6))
        return to_svg(figure, "overlap", "When the GPU copied frames, and when it drew")


def _by_size(rows: Sequence[BenchRow]) -> list[tuple[str, list[BenchRow]]]:
    return [(size, list(group)) for size, group in groupby(rows, key=lambda row: row.size)]


def _name(row: BenchRow, bench: Bench) -> str:
    """Return the row's title, without the style if there is only one."""
    words = row.title.split()
    if len({one.style for one in bench.results}) == 1:
        words = words[1:]
    name = " ".join(words)
    return name if len(name) <= MAX_LABEL_CHARS else name[: MAX_LABEL_CHARS - 1] + "…"
