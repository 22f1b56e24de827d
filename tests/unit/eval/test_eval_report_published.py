"""What the papers published, as far as it can contradict itself."""

from __future__ import annotations

from decimal import Decimal

from eval.report.published import PublishedTable, published
from eval.scoring.metric_registry import METRICS


def test_the_papers_figures_agree_with_each_other() -> None:
    votes = _table("Votes for the most realistic picture")
    assert sum(row.values["votes"] for row in votes.rows) == 150
    for reviewer in ("reviewer-1", "reviewer-2", "reviewer-3"):
        assert sum(row.values[reviewer] for row in votes.rows) == 50
    for row in votes.rows:
        assert row.values["votes"] == sum(value for key, value in row.values.items() if key != "votes")

    li = _table("The round trip photograph, cartoon, photograph").rows[0].values
    rounding = Decimal("0.0000005") * 52
    assert abs(50 * li["round-trip-ssim"] + li["round-trip-psnr"] - li["li"]) < rounding

    best_of = {row.name: row.values for row in _table("MMD and 1-NN accuracy").rows}["Cycle gan v3"]
    by_epoch = {row.name: row.values for row in _table("Cycle gan v3 by epoch").rows}
    for key in ("mmd", "1nn"):
        assert by_epoch[f"epoch {best_of[f'{key}-pixel-epoch']}"][key] == best_of[f"{key}-pixel"]
        assert min(values[key] for values in by_epoch.values()) == best_of[f"{key}-pixel"]

    millions = {row.name: row.values["parameters-millions"] for row in _table("Parameters and time").rows}
    exact = {row.name: row.values["parameters"] for row in _table("Parameters").rows}
    assert round(exact["AnimeGAN"] / 10**6, 2) == millions["AnimeGAN"]


def _table(title: str) -> PublishedTable:
    return next(table for table in published() if table.title == title)


def test_published_tables_have_every_column_in_every_row() -> None:
    known = METRICS.keys() | {"parameters", "parameters-millions", "milliseconds"}
    for table in published():
        assert all(list(row.values) == list(table.columns) for row in table.rows), table.title
        assert table.apart or {key.removesuffix("-epoch") for key in table.columns} <= known
        assert len({row.name for row in table.rows}) == len(table.rows)
