"""Facts in a style's card besides its network and its look: training, scores and data."""

from __future__ import annotations

from dataclasses import dataclass

from engines.registry.card import CardTable


@dataclass(frozen=True, slots=True)
class DataSource:
    """Data that a style was trained on."""

    name: str
    licence: str
    source: str
    """A URL or a place; may be empty."""


@dataclass(frozen=True, slots=True)
class Training:
    """How a style's weights were trained."""

    steps: int
    seed: int
    versions: str


@dataclass(frozen=True, slots=True)
class Scores:
    """Results of `streamtoon score` for a style."""

    pictures: str
    """Which photographs and drawings, and how many."""
    metrics: dict[str, float]


def read_training(card: CardTable) -> Training | None:
    """Return the table [training]; None if there is none. Raises StyleError for a wrong key."""
    if not card.has("training"):
        return None
    table = card.table("training")
    training = Training(
        table.whole("steps", 0, 10**10), table.whole("seed", 0, 10**18), table.text("versions")
    )
    table.finish()
    return training


def read_scores(card: CardTable) -> Scores | None:
    """Return the table [scores]; None if there is none. Raises StyleError for a wrong key."""
    if not card.has("scores"):
        return None
    table = card.table("scores")
    return Scores(table.text("pictures"), table.numbers())


def read_data(card: CardTable) -> tuple[DataSource, ...]:
    """Return the tables [[data]]. Raises StyleError for a wrong key."""
    return tuple(_data_source(row) for row in card.tables("data"))


def _data_source(row: CardTable) -> DataSource:
    source = DataSource(name=row.text("name"), licence=row.text("licence"), source=row.text("source"))
    row.finish()
    return source
