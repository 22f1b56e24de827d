"""Figures that authors of papers published about their own systems, read from `published.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One system in one table."""

    name: str
    values: Mapping[str, Decimal]
    """By column, with the decimals printed in the paper."""


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One table of one paper."""

    paper: str
    """Authors and title."""
    short: str
    """The name of the system, which precedes a row's name."""
    where: str
    """The number of the table in the paper."""
    title: str
    data: str
    """The data that were used, as a readable clause."""
    columns: Mapping[str, str]
    """Key -> heading. Keys of `eval.scoring.metric_registry.METRICS` mean the same metric."""
    rows: tuple[PublishedRow, ...]
    note: str = ""
    apart: bool = False
    """Never shown next to our own figures, since its columns belong together."""


@cache
def published() -> tuple[PublishedTable, ...]:
    """Return the tables in the order of the file."""
    text = files("eval.report").joinpath("published.toml").read_text(encoding="utf-8")
    return tuple(
        PublishedTable(
            **{key: value for key, value in table.items() if key != "rows"},
            rows=tuple(
                PublishedRow(
                    row["name"], {key: Decimal(value) for key, value in row.items() if key != "name"}
                )
                for row in table["rows"]
            ),
        )
        for table in tomllib.loads(text, parse_float=Decimal)["table"]
    )
