"""A style: a folder NAME/{weights.safetensors, generator.onnx, [generator.int8.onnx], card.toml, [lite/]}.

`weights.safetensors` holds the generator's state dict for torch, `generator.onnx` the same network as a graph
with variable height and width (`engines.export.onnx_graph` writes both), `generator.int8.onnx` its quantized
form, and `card.toml` the facts (`engines.registry.card` documents its keys). `lite` is a style folder with a
smaller network that draws alike. A style without weights has the generator "onnx" in its card.

A style that is a look over fields (`engines.imaging.field_blocks`) has a table [look] in its card, and either
its own files or the name of a network that several styles share, which is a folder of the same form in
`NETWORKS`. A look that a user writes is one TOML file, which changes some keys of another style's look.

Shipped styles are trusted. All other files are not: `engines.untrusted.onnx_validator` and
`engines.untrusted.safetensors_validator` check them before a runtime reads them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

from engines.common.defaults import STYLE
from engines.common.dirs import data_folder
from engines.common.spelling import unknown_name
from engines.errors import StyleError
from engines.generators import FIELD_GENERATORS, GENERATORS
from engines.looks.look import Look
from engines.registry.card import CardTable, read_card, read_look_file
from engines.registry.look_table import read_look, to_table
from engines.registry.style_facts import DataSource, Scores, Training, read_data, read_scores, read_training
from engines.untrusted.folder_validator import check_folder, file_sha256, is_folder
from engines.untrusted.onnx_validator import check_graph
from engines.untrusted.safetensors_validator import check_safetensors

__all__ = ["DataSource", "Scores", "Style", "Training", "available_styles", "load_style"]

DEFAULT_STYLE = STYLE
CARD = "card.toml"
WEIGHTS = "weights.safetensors"
GRAPH = "generator.onnx"
INT8_GRAPH = "generator.int8.onnx"
LITE = "lite"
"""Subfolder of a style that holds its lite network."""
GRAPH_ALONE = "onnx"
"""The generator of a style without weights for torch."""
LOOK_FILE = ".toml"
"""Suffix of a user's look file."""
FILLED, A_FILLED_TEXT = r".*\S.*", "a text that is not empty"
NAME = r"[a-z0-9][a-z0-9_-]*"
PREVIEW = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\.(webp|png|jpg|jpeg)"
SHIPPED = Path(__file__).parents[1] / "styles"
NETWORKS = Path(__file__).parents[1] / "networks"
"""Networks that several styles share, each in a folder of its name."""


@dataclass(frozen=True, slots=True)
class Style:
    """The facts about a style and the place of its files, which existed and were intact when it was read."""

    name: str
    title: str
    description: str
    folder: Path
    generator: str
    """A key of `engines.generators.GENERATORS`, or `GRAPH_ALONE`."""
    parameters: int
    """Number of the generator's weights."""
    size_multiple: int
    """The generator's heights and widths are multiples of this."""
    working_height: int
    """Short side that the style was made for, pixels: larger frames are scaled down to it."""
    radius: int
    """Radius of the guided filter at that size, pixels; it shrinks with the working size. A style with a
    generator of fields has no guided filter: `radius`, `eps` and `lines` are 0.
    """
    eps: float
    """Regularisation of the guided filter, a fraction of the squared range."""
    lines: float
    """Share of the detail, 0 to 1, that is put back after the guided filter."""
    look: Look | None
    """How fields become a drawing; None for RGB styles, and for a shared network itself."""
    network_folder: Path
    """Folder of weights and graphs: `folder`, or that of a shared network."""
    licence: str
    attribution: str
    """Credit to give when the style is passed on; may be empty."""
    recipe: str
    training: Training | None
    """None if the card has none."""
    scores: Scores | None = field(compare=False)
    """None if the card has none."""
    data: tuple[DataSource, ...]
    preview: Path | None
    """A before/after image."""
    sha256: dict[str, str] = field(compare=False)
    """File name -> SHA-256, hexadecimal."""
    lite: Style | None = None
    """The same look with a smaller network, for quality `lite`; it has no lite form itself."""

    @property
    def weights(self) -> Path:
        """Path of the state dict, safetensors format. Raises StyleError for a style without weights."""
        if self.graph_alone:
            raise StyleError(
                f"style {self.name} has no weights for torch; use --engine openvino or onnxruntime"
            )
        return self.network_folder / WEIGHTS

    @property
    def shipped(self) -> bool:
        """Whether its network is part of streamtoon and therefore trusted."""
        return bool({SHIPPED, NETWORKS} & set(self.network_folder.parents))

    @property
    def network(self) -> str:
        """Name of the shared network; empty if the style has its own."""
        folder = self.network_folder
        return next((each.name for each in (folder, *folder.parents) if each.parent == NETWORKS), "")

    @property
    def gives_fields(self) -> bool:
        """Whether its generator gives fields, and not a finished RGB image."""
        return self.generator in FIELD_GENERATORS

    def form(self, quality: str) -> Style:
        """Return the style whose network is used in a quality.

        That is the lite form in `lite`, if there is one, and for a style over fields also in `fast`.
        """
        small = ("fast", "lite") if self.gives_fields else ("lite",)
        return self.lite if quality in small and self.lite is not None else self

    @property
    def graph_alone(self) -> bool:
        """Whether the style has a graph but no weights for torch."""
        return self.generator == GRAPH_ALONE

    @property
    def channels(self) -> tuple[int, int]:
        """Input and output channels of the generator: of RGB pixels, or of blocks of samples and fields."""
        if not self.gives_fields:
            return 3, 3
        from engines.imaging.field_blocks import (  # and with it OpenCV, which reading a card does without
            FIELDS,
            SAMPLES,
        )

        return SAMPLES, FIELDS

    @property
    def graph(self) -> Path:
        """Path of the ONNX graph, with values in [-1, 1].

        It maps N x 3 x H x W RGB to the same, or N x 24 x H x W blocks of samples to N x 40 x H x W fields.
        """
        return self.network_folder / GRAPH

    @property
    def int8_graph(self) -> Path | None:
        """Path of the quantized graph; None if the style has none."""
        return self.network_folder / INT8_GRAPH if INT8_GRAPH in self.sha256 else None


def load_style(name_or_folder: str | Path) -> Style:
    """Load a style with its lite network.

    `name_or_folder` is a shipped style, one of the user's, a folder, or a look file, which ends in .toml
    (`engines.registry.card.read_look_file`). Names are not case sensitive. Raises StyleError if the style is
    unknown, incomplete or damaged, its card is wrong, or an untrusted file contains what no style needs.
    """
    folder = Path(name_or_folder)
    if name_or_folder in shipped_names():
        return _load_folder(SHIPPED / name_or_folder, trusted=True)
    if name_or_folder in user_style_names():
        return _load_folder(user_styles_folder() / name_or_folder, trusted=False)
    if not is_folder(folder):
        if folder.name.endswith(LOOK_FILE):
            return _from_look_file(folder)
        if isinstance(name_or_folder, Path):
            raise StyleError(f"{folder} is not a style: there is no such folder")
        names = [*shipped_names(), *user_style_names()]
        if name_or_folder.lower() in names:
            return load_style(name_or_folder.lower())
        raise StyleError(f"{unknown_name('style', name_or_folder, names)}, or the path of a style's folder")
    return _load_folder(folder, trusted=folder.parent in (SHIPPED, NETWORKS))


def available_styles() -> list[Style]:
    """Return the shipped styles by name. Raises StyleError if one of them is damaged."""
    return [load_style(name) for name in shipped_names()]


def user_styles_folder() -> Path:
    """Return the folder of the user's styles, which may not exist yet."""
    return data_folder("styles")


def user_style_names() -> list[str]:
    """Return the names of the user's styles in the data folder, without checking them."""
    try:
        with os.scandir(user_styles_folder()) as entries:
            found = [entry.name for entry in entries if re.fullmatch(NAME, entry.name)]
    except OSError:
        return []
    shipped = shipped_names()
    return sorted(
        name for name in found if name not in shipped and (user_styles_folder() / name / CARD).is_file()
    )


def names_with_lite() -> list[str]:
    """Return the names of the shipped styles with a lite network, their own or a shared one."""
    return [style.folder.name for style in available_styles() if style.lite]


def shipped_names() -> list[str]:
    """Return the names of the shipped styles, without checking them."""
    if not SHIPPED.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(SHIPPED) if (Path(entry) / CARD).is_file())


def _load_folder(folder: Path, *, trusted: bool) -> Style:
    """Return the style in a folder, with its lite network."""
    if not trusted:
        check_folder(folder)
    card = read_card(folder / CARD)
    if card.has("network"):
        return _over_network(folder, card)
    style = _load_checked(folder, card, trusted)
    if not (folder / LITE).is_dir():
        return style
    if not trusted:
        check_folder(folder / LITE)
    lite = _load_checked(folder / LITE, read_card(folder / LITE / CARD), trusted)
    if lite.gives_fields != style.gives_fields:
        raise StyleError(f"{folder / LITE} does not fit the style: both or neither must give fields")
    style = replace(style, lite=lite)
    return _with_lite_alike(style) if style.look else style


def _over_network(folder: Path, card: CardTable) -> Style:
    """Return a style with a shared network, which provides what the card leaves out."""
    name = card.text("network", pattern=NAME, allowed="the name of a shared network")
    place = NETWORKS / name
    if not (place / CARD).is_file():
        known = sorted(each.parent.name for each in NETWORKS.glob(f"*/{CARD}"))
        raise StyleError(
            f"{folder / CARD}: unknown network {name}; choose one of: {', '.join(known) or 'none'}"
        )
    facts = (place / CARD).stat()
    network = _network(place, facts.st_mtime_ns, facts.st_size)
    if not network.gives_fields:
        raise StyleError(f"{place} cannot be shared: its generator {network.generator} does not give fields")
    look = read_look(card.table("look"))
    style = replace(
        network,
        **_names(card),
        licence=card.text("licence", pattern=FILLED, allowed=A_FILLED_TEXT, default=network.licence),
        attribution=card.text("attribution", default=network.attribution),
        recipe=card.text("recipe", default=network.recipe),
        folder=folder,
        working_height=card.whole("working_height", 16, 4320, default=network.working_height),
        look=look,
        training=read_training(card) or network.training,
        scores=read_scores(card),
        data=read_data(card) or network.data,
        preview=_preview(folder, card),
    )
    card.finish()
    return _with_lite_alike(style)


def _with_lite_alike(style: Style) -> Style:
    """Return the style with a lite form that has the style's facts and look, and the smaller network."""
    if style.lite is None:
        return style
    small = style.lite
    lite = replace(
        style,
        generator=small.generator,
        parameters=small.parameters,
        size_multiple=small.size_multiple,
        network_folder=small.network_folder,
        training=small.training,
        sha256=small.sha256,
        lite=None,
    )
    return replace(style, lite=lite)


@lru_cache(maxsize=16)
def _network(folder: Path, changed: int, size: int) -> Style:
    """Return a shared network. Its files are checked once for all styles, and again if its card changes."""
    return _load_folder(folder, trusted=True)


def _from_look_file(file: Path) -> Style:
    """Return the style that a look file makes of another style."""
    card = read_look_file(file)
    name = file.stem
    if not re.fullmatch(NAME, name):
        raise StyleError(
            f"{file}: its name must consist of lower-case letters, digits, - and _ before {LOOK_FILE}"
        )
    base = card.text("base", pattern=NAME, allowed="the name of a style that is a look")
    style = load_style(base)
    if style.look is None:
        raise StyleError(f"{file}: base is {base!r}, which has no look; choose a style that has one")
    look = read_look(card.table("look").over(to_table(style.look)))
    changed = replace(
        style,
        name=name,
        title=card.text("title", pattern=FILLED, allowed=A_FILLED_TEXT, default=name),
        description=card.text("description", default=""),
        look=look,
        scores=None,
        preview=None,
    )
    card.finish()
    return _with_lite_alike(changed)


def _load_checked(folder: Path, card: CardTable, trusted: bool) -> Style:
    """Return the style in a folder without its lite network, after checking its files."""
    style = _from_card(folder, card)
    if not trusted:
        for name in style.sha256:
            if name == WEIGHTS:
                check_safetensors(folder / name)
            else:
                check_graph(folder / name, style.channels)
    for name, checksum in style.sha256.items():
        if file_sha256(folder / name) != checksum:
            raise StyleError(
                f"{folder / name} is damaged: its checksum differs from {CARD}; download the style again"
            )
    return style


def _from_card(folder: Path, card: CardTable) -> Style:
    sums = card.table("sha256")
    known = (*sorted(GENERATORS), GRAPH_ALONE)
    generator = card.text("generator", pattern="|".join(known), allowed=f"one of {', '.join(known)}")
    files = (GRAPH, INT8_GRAPH) if generator == GRAPH_ALONE else (WEIGHTS, GRAPH, INT8_GRAPH)
    gives_fields = generator in FIELD_GENERATORS
    guided_filter = None if gives_fields else card.table("guided_filter")
    style = Style(
        **_names(card),
        licence=card.text("licence", pattern=FILLED, allowed=A_FILLED_TEXT),
        attribution=card.text("attribution"),
        recipe=card.text("recipe"),
        folder=folder,
        generator=generator,
        parameters=card.whole("parameters", 1, 10**10),
        size_multiple=card.whole("size_multiple", 1, 64),
        working_height=card.whole("working_height", 16, 4320),
        radius=guided_filter.whole("radius", 0, 64) if guided_filter else 0,
        eps=guided_filter.number("eps", 1e-7, 1.0) if guided_filter else 0.0,
        lines=guided_filter.number("lines", 0.0, 1.0, default=0.0) if guided_filter else 0.0,
        look=read_look(card.table("look")) if gives_fields and card.has("look") else None,
        network_folder=folder,
        training=read_training(card),
        scores=read_scores(card),
        data=read_data(card),
        preview=_preview(folder, card),
        sha256={
            name: sums.text(name, pattern="[0-9a-f]{64}", allowed="64 hexadecimal digits")
            for name in files
            if name != INT8_GRAPH or sums.has(INT8_GRAPH)
        },
    )
    for table in (guided_filter, sums, card):
        if table is not None:
            table.finish()
    return style


class _Names(TypedDict):
    name: str
    title: str
    description: str


def _names(card: CardTable) -> _Names:
    return _Names(
        name=card.text("name", pattern=NAME, allowed="lower-case letters, digits, - and _"),
        title=card.text("title", pattern=FILLED, allowed=A_FILLED_TEXT),
        description=card.text("description"),
    )


def _preview(folder: Path, card: CardTable) -> Path | None:
    in_folder = "a file name in the style's folder that ends in .webp, .png or .jpg"
    preview = card.text("preview", pattern=PREVIEW, allowed=in_folder, default="")
    return folder / preview if preview else None
