"""The weights of pretrained networks: a given file, or a download that is cached and verified."""

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
    """A published file of weights."""

    name: str
    """Name of the network, for display."""
    address: str
    """https URL. Its last part is the file's name in the cache."""
    sha256: str
    """The first digits of the content's SHA-256, hexadecimal."""
    megabytes: int
    option: str
    """The command-line option that names a local file."""


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
    "faces": WeightFile(
        "MediaPipe's face models",
        "https://files.pythonhosted.org/packages/ad/83/"
        "56f760fecdc60de84c529d6c05c9dfc7d972617c6632bd254d5e021e5b16/"
        "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
        "05dc4a9e",
        36,
        "--faces",
    ),
}
"""Torchvision's VGG (IMAGENET1K_V1), FID's Inception as ported by the authors of pytorch-fid, and the wheel
that MediaPipe's face models are published in (Apache 2.0), which is not installed."""

DOWNLOAD_TIMEOUT_S = 30.0
"""Timeout for connecting, and for each further piece of the file."""

UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError,
    pickle.UnpicklingError,
)  # fmt: skip
"""Exceptions of `torch.load` for files that it did not write, or that are truncated."""


def find_weights(file: WeightFile, path: Path | None) -> Path:
    """Return `path` if it is given, otherwise the published file in the user's cache.

    A file that is not cached is downloaded once. It gets its name when it is complete and its hash is
    verified. Raises StreamtoonError, which names the URL and the option for a local file.
    """
    if path is not None:
        return path
    folder = cache_folder("weights")
    if folder is None:
        raise StreamtoonError(
            f"no cache folder for {file.name}'s weights; download {file.address} "
            f"and name the file with {file.option}"
        )
    kept = folder / file.address.rpartition("/")[2]
    if not kept.is_file():
        log.info("downloading %s (about %d MB, once) to %s", file.address, file.megabytes, folder)
        try:
            _download(file, kept)
        except (OSError, http.client.HTTPException, ValueError) as error:  # URLError is an OSError
            reason: object = error
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it is also the response, with an open connection
            elif isinstance(error, urllib.error.URLError):
                reason = error.reason
            raise StreamtoonError(
                f"{file.address} cannot be downloaded ({reason}); "
                f"download it elsewhere and name the file with {file.option}"
            ) from error
    return kept


def require_weights(wanted: Mapping[str, Path | None]) -> None:
    """Check that several files are available: key of `FILES` -> path, or None to use the cache.

    Raises StreamtoonError with the problems of all missing files.
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
    """Download a file. Raises ValueError if the content's SHA-256 is wrong."""
    digest = hashlib.sha256()
    handle, name = tempfile.mkstemp(prefix=target.stem, suffix=".part", dir=target.parent)
    partial = Path(name)
    try:
        # The URL is one of the constants above, never a user's.
        with (
            os.fdopen(handle, "wb") as copy,
            urllib.request.urlopen(file.address, timeout=DOWNLOAD_TIMEOUT_S) as answer,  # noqa: S310
        ):
            while piece := answer.read(1 << 20):
                digest.update(piece)
                copy.write(piece)
        if not digest.hexdigest().startswith(file.sha256):
            raise ValueError(
                f"the download is damaged: SHA-256 {digest.hexdigest()[:8]}..., expected {file.sha256}..."
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
