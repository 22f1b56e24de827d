"""The temporary folder of a server's uploads. If a server was killed, the next start removes its folder."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from engines.common.file_lock import file_lock
from streamtoon.errors import OutputError

PREFIX = "streamtoon-serve-"
_LOCK = "lock"
_FILES = "files"
_MAX_TRIES = 3


class TemporaryFolder:
    """An empty folder that only this account can read, with a lock that ends with the process.

    Removes the folders of killed servers first.
    """

    def __init__(self) -> None:
        sweep()
        self._held = ExitStack()
        self._root = self._made()
        self.path = self._root / _FILES

    def _made(self) -> Path:
        for _ in range(_MAX_TRIES):
            root = Path(tempfile.mkdtemp(prefix=PREFIX))
            # Before it is locked, a server that starts at the same time may remove it as abandoned.
            with suppress(OSError):
                self._held.enter_context(file_lock(root / _LOCK, None))
                (root / _FILES).mkdir(mode=0o700)
                return root
        raise OutputError(f"Cannot create files in {tempfile.gettempdir()}; check its permissions.")

    def remove(self) -> None:
        """Remove the folder and its content."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._held.close()  # first: Windows cannot remove open files
        shutil.rmtree(self._root, ignore_errors=True)


def sweep() -> None:
    """Remove the folders of servers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Without a lock file it is being created, or belongs to an older version that may be running.
        if _is_ours(folder) and (folder / _LOCK).is_file():
            with suppress(OSError):
                with file_lock(folder / _LOCK, None):
                    shutil.rmtree(folder / _FILES, ignore_errors=True)
                shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """Return whether it is a real folder of this account, not a link: others may write to /tmp, too."""
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and (not hasattr(os, "getuid") or facts.st_uid == os.getuid())
