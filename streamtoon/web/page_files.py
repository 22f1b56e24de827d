"""The files of a page, and its HTML on the layout that the page of `serve` and the site share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

import jinja2

SHARED = files("streamtoon.web") / "page"
"""Layout, style sheet, icon, sample image, and the scripts that both pages use."""
KINDS = {
    "css": "text/css", "html": "text/html", "js": "text/javascript", "json": "application/json",
    "webmanifest": "application/manifest+json", "svg": "image/svg+xml", "jpg": "image/jpeg",
    "bin": "application/octet-stream",
}  # fmt: skip
"""Content types by suffix."""


def page_files(own: Traversable) -> dict[str, bytes]:
    """Return the shared files and those of a page's own folder, by path, without HTML."""
    parts = {**dict(_walk(SHARED)), **dict(_walk(own))}
    return {path: part.read_bytes() for path, part in parts.items() if not path.endswith(".html")}


def page_html(own: Traversable, *, places: Sequence[tuple[str, str]] = (), policy: str = "") -> str:
    """Return the page `index.html` of a folder, on the shared layout.

    Args:
        own: Folder of the page.
        places: Text and relative address of the pages to choose from, of which "./" is the page itself.
            Without any there is no choice.
        policy: Content security policy that stands in the page, for hosts that send no headers.
    """
    templates = {
        "layout.html": (SHARED / "layout.html").read_text(encoding="utf-8"),
        "index.html": (own / "index.html").read_text(encoding="utf-8"),
    }
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(templates), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("index.html").render(places=places, policy=policy)


def content_type(name: str) -> tuple[str, str | None]:
    """Return the content type of a file by its suffix, and its charset if it is text."""
    kind = KINDS[name.rpartition(".")[2]]
    return kind, "utf-8" if kind.startswith("text/") else None


def _walk(folder: Traversable, before: str = "") -> Iterator[tuple[str, Traversable]]:
    for part in folder.iterdir():
        if part.name.startswith((".", "_")):
            continue
        if part.is_dir():
            yield from _walk(part, f"{before}{part.name}/")
        else:
            yield before + part.name, part
