"""What a vote is about: pictures, candidates, and the order in which one reviewer sees them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

MAX_CANDIDATES = 9
"""Candidates side by side: one for each digit key."""


@dataclass(frozen=True)
class VoteItem:
    """One photo with what each candidate made of it, as files that a browser shows."""

    photo: str
    """Its name for people and for the table: the path inside the photos' folder, with slashes."""
    original: Path
    results: dict[str, Path]
    """By the candidate's name; all of one size in pixels."""

    @cached_property
    def id(self) -> str:
        """Its name in addresses, which says nothing about the photo or the candidates."""
        return hashlib.sha256(self.photo.encode()).hexdigest()[:16]

    @cached_property
    def fingerprint(self) -> str:
        """Twelve characters of what is shown; another picture under the same name has another one."""
        digest = hashlib.sha256(self.original.read_bytes())
        for name in sorted(self.results):
            digest.update(hashlib.sha256(self.results[name].read_bytes()).digest())
        # The letter keeps a spreadsheet from reading a number.
        return "p" + digest.hexdigest()[:11]

    @cached_property
    def bytes(self) -> int:
        """The largest file among the results, in bytes: all are served at that length."""
        return max(path.stat().st_size for path in self.results.values())


@dataclass(frozen=True)
class Ballot:
    """The plates and the candidates. Orders hang on the seed, the reviewer and the photo's name alone."""

    candidates: tuple[str, ...]
    items: tuple[VoteItem, ...]
    seed: int = 0

    @cached_property
    def id(self) -> str:
        """Differs where anything differs that a pick's meaning hangs on."""
        parts = [str(self.seed), *self.candidates, *(item.fingerprint for item in self.items)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def by_id(self) -> dict[str, VoteItem]:
        """The plates by their names in addresses."""
        return {item.id: item for item in self.items}

    @cached_property
    def by_photo(self) -> dict[str, VoteItem]:
        """The plates by their photo's name."""
        return {item.photo: item for item in self.items}

    def shown(self, reviewer: str, item: VoteItem) -> tuple[str, ...]:
        """The candidates in the order in which this reviewer sees them, from left to right."""
        names = sorted(self.candidates)
        _reviewer_rng(self.seed, reviewer, item.photo).shuffle(names)
        return tuple(names)

    def queue(self, reviewer: str) -> list[VoteItem]:
        """The plates in the order in which this reviewer meets them."""
        items = sorted(self.items, key=lambda item: item.photo)
        _reviewer_rng(self.seed, reviewer).shuffle(items)
        return items


def same_reviewer(name: str) -> str:
    """Equal for two spellings of one name, as a phone writes Anna and a keyboard anna."""
    return name.casefold()


def _reviewer_rng(seed: int, reviewer: str, *more: str) -> random.Random:
    parts = "\0".join((str(seed), same_reviewer(reviewer), *more))
    return random.Random(hashlib.sha256(parts.encode()).digest())  # noqa: S311 - an order, not a key
