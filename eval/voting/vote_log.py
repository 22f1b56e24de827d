"""The table of votes: a CSV file to which rows are only appended. A reviewer's last row on a photo counts.

Columns: time (UTC), reviewer, photo, pick (empty if taken back), shown 1, shown 2, ... (the order on the
page), pictures (a fingerprint of the images).
"""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engines.errors import StreamtoonError
from eval.voting.ballot import Ballot, VoteItem, same_reviewer

_FIRST = ("time", "reviewer", "photo", "pick")
_LAST = "pictures"
_FORMULA = ("=", "+", "-", "@", "|", "%", "'")
"""First characters that a spreadsheet may read as a formula, and the quote that prevents it."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One row."""

    time: str
    reviewer: str
    photo: str
    pick: str
    """A candidate's name. It is empty if the vote was taken back."""
    shown: tuple[str, ...]
    """The candidates in their order on the page."""
    pictures: str
    """The value of `VoteItem.fingerprint`."""


class VoteCounts:
    """The votes that count, and those that were taken back."""

    def __init__(self) -> None:
        self._votes: dict[str, dict[str, Vote]] = {}
        self._taken_back: dict[str, list[str]] = {}
        self._spelling: dict[str, str] = {}

    def add(self, vote: Vote) -> None:
        """Add the next row."""
        key = same_reviewer(vote.reviewer)
        self._spelling.setdefault(key, vote.reviewer)
        votes, back = self._votes.setdefault(key, {}), self._taken_back.setdefault(key, [])
        votes.pop(vote.photo, None)
        if vote.photo in back:
            back.remove(vote.photo)
        if vote.pick:
            votes[vote.photo] = vote
        else:
            back.append(vote.photo)

    def spelling(self, reviewer: str) -> str:
        """Return the name in this reviewer's first spelling."""
        return self._spelling.get(same_reviewer(reviewer), reviewer)

    def of(self, reviewer: str) -> list[Vote]:
        """Return a reviewer's votes, the latest last."""
        return list(self._votes.get(same_reviewer(reviewer), {}).values())

    def taken_back(self, reviewer: str) -> list[str]:
        """Return the photos whose vote was taken back, the latest last."""
        return self._taken_back.get(same_reviewer(reviewer), [])

    def __iter__(self) -> Iterator[Vote]:
        # Copies: the server reads while another of its threads writes.
        for key, votes in list(self._votes.items()):
            for vote in list(votes.values()):
                yield Vote(vote.time, self._spelling[key], vote.photo, vote.pick, vote.shown, vote.pictures)


class VoteLog:
    """The file, opened by one server. Raises StreamtoonError if it belongs to another vote or is not
    writable.

    When `cast` or `take_back` returns, the vote is on the disk. Closing twice is allowed.
    """

    def __init__(self, path: Path, ballot: Ballot) -> None:
        self.path, self.ballot, self.tally = path, ballot, VoteCounts()
        self._file = -1
        found = read_votes(path) if path.exists() else []
        for vote in found:
            _require_same(path, vote, ballot)
            self.tally.add(vote)
        try:
            self._file = _open_alone(path)
            self._mend()
        except OSError as error:
            self.close()
            raise StreamtoonError(f"{path} cannot be written: {error.strerror or error}") from error
        except StreamtoonError:
            self.close()
            raise

    def __enter__(self) -> VoteLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close and unlock the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def queue(self, reviewer: str) -> list[VoteItem]:
        """Return the items without this reviewer's vote. Those taken back come first, the latest at the
        front.
        """
        voted = {vote.photo for vote in self.tally.of(reviewer)}
        back = [self.ballot.by_photo[photo] for photo in reversed(self.tally.taken_back(reviewer))]
        rest = [item for item in self.ballot.queue(reviewer) if item not in back]
        return [item for item in (*back, *rest) if item.photo not in voted]

    def cast(self, reviewer: str, item: VoteItem, position: int) -> None:
        """Store a pick; `position` counts from 0. Raises StreamtoonError if it cannot be written."""
        reviewer = self.tally.spelling(reviewer)
        shown = self.ballot.shown(reviewer, item)
        self._keep(Vote(_now(), reviewer, item.photo, shown[position], shown, item.fingerprint))

    def take_back(self, reviewer: str) -> bool:
        """Take back the latest pick. Returns False if there is none. Raises like `cast`."""
        votes = self.tally.of(reviewer)
        if not votes:
            return False
        last = votes[-1]
        name = self.tally.spelling(reviewer)
        self._keep(Vote(_now(), name, last.photo, "", last.shown, last.pictures))
        return True

    def _keep(self, vote: Vote) -> None:
        row = (vote.time, vote.reviewer, vote.photo, vote.pick, *vote.shown, vote.pictures)
        self._append(_line(row))
        self.tally.add(vote)

    def _append(self, line: bytes) -> None:
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError("the disk is full")
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)  # half a row would corrupt the next one
            raise StreamtoonError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def _mend(self) -> None:
        """End the file with a complete row. A row that a killed server left incomplete was never
        confirmed.
        """
        data = self.path.read_bytes()
        whole, cut = _split(data)
        if cut:
            os.ftruncate(self._file, len(data) - len(cut))
        if not whole:
            self._append(_line(_header(len(self.ballot.candidates))))
        elif not cut and not data.endswith(b"\n"):
            self._append(b"\r\n")


def read_votes(path: Path) -> list[Vote]:
    """Return all rows of a table of votes, including those that no longer count.

    Raises StreamtoonError if it cannot be read or is another kind of file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StreamtoonError(f"{path} cannot be read: {error.strerror or error}") from error
    whole, _ = _split(data)
    if not whole and (not data.strip(b"\0") or _line(_header(9)).startswith(data[:24])):
        return []
    other = StreamtoonError(f"{path} is not a table of votes; give another file with --out")
    try:
        rows = list(csv.reader(io.StringIO(b"".join(whole).decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise other from error
    if not rows or rows[0] != list(_header(len(rows[0]) - len(_FIRST) - 1)) or len(rows[0]) < 7:
        raise other
    if any(len(row) != len(rows[0]) or not _is_row(row) for row in rows[1:] if row):
        raise StreamtoonError(
            f"{path} contains rows that are not votes; repair it, or give another file with --out"
        )
    return [_vote([_plain(cell) for cell in row]) for row in rows[1:] if row]


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """Split the data into complete lines and an incomplete row at the end.

    Cells contain no line breaks, so a line is a row. A row ends in a fingerprint, so a complete last row
    without a line break, as some editors write, can be distinguished from an incomplete one.
    """
    lines = data.splitlines(keepends=True)
    if not lines or lines[-1].endswith((b"\n", b"\r")):
        return lines, b""
    finished = re.search(rb",p[0-9a-f]{11}\Z", lines[-1])
    return (lines, b"") if finished and len(lines) > 1 else (lines[:-1], lines[-1])


def _is_row(row: Sequence[str]) -> bool:
    shown, pick = row[len(_FIRST) : -1], row[3]
    return bool(row[1] and row[2] and (not pick or pick in shown)) and len(set(shown)) == len(shown)


def _vote(row: Sequence[str]) -> Vote:
    return Vote(row[0], row[1], row[2], row[3], tuple(row[len(_FIRST) : -1]), row[-1])


def _require_same(path: Path, vote: Vote, ballot: Ballot) -> None:
    """Raise StreamtoonError if the votes are about something else."""
    item = ballot.by_photo.get(vote.photo)
    if set(vote.shown) != set(ballot.candidates):
        what = f"other candidates ({', '.join(sorted(vote.shown))})"
    elif item is None:
        what = f"photos that are not in this one (such as {vote.photo})"
    elif vote.pictures != item.fingerprint:
        what = f"other images with the same names (such as of {vote.photo})"
    else:
        return
    raise StreamtoonError(f"{path} contains a vote on {what}; give another file with --out")


def _header(candidates: int) -> tuple[str, ...]:
    return (*_FIRST, *(f"shown {n + 1}" for n in range(candidates)), _LAST)


def _line(row: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row])
    return text.getvalue().encode()


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _open_alone(path: Path) -> int:
    """Open or create the file, locked against a second server until it is closed or the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, 1 << 30, os.SEEK_SET)  # far behind the votes, so that others may read them
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_new:
                folder = os.open(path.parent, os.O_RDONLY)
                os.fsync(folder)
                os.close(folder)
    except OSError as error:
        os.close(file)
        raise StreamtoonError(f"{path} is in use by another vote; stop that one first") from error
    return file
