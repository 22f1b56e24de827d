"""What a conversion is, so that one that was stopped is gone on with only where all of it is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2

from engines.style import Style
from streamtoon import __version__
from streamtoon.errors import InputError

SAMPLE = 1 << 20
"""Bytes that are read at each place of a file."""
PLACES = 16
"""Places, evenly spread, the front and the end among them."""
DRAWS = ("working_height", "radius", "eps", "lines", "sha256")
"""Of a style, beside its network."""
CHANGED = {
    "input": "the input is not the same",
    "style": "the style is not the same",
    "settings": "the settings are not the same",
    "versions": "streamtoon or what it uses has been updated",
}
"""What is compared, and what is said of a difference."""


def identity(source: Path, style: Style, settings: Mapping[str, object]) -> dict[str, str]:
    """Everything that decides what the pictures of a conversion are, by the keys of `CHANGED`.

    Raises InputError where the source cannot be read.
    """
    return {
        "input": fingerprint(source),
        "style": _of_style(style),
        "settings": json.dumps(dict(settings), sort_keys=True, default=str),
        "versions": ", ".join(f"{name} {number}" for name, number in _versions().items()),
    }


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs, as a clause for people; empty where nothing does."""
    return ", ".join(said for key, said in CHANGED.items() if before.get(key) != now[key])


def fingerprint(path: Path) -> str:
    """Size, time of change and SHA-256 of samples: hours are told from others in a fraction of a second.

    Raises InputError.
    """
    digest = hashlib.sha256()
    try:
        facts = path.stat()
        size = facts.st_size
        with path.open("rb") as file:
            for place in range(PLACES):
                file.seek(max(0, size - SAMPLE) * place // (PLACES - 1))
                digest.update(file.read(SAMPLE))
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
    """What of it draws: its network with its checksums, its filter and size; the same of its lite form."""
    facts = {name: getattr(style, name) for name in ("name", "generator", "size_multiple", *DRAWS)}
    lite = "" if style.lite is None else _of_style(style.lite)
    return hashlib.sha256(f"{sorted(facts.items())!r} {lite}".encode()).hexdigest()
