"""The identity of a conversion. An interrupted one is resumed only if its identity is unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2

from engines.registry.style import Style
from streamtoon import __version__
from streamtoon.errors import InputError

SAMPLE_BYTES = 1 << 20
"""Bytes read per sample of a file."""
SAMPLE_COUNT = 16
"""Number of samples, evenly spread, including the beginning and the end."""
STYLE_FIELDS = ("working_height", "radius", "eps", "lines", "look", "sha256")
"""Fields of a style that affect its images, besides the network."""
COMPARED_KEYS = ("input", "style", "settings", "versions")
"""Keys that must be equal. `look` is stored only to name what differs in a style."""
SETTING_NAMES = {"backend": "engine", "start": "--from", "end": "--to", "container": "output format"}
"""What users call a setting, where that differs from its name."""


def identity(source: Path, style: Style, settings: Mapping[str, object]) -> dict[str, str]:
    """Return everything that determines the rendered frames, by the names of `COMPARED_KEYS`.

    Raises InputError if the source cannot be read.
    """
    return {
        "input": fingerprint(source),
        "style": _of_style(style),
        "look": json.dumps(_look(style), sort_keys=True, default=str),
        "settings": json.dumps(dict(settings), sort_keys=True, default=str),
        "versions": ", ".join(f"{name} {number}" for name, number in _versions().items()),
    }


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Describe how the present request differs from the stored work, as a clause; empty if it does not."""
    changed = [name for name in COMPARED_KEYS if before.get(name) != now[name]]
    clauses, asked = [], []
    if "input" in changed:
        clauses.append("from another input, or from this input before it changed")
    if "style" in changed:
        asked = _named(_style_of(before), _style_of(now))
        if not asked:
            clauses.append(f"with style {_style_of(now)['style']} before it changed")
    if "settings" in changed:
        asked += _named(json.loads(before["settings"]), json.loads(now["settings"]))
    if asked:
        was, wanted = (", ".join(each) for each in zip(*asked, strict=True))
        clauses.append(f"with {was}, but this command asks for {wanted}")
    if "versions" in changed:
        theirs, ours = (set(each["versions"].split(", ")) for each in (before, now))
        clauses.append(f"by {_listed(theirs - ours)}, but this is {_listed(ours - theirs)}")
    return "; ".join(clauses)


def _named(before: Mapping[str, object], now: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the old and new value of each setting that changed."""
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if "style" in names:  # its look differs anyway
        names = ["style"]
    return [(_shown(name, before.get(name)), _shown(name, now.get(name))) for name in names]


def _shown(name: str, value: object) -> str:
    called = SETTING_NAMES.get(name, name.replace("_", " "))
    if value is None and not called.startswith("--"):
        return f"the default {called}"
    if value is None or isinstance(value, bool):
        return called if value else f"no {called}"
    return f"{called} {value:g}" if isinstance(value, float) else f"{called} {value}"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "none of them"


def _style_of(facts: Mapping[str, str]) -> dict[str, object]:
    return dict(json.loads(facts.get("look", "{}")))


def _look(style: Style) -> dict[str, object]:
    """Return the name of a style and every key of its look."""
    return {"style": style.name, **({} if style.look is None else asdict(style.look))}


def fingerprint(path: Path) -> str:
    """Return size, modification time and SHA-256 of samples. Takes a fraction of a second for hours of video.

    Raises InputError if the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        facts = path.stat()
        size = facts.st_size
        with path.open("rb") as file:
            for place in range(SAMPLE_COUNT):
                file.seek(max(0, size - SAMPLE_BYTES) * place // (SAMPLE_COUNT - 1))
                digest.update(file.read(SAMPLE_BYTES))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    return f"{size} bytes, changed at {facts.st_mtime_ns}, {digest.hexdigest()}"


def _versions() -> dict[str, str]:
    found = {"streamtoon": __version__, "opencv": cv2.__version__}
    for package in ("av", "numpy", "openvino", "onnxruntime", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def _of_style(style: Style) -> str:
    """Return a hash of what determines the style's images: network, checksums, filter, size and the lite
    form.
    """
    facts = {name: getattr(style, name) for name in ("name", "generator", "size_multiple", *STYLE_FIELDS)}
    lite = "" if style.lite is None else _of_style(style.lite)
    return hashlib.sha256(f"{sorted(facts.items())!r} {lite}".encode()).hexdigest()
