"""A style: a folder NAME/{weights.safetensors, generator.onnx, [generator.int8.onnx], card.toml, [lite/]}.

`weights.safetensors` holds the generator's state dict for torch, `generator.onnx` the same network as a
graph with free height and width (`engines.export` makes both), `generator.int8.onnx` its quantized form,
`card.toml` the facts (`engines.card` documents its keys). `lite` is a whole style again, of a smaller network
that draws alike. A style may be a graph alone, without weights for torch: its card's generator is "onnx".

A shipped style is trusted. Any other is a stranger's: its files are checked, by `engines.onnx_check` and
`engines.safetensors_check`, before a runtime sees them.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from engines.cache import data_folder
from engines.card import Table, read_card
from engines.errors import StyleError
from engines.folder_check import check_folder, is_folder
from engines.generators import GENERATORS
from engines.onnx_check import check_graph
from engines.safetensors_check import check_safetensors

DEFAULT_STYLE = "comic"
CARD = "card.toml"
WEIGHTS = "weights.safetensors"
GRAPH = "generator.onnx"
INT8_GRAPH = "generator.int8.onnx"
LITE = "lite"
"""The folder within a style's own that holds its lite network."""
GRAPH_ALONE = "onnx"
"""The generator of a style that has no weights for torch."""
NAME = r"[a-z0-9][a-z0-9_-]*"
PREVIEW = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\.(webp|png|jpg|jpeg)"
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
    """A name known to `engines.generators`, or `GRAPH_ALONE`."""
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
        """State dict in safetensors format. Raises StyleError where the style is a graph alone."""
        if self.graph_alone:
            raise StyleError(
                f"style {self.name} has only a graph, no weights for torch: "
                "take the engine openvino or onnxruntime"
            )
        return self.folder / WEIGHTS

    @property
    def shipped(self) -> bool:
        """Whether it came with streamtoon, and is trusted; any other is a stranger's."""
        return SHIPPED in self.folder.parents

    @property
    def graph_alone(self) -> bool:
        """Whether there are no weights for torch."""
        return self.generator == GRAPH_ALONE

    @property
    def graph(self) -> Path:
        """ONNX, N x 3 x H x W RGB in [-1, 1] to the same."""
        return self.folder / GRAPH

    @property
    def int8_graph(self) -> Path | None:
        """The quantized graph, where the style has one."""
        return self.folder / INT8_GRAPH if INT8_GRAPH in self.sha256 else None


def load_style(name_or_folder: str | Path) -> Style:
    """The shipped style of that name, the user's own, or the one in that folder, in this order.

    Its lite network is read and checked along with it.

    Raises StyleError: unknown (lists the known ones), incomplete, damaged, a card with a wrong key, or, of
    any but a shipped style, a file that holds what no style needs.
    """
    folder = Path(name_or_folder)
    if isinstance(name_or_folder, str):
        if name_or_folder in shipped_names():
            return _whole(SHIPPED / name_or_folder, trusted=True)
        if name_or_folder in own_names():
            return _whole(own_folder() / name_or_folder, trusted=False)
        if not is_folder(folder):
            known = ", ".join([*shipped_names(), *own_names()]) or "none"
            raise StyleError(
                f"unknown style {name_or_folder!r}: known are {known}, or the path of a style's folder"
            )
    elif not is_folder(folder):
        raise StyleError(f"{folder} is not a style: there is no such folder")
    return _whole(folder, trusted=folder.parent == SHIPPED)


def available_styles() -> list[Style]:
    """The shipped styles, by name. Raises StyleError when one of them is damaged."""
    return [load_style(name) for name in shipped_names()]


def own_folder() -> Path:
    """Where the user's own styles lie, each in a folder of its name; there may be none yet."""
    return data_folder("styles")


def own_names() -> list[str]:
    """The user's own styles, as `streamtoon styles add` keeps them; none of them is checked."""
    try:
        with os.scandir(own_folder()) as entries:
            found = [entry.name for entry in entries if re.fullmatch(NAME, entry.name)]
    except OSError:
        return []
    shipped = shipped_names()
    return sorted(name for name in found if name not in shipped and (own_folder() / name / CARD).is_file())


def names_with_lite() -> list[str]:
    """The shipped styles that have a lite network; none of them is checked."""
    return [name for name in shipped_names() if (SHIPPED / name / LITE).is_dir()]


def file_sha256(file: Path) -> str:
    """Hexadecimal. Raises StyleError when the file is missing or cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise StyleError(f"style {file.parent} is incomplete: it has no {file.name}") from None
    except OSError as error:
        raise StyleError(f"{file} cannot be read: {error.strerror or error}") from error


def shipped_names() -> list[str]:
    """The shipped styles; none of them is checked."""
    if not SHIPPED.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(SHIPPED) if (Path(entry) / CARD).is_file())


def _whole(folder: Path, *, trusted: bool) -> Style:
    """The style in that folder with its lite network."""
    style = _checked(folder, trusted)
    return replace(style, lite=_checked(folder / LITE, trusted)) if (folder / LITE).is_dir() else style


def _checked(folder: Path, trusted: bool) -> Style:
    """The style in that folder alone, its files held to the card."""
    if not trusted:
        check_folder(folder)
    style = _from_card(folder, read_card(folder / CARD))
    if not trusted:
        for name in style.sha256:
            (check_safetensors if name == WEIGHTS else check_graph)(folder / name)
    for name, checksum in style.sha256.items():
        if file_sha256(folder / name) != checksum:
            raise StyleError(
                f"{folder / name} is damaged: its checksum differs from {CARD}; fetch the style again"
            )
    return style


def _from_card(folder: Path, card: Table) -> Style:
    guided_filter, sums = card.table("guided_filter"), card.table("sha256")
    known = (*sorted(GENERATORS), GRAPH_ALONE)
    in_folder = "a file name in the style's folder that ends in .webp, .png or .jpg"
    preview = card.text("preview", pattern=PREVIEW, allowed=in_folder, default="")
    generator = card.text("generator", pattern="|".join(known), allowed=f"one of {', '.join(known)}")
    files = (GRAPH, INT8_GRAPH) if generator == GRAPH_ALONE else (WEIGHTS, GRAPH, INT8_GRAPH)
    style = Style(
        name=card.text("name", pattern=NAME, allowed="lower-case letters, digits, - and _"),
        title=card.text("title", pattern=r".*\S.*", allowed="a text that is not empty"),
        description=card.text("description"),
        folder=folder,
        generator=generator,
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
            for name in files
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
