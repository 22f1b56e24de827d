"""The encoded frames of an unfinished output, in one SQLite file next to it.

Frames come in segments that can be decoded independently. A segment is stored completely or not at all,
whatever happens to the process, the disk or the power: SQLite's transactions guarantee it
(https://sqlite.org/atomiccommit.html). In addition, every segment has the SHA-256 of its packets.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType

from streamtoon.errors import DiskFullError, OutputError, write_error
from streamtoon.media.writer.coded_frame import CodedFrame
from streamtoon.media.writer.output_file import resolved_target

SUFFIX = ".unfinished"
"""Suffix of the file, added to the output's name."""
_APPLICATION_ID = 0x546F6F6E
"""SQLite's application_id of these files: "Toon"."""
_FORMAT = 1
MAX_NAME_BYTES = 230
"""Maximum length of the output's name that is used unchanged."""
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


class NotResumableError(OutputError):
    """An unfinished output cannot be stored in its folder, whose disk has no locks or no fsync."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive encoded frames, of which the first is a key frame."""

    frames: int
    next_pts: int | None
    """Timestamp of the first frame of the next segment, in the source's time base; None at the end."""
    next_check: int | None
    """CRC-32 of that frame's planes."""
    can_seek: bool
    """Whether that frame can be read without the frames before it."""
    first: int
    """Timestamp of the output's first frame, in its time base."""
    last: int
    """Timestamp of the segment's last frame."""
    until: int
    """End of the segment's last frame."""


class PacketStore:
    """The file next to an output. A context manager that locks the file against other processes.

    All methods raise OutputError if the file cannot be written or is not ours. The constructor raises
    NotResumableError if the folder cannot hold such a file.
    """

    def __init__(self, target: Path) -> None:
        self.path = self.place(target)
        self.parts: list[Segment] = []
        """The stored segments, in order."""
        self.coded = 0
        """Number of encoded frames so far, including those of the unfinished segment."""
        self.coded_bytes = 0
        """The bytes of these frames."""
        self._digest = _Digest()
        known = self.path.exists()
        # The encoder's thread writes to it; the caller's opens and reads it, never at the same time.
        with self._translate_errors():
            self._file = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            with self._translate_errors():
                _begin(self._file)  # the lock is held until the file is closed
                if known and not self._is_ours():
                    raise OutputError(
                        f"{self.path} is needed for unfinished work but is something else. Move it away."
                    )
                if not self._pragma("user_version"):
                    self._create()
                self._file.execute("COMMIT")
        except BaseException as error:
            self._file.close()
            if isinstance(error.__cause__, sqlite3.Error) and not _supports_locks(self.path.parent):
                if not known:
                    _remove(self.path)
                raise NotResumableError(
                    f"{self.path.parent} is on a disk without locks or fsync, such as some network shares: "
                    "an interrupted run cannot be resumed."
                ) from error
            raise

    @staticmethod
    def place(target: Path) -> Path:
        """Return the path of the file for an output: next to the written file, also if `target` is a link to
        it.
        """
        target = resolved_target(target)
        return target.with_name(_short(target.name) + SUFFIX)

    def facts(self) -> dict[str, str]:
        """Return the stored facts; empty if there are none."""
        with self._translate_errors():
            return dict(self._file.execute("SELECT name, value FROM facts"))

    def begin(self, facts: Mapping[str, str]) -> None:
        """Delete all contents and store `facts`."""
        with self._translate_errors(), self._transaction():
            for table in ("facts", "parts", "packets"):
                self._file.execute(f"DELETE FROM {table}")  # noqa: S608  # one of three constants
            self._file.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))
        self.parts = []

    def note(self, name: str, value: str) -> None:
        """Store one more fact."""
        with self._translate_errors():
            self._file.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])

    def load(self) -> None:
        """Load the complete segments into `parts`. Delete the first incomplete one and all after it."""
        whole: list[Segment] = []
        with self._translate_errors():
            rows = self._file.execute("SELECT * FROM parts ORDER BY number").fetchall()
            for number, *values, sha256 in rows:
                if number != len(whole) or _digest(self._packets_of(number)) != sha256:
                    break
                whole.append(Segment(*values))
            with self._transaction():
                for table, column in (("parts", "number"), ("packets", "part")):
                    self._file.execute(f"DELETE FROM {table} WHERE {column} >= ?", [len(whole)])  # noqa: S608
            counted = self._file.execute("SELECT count(*), coalesce(sum(length(data)), 0) FROM packets")
            self.coded, self.coded_bytes = counted.fetchone()
        self.parts = whole

    def write(self, packet: CodedFrame) -> None:
        """Write the next packet of the current segment.

        It may reach the disk at any time, but a crash or `drop` removes it until the segment is kept.
        """
        with self._translate_errors():
            if not self._file.in_transaction:
                self._file.execute("BEGIN")
                self._digest = _Digest()
            self._digest.add(packet)
            self.coded += 1
            self.coded_bytes += len(packet.data)
            self._file.execute(
                "INSERT INTO packets (part, pts, dts, duration, is_key, data) VALUES (?, ?, ?, ?, ?, ?)",
                [len(self.parts), *astuple(packet)],
            )

    def keep(self, part: Segment) -> None:
        """Store the segment whose packets were written. When this returns, no crash can remove it."""
        assert self._file.in_transaction, "a segment has at least one packet"
        with self._translate_errors(), self._transaction():
            row = [len(self.parts), *astuple(part), self._digest.value()]
            self._file.execute("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self.parts.append(part)

    def drop(self) -> None:
        """Discard the packets of the unfinished segment."""
        if self._file.in_transaction:
            with suppress(sqlite3.Error):
                self._file.execute("ROLLBACK")

    @property
    def count(self) -> int:
        """Number of loaded segments."""
        return len(self.parts)

    @property
    def frames(self) -> int:
        """Number of frames in all loaded segments."""
        return sum(part.frames for part in self.parts)

    @property
    def kept(self) -> int:
        """Number of frames in all segments on disk, loaded or not."""
        with self._translate_errors():
            return int(self._file.execute("SELECT coalesce(sum(pictures), 0) FROM parts").fetchone()[0])

    @property
    def complete(self) -> bool:
        """Whether the last segment ends the video."""
        return bool(self.parts) and self.parts[-1].next_pts is None

    def times(self, part: int) -> array[int]:
        """Return the presentation times of one segment's frames, in decoding order."""
        with self._translate_errors():
            rows = self._file.execute("SELECT pts FROM packets WHERE part = ? ORDER BY at", [part])
            return array("q", (pts for (pts,) in rows))

    def packets(self, part: int) -> Iterator[CodedFrame]:
        """Yield the packets of one segment, by its index in `parts`, in decoding order from the disk."""
        with self._translate_errors():
            yield from self._packets_of(part)

    def discard(self) -> list[str]:
        """Close and remove the file. Return a warning if that fails."""
        self.close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            return [f"{self.path} is no longer needed but cannot be removed: {error.strerror or error}."]
        return []

    def close(self) -> None:
        """Close the file. Remove it if it contains no segment."""
        empty = False
        with suppress(sqlite3.Error):
            empty = not self._file.execute("SELECT count(*) FROM parts").fetchone()[0]
        with suppress(sqlite3.Error):
            self._file.close()
        if empty:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> PacketStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PacketStore({str(self.path)!r}, {len(self.parts)} segments, {self.frames} frames)"

    # --- internals ---------------------------------------------------------------------------------

    def _pragma(self, name: str) -> int:
        return int(self._file.execute(f"PRAGMA {name}").fetchone()[0])

    def _is_ours(self) -> bool:
        if self._pragma("user_version") == 0:  # created, and killed before anything was stored
            return not self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return self._pragma("application_id") == _APPLICATION_ID and self._pragma("user_version") == _FORMAT

    def _create(self) -> None:
        for statement in _TABLES.split(";"):
            self._file.execute(statement)
        self._file.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        self._file.execute(f"PRAGMA user_version = {_FORMAT}")

    def _packets_of(self, number: int) -> Iterator[CodedFrame]:
        columns = "pts, dts, duration, is_key, data"
        query = f"SELECT {columns} FROM packets WHERE part = ? ORDER BY at"  # noqa: S608  # a constant
        with closing(self._file.execute(query, [number])) as rows:
            for pts, dts, duration, is_key, data in rows:
                yield CodedFrame(pts, dts, duration, bool(is_key), data)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run the block, and an already open transaction, atomically."""
        if not self._file.in_transaction:
            self._file.execute("BEGIN")
        try:
            yield
            self._file.execute("COMMIT")
        except BaseException:
            self.drop()
            raise

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _store_error(self.path, error) from error
        except OSError as error:
            raise write_error(self.path, error) from error


def _begin(file: sqlite3.Connection) -> None:
    """Begin a transaction with a lock that is held until the file is closed."""
    file.execute("PRAGMA locking_mode = EXCLUSIVE")
    file.execute("PRAGMA synchronous = FULL")
    file.execute("PRAGMA fullfsync = ON")  # on macOS, data otherwise stays in the drive's cache
    file.execute("BEGIN EXCLUSIVE")


def _supports_locks(folder: Path) -> bool:
    """Return whether SQLite can lock and write a new file in this folder."""
    path = folder / f".streamtoon.{secrets.token_hex(8)}.part"
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as file:
            _begin(file)
            file.execute("CREATE TABLE trial (value)")
            file.execute("COMMIT")
    except sqlite3.Error as error:
        # A full or read-only folder says nothing about locks, and has its own message.
        return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_CANTOPEN"))
    finally:
        _remove(path)
    return True


def _remove(path: Path) -> None:
    """Remove a SQLite file and its journal."""
    for each in (path, path.with_name(f"{path.name}-journal")):
        with suppress(OSError):
            each.unlink(missing_ok=True)


def _short(name: str) -> str:
    """Shorten a name so that it and SQLite's suffixes fit into the usual limit of 255 bytes."""
    if len(os.fsencode(name)) <= MAX_NAME_BYTES:
        return name
    return f"{name[:48]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"


class _Digest:
    """SHA-256 over the times and bytes of packets."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, packet: CodedFrame) -> None:
        self._hash.update(struct.pack("<qqq?q", *astuple(packet)[:4], len(packet.data)))
        self._hash.update(packet.data)

    def value(self) -> bytes:
        return self._hash.digest()


def _digest(packets: Iterable[CodedFrame]) -> bytes:
    digest = _Digest()
    for packet in packets:
        digest.add(packet)
    return digest.value()


def _store_error(path: Path, error: sqlite3.Error) -> OutputError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return DiskFullError(
            f"The disk is full. The finished frames are stored in {path}: make room and run the same command "
            "to resume."
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return OutputError(f"Another streamtoon process is using {path}. Wait for it or stop it first.")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return OutputError(f"{path} is damaged or not a streamtoon file. Move or delete it to start over.")
    return OutputError(f"{path} cannot be written: {error}.")
