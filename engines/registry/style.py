"""A style: a folder NAME/{weights.safetensors, generator.onnx, [generator.int8.onnx], card.toml, [lite/]}.

`weights.safetensors` holds the generator's state dict for torch, `generator.onnx` the same network as a
graph with free height and width (`engines.export.onnx_graph` makes both), `generator.int8.onnx` its quantized
form, `card.toml` the facts (`engines.registry.card` documents its keys). `lite` is a whole style again, of a
smaller network that draws alike. A style may be a graph alone: its card's generator is then "onnx".

A style that is a look over fields (`engines.imaging.field_blocks`) has a table [look] in its card, and either
files of its own, as above, or the name of a network that several styles share: a folder of the same form in
`NETWORKS`. A look that a user writes is one TOML file, which changes some keys of another style's look.

What is shipped is trusted. Any other file is a stranger's: `engines.untrusted.onnx_validator` and
`engines.untrusted.safetensors_validator` check it before a runtime sees it.
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
from engines.looks.look import Look, read_look, to_table
from engines.registry.card import CardTable, read_card, read_look_file
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
"""The folder within a style's own that holds its lite network."""
GRAPH_ALONE = "onnx"
"""The generator of a style that has no weights for torch."""
LOOK_FILE = ".toml"
"""How the name of a user's look file ends."""
FILLED, A_FILLED_TEXT = r".*\S.*", "a text that is not empty"
NAME = r"[a-z0-9][a-z0-9_-]*"
PREVIEW = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\.(webp|png|jpg|jpeg)"
SHIPPED = Path(__file__).parents[1] / "styles"
NETWORKS = Path(__file__).parents[1] / "networks"
"""Of networks that several styles share, each in a folder of its name."""


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
    """Of the guided filter, in pixels at the style's own size; where it works smaller, as much smaller.
    A style that draws by fields has no guided filter: 0, as the two after it are.
    """
    eps: float
    """Of the guided filter, as a fraction of the range squared."""
    lines: float
    """Share, 0 to 1, that is kept of what the guided filter would smooth away."""
    look: Look | None
    """What makes a drawing of fields; None for other styles, and for a network of fields by itself."""
    network_folder: Path
    """Where weights and graphs lie: `folder`, or that of a network which several styles share."""
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
        return self.network_folder / WEIGHTS

    @property
    def shipped(self) -> bool:
        """Whether its network came with streamtoon, and is trusted; any other is a stranger's."""
        return bool({SHIPPED, NETWORKS} & set(self.network_folder.parents))

    @property
    def network(self) -> str:
        """The name of the shared network that draws it; empty where it has its own."""
        folder = self.network_folder
        return next((each.name for each in (folder, *folder.parents) if each.parent == NETWORKS), "")

    @property
    def gives_fields(self) -> bool:
        """Whether its generator gives fields for a look, and not a finished picture."""
        return self.generator in FIELD_GENERATORS

    def form(self, quality: str) -> Style:
        """The form whose network draws in a quality: the small one of a look in `fast` and `lite`.

        Of other styles in `lite` alone, where there is one.
        """
        small = ("fast", "lite") if self.gives_fields else ("lite",)
        return self.lite if quality in small and self.lite is not None else self

    @property
    def graph_alone(self) -> bool:
        """Whether there are no weights for torch."""
        return self.generator == GRAPH_ALONE

    @property
    def channels(self) -> tuple[int, int]:
        """Those that the generator takes and gives: of RGB pixels, or of blocks of samples and fields."""
        if not self.gives_fields:
            return 3, 3
        from engines.imaging.field_blocks import (  # and with it OpenCV, which reading a card does without
            FIELDS,
            SAMPLES,
        )

        return SAMPLES, FIELDS

    @property
    def graph(self) -> Path:
        """ONNX, values in [-1, 1]: N x 3 x H x W RGB to the same, or N x 24 x H x W blocks of samples to
        N x 40 x H x W of fields.
        """
        return self.network_folder / GRAPH

    @property
    def int8_graph(self) -> Path | None:
        """The quantized graph, where the style has one."""
        return self.network_folder / INT8_GRAPH if INT8_GRAPH in self.sha256 else None


def load_style(name_or_folder: str | Path) -> Style:
    """The shipped style of that name, the user's own, or the one in that folder or look file, in this order.

    Its lite network is read and checked along with it. A path that ends in .toml is a look file, as
    `engines.registry.card.read_look_file` documents it. Capitals in a name do not count.

    Raises StyleError: unknown (lists the known ones), incomplete, damaged, a card with a wrong key, or, of
    any but a shipped style, a file that holds what no style needs.
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
    """The shipped styles, by name. Raises StyleError when one of them is damaged."""
    return [load_style(name) for name in shipped_names()]


def user_styles_folder() -> Path:
    """Where the user's own styles lie, each in a folder of its name; there may be none yet."""
    return data_folder("styles")


def user_style_names() -> list[str]:
    """The user's own styles, as `streamtoon styles add` keeps them; none of them is checked."""
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
    """The shipped styles that have a lite network, which may be that of a shared one."""
    return [style.folder.name for style in available_styles() if style.lite]


def shipped_names() -> list[str]:
    """The shipped styles; none of them is checked."""
    if not SHIPPED.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(SHIPPED) if (Path(entry) / CARD).is_file())


def _load_folder(folder: Path, *, trusted: bool) -> Style:
    """The style in that folder with its lite network."""
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
        raise StyleError(f"{folder / LITE} cannot be the lite network: both or none have to give fields")
    style = replace(style, lite=lite)
    return _with_lite_alike(style) if style.look else style


def _over_network(folder: Path, card: CardTable) -> Style:
    """The style of a card that names a shared network: what the card leaves out is the network's."""
    name = card.text("network", pattern=NAME, allowed="the name of a shared network")
    place = NETWORKS / name
    if not (place / CARD).is_file():
        known = sorted(each.parent.name for each in NETWORKS.glob(f"*/{CARD}"))
        raise StyleError(
            f"{folder / CARD}: there is no network {name}; known are {', '.join(known) or 'none'}"
        )
    facts = (place / CARD).stat()
    network = _network(place, facts.st_mtime_ns, facts.st_size)
    if not network.gives_fields:
        raise StyleError(f"{place} cannot be shared: its generator {network.generator} gives no fields")
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
    """The style, its lite form, where it has one, with its own facts and look over the smaller network."""
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
    """A shared network, its files read and checked once for all styles; anew when its card is another."""
    return _load_folder(folder, trusted=True)


def _from_look_file(file: Path) -> Style:
    """The style that a look file makes of another."""
    card = read_look_file(file)
    name = file.stem
    if not re.fullmatch(NAME, name):
        raise StyleError(
            f"{file} names no style: allowed before {LOOK_FILE} are lower-case letters, digits, - and _"
        )
    base = card.text("base", pattern=NAME, allowed="the name of a style that is a look")
    style = load_style(base)
    if style.look is None:
        raise StyleError(f"{file}: base is {base!r}, which is no look; allowed is a style that has one")
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
    """The style in that folder alone, its files held to the card."""
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
                f"{folder / name} is damaged: its checksum differs from {CARD}; fetch the style again"
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
