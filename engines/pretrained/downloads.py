"""Where the weights of the networks that others trained come from: a named file, or one download."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import pickle
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.common.dirs import cache_folder
from engines.errors import StreamtoonError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file of weights that somebody publishes."""

    name: str
    """Whose weights they are, as people write it."""
    address: str
    """https; its last part is the file's name in the cache."""
    sha256: str
    """What the SHA-256 of the content begins with, in hexadecimal digits."""
    megabytes: int
    option: str
    """The command's option that names a file instead."""


FILES = {
    "vgg16": WeightFile(
        "VGG-16", "https://download.pytorch.org/models/vgg16-397923af.pth", "397923af", 553, "--vgg16"
    ),
    "vgg19": WeightFile(
        "VGG-19", "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "dcbb9e9d", 575, "--vgg19"
    ),
    "inception": WeightFile(
        "Inception",
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        "6726825d",
        96,
        "--inception",
    ),
}
"""Torchvision's VGG (IMAGENET1K_V1), and the Inception of FID as pytorch-fid's authors ported it."""

DOWNLOAD_TIMEOUT_S = 30.0
"""Seconds for a connection to be made, and for each next piece of the file to come."""

UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError,
    pickle.UnpicklingError,
)  # fmt: skip
"""What `torch.load` raises for files that are none of its own, truncated ones included."""


def find_weights(file: WeightFile, path: Path | None) -> Path:
    """`path` where one is given, else the published file from the user's cache.

    What the cache lacks is downloaded, once, checked by its hash, and under its name only when it is whole.
    Raises StreamtoonError, one sentence that names the address and the way around it.
    """
    if path is not None:
        return path
    folder = cache_folder("weights")
    if folder is None:
        raise StreamtoonError(
            f"no folder to keep {file.name}'s weights in; download {file.address} "
            f"and name it with {file.option}"
        )
    kept = folder / file.address.rpartition("/")[2]
    if not kept.is_file():
        log.info("downloading %s (about %d MB, once) to %s", file.address, file.megabytes, folder)
        try:
            _download(file, kept)
        except (OSError, http.client.HTTPException, ValueError) as error:  # URLError is an OSError
            reason: object = error
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it is the answer as well, with its connection
            elif isinstance(error, urllib.error.URLError):
                reason = error.reason
            raise StreamtoonError(
                f"{file.address} cannot be downloaded ({reason}); "
                f"fetch it elsewhere and name it with {file.option}"
            ) from error
    return kept


def require_weights(wanted: Mapping[str, Path | None]) -> None:
    """Has all of several files at hand: name in `FILES` -> the file that was named, if one was.

    Raises StreamtoonError with what `find_weights` says of every one that cannot be had.
    """
    problems = []
    for name, path in wanted.items():
        try:
            find_weights(FILES[name], path)
        except StreamtoonError as error:
            problems.append(str(error))
    if problems:
        raise StreamtoonError("; and ".join(problems))


def _download(file: WeightFile, target: Path) -> None:
    """Raises ValueError when the content's SHA-256 does not begin as it should."""
    digest = hashlib.sha256()
    handle, name = tempfile.mkstemp(prefix=target.stem, suffix=".part", dir=target.parent)
    partial = Path(name)
    try:
        # The address is one of the constants above, never a user's.
        with (
            os.fdopen(handle, "wb") as copy,
            urllib.request.urlopen(file.address, timeout=DOWNLOAD_TIMEOUT_S) as answer,  # noqa: S310
        ):
            while piece := answer.read(1 << 20):
                digest.update(piece)
                copy.write(piece)
        if not digest.hexdigest().startswith(file.sha256):
            raise ValueError(
                f"what came is damaged: SHA-256 {digest.hexdigest()[:8]}..., not {file.sha256}..."
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
