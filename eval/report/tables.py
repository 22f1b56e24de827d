"""The tables of the page: scores, published rows, cost, checkpoints, a video."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from eval.report.formatting import (
    ARROWS,
    WORDS,
    central_value,
    decimals_for,
    format_interval,
    format_number,
    winners,
)
from eval.report.model import ScoreReport, SweepPoint
from eval.report.published import PublishedTable, published
from eval.scoring.metric_registry import METRICS
from eval.scoring.results import Interval, Number, Score, Spread

KINDS = (
    ("drawings", "Distance to the drawings", {"features", "probabilities"}),
    ("photographs", "Compared with the photographs", {"pairs", "lpips", "features"}),
    ("way-back", "Round trip", {"round trip"}),
    ("pixels", "Distance to the drawings, between pixels", {"pixels"}),
)
"""Tables of scores: anchor, title, and everything that their metrics need."""
FILM_TITLES = {
    "ewarp": "Warping error, lower is steadier",
    "sharpness": "Sharpness, so that blur cannot win",
    "ssim": "SSIM compared with the source, luma",
}
COST_COLUMNS = {"parameters", "parameters-millions", "milliseconds"}


@dataclass(frozen=True, slots=True)
class TableCell:
    """One figure: its text, and its exact value as code in brackets."""

    text: str = ""
    exact: str = ""
    std: str = ""
    std_exact: str = ""
    interval: str = ""
    low: str = ""
    high: str = ""
    mark: str = ""
    """"best", "tied" or ""."""


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column: one metric."""

    title: str
    arrow: str = ""
    words: str = ""
    what: str = ""
    secondary: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """One candidate, checkpoint or published system."""

    name: str
    cells: tuple[TableCell, ...]
    source: int = 0
    """The number of the source, from 1. It is 0 for our own figures."""
    of: str = ""
    """The name of the paper's system, if the row is published."""
    untouched: bool = False


@dataclass(frozen=True, slots=True)
class ReportTable:
    """One table of the page."""

    anchor: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    published: tuple[TableRow, ...] = ()
    source: int = 0


def score_tables(report: ScoreReport) -> list[ReportTable]:
    """Return our figures, grouped by what they are compared with, each with published rows of such
    figures.
    """
    present = {key for score in report.scores for key in score.metrics}
    tables: list[ReportTable] = []
    done: set[str] = set()
    for anchor, title, needs in KINDS:
        keys = [key for key in METRICS if key in present - done and METRICS[key].needs <= needs]
        done.update(keys)
        if keys:
            tables.append(_score_table(anchor, title, keys, report))
    rest = [key for key in METRICS if key in present - done]
    return [*tables, _score_table("other", "Other metrics", rest, report)] if rest else tables


def _score_table(anchor: str, title: str, keys: Sequence[str], report: ScoreReport) -> ReportTable:
    columns: list[list[TableCell]] = []
    for key in keys:
        candidates = {s.name: s.metrics[key] for s in report.scores if key in s.metrics}
        numbers = {name: number for name, number in candidates.items() if name != report.untouched}
        decimals = _decimals(candidates.values())
        best = winners(key, numbers)
        tied = set(report.tied.get(key, ())) & set(numbers) if best else set()
        marks = dict.fromkeys(tied, "tied") | dict.fromkeys(best, "best")
        columns.append(
            [
                number_cell(s.metrics.get(key), s.intervals.get(key), decimals, marks.get(s.name, ""))
                for s in report.scores
            ]
        )
    rows = tuple(
        TableRow(
            score.name, tuple(column[index] for column in columns), untouched=score.name == report.untouched
        )
        for index, score in enumerate(report.scores)
        if any(column[index].text for column in columns)
    )
    return ReportTable(anchor, title, tuple(map(_column, keys)), rows, published_rows(keys))


def _column(key: str) -> Column:
    row = METRICS[key]
    return Column(row.title, ARROWS[row.better], WORDS[row.better], row.what, row.secondary)


def _decimals(numbers: Iterable[Number]) -> int:
    return decimals_for(central_value(number) for number in numbers)


def number_cell(number: Number | None, interval: Interval | None, decimals: int, mark: str = "") -> TableCell:
    """Return a figure with its spread and interval. The cell is empty for None."""
    if number is None:
        return TableCell()
    value = central_value(number)
    spread = isinstance(number, Spread)
    return TableCell(
        text=format_number(value, decimals),
        exact=repr(float(value)),
        std=format_number(number.std, decimals) if isinstance(number, Spread) else "",
        std_exact=repr(float(number.std)) if isinstance(number, Spread) and spread else "",
        interval=format_interval(interval, decimals) if interval else "",
        low=repr(float(interval.low)) if interval else "",
        high=repr(float(interval.high)) if interval else "",
        mark=mark,
    )


def published_rows(keys: Sequence[str]) -> tuple[TableRow, ...]:
    """Return the rows of papers that have one of the figures."""
    return tuple(
        TableRow(row.name, tuple(_printed(row.values, key) for key in keys), source=number, of=table.short)
        for number, table in enumerate(published(), 1)
        if not table.apart and not set(keys).isdisjoint(table.columns)
        for row in table.rows
    )


def _printed(values: Mapping[str, Decimal], key: str) -> TableCell:
    if key not in values:
        return TableCell()
    epoch = values.get(f"{key}-epoch")
    return TableCell(
        f"{values[key]:,f}", str(values[key]), interval="" if epoch is None else f"epoch {epoch}"
    )


def tables_apart(report: ScoreReport, shown: Iterable[str]) -> list[ReportTable]:
    """Return the published tables that are not shown in full below ours; `shown` are the metrics that are."""
    shown_with_ours = set(shown) | (COST_COLUMNS if any(map(has_cost, report.scores)) else set())
    return [
        _whole(table, number)
        for number, table in enumerate(published(), 1)
        if table.apart or not shown_with_ours >= {key for key in table.columns if not key.endswith("-epoch")}
    ]


def _whole(table: PublishedTable, number: int) -> ReportTable:
    columns = tuple(Column(title) for title in table.columns.values())
    rows = tuple(
        TableRow(
            row.name, tuple(TableCell(f"{row.values[key]:,f}", str(row.values[key])) for key in table.columns)
        )
        for row in table.rows
    )
    return ReportTable(f"published-{number}", table.title, columns, rows, source=number)


def has_cost(score: Score) -> bool:
    """Return whether the cost is known."""
    return bool(score.costs) or score.parameters is not None or score.macs is not None


def cost_table(report: ScoreReport) -> ReportTable | None:
    """Return size and speed: a row for every engine and quality of every candidate."""
    rows = []
    for score in filter(has_cost, report.scores):
        size = (_count(score.parameters, 1e6, 2), _count(score.macs, 1e9, 1))
        for index, cost in enumerate(score.costs or (None,)):
            name = score.name if index == 0 else ""
            speed = (TableCell(), TableCell(), TableCell(), TableCell())
            if cost:
                speed = (
                    TableCell(cost.engine),
                    TableCell(cost.quality),
                    number_cell(cost.milliseconds, None, 1),
                    number_cell(cost.fps, None, 1),
                )
            rows.append(TableRow(name, (size if name else (TableCell(), TableCell())) + speed))
    if not rows:
        return None
    titles = ("Parameters, M", "GMAC at 720p", "Engine", "Quality", "ms", "fps")
    return ReportTable("cost", "Size and speed", tuple(map(Column, titles)), tuple(rows), _published_cost())


def _count(value: int | None, unit: float, decimals: int) -> TableCell:
    return TableCell() if value is None else TableCell(format_number(value / unit, decimals), str(value))


def _published_cost() -> tuple[TableRow, ...]:
    rows = []
    for number, table in enumerate(published(), 1):
        if not COST_COLUMNS.isdisjoint(table.columns):
            for row in table.rows:
                exact, millions = row.values.get("parameters"), row.values.get("parameters-millions")
                size = (
                    TableCell(f"{millions:f}", str(millions)) if millions else _count(int(exact or 0), 1e6, 2)
                )
                time = _printed(row.values, "milliseconds")
                engine = TableCell("their GPU") if time.text else TableCell()
                cells = (size, TableCell(), engine, TableCell(), time, TableCell())
                rows.append(TableRow(row.name, cells, source=number, of=table.short))
    return tuple(rows)


def sweep_table(points: Sequence[SweepPoint]) -> ReportTable:
    """Return every checkpoint with every figure."""
    keys = [key for key in METRICS if any(key in point.metrics for point in points)]
    decimals = {key: _decimals(p.metrics[key] for p in points if key in p.metrics) for key in keys}
    whole = 0 if all(float(point.epoch).is_integer() for point in points) else 2
    rows = tuple(
        TableRow(
            point.name,
            (
                TableCell(format_number(point.epoch, whole), repr(float(point.epoch))),
                *(
                    number_cell(
                        point.metrics.get(key),
                        point.intervals.get(key),
                        decimals[key],
                        "best" if key in point.best_for else "",
                    )
                    for key in keys
                ),
            ),
        )
        for point in points
    )
    return ReportTable("sweep-table", "Checkpoints", (Column("Epoch"), *map(_column, keys)), rows)


def film_table(film: Mapping[str, float]) -> ReportTable:
    """Return one row per figure, with its source and their ratio."""
    endings = ("", "-source", "-ratio")
    names = list(dict.fromkeys(name.removesuffix("-source").removesuffix("-ratio") for name in film))
    rows = []
    for name in names:
        values = [film.get(name + ending) for ending in endings]
        decimals = decimals_for(value for value in values[:2] if value is not None)
        places = (decimals, decimals, 3)
        cells = (number_cell(value, None, digits) for value, digits in zip(values, places, strict=True))
        rows.append(TableRow(FILM_TITLES.get(name, name), tuple(cells)))
    return ReportTable(
        "film-table", "The video", tuple(map(Column, ("Result", "Source", "Ratio"))), tuple(rows)
    )
