"""What a style's card says beside its network and its look: training, scores and data."""

from __future__ import annotations

from dataclasses import dataclass

from engines.registry.card import CardTable


@dataclass(frozen=True, slots=True)
class DataSource:
    """What a style was trained on."""

    name: str
    licence: str
    source: str
    """An address or a place; may be empty."""


@dataclass(frozen=True, slots=True)
class Training:
    """How a style's weights came to be."""

    steps: int
    seed: int
    versions: str


@dataclass(frozen=True, slots=True)
class Scores:
    """What `streamtoon score` said of a style."""

    pictures: str
    """Which photographs and drawings, how many."""
    metrics: dict[str, float]


def read_training(card: CardTable) -> Training | None:
    """The table [training]; None where there is none. Raises StyleError, as the others here do."""
    if not card.has("training"):
        return None
    table = card.table("training")
    training = Training(
        table.whole("steps", 0, 10**10), table.whole("seed", 0, 10**18), table.text("versions")
    )
    table.finish()
    return training


def read_scores(card: CardTable) -> Scores | None:
    """The table [scores]; None where there is none."""
    if not card.has("scores"):
        return None
    table = card.table("scores")
    return Scores(table.text("pictures"), table.numbers())


def read_data(card: CardTable) -> tuple[DataSource, ...]:
    """The tables [[data]]."""
    return tuple(_data_source(row) for row in card.tables("data"))


def _data_source(row: CardTable) -> DataSource:
    source = DataSource(name=row.text("name"), licence=row.text("licence"), source=row.text("source"))
    row.finish()
    return source
