"""Keep features between runs. A second style is then scored against the same cartoons in half the time."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.common.dirs import cache_folder

log = logging.getLogger(__name__)

Vector = NDArray[np.float32]
Result = TypeVar("Result")

MAX_STORE_BYTES = 4_000_000_000
"""Size limit in bytes. The least recently used features are removed first."""

LOCK_TIMEOUT_S = 30.0
"""Seconds to wait for another process that writes."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""The file is no database, or it is damaged, or it has other tables."""

_MAX_PENDING_USES = 256
"""Number of uses that are collected before they are written."""

_TABLES = """
CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, value BLOB NOT NULL, used REAL NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON features (used);
"""


def open_feature_store() -> FeatureStore | None:
    """Open the user's store in the cache folder. Returns None if there is no such folder."""
    folder = cache_folder("features")
    return FeatureStore(folder / "features.sqlite") if folder else None


def content_key(image: Image, extractor: str) -> bytes:
    """Return the SHA-256 of the image's pixels and shape and of the extractor's name."""
    digest = hashlib.sha256(f"{extractor}\n{image.shape}\n".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


class FeatureStore:
    """Feature vectors by key in one SQLite file. Threads and processes may use it at the same time.

    It never raises. A damaged file is renamed to `NAME.damaged` and a new one is started. A damaged row
    counts as missing. If the file can no longer be read or written, the store logs one warning and keeps
    nothing.
    """

    def __init__(self, path: Path, limit: int = MAX_STORE_BYTES) -> None:
        self._path, self._limit = path, limit
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: int | None = None
        self._given_up = False
        self._touched: set[bytes] = set()

    def get(self, key: bytes) -> Vector | None:
        """Return the vector of that key, or None."""
        with self._lock:
            return self._do(lambda database: self._get(database, key), None)

    def put(self, rows: Sequence[tuple[bytes, Vector]]) -> None:
        """Store the rows. The least recently used rows are removed if the file would exceed its limit."""
        with self._lock:
            self._do(lambda database: self._put(database, rows), None)

    def close(self) -> None:
        """Write the times of use and close the file."""
        with self._lock:
            if self._touched:
                self._do(lambda database: self._put(database, ()), None)
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get(self, database: sqlite3.Connection, key: bytes) -> Vector | None:
        row = database.execute("SELECT value FROM features WHERE key = ?", (key,)).fetchone()
        if (
            row is None
            or not isinstance(row[0], bytes)
            or len(row[0]) % 4
            or _signed(key, row[0][4:]) != row[0]
        ):
            return None
        self._touched.add(key)
        if len(self._touched) >= _MAX_PENDING_USES:
            self._put(database, ())
        return np.frombuffer(row[0], "<f4", offset=4).astype(np.float32)

    def _put(self, database: sqlite3.Connection, rows: Sequence[tuple[bytes, Vector]]) -> None:
        now = time.time()
        values = [(key, _signed(key, vector.astype("<f4").tobytes()), now) for key, vector in rows]
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            "UPDATE features SET used = ? WHERE key = ?", [(now, key) for key in self._touched]
        )
        database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", values)
        while _size(database) > self._limit:
            (count,) = database.execute("SELECT COUNT(*) FROM features").fetchone()
            if not count:
                break
            database.execute(
                "DELETE FROM features WHERE key IN (SELECT key FROM features ORDER BY used, rowid LIMIT ?)",
                (max(1, count // 32),),
            )
        database.execute("COMMIT")
        self._touched.clear()

    def _do(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """Call `work` with the open database. Returns `otherwise` if it cannot be opened."""
        for chance in (1, 2):
            if self._given_up:
                break
            try:
                return work(self._connection or self._open())
            except (sqlite3.Error, OSError) as error:
                self._drop()
                code = getattr(error, "sqlite_errorcode", None)
                damaged = code is not None and code & 0xFF in _DAMAGED
                if chance == 2 or not damaged or not self._set_aside():
                    self._given_up = True
                    log.warning("%s: features are not kept between runs (%s)", self._path, error)
        return otherwise

    def _open(self) -> sqlite3.Connection:
        # Transactions are explicit (isolation_level), and threads share the connection under a lock.
        self._connection = sqlite3.connect(
            self._path, LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        self._opened = self._path.stat().st_ino
        self._connection.executescript(_TABLES)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()  # rolls back what was not committed
            self._connection = None

    def _set_aside(self) -> bool:
        """Rename a damaged file and return whether a new one may be made. A new file of another process
        stays.
        """
        aside = self._path.with_name(f"{self._path.name}.damaged")
        try:
            if self._path.stat().st_ino == self._opened:
                # Journals of the old file must not be applied to the new one.
                self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)
                self._path.replace(aside)
                log.warning("%s was damaged and is now %s", self._path, aside.name)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.debug("%s cannot be renamed: %s", self._path, error)
            return False
        self._touched.clear()
        return True


def _signed(key: bytes, value: bytes) -> bytes:
    """Return the value after its checksum. SQLite's pages have no checksums."""
    return zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "little") + value


def _size(database: sqlite3.Connection) -> int:
    """Return the bytes in use. The file is larger after rows have been removed."""
    used, free, size = (
        int(database.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (used - free) * size
