"""Write a benchmark as one HTML file in the style of `eval.report`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from engines.common.image_files import write_whole
from eval.bench.plots import length_plot, overlap_plot, rate_plot, scaling_plot
from eval.bench.published import published_ms
from eval.bench.quality_cost import MAX_SIDE_PIXELS, StyleLooks
from eval.bench.regression import Change
from eval.bench.results import Bench, BenchRow, QualityRow
from eval.report.embed import embed

STAGES = {"decode": "Decode", "run": "Draw", "encode": "Encode"}


def write_report(
    path: Path, bench: Bench, moved: Sequence[Change] = (), looks: Sequence[StyleLooks] = ()
) -> None:
    """Write the report as one self-contained file, which appears when it is complete.

    Raises StreamtoonError if it cannot be written.
    """
    # The name of a style's folder may contain bytes that are not text.
    write_whole(path, render(bench, moved, looks).encode("utf-8", "replace"))


def render(bench: Bench, moved: Sequence[Change] = (), looks: Sequence[StyleLooks] = ()) -> str:
    """Return the page as text."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    best: dict[str, BenchRow] = {}
    for row in bench.results:
        if row.size not in best or row.file_fps > best[row.size].file_fps:
            best[row.size] = row
    style = files("eval.report").joinpath("page.css").read_text(encoding="utf-8")
    return environment.from_string(
        files("eval.bench").joinpath("page.html").read_text(encoding="utf-8")
    ).render(
        bench=bench,
        style=Markup(style),  # noqa: S704 (our own file)
        best=best,
        answer=answer(bench, list(best.values())),
        stages=STAGES,
        rates=rate_plot(bench),
        scaling=scaling_plot(bench),
        length=length_plot(bench.lengths),
        networks=[(name, list(rows)) for name, rows in groupby(bench.networks, lambda row: row.generator)],
        published=published_ms(bench),
        overlap=overlap_plot(bench.timeline),
        moved=moved,
        looks=[_shown(one, bench) for one in looks],
        longest=MAX_SIDE_PIXELS,
        peer_names=list(dict.fromkeys(peer.name for peer in bench.peers)),
        facts=_facts(bench),
    )


def _shown(looks: StyleLooks, bench: Bench) -> dict[str, Any]:
    """Return a style's comparison for the page: the photographs, then a row of images for each variant."""
    several = len({(look.engine, look.device) for look in looks.looks}) > 1
    each = Counter(look.quality for look in looks.looks)
    return {
        "style": looks.style,
        "photos": looks.looks[0].photos,
        "ways": [
            (
                look,
                f"{look.quality} {look.precision}{f', {look.engine} {look.device}' if several else ''}",
                _rates(look, bench),
            )
            for look in looks.looks
        ],
        "pictures": [*zip(embed(looks.pictures), looks.ssim, strict=True)],
        "columns": 1 + max(each.values()),
        "rows": len(each),
    }


def _rates(look: QualityRow, bench: Bench) -> dict[str, float]:
    """Return frames per second from file to file by size. It is empty for a variant that was not timed."""
    way = (look.style, look.engine, look.device, look.quality, look.precision)
    return {
        row.size: row.file_fps
        for row in bench.results
        if (row.style, row.engine, row.device, row.chosen, row.precision) == way
    }


def answer(bench: Bench, best: Sequence[BenchRow]) -> str:
    """Return the result of the run in one or two sentences."""
    parts = [f"{row.size} at {row.file_fps:.3g} frames per second" for row in best]
    said = (
        f"From file to file: {', '.join(parts)} on {bench.machine['cores']} cores of {bench.machine['cpu']}."
    )
    if bench.peers:
        widest = max(bench.peers, key=lambda peer: peer.ratio)
        said += (
            f" That is {widest.ratio:.3g} times the rate of the network of {widest.name} alone at "
            f"{widest.size}."
        )
    return said


def _facts(bench: Bench) -> list[tuple[str, str]]:
    """Return the protocol: how the run was measured, and on which machine."""
    facts: dict[str, Any] = {
        "clip": bench.clip,
        "seconds for each figure": bench.seconds,
        **bench.machine,
    }
    if bench.matrix_tmacs:
        facts["matrix units, 10^12 multiply-accumulates per second"] = bench.matrix_tmacs
    if bench.memory_gbs:
        facts["main memory, GB per second"] = bench.memory_gbs
    return [(name, _plain(value)) for name, value in facts.items() if value not in ([], {}, None)]


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return json.dumps(value, ensure_ascii=False, default=str)
