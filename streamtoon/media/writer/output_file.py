"""The output file: checked before the work, and hidden until it is complete."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from pathlib import Path

from streamtoon.errors import OutputError, write_error

_NO_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of network shares and some FUSE file systems that lack fsync. Nothing is lost."""


def resolved_target(path: Path) -> Path:
    """Return where a file written to `path` is stored: symbolic links are followed, as in FFmpeg.

    The link stays, and its target need not exist. A circular link is returned unchanged.
    """
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114  # never raises


class HiddenFile:
    """A file that appears under its name only when it is complete. A symbolic link stays one.

    Until then it lies in the same folder, under a name that begins with a dot. `alone` means that no other
    process writes to the path: a hidden file left by an earlier process is then replaced. Raises OutputError
    if the path cannot be written, is the source, or exists and may not be replaced.
    """

    def __init__(self, path: Path, *, source: Path | None, overwrite: bool, alone: bool = False) -> None:
        self.path = path
        self._alone, self._place = alone, resolved_target(path)
        name = self._place.name
        mark = hashlib.sha256(os.fsencode(name)).hexdigest()[:8] if alone else secrets.token_hex(4)
        # Shortened, because this name is longer than the final one, which may have the maximum length.
        self.hidden = self._place.with_name(f".{name[:48]}.{mark}.part")
        self._check(source, overwrite)

    def _check(self, source: Path | None, overwrite: bool) -> None:
        path, folder = self.path, self._place.parent
        try:
            if os.path.islink(self._place):  # noqa: PTH114
                raise OutputError(f"{path} is a symbolic link to itself. Remove it.")
            if path.is_dir():
                raise OutputError(f"{path} is a folder. Give a file name.")
            if not folder.is_dir():
                raise OutputError(f"The folder {folder} does not exist. Create it first.")
            if path.exists():
                if source is not None and source.exists() and path.samefile(source):
                    raise OutputError(f"{path} is the input file. Write to another file.")
                if not path.is_file():
                    raise OutputError(
                        f"{path} is a device or a pipe, not a file. Write to - and redirect it."
                    )
                if not overwrite:
                    raise OutputError(f"{path} already exists. Use --overwrite to replace it.")
        except (OSError, ValueError) as error:
            raise write_error(path, error) from error
        if not os.access(folder, os.W_OK):
            raise OutputError(f"The folder {folder} is not writable.")

    def create(self) -> None:
        """Create the hidden file, empty. Raises OutputError."""
        try:
            if self._alone:  # replaced and not opened, because it may be a link by now
                self.hidden.unlink(missing_ok=True)
            self.hidden.open("xb").close()
        except OSError as error:
            raise write_error(self.path, error) from error

    def publish(self) -> None:
        """Sync the file to disk and give it its final name. Raises OutputError."""
        try:
            with self.hidden.open("rb+") as file:
                _sync(file.fileno())
            self.hidden.replace(self._place)
        except OSError as error:
            self.discard()
            raise write_error(self.path, error) from error

    def discard(self) -> None:
        """Remove the hidden file."""
        self.hidden.unlink(missing_ok=True)


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
