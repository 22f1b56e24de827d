"""Write a report as one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from engines.common.image_files import write_whole
from eval.report.embed import embed
from eval.report.formatting import ARROWS, WORDS
from eval.report.model import ScoreReport
from eval.report.plots import cost_plot, metric_plots, sweep_plots
from eval.report.published import published
from eval.report.summary import answer, scored, small_set_warning
from eval.report.tables import cost_table, film_table, score_tables, sweep_table, tables_apart
from eval.scoring.metric_registry import METRICS, deciding_metric
from eval.scoring.results import Skipped

MAX_SKIPPED_SHOWN = 500
"""Number of skipped files that are listed. The others are counted."""


def write_report(path: Path, report: ScoreReport) -> None:
    """Write the report as one HTML file. The same report gives the same bytes.

    The file appears when it is complete. Raises StreamtoonError if it cannot be written.
    """
    # A file name may contain bytes that are not text.
    write_whole(path, render(report).encode("utf-8", "replace"))


def render(report: ScoreReport) -> str:
    """Return the page as text."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = _text("page.js")
    shown = {key for score in report.scores for key in score.metrics}
    own = [score for score in report.scores if score.name != report.untouched]
    key = deciding_metric((score.metrics for score in own), report.asked)
    cost = cost_table(report)
    rows = embed([*report.pictures])
    return environment.from_string(_text("page.html")).render(
        report=report,
        style=Markup(_text("page.css")),  # noqa: S704 (our own file)
        script=Markup(script),  # noqa: S704 (our own file)
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        scored=scored(report),
        answer=" ".join(filter(None, (answer(report), small_set_warning(report.scores)))),
        tables=score_tables(report),
        plots=metric_plots(report.scores, report.untouched),
        rows=rows,
        names=list(dict.fromkeys(name for row in rows for name in row.results)),
        sweep=sweep_table(report.sweep) if report.sweep else None,
        sweep_plots=sweep_plots(report.sweep or ()),
        film=film_table(report.film) if report.film else None,
        cost=cost,
        cost_plot=cost_plot(own, key) if key else None,
        protocol=_protocol({score.name: score.protocol for score in report.scores}),
        made_with=[(name, plain(value)) for name, value in report.made_with.items()],
        apart=tables_apart(report, shown),
        sources=published(),
        skipped=_skipped(item for score in report.scores for item in score.images.skipped),
        most_skipped=MAX_SKIPPED_SHOWN,
        metrics=METRICS,
        arrows=ARROWS,
        words=WORDS,
    )


def _text(name: str) -> str:
    return files("eval.report").joinpath(name).read_text(encoding="utf-8")


def _skipped(items: Iterable[Skipped]) -> Sequence[Skipped]:
    """Return each file once, although candidates share their photographs."""
    return list(dict.fromkeys(items))


def _protocol(protocols: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Group the protocol by its values: one line without a name if all candidates agree."""
    lines = []
    for name in dict.fromkeys(name for protocol in protocols.values() for name in protocol):
        said = {who: plain(protocol[name]) for who, protocol in protocols.items() if name in protocol}
        agreed = len(said) == len(protocols) and len(set(said.values())) == 1
        lines.append((name, [("", next(iter(said.values())))] if agreed else list(said.items())))
    return lines


def plain(value: object) -> str:
    """Return a plain value on one line."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
