"""Write a README's table and chart of speed from the output of `streamtoon bench --json`.

    python -m streamtoon.cli.bench_maintainer --sizes 720p,1080p --peers generators/ --json > bench.json
    python -m eval.bench.readme bench.json README.md docs/images/speed.svg

The table replaces the text between the comments BEGIN and END. The rest of the README does not change.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from engines.common.image_files import write_whole
from engines.errors import StreamtoonError
from eval.report.plots import SETTINGS, new_figure

BEGIN, END = "<!-- speed: made by eval.bench.readme -->", "<!-- /speed -->"
OURS, THEIRS = "#b3401f", "#8a8a8a"


def speed_table(bench: dict[str, Any]) -> str:
    """Return the rows as a Markdown table, with the machine above it and other networks below it."""
    machine, rows, peers = bench["machine"], bench["results"], bench["peers"]
    names = sorted({name for row in rows for name in row["ratios"]})
    lines = [
        f"Measured on {machine['cores']} cores of {_cpu(machine)}, with `{bench['clip']['name']}`; medians.",
        "",
        "| size | quality | precision | file to file, fps | one frame | of the limit | memory |"
        + "".join(f" times {name} alone |" for name in names),
        "|---|---|---|---|---|---|---|" + "---|" * len(names),
    ]
    for row in rows:
        share = f"{100 * row['limit_fraction']:.0f} %" if row["limit_fraction"] else ""
        memory = f"{row['peak_rss_mb']:.0f} MB" if row["peak_rss_mb"] else ""
        cells = [
            row["size"],
            f"`{row['quality']}`",
            f"`{row['precision']}`",
            f"**{row['file_fps']:.1f}**",
            f"{row['latency_ms']['median']:.1f} ms",
            share,
            memory,
            *(f"{row['ratios'][name]:.1f}" if name in row["ratios"] else "" for name in names),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    alone = [f"{peer['name']} alone at {peer['size']}: {peer['fps']:.2f} fps" for peer in peers]
    if alone:
        how = "Other networks, timed in turns with ours, in ONNX Runtime with its default settings"
        lines += ["", f"{how}: {'; '.join(alone)}."]
    if bench["noisy"]:
        lines += ["", "Other work disturbed this run. Trust the ratios rather than the times."]
    return "\n".join(lines)


def draw_chart(bench: dict[str, Any], path: Path) -> None:
    """Draw bars of frames per second as an SVG file: ours from file to file, other networks alone."""
    bars = [(f"{r['size']} {r['quality']}", r["file_fps"], OURS) for r in bench["results"]]
    bars += [(f"{p['size']} {p['name']}", p["fps"], THEIRS) for p in bench["peers"]]
    with mpl.rc_context(SETTINGS):
        figure, axes = new_figure(0.6 + 0.3 * len(bars))
        for y, (_, rate, color) in enumerate(bars):
            axes.barh(y, rate, 0.62, color=color)
            text = axes.annotate(f"{rate:.3g}", (rate, y), (4, 0), textcoords="offset points", va="center")
            text.set_color(THEIRS)
        axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 1.12 * max(rate for _, rate, _ in bars))
        axes.set_xlabel("frames per second")
        # Readable on light and dark pages.
        axes.tick_params(axis="both", length=0, colors=THEIRS)
        axes.xaxis.label.set_color(THEIRS)
        axes.grid(visible=False)
        for side in axes.spines.values():
            side.set_visible(False)
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})


def replace_part(text: str, table: str) -> str:
    """Return the text with `table` between the comments. Raises StreamtoonError if these are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise StreamtoonError(f"the README has no part between {BEGIN} and {END}; add both comments to it")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _cpu(machine: dict[str, Any]) -> str:
    amx = any("amx" in name.lower() for name in machine["features"])
    return f"{machine['cpu']}{' with AMX' if amx else ''}"


def main(arguments: Sequence[str]) -> None:
    """Update the files. The arguments are BENCH.json README.md CHART.svg."""
    if len(arguments) != 3:
        raise SystemExit("usage: python -m eval.bench.readme BENCH.json README.md CHART.svg")
    found, readme, chart = map(Path, arguments)
    try:
        bench = json.loads(found.read_text(encoding="utf-8"))
        text = replace_part(readme.read_text(encoding="utf-8"), speed_table(bench))
        draw_chart(bench, chart)
        write_whole(readme, text.encode())
    except (OSError, ValueError, KeyError, TypeError, StreamtoonError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
