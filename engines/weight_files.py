"""Where VGG's weights come from: a file that is named, or torchvision's, downloaded once into the cache."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from engines.cache import cache_folder
from engines.errors import StreamtoonError
from training.vgg import VGGName

log = logging.getLogger(__name__)

ADDRESS = "https://download.pytorch.org/models/"

FILES: dict[VGGName, str] = {"vgg16": "vgg16-397923af.pth", "vgg19": "vgg19-dcbb9e9d.pth"}
"""Torchvision's files (IMAGENET1K_V1); the eight digits open the SHA-256 of the file's content."""

PATIENCE = 30.0
"""Seconds for a connection to be made, and for each next piece of the file to come."""


def find_vgg(name: VGGName, path: Path | None) -> Path:
    """A file that `VGG` reads: `path` where one is given, else torchvision's from the user's cache.

    What the cache lacks is downloaded, once: half a gigabyte, checked by its hash, and under its name only
    when it is whole. Raises StreamtoonError, one sentence that names the address and the way around it.
    """
    if path is not None:
        return path
    address = ADDRESS + FILES[name]
    folder = cache_folder("vgg")
    if folder is None:
        raise StreamtoonError(
            f"no folder to keep {name}'s weights in; download {address} and name it with --{name}"
        )
    kept = folder / FILES[name]
    if not kept.is_file():
        log.info("downloading %s (about 550 MB, once) to %s", address, folder)
        try:
            _download(address, kept)
        except (OSError, http.client.HTTPException, ValueError) as error:  # URLError is an OSError
            reason: object = error
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it is the answer as well, with its connection
            elif isinstance(error, urllib.error.URLError):
                reason = error.reason
            raise StreamtoonError(
                f"{address} cannot be downloaded ({reason}); fetch it elsewhere and name it with --{name}"
            ) from error
    return kept


def _download(address: str, target: Path) -> None:
    """Raises ValueError when the content's SHA-256 does not begin as the target's name ends."""
    promised = target.stem.rpartition("-")[2]
    digest = hashlib.sha256()
    handle, name = tempfile.mkstemp(prefix=target.stem, suffix=".part", dir=target.parent)
    partial = Path(name)
    try:
        # The address is the constant above, never a user's.
        with (
            os.fdopen(handle, "wb") as file,
            urllib.request.urlopen(address, timeout=PATIENCE) as answer,  # noqa: S310
        ):
            while piece := answer.read(1 << 20):
                digest.update(piece)
                file.write(piece)
        if not digest.hexdigest().startswith(promised):
            raise ValueError(f"what came is damaged: SHA-256 {digest.hexdigest()[:8]}..., not {promised}...")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
