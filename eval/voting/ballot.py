"""The ballot: photos, candidates, and the order in which one reviewer sees them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

MAX_CANDIDATES = 9
"""Most candidates side by side: one for each digit key."""


@dataclass(frozen=True)
class VoteItem:
    """One photo with the result of each candidate, as files for the browser."""

    photo: str
    """The path inside the photos' folder, with slashes."""
    original: Path
    results: dict[str, Path]
    """By the candidate's name. All have the same size in pixels."""

    @cached_property
    def id(self) -> str:
        """The name in addresses, which reveals neither the photo nor the candidates."""
        return hashlib.sha256(self.photo.encode()).hexdigest()[:16]

    @cached_property
    def fingerprint(self) -> str:
        """Twelve characters that identify the images. Another image with the same name has another
        fingerprint.
        """
        digest = hashlib.sha256(self.original.read_bytes())
        for name in sorted(self.results):
            digest.update(hashlib.sha256(self.results[name].read_bytes()).digest())
        # The letter keeps spreadsheets from reading a number.
        return "p" + digest.hexdigest()[:11]

    @cached_property
    def bytes(self) -> int:
        """The size of the largest result file. All are served with that length."""
        return max(path.stat().st_size for path in self.results.values())


@dataclass(frozen=True)
class Ballot:
    """Photos and candidates. All orders depend only on the seed, the reviewer and the photo's name."""

    candidates: tuple[str, ...]
    items: tuple[VoteItem, ...]
    seed: int = 0

    @cached_property
    def id(self) -> str:
        """An id that changes whenever the meaning of a pick changes."""
        parts = [str(self.seed), *self.candidates, *(item.fingerprint for item in self.items)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def by_id(self) -> dict[str, VoteItem]:
        """The items by their names in addresses."""
        return {item.id: item for item in self.items}

    @cached_property
    def by_photo(self) -> dict[str, VoteItem]:
        """The items by their photo's name."""
        return {item.photo: item for item in self.items}

    def shown(self, reviewer: str, item: VoteItem) -> tuple[str, ...]:
        """Return the candidates in the order in which this reviewer sees them, from left to right."""
        names = sorted(self.candidates)
        _reviewer_rng(self.seed, reviewer, item.photo).shuffle(names)
        return tuple(names)

    def queue(self, reviewer: str) -> list[VoteItem]:
        """Return the items in the order in which this reviewer sees them."""
        items = sorted(self.items, key=lambda item: item.photo)
        _reviewer_rng(self.seed, reviewer).shuffle(items)
        return items


def same_reviewer(name: str) -> str:
    """Return the same text for two spellings of one name, such as Anna and anna."""
    return name.casefold()


def _reviewer_rng(seed: int, reviewer: str, *more: str) -> random.Random:
    parts = "\0".join((str(seed), same_reviewer(reviewer), *more))
    return random.Random(hashlib.sha256(parts.encode()).digest())  # noqa: S311 - an order, not a key
