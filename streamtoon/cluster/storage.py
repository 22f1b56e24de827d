"""Files on shared storage, named by a path or by an fsspec URL such as s3://bucket/film.mp4.

A file appears under its name only when it is complete. Storage that fails for a while is tried again, for
about half a minute. What fails longer raises StorageError, which a worker's whole task may be retried after.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from engines.common.atomic_write import replace_file
from engines.common.extras import install_line
from streamtoon.errors import InputError, OutputError, StreamtoonError

RETRY_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between two attempts at one operation."""
_TRANSIENT = frozenset(
    (
        errno.EIO,
        errno.EAGAIN,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.ECONNREFUSED,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENOTCONN,
    )
)
"""Errors of storage that may pass."""
Result = TypeVar("Result")


class StorageError(StreamtoonError):
    """Shared storage did not work, although it was tried several times."""


def is_url(name: str) -> bool:
    """Return whether a name is an fsspec URL and not a path."""
    return "://" in name


def is_transient(error: BaseException | None) -> bool:
    """Return whether an error, or one that caused it, is one of storage that may pass."""
    while error is not None:
        if isinstance(error, OSError):
            # What a network library raises often has no number.
            known = (FileNotFoundError, PermissionError, FileExistsError, IsADirectoryError)
            return not isinstance(error, known) if error.errno is None else error.errno in _TRANSIENT
        error = error.__cause__
    return False


def patiently(work: Callable[[], Result], name: str) -> Result:
    """Return the result of `work`, which is tried again while storage fails. Raises StorageError.

    Errors that do not pass, such as a missing file or a full disk, are raised unchanged.
    """
    for wait in (*RETRY_WAITS_S, None):
        try:
            return work()
        except OSError as error:
            if not is_transient(error):
                raise
            if wait is None:
                reason = str(error.strerror or error).lower()
                raise StorageError(f"storage fails: {name}: {reason}") from error
        time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


class Folder:
    """The small files of one output, in a folder next to it. Made by `Folder.named`."""

    def __init__(self, name: str) -> None:
        self.name = name

    @staticmethod
    def named(name: str) -> Folder:
        """Return the folder of that path or URL. It need not exist."""
        return _UrlFolder(name) if is_url(name) else _LocalFolder(name)

    def names(self) -> list[str]:
        """Return the names of the complete files; none if there is no folder."""
        return patiently(self._names, self.name)

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, or None if it is missing."""
        try:
            return patiently(lambda: self._read(name), f"{self.name}/{name}")
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all. Raises OutputError and StorageError."""
        try:
            patiently(lambda: self._write(name, data), f"{self.name}/{name}")
        except OSError as error:
            raise OutputError(f"{self.name} cannot be written: {error.strerror or error}.") from error

    def remove(self) -> None:
        """Remove the folder with all files."""
        with suppress(FileNotFoundError):
            patiently(self._remove, self.name)

    def _names(self) -> list[str]:
        raise NotImplementedError

    def _read(self, name: str) -> bytes:
        raise NotImplementedError

    def _write(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def _remove(self) -> None:
        raise NotImplementedError


class _LocalFolder(Folder):
    def _names(self) -> list[str]:
        folder = Path(self.name)
        return [path.name for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []

    def _read(self, name: str) -> bytes:
        return Path(self.name, name).read_bytes()

    def _write(self, name: str, data: bytes) -> None:
        Path(self.name).mkdir(parents=True, exist_ok=True)
        replace_file(Path(self.name, name), lambda part: part.write_bytes(data))

    def _remove(self) -> None:
        shutil.rmtree(self.name)


class _UrlFolder(Folder):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._files, self._root = file_system(name)

    def _names(self) -> list[str]:
        self._files.invalidate_cache()
        if not self._files.isdir(self._root):
            return []
        names = (PurePosixPath(path).name for path in self._files.ls(self._root, detail=False))
        return [name for name in names if name[0] != "."]

    def _read(self, name: str) -> bytes:
        return bytes(self._files.cat_file(f"{self._root}/{name}"))

    def _write(self, name: str, data: bytes) -> None:
        self._files.makedirs(self._root, exist_ok=True)
        hidden = f"{self._root}/.{name}.part"
        self._files.pipe_file(hidden, data)
        self._files.mv(hidden, f"{self._root}/{name}")

    def _remove(self) -> None:
        self._files.rm(self._root, recursive=True)


def file_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system of a URL, and the path in it.

    Raises InputError with the line that installs what is missing, or for an unknown protocol.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        line = install_line(packages=("fsspec",))
        raise InputError(f"{url} is a URL, which needs fsspec: {line}") from error
    try:
        files, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise InputError(f"{url} cannot be opened: {error}") from error
    return files, str(path)


def exists(name: str) -> bool:
    """Return whether a file exists. Raises StorageError."""
    if not is_url(name):
        return Path(name).exists()
    files, path = file_system(name)
    return bool(patiently(lambda: files.exists(path), name))


def size_of(name: str) -> int:
    """Return the bytes of a file; 0 if that is not known."""
    try:
        if not is_url(name):
            return Path(name).stat().st_size
        files, path = file_system(name)
        return int(patiently(lambda: files.size(path), name) or 0)
    except (OSError, StreamtoonError):
        return 0


def state_of(url: str) -> str:
    """Return a text that changes when the file at a URL changes. Raises InputError and StorageError."""
    files, path = file_system(url)
    try:
        return str(patiently(lambda: files.ukey(path), url))
    except OSError as error:
        raise InputError(f"{url} cannot be read: {error.strerror or error}.") from error


class LocalCopies:
    """Copies of remote sources on this machine. The latest is kept, for the next stretch of the same file."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._latest = ("", "")

    def path(self, source: str) -> str:
        """Return the path of a source, or of its copy. Raises InputError and StorageError."""
        if not is_url(source):
            return source
        state = state_of(source)
        if self._folder is None or self._latest != (source, state):
            self.close()
            self._folder = tempfile.TemporaryDirectory(prefix="streamtoon-")
            files, path = file_system(source)
            try:
                patiently(lambda: files.get_file(path, str(self._copy(source))), source)
            except OSError as error:
                raise InputError(f"{source} cannot be read: {error.strerror or error}.") from error
            self._latest = (source, state)
        return str(self._copy(source))

    def close(self) -> None:
        """Remove the copy."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _copy(self, source: str) -> Path:
        assert self._folder is not None, "the folder is made first"
        return Path(self._folder.name, PurePosixPath(source).name)


@contextmanager
def local_target(target: str) -> Iterator[str]:
    """Yield a path to write a target to. A URL is written after the block, if that raises nothing."""
    if not is_url(target):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        yield target
        return
    files, path = file_system(target)
    parent, _, name = path.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="streamtoon-") as folder:
        made = Path(folder, name)
        yield str(made)

        def upload() -> None:
            hidden = f"{parent}/.{name}.part"
            if parent:
                files.makedirs(parent, exist_ok=True)
            files.put_file(str(made), hidden)
            files.mv(hidden, path)

        try:
            patiently(upload, target)
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror or error}.") from error
