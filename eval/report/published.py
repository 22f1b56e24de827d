"""What the papers' authors published about their own systems, read from `published.toml`."""

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
    """By column, with the decimals that the paper prints."""


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One table of one paper."""

    paper: str
    """Authors and title."""
    short: str
    """The system's name, to stand before a row's."""
    where: str
    """Which table of the paper."""
    title: str
    data: str
    """What it was measured on, a clause for people."""
    columns: Mapping[str, str]
    """From key to heading. Keys of `eval.scoring.metric_registry.METRICS` mean the same metric."""
    rows: tuple[PublishedRow, ...]
    note: str = ""
    apart: bool = False
    """Never beside our own figures: its columns belong together."""


@cache
def published() -> tuple[PublishedTable, ...]:
    """The tables, in the order of the file."""
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
