"""Unfinished work: what an output has of coded pictures so far, in one SQLite file beside it.

Pictures come in parts that can be decoded by themselves. A part is there whole or not at all, whatever
happens to the process, the disk or the power: SQLite's transactions promise that
(https://sqlite.org/atomiccommit.html), and every part carries the SHA-256 of its packets besides.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType

from streamtoon.errors import OutputError

ENDING = ".unfinished"
"""What the file's name adds to the output's."""
_OURS = 0x546F6F6E
"""SQLite's application_id of these files: "Toon"."""
_FORMAT = 1
LONGEST_NAME = 230
"""Bytes."""
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE parts (
    number INTEGER PRIMARY KEY, pictures INTEGER NOT NULL, next_pts INTEGER, next_check INTEGER,
    can_seek INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, until INTEGER NOT NULL,
    sha256 BLOB NOT NULL
);
CREATE TABLE packets (
    at INTEGER PRIMARY KEY, part INTEGER NOT NULL, pts INTEGER NOT NULL, dts INTEGER NOT NULL,
    duration INTEGER NOT NULL, is_key INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE INDEX packets_by_part ON packets (part);
"""


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One packet of an encoder, times in the output stream's time base."""

    pts: int
    dts: int
    duration: int
    is_key: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """Pictures that were coded one after the other, the first of them as a key frame."""

    pictures: int
    next_pts: int | None
    """Of the picture with which the next part begins, in the source's time base; None at the end."""
    next_check: int | None
    """CRC-32 of that picture's planes."""
    can_seek: bool
    """Whether it can be read without what comes before it."""
    first: int
    """Timestamp of the output's first picture, in its time base."""
    last: int
    """Timestamp of the part's last picture."""
    until: int
    """When that one ends."""


class Work:
    """The file beside an output. A context manager; another process that has it open keeps it to itself.

    Raises OutputError, in this and in every method, where the file cannot be written or is not ours.
    """

    def __init__(self, target: Path) -> None:
        self.path = self.place(target)
        self.parts: list[Part] = []
        """In their order."""
        self._digest = _Digest()
        known = self.path.exists()
        # The encoder's thread writes to it, the caller's opens and reads it, never both at a time.
        with self._errors_told():
            self._file = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            with self._errors_told():
                self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._file.execute("PRAGMA synchronous = FULL")
                self._file.execute("PRAGMA fullfsync = ON")  # on a Mac, else nothing leaves the drive's cache
                self._file.execute("BEGIN EXCLUSIVE")  # taken here, and kept until it is closed
                if known and not self._is_ours():
                    raise OutputError(
                        f"{self.path} stands where unfinished work is kept, and is something else: move it."
                    )
                if not self._pragma("user_version"):
                    self._create()
                self._file.execute("COMMIT")
        except BaseException:
            self._file.close()
            raise

    @staticmethod
    def place(target: Path) -> Path:
        """Where the file of an output lies."""
        return target.with_name(_short(target.name) + ENDING)

    def facts(self) -> dict[str, str]:
        """What `begin` was given; empty where nothing has begun."""
        with self._errors_told():
            return dict(self._file.execute("SELECT name, value FROM facts"))

    def begin(self, facts: Mapping[str, str]) -> None:
        """Forget all that there is, and remember `facts`."""
        with self._errors_told(), self._transaction():
            for table in ("facts", "parts", "packets"):
                self._file.execute(f"DELETE FROM {table}")  # noqa: S608  # one of three constants
            self._file.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))
        self.parts = []

    def note(self, name: str, value: str) -> None:
        """Remember one more fact."""
        with self._errors_told():
            self._file.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])

    def load(self) -> None:
        """Read the parts that are whole into `parts`, and drop the first that is not, with all after it."""
        whole: list[Part] = []
        with self._errors_told():
            rows = self._file.execute("SELECT * FROM parts ORDER BY number").fetchall()
            for number, *values, sha256 in rows:
                if number != len(whole) or _digest(self._packets_of(number)) != sha256:
                    break
                whole.append(Part(*values))
            with self._transaction():
                for table, column in (("parts", "number"), ("packets", "part")):
                    self._file.execute(f"DELETE FROM {table} WHERE {column} >= ?", [len(whole)])  # noqa: S608
        self.parts = whole

    def write(self, packet: CodedPicture) -> None:
        """Take the next packet of the part at hand. It goes to the disk when it likes, and counts for nothing
        until the part is kept: a crash, or `drop`, takes it away.
        """
        with self._errors_told():
            if not self._file.in_transaction:
                self._file.execute("BEGIN")
                self._digest = _Digest()
            self._digest.add(packet)
            self._file.execute(
                "INSERT INTO packets (part, pts, dts, duration, is_key, data) VALUES (?, ?, ?, ?, ?, ?)",
                [len(self.parts), *astuple(packet)],
            )

    def keep(self, part: Part) -> None:
        """Keep the part whose packets were written; when this returns, no crash takes it away."""
        assert self._file.in_transaction, "a part has a packet at least"
        with self._errors_told(), self._transaction():
            row = [len(self.parts), *astuple(part), self._digest.value()]
            self._file.execute("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self.parts.append(part)

    def drop(self) -> None:
        """Forget what was written of a part that is not kept."""
        if self._file.in_transaction:
            with suppress(sqlite3.Error):
                self._file.execute("ROLLBACK")

    @property
    def pictures(self) -> int:
        """In all parts."""
        return sum(part.pictures for part in self.parts)

    @property
    def complete(self) -> bool:
        """Whether the last part is the video's last."""
        return bool(self.parts) and self.parts[-1].next_pts is None

    def times(self, part: int) -> array[int]:
        """When the pictures of one part are shown, in the encoder's order."""
        with self._errors_told():
            rows = self._file.execute("SELECT pts FROM packets WHERE part = ? ORDER BY at", [part])
            return array("q", (pts for (pts,) in rows))

    def packets(self, part: int) -> Iterator[CodedPicture]:
        """Of one part, by its place in `parts`, in the encoder's order, one after the other from the disk."""
        with self._errors_told():
            yield from self._packets_of(part)

    def discard(self) -> list[str]:
        """Close it and remove the file; what there is to say where that cannot be done."""
        self.close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            return [f"{self.path} is of no use any more and cannot be removed: {error.strerror or error}."]
        return []

    def close(self) -> None:
        """Close it; one in which nothing is finished is removed."""
        empty = False
        with suppress(sqlite3.Error):
            empty = not self._file.execute("SELECT count(*) FROM parts").fetchone()[0]
        with suppress(sqlite3.Error):
            self._file.close()
        if empty:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> Work:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Work({str(self.path)!r}, {len(self.parts)} parts, {self.pictures} pictures)"

    # --- how it does it --------------------------------------------------------------------------

    def _pragma(self, name: str) -> int:
        return int(self._file.execute(f"PRAGMA {name}").fetchone()[0])

    def _is_ours(self) -> bool:
        if self._pragma("user_version") == 0:  # made, and killed before anything was in it
            return not self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return self._pragma("application_id") == _OURS and self._pragma("user_version") == _FORMAT

    def _create(self) -> None:
        for statement in _TABLES.split(";"):
            self._file.execute(statement)
        self._file.execute(f"PRAGMA application_id = {_OURS}")
        self._file.execute(f"PRAGMA user_version = {_FORMAT}")

    def _packets_of(self, number: int) -> Iterator[CodedPicture]:
        columns = "pts, dts, duration, is_key, data"
        query = f"SELECT {columns} FROM packets WHERE part = ? ORDER BY at"  # noqa: S608  # a constant
        with closing(self._file.execute(query, [number])) as rows:
            for pts, dts, duration, is_key, data in rows:
                yield CodedPicture(pts, dts, duration, bool(is_key), data)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """What is done in this block, and before it in a transaction that is open, is done whole or not."""
        if not self._file.in_transaction:
            self._file.execute("BEGIN")
        try:
            yield
            self._file.execute("COMMIT")
        except BaseException:
            self.drop()
            raise

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(_sentence(self.path, error)) from error
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}.") from error


def _short(name: str) -> str:
    """A name that leaves room for this ending and SQLite's own where names have 255 bytes at most."""
    if len(os.fsencode(name)) <= LONGEST_NAME:
        return name
    return f"{name[:48]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"


class _Digest:
    """SHA-256 over the times and bytes of packets, one after the other."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, packet: CodedPicture) -> None:
        self._hash.update(struct.pack("<qqq?q", *astuple(packet)[:4], len(packet.data)))
        self._hash.update(packet.data)

    def value(self) -> bytes:
        return self._hash.digest()


def _digest(packets: Iterable[CodedPicture]) -> bytes:
    digest = _Digest()
    for packet in packets:
        digest.add(packet)
    return digest.value()


def _sentence(path: Path, error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return f"The disk is full. What is done is kept in {path}: make room, and the same command goes on."
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"Another streamtoon is working on {path}: let it finish, or stop it first."
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return f"{path} is damaged or something else: move or delete it, and the work begins afresh."
    return f"{path} cannot be written: {error}."
