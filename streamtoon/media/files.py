"""The output's file: checked before anything is done, hidden until it is whole."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from streamtoon.errors import OutputError


class HiddenFile:
    """A file that appears under its name when it is whole, or not at all.

    Until then it lies in the same folder under a name that begins with a dot. `alone` says that nobody else
    writes to that path now: what an earlier process has left under the hidden name is then written over.
    Raises OutputError when the place cannot be written, when something is there that may not be replaced, or
    when it is the source.
    """

    def __init__(self, path: Path, *, source: Path | None, overwrite: bool, alone: bool = False) -> None:
        self.path = path
        self._alone = alone
        mark = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8] if alone else secrets.token_hex(4)
        # Shortened: a name may be as long as the file system allows, and this one is longer.
        self.hidden = path.with_name(f".{path.name[:48]}.{mark}.part")
        self._check(source, overwrite)

    def _check(self, source: Path | None, overwrite: bool) -> None:
        path, folder = self.path, self.path.parent
        try:
            if path.is_dir():
                raise OutputError(f"{path} is a folder; name a file.")
            if not folder.is_dir():
                raise OutputError(f"The folder {folder} does not exist; make it first.")
            if path.exists():
                if source is not None and source.exists() and path.samefile(source):
                    raise OutputError(f"{path} is the input itself; write to another file.")
                if not overwrite:
                    raise OutputError(f"{path} exists already; --overwrite replaces it.")
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be written: {_reason(error)}.") from error
        if not os.access(folder, os.W_OK):
            raise OutputError(f"The folder {folder} cannot be written to.")

    def create(self) -> None:
        """Make the hidden file, empty. Raises OutputError."""
        try:
            if self._alone:  # never written through, for it may be a link by now
                self.hidden.unlink(missing_ok=True)
            self.hidden.open("xb").close()
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {_reason(error)}.") from error

    def publish(self) -> None:
        """Give the whole file its name, once all of it is on the disk. Raises OutputError."""
        try:
            with self.hidden.open("rb+") as file:
                os.fsync(file.fileno())
            self.hidden.replace(self.path)
        except OSError as error:
            self.discard()
            raise OutputError(f"{self.path} cannot be written: {_reason(error)}.") from error

    def discard(self) -> None:
        """Remove what there is."""
        self.hidden.unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()
