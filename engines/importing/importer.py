"""The user's own styles: importing them from a file or a folder, and removing them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import StyleError
from engines.importing.sandbox import run_in_sandbox
from engines.registry.card import FORMAT, to_toml
from engines.registry.look_table import to_table
from engines.registry.style import (
    CARD,
    GRAPH,
    GRAPH_ALONE,
    LITE,
    LOOK_FILE,
    NAME,
    SHIPPED,
    Style,
    load_style,
    user_style_names,
    user_styles_folder,
)
from engines.untrusted.folder_validator import file_sha256
from engines.untrusted.onnx_validator import MAX_NODES, read_graph

TORCH = (".pt", ".pth", ".ckpt", ".safetensors")
_ADDED_NODES = 15
"""Most nodes that `engines.importing.wrap` adds to a graph."""
_PART = ".adding-"
"""Prefix of the folders in which styles are being prepared."""
_ABANDONED_AFTER_S = 3600
"""Age, in seconds, at which such a folder is considered abandoned."""
FILTER = {"radius": 1, "eps": 1e-3, "lines": 1.0}
"""The guided filter of imported networks. All lines are kept: the output needs no filter."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the user states about a style. Empty values are detected or guessed."""

    name: str = ""
    title: str = ""
    licence: str = ""
    height: int = 0
    """Short side that it was made for, pixels."""
    bgr: bool = False
    """Whether a graph was trained on images with OpenCV's order of channels."""
    values: str = ""
    """Values of black and white, "-1..1", "0..1" or "0..255", if the detected ones are wrong."""


@dataclass(frozen=True, slots=True)
class ImportedStyle:
    """An imported style, and what was detected about its graph."""

    style: Style
    form: str
    """Layout, channels and values of the graph; empty for other sources."""
    also: tuple[str, ...]
    """Other values of black and white that fit nearly as well."""
    fixed: tuple[int, int] | None
    """Height and width that were fixed in the graph and are variable now."""


def add_style(source: Path, options: ImportOptions) -> ImportedStyle:
    """Import a style folder, a look file, an ONNX graph or a file of weights as one of the user's styles.

    It is tried in a separate process before it is stored, and stored completely or not at all.

    Raises:
        StyleError: The source is of another kind, unsafe, or does not draw, or the name is taken.
        EngineError: A required package is not installed.
    """
    if not source.exists():
        raise StyleError(f"{source}: there is no such file or folder")
    kind = source.suffix.lower()
    is_style = source.is_dir() or kind == LOOK_FILE
    if not is_style and kind not in (".onnx", *TORCH):
        raise StyleError(
            f"{source} cannot be imported; supported are style folders, look files ({LOOK_FILE}), .onnx, "
            f"{', '.join(TORCH)}; convert other formats to ONNX"
        )
    name = options.name or ("" if is_style else _name_of(source))
    if is_style:
        name = name or load_style(source).name
    _check_name(name)
    with _building(name) as folder:
        if is_style:
            _copy(load_style(source), folder, name, options)
            found: dict[str, Any] = {}
        elif kind == ".onnx":
            found = _import_graph(source, folder, name, options)
        else:
            card = _card(name, source, options)
            found = run_in_sandbox(source, {"kind": "weights", "card": card}, folder)
        load_style(folder)
    fixed = found.get("fixed")
    size = (fixed[0], fixed[1]) if fixed else None
    return ImportedStyle(load_style(name), found.get("form", ""), tuple(found.get("also", ())), size)


def remove_style(name: str) -> Path:
    """Delete one of the user's styles. Return its folder. Raises StyleError if there is none of that name."""
    if name not in user_style_names():
        own = ", ".join(user_style_names()) or "none"
        what = (
            "a shipped style and cannot be removed" if (SHIPPED / name / CARD).is_file() else "not installed"
        )
        raise StyleError(f"style {name!r} is {what}; your own styles: {own}")
    folder = user_styles_folder() / name
    try:
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except OSError as error:
        raise StyleError(f"{folder} cannot be removed: {error.strerror or error}") from error
    return folder


def _name_of(file: Path) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", file.stem.lower()).strip("-_")[:60]
    if not name:
        raise StyleError(f"cannot derive a style name from {file}; choose one with --name")
    return name


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME, name) or len(name) > 100:
        raise StyleError(f"{name[:100]!r} is not a valid style name; use lower-case letters, digits, - and _")
    if (SHIPPED / name / CARD).is_file():
        raise StyleError(f"the name {name} belongs to a shipped style; choose another with --name")
    if os.path.lexists(user_styles_folder() / name):
        raise StyleError(
            f"you already have a style {name}; choose another name with --name, "
            f"or remove it with `streamtoon styles remove {name}`"
        )


@contextmanager
def _building(name: str) -> Iterator[Path]:
    """Provide a temporary folder that becomes the style's on success and is removed on failure."""
    home = user_styles_folder()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(home)
        part = Path(tempfile.mkdtemp(prefix=_PART, dir=home))
    except OSError as error:
        raise StyleError(f"{home} cannot be written: {error.strerror or error}") from error
    try:
        yield part
        part.chmod(0o755)
        part.rename(home / name)
    except OSError as error:
        raise StyleError(f"{home / name} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Remove what killed runs have left. Adding a style never takes an hour."""
    for part in home.glob(f"{_PART}*"):
        with suppress(OSError):
            if time.time() - part.lstat().st_mtime > _ABANDONED_AFTER_S:
                shutil.rmtree(part)


def _copy(style: Style, folder: Path, name: str, options: ImportOptions) -> None:
    """Copy the files that belong to a style and its lite network.

    If the network is shipped, the card names it and its files are not copied.
    """
    facts: dict[str, Any] = {
        "format": FORMAT,
        "network": style.network,
        "attribution": style.attribution,
        "recipe": style.recipe,
    }
    forms = ((style, folder), (style.lite, folder / LITE)) if not style.network else ()
    for form, target in forms:
        if form is None:
            continue
        target.mkdir(exist_ok=True)
        for each in (CARD, *form.sha256):
            shutil.copyfile(form.network_folder / each, target / each, follow_symlinks=False)
    for form, target in ((style, folder), *forms[1:]):
        if form is not None and form.preview and form.preview.is_file():
            shutil.copyfile(form.preview, target / form.preview.name, follow_symlinks=False)
    if not style.network:
        facts = tomllib.loads((folder / CARD).read_text(encoding="utf-8"))
    facts |= {
        "name": name,
        "title": options.title or style.title,
        "description": style.description,
        "licence": options.licence or style.licence,
        "working_height": options.height or style.working_height,
    }
    facts.pop("preview", None)
    if style.preview:
        facts["preview"] = style.preview.name
    if style.look:
        facts["look"] = to_table(style.look)
    (folder / CARD).write_text(to_toml(facts), encoding="utf-8", newline="\n")


def _card(name: str, source: Path, options: ImportOptions) -> dict[str, object]:
    return {
        "name": name,
        "title": options.title or source.stem[:100] or name,
        "description": f"Brought in from the file {source.name[:200]}.",
        "working_height": options.height or 720,
        "licence": options.licence or "not stated",
        "attribution": "",
        "recipe": "",
        "guided_filter": FILTER,
    }


def _import_graph(source: Path, folder: Path, name: str, options: ImportOptions) -> dict[str, Any]:
    facts = read_graph(source)  # checks the file before any runtime reads it
    if facts.nodes > MAX_NODES - _ADDED_NODES:
        raise StyleError(
            f"{source} has {facts.nodes:,} nodes; the limit for a style is {MAX_NODES - _ADDED_NODES:,}"
        )
    found = run_in_sandbox(
        source, {"kind": "graph", "bgr": options.bgr, "values": options.values}, folder / GRAPH
    )
    if not options.height and found["fixed"]:
        options = ImportOptions(options.name, options.title, options.licence, max(256, min(found["fixed"])))
    card = {
        "format": FORMAT,
        **_card(name, source, options),
        "generator": GRAPH_ALONE,
        "parameters": found["parameters"],
        "size_multiple": found["size_multiple"],
        "sha256": {GRAPH: file_sha256(folder / GRAPH)},
    }
    (folder / CARD).write_text(to_toml(card), encoding="utf-8", newline="\n")
    return found
