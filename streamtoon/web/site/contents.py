"""The contents of `site.json`: the styles with every number of their looks, and the networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from engines.common.image_files import read_image
from engines.errors import StyleError
from engines.looks.look import Look, look_keys
from engines.registry.style import DEFAULT_STYLE, Style, available_styles, load_style
from streamtoon import __version__
from streamtoon.live import look_controls
from streamtoon.web.site.weights import GENERATORS, PackedNetwork, pack_network

FORMAT = 1
WIDTH, HEIGHT = 320, 200
"""Pixels of a thumbnail."""
QUALITY = 80


@dataclass(slots=True)
class SiteContents:
    """Everything that depends on the styles."""

    facts: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    """File name -> bytes, next to `site.json`."""


def site_styles(names: Sequence[str]) -> list[Style]:
    """Return the styles of these names or folders; without names, all that the page can draw.

    Raises StyleError for an unknown style, for one named twice, and for one that the page cannot draw.
    """
    if not names:
        found = [style for style in available_styles() if is_drawable(style)]
        return sorted(found, key=lambda style: style.name != DEFAULT_STYLE)
    styles = [load_style(name) for name in names]
    for style in styles:
        if style.look is None:
            raise StyleError(
                f"style {style.name} is not a look; the page draws only looks, which "
                "`streamtoon styles list` marks"
            )
    seen = [style.name for style in styles]
    for name in seen:
        if seen.count(name) > 1:
            raise StyleError(f"style {name} is named twice; name it once")
    return styles


def is_drawable(style: Style) -> bool:
    """Return whether the page can draw a style: a look over a network of which it knows the layers."""
    return style.look is not None and style.generator in GENERATORS


def site_contents(styles: Iterable[Style]) -> SiteContents:
    """Return the facts and files of a site with these looks. The page shows the first one first."""
    contents = SiteContents({"format": FORMAT, "version": __version__, "keys": key_facts(), "networks": {}})
    rows = []
    for style in styles:
        assert style.look is not None, "site_styles lets only looks pass"
        network = _add_networks(contents, style)
        thumbnail = f"style-{style.name}.jpg" if style.preview else ""
        if style.preview:
            contents.files[thumbnail] = _thumbnail(read_image(style.preview))
        rows.append(
            {
                "name": style.name, "title": style.title, "description": style.description,
                "network": network, "thumbnail": thumbnail, "look": look_values(style.look),
            }
        )  # fmt: skip
    contents.facts["styles"] = rows
    return contents


def look_values(look: Look) -> dict[str, Any]:
    """Every key of a look; several colours are a list."""
    values = {key.name: getattr(look, key.name) for key in look_keys()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def key_facts() -> list[dict[str, Any]]:
    """Return what the page needs for its checks and sliders, in the order of the keys."""
    groups = look_controls.groups()
    return [
        {
            "name": key.name, "group": groups[key.name], "kind": key.kind, "low": key.low, "high": key.high,
            "step": look_controls.slider_step(key), "choices": list(key.choices),
            "needs": look_controls.needs(key.name), "text": key.text,
        }
        for key in look_keys()
    ]  # fmt: skip


def _add_networks(contents: SiteContents, style: Style) -> str:
    """Return the name of a style's networks in the site. Networks that styles share are added once."""
    name = style.network or style.name
    if name not in contents.facts["networks"]:
        forms = {"full": style} | ({"lite": style.lite} if style.lite else {})
        contents.facts["networks"][name] = {
            form: _add(contents, f"{name}-{form}.bin", pack_network(one)) for form, one in forms.items()
        }
    return name


def _add(contents: SiteContents, file: str, network: PackedNetwork) -> dict[str, Any]:
    contents.files[file] = network.data
    return {
        "file": file, "bytes": len(network.data), "sha256": network.sha256,
        "multiplications": network.multiplications, "layers": list(network.layers),
    }  # fmt: skip


def _thumbnail(both: np.ndarray[Any, Any]) -> bytes:
    """Return the drawn half of a before/after image as JPEG."""
    drawn = both[:, both.shape[1] // 2 :]
    height = min(drawn.shape[0], drawn.shape[1] * HEIGHT // WIDTH)
    top = (drawn.shape[0] - height) // 2
    small = cv2.resize(drawn[top : top + height, :, ::-1], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
