"""Writes the static site: a folder that any file server can serve, at any path, without a further step."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from engines.registry.style import Style
from streamtoon.errors import OutputError
from streamtoon.web.site.contents import FORMAT, site_contents

FACTS = "site.json"
WORKER = "sw.js"
"""The service worker, which is told the names of all files and so holds them while there is no network."""
WORKER_MARK = 'const SITE = { version: "", files: [] };'
HEADERS_FILE = "_headers"
"""How several hosts of static files are told their headers; others take them from the documentation."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'"
)
"""As strict as the page of `streamtoon serve`. It stands in the page too, as some hosts set no headers."""
HEADERS = {
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), display-capture=(self), geolocation=()",
    "Cache-Control": "no-cache",
}
"""Of every file; `no-cache` lets a browser keep a file and ask whether it is still the newest."""
SHARED = ("style.css", "icon.svg", "sample.jpg", "parts.js", "look.js")
"""What the page has from that of `streamtoon serve`."""
_PAGE = files("streamtoon.web.site") / "page"
_SERVE_PAGE = files("streamtoon.web.serve") / "page"


@dataclass(frozen=True, slots=True)
class BuiltSite:
    """What was written."""

    folder: Path
    files: int
    bytes: int
    """Of all files: what a visitor downloads at most."""


def site_files(styles: list[Style]) -> dict[str, bytes]:
    """Every file of a site with these looks, by its path within it."""
    contents = site_contents(styles)
    found = {path: part.read_bytes() for path, part in _page_files(_PAGE)}
    found |= {name: (_SERVE_PAGE / name).read_bytes() for name in SHARED} | contents.files
    found[FACTS] = json.dumps(contents.facts, separators=(",", ":"), ensure_ascii=False).encode()
    page = found["index.html"].decode()
    policy = f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
    found["index.html"] = page.replace("<head>", f"<head>\n{policy}", 1).encode()
    names = sorted(name for name in found if name != WORKER)
    version = hashlib.sha256(b"".join(hashlib.sha256(found[name]).digest() for name in names)).hexdigest()[
        :16
    ]
    worker = found[WORKER].decode()
    assert WORKER_MARK in worker, "the service worker has a place for the files' names"
    told = f"const SITE = {json.dumps({'version': version, 'files': names})};"
    found[WORKER] = worker.replace(WORKER_MARK, told).encode()
    return found


def build_site(styles: list[Style], folder: Path) -> BuiltSite:
    """Writes the site into `folder`, which is there only when it is whole.

    A site that an earlier build wrote there is replaced. Raises OutputError where the folder holds anything
    else, or cannot be written.
    """
    if folder.exists() and not _may_be_replaced(folder):
        raise OutputError(f"{folder} holds other files; name a folder that is new, empty, or an earlier site")
    found = site_files(styles)
    rules = "".join(f"  {name}: {value}\n" for name, value in HEADERS.items())
    found[HEADERS_FILE] = f"/*\n{rules}".encode()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        old = part.with_name(f"{part.name}.old")
        try:
            for name, data in found.items():
                file = part / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            part.chmod(0o755)
            if folder.exists():
                folder.rename(old)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
    return BuiltSite(folder, len(found), sum(map(len, found.values())))


def _may_be_replaced(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    try:
        if not any(folder.iterdir()):
            return True
        facts = json.loads((folder / FACTS).read_bytes())
        return isinstance(facts, dict) and facts.get("format") == FORMAT and (folder / WORKER).is_file()
    except (OSError, ValueError):
        return False


def _page_files(folder: Traversable, before: str = "") -> Iterator[tuple[str, Traversable]]:
    for part in folder.iterdir():
        if part.name.startswith((".", "_")):
            continue
        if part.is_dir():
            yield from _page_files(part, f"{before}{part.name}/")
        else:
            yield before + part.name, part
