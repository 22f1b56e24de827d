"""A style: a folder NAME/{weights.safetensors, generator.onnx, [generator.int8.onnx], card.toml, [lite/]}.

`weights.safetensors` holds the generator's state dict for torch, `generator.onnx` the same network as a
graph with free height and width (`engines.export` makes both), `generator.int8.onnx` its quantized form,
`card.toml` the facts (`engines.card` documents its keys). `lite` is a whole style again, of a smaller network
that draws alike.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from engines.card import Table, read_card
from engines.errors import StyleError
from engines.generators import GENERATORS

DEFAULT_STYLE = "comic"
CARD = "card.toml"
WEIGHTS = "weights.safetensors"
GRAPH = "generator.onnx"
INT8_GRAPH = "generator.int8.onnx"
LITE = "lite"
"""The folder within a style's own that holds its lite network."""
NAME = r"[a-z0-9][a-z0-9_-]*"
SHIPPED = Path(__file__).parent / "styles"


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


@dataclass(frozen=True, slots=True)
class Style:
    """The facts about a style and where its files lie; the files were there and whole when it was read."""

    name: str
    title: str
    description: str
    folder: Path
    generator: str
    """A name known to `engines.generators`."""
    parameters: int
    """Number of the generator's weights."""
    size_multiple: int
    """What heights and widths the generator takes are multiples of."""
    working_height: int
    """Pixels of the short side that the style was made for: larger pictures are worked on at this size."""
    radius: int
    """Of the guided filter, in pixels at the style's own size; where it works smaller, as much smaller."""
    eps: float
    """Of the guided filter, as a fraction of the range squared."""
    lines: float
    """Share, 0 to 1, that is kept of what the guided filter would smooth away."""
    licence: str
    attribution: str
    """Whom to name when the style is passed on; may be empty."""
    recipe: str
    training: Training | None
    """None where the card does not say."""
    scores: Scores | None = field(compare=False)
    """None where the card does not say."""
    data: tuple[DataSource, ...]
    preview: Path | None
    """A before/after picture."""
    sha256: dict[str, str] = field(compare=False)
    """File name -> checksum."""
    lite: Style | None = None
    """The same look by a smaller network, with its own facts and none smaller still; quality `lite`."""

    @property
    def weights(self) -> Path:
        """State dict in safetensors format."""
        return self.folder / WEIGHTS

    @property
    def graph(self) -> Path:
        """ONNX, N x 3 x H x W RGB in [-1, 1] to the same."""
        return self.folder / GRAPH

    @property
    def int8_graph(self) -> Path | None:
        """The quantized graph, where the style has one."""
        return self.folder / INT8_GRAPH if INT8_GRAPH in self.sha256 else None


def load_style(name_or_folder: str | Path) -> Style:
    """The shipped style of that name, or the one in that folder; a text names a shipped style first.

    Its lite network is read and checked along with it.

    Raises StyleError: unknown (lists the known ones), incomplete, damaged, or a card with a wrong key.
    """
    folder = Path(name_or_folder)
    if isinstance(name_or_folder, str):
        if name_or_folder in _shipped_names():
            folder = SHIPPED / name_or_folder
        elif not folder.is_dir():
            known = ", ".join(_shipped_names()) or "none"
            raise StyleError(
                f"unknown style {name_or_folder!r}: known are {known}, or the path of a style's folder"
            )
    elif not folder.is_dir():
        raise StyleError(f"{folder} is not a style: there is no such folder")
    style = _checked(folder)
    return replace(style, lite=_checked(folder / LITE)) if (folder / LITE).is_dir() else style


def available_styles() -> list[Style]:
    """The shipped styles, by name. Raises StyleError when one of them is damaged."""
    return [load_style(SHIPPED / name) for name in _shipped_names()]


def names_with_lite() -> list[str]:
    """The shipped styles that have a lite network; none of them is checked."""
    return [name for name in _shipped_names() if (SHIPPED / name / LITE).is_dir()]


def file_sha256(file: Path) -> str:
    """Hexadecimal. Raises StyleError when the file is missing or cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise StyleError(f"style {file.parent} is incomplete: it has no {file.name}") from None
    except OSError as error:
        raise StyleError(f"{file} cannot be read: {error.strerror or error}") from error


def _shipped_names() -> list[str]:
    if not SHIPPED.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(SHIPPED) if (Path(entry) / CARD).is_file())


def _checked(folder: Path) -> Style:
    """The style in that folder alone, its files held to the card."""
    style = _from_card(folder, read_card(folder / CARD))
    for name, checksum in style.sha256.items():
        if file_sha256(folder / name) != checksum:
            raise StyleError(
                f"{folder / name} is damaged: its checksum differs from {CARD}; fetch the style again"
            )
    return style


def _from_card(folder: Path, card: Table) -> Style:
    guided_filter, sums = card.table("guided_filter"), card.table("sha256")
    generators = ", ".join(sorted(GENERATORS))
    in_folder = "a file name in the style's folder"
    preview = card.text("preview", pattern=r"[^/\\]+", allowed=in_folder, default="")
    style = Style(
        name=card.text("name", pattern=NAME, allowed="lower-case letters, digits, - and _"),
        title=card.text("title", pattern=r".*\S.*", allowed="a text that is not empty"),
        description=card.text("description"),
        folder=folder,
        generator=card.text("generator", pattern="|".join(GENERATORS), allowed=f"one of {generators}"),
        parameters=card.whole("parameters", 1, 10**10),
        size_multiple=card.whole("size_multiple", 1, 64),
        working_height=card.whole("working_height", 16, 4320),
        radius=guided_filter.whole("radius", 0, 64),
        eps=guided_filter.number("eps", 1e-7, 1.0),
        lines=guided_filter.number("lines", 0.0, 1.0, default=0.0),
        licence=card.text("licence", pattern=r".*\S.*", allowed="a text that is not empty"),
        attribution=card.text("attribution"),
        recipe=card.text("recipe"),
        training=_training(card.table("training")) if card.has("training") else None,
        scores=_scores(card.table("scores")) if card.has("scores") else None,
        data=tuple(_data_source(row) for row in card.tables("data")),
        preview=folder / preview if preview else None,
        sha256={
            name: sums.text(name, pattern="[0-9a-f]{64}", allowed="64 hexadecimal digits")
            for name in (WEIGHTS, GRAPH, INT8_GRAPH)
            if name != INT8_GRAPH or sums.has(INT8_GRAPH)
        },
    )
    for table in (guided_filter, sums, card):
        table.finish()
    return style


def _training(table: Table) -> Training:
    training = Training(
        table.whole("steps", 0, 10**10), table.whole("seed", 0, 10**18), table.text("versions")
    )
    table.finish()
    return training


def _scores(table: Table) -> Scores:
    return Scores(table.text("pictures"), table.numbers())


def _data_source(row: Table) -> DataSource:
    source = DataSource(name=row.text("name"), licence=row.text("licence"), source=row.text("source"))
    row.finish()
    return source
