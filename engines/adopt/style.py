"""The user's own styles: brought in from a file or a folder, and taken away again."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.adopt.process import in_a_process
from engines.card import FORMAT, to_toml
from engines.errors import StyleError
from engines.onnx_check import read_graph
from engines.style import (
    CARD,
    GRAPH,
    GRAPH_ALONE,
    LITE,
    NAME,
    SHIPPED,
    Style,
    file_sha256,
    load_style,
    own_folder,
    own_names,
)

TORCH = (".pt", ".pth", ".ckpt", ".safetensors")
FILTER = {"radius": 1, "eps": 1e-3, "lines": 1.0}
"""The guided filter of what is brought in: all of its lines are kept, for it was made to be seen as it is."""


@dataclass(frozen=True, slots=True)
class AddOptions:
    """What the user says of a style; what is left empty is found or guessed."""

    name: str = ""
    title: str = ""
    licence: str = ""
    height: int = 0
    """Pixels of the short side that it was made for."""
    bgr: bool = False
    """Whether a graph was trained on pictures in OpenCV's order of channels."""
    values: str = ""
    """Of a graph, where what is found is wrong: what black and white are, "-1..1", "0..1" or "0..255"."""


@dataclass(frozen=True, slots=True)
class Added:
    """A style that was brought in, and what was found of it."""

    style: Style
    form: str
    """Of a graph: the layout, channels and values that it came with."""
    also: tuple[str, ...]
    """Of a graph: values of black and white that fit nearly as well."""
    fixed: tuple[int, int] | None
    """Of a graph: height and width that were built into it and are free now."""


def add_style(source: Path, options: AddOptions) -> Added:
    """Makes a style of the user's own of a style's folder, an ONNX graph or a file of weights.

    It is tried before it is kept, in a process of its own, and there whole or not at all. Raises StyleError:
    not such a file, a file that may harm, one that does not draw, a name that is taken. EngineError: a
    package that is not installed.
    """
    if not source.exists():
        raise StyleError(f"{source}: there is no such file or folder")
    is_folder, kind = source.is_dir(), source.suffix.lower()
    if not is_folder and kind not in (".onnx", *TORCH):
        raise StyleError(
            f"{source} is no style: known are a style's folder, .onnx, {', '.join(TORCH)}; "
            "convert other formats to ONNX"
        )
    name = options.name or ("" if is_folder else _name_of(source))
    if is_folder:
        name = name or load_style(source).name
    _demand_free(name)
    with _building(name) as folder:
        if is_folder:
            _copy(source, folder, name, options)
            found: dict[str, Any] = {}
        elif kind == ".onnx":
            found = _adopt_graph(source, folder, name, options)
        else:
            card = _card(name, source, options)
            found = in_a_process(source, {"kind": "weights", "card": card}, folder)
        load_style(folder)
    fixed = found.get("fixed")
    size = (fixed[0], fixed[1]) if fixed else None
    return Added(load_style(name), found.get("form", ""), tuple(found.get("also", ())), size)


def remove_style(name: str) -> Path:
    """Deletes one of the user's own styles and returns where it was. Raises StyleError where it is none."""
    if name not in own_names():
        own = ", ".join(own_names()) or "none"
        what = "a shipped style, which stays" if (SHIPPED / name / CARD).is_file() else "not there"
        raise StyleError(f"{name!r} is {what}; styles of your own are {own}")
    folder = own_folder() / name
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
        raise StyleError(f"{file} says no name for the style: choose one with --name")
    return name


def _demand_free(name: str) -> None:
    if not re.fullmatch(NAME, name) or len(name) > 100:
        raise StyleError(
            f"{name[:100]!r} is no name for a style: allowed are lower-case letters, digits, - and _"
        )
    if (SHIPPED / name / CARD).is_file():
        raise StyleError(f"a shipped style has the name {name}: choose another with --name")
    if os.path.lexists(own_folder() / name):
        raise StyleError(
            f"you have a style {name}: choose another name with --name, "
            f"or remove that one with `streamtoon styles remove {name}`"
        )


@contextmanager
def _building(name: str) -> Iterator[Path]:
    """A folder that becomes the style's when all went well, and else is gone."""
    home = own_folder()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".adding-", dir=home))
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


def _copy(source: Path, folder: Path, name: str, options: AddOptions) -> None:
    """The files of a style and of its lite network, and nothing else that may lie there."""
    style = load_style(source)
    for form, target in ((style, folder), (style.lite, folder / LITE)):
        if form is None:
            continue
        target.mkdir(exist_ok=True)
        files = [form.folder / each for each in (CARD, *form.sha256)]
        for file in [*files, *([form.preview] if form.preview and form.preview.is_file() else [])]:
            shutil.copyfile(file, target / file.name, follow_symlinks=False)
    facts = tomllib.loads((folder / CARD).read_text(encoding="utf-8"))
    facts |= {
        "name": name,
        "title": options.title or style.title,
        "licence": options.licence or style.licence,
    }
    facts["working_height"] = options.height or style.working_height
    (folder / CARD).write_text(to_toml(facts), encoding="utf-8", newline="\n")


def _card(name: str, source: Path, options: AddOptions) -> dict[str, object]:
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


def _adopt_graph(source: Path, folder: Path, name: str, options: AddOptions) -> dict[str, Any]:
    read_graph(source)  # before any runtime sees it
    found = in_a_process(
        source, {"kind": "graph", "bgr": options.bgr, "values": options.values}, folder / GRAPH
    )
    if not options.height and found["fixed"]:
        options = AddOptions(options.name, options.title, options.licence, max(256, min(found["fixed"])))
    facts = {
        "format": FORMAT,
        **_card(name, source, options),
        "generator": GRAPH_ALONE,
        "parameters": found["parameters"],
        "size_multiple": found["size_multiple"],
        "sha256": {GRAPH: file_sha256(folder / GRAPH)},
    }
    (folder / CARD).write_text(to_toml(facts), encoding="utf-8", newline="\n")
    return found
