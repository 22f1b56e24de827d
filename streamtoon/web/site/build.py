"""Building the static site: a folder that any file server can serve, at any path, without a further step."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from engines.registry.style import Style
from streamtoon.errors import OutputError
from streamtoon.web.page_files import page_files, page_html
from streamtoon.web.site.contents import FORMAT, site_contents

FACTS = "site.json"
WORKER = "sw.js"
"""The service worker. It contains the names of all files, and keeps them for use without a network."""
WORKER_MARK = 'const SITE = { version: "", files: [] };'
HEADERS_FILE = "_headers"
"""The file from which several static hosts read their headers; for others, see the documentation."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'"
)
"""As strict as that of `streamtoon serve`. The page contains it too, because some hosts set no headers."""
HEADERS = {
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), display-capture=(self), geolocation=()",
    "Cache-Control": "no-cache",
}
"""Headers of every file. With `no-cache`, a browser keeps a file and asks whether it is still current."""
_PAGE = files("streamtoon.web.site") / "page"
KEEPING = ("manifest.webmanifest", "keep.js", WORKER)
"""The files that keep the page in the browser."""


@dataclass(frozen=True, slots=True)
class BuiltSite:
    """What was written."""

    folder: Path
    files: int
    bytes: int
    """Of all files: what a visitor downloads at most."""


def site_files(styles: list[Style], places: Sequence[tuple[str, str]] = ()) -> dict[str, bytes]:
    """Return every file of a site with these looks, by its path within it.

    Args:
        styles: Which looks the page offers, the first one first.
        places: Pages to choose from, as `page_html` takes them. Such a page belongs to a server, which sends
            the headers and is there whenever the page is, so browsers are not told to keep it.
    """
    contents = site_contents(styles)
    found = page_files(_PAGE) | contents.files
    found[FACTS] = json.dumps(contents.facts, separators=(",", ":"), ensure_ascii=False).encode()
    if places:
        for name in KEEPING:
            del found[name]
        found["index.html"] = page_html(_PAGE, places=places).encode()
        return found
    found["index.html"] = page_html(_PAGE, policy=CONTENT_SECURITY_POLICY).encode()
    found[WORKER] = _with_names(found)
    return found


def _with_names(found: dict[str, bytes]) -> bytes:
    """Return the service worker with the names of all files and a version that any change of them changes."""
    names = sorted(name for name in found if name != WORKER)
    hashes = b"".join(hashlib.sha256(found[name]).digest() for name in names)
    version = hashlib.sha256(hashes).hexdigest()[:16]
    worker = found[WORKER].decode()
    assert WORKER_MARK in worker, "the service worker has a place for the files' names"
    told = f"const SITE = {json.dumps({'version': version, 'files': names})};"
    return worker.replace(WORKER_MARK, told).encode()


def build_site(styles: list[Style], folder: Path) -> BuiltSite:
    """Write the site into `folder`, which appears only when it is complete.

    A site of an earlier build is replaced. Raises OutputError if the folder contains anything else, or if it
    cannot be written.
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
