"""A seeded byte-flipper: the same seed always makes the same damaged file.

    for seed in range(1000):
        try_it(mutated(data, seed))

A case is told by its seed alone, so whatever goes wrong can be made again. `run_cases` counts what became of
many, and keeps a file that says which case is running: who watches from outside knows the one that crashed.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NASTY = (0, 1, 0x7F, 0x80, 0xFF)
"""Bytes at the ends of ranges."""
WIDE = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF, 1 << 40)
"""The same of lengths and offsets."""
HEAD = 4096
"""Bytes at the beginning, where formats keep what they say of themselves: half of the damage goes there."""


def mutated(data: bytes, seed: int, words: Sequence[bytes] = ()) -> bytes:
    """`data` with one to eight faults; some of them insert a whole word of `words`, as a format has them."""
    dice = random.Random(seed)
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        _damage(out, dice, words)
    return bytes(out)


def _damage(out: bytearray, dice: random.Random, words: Sequence[bytes]) -> None:
    if not out:
        out += b"\0"
    end = min(HEAD, len(out)) if dice.random() < 0.5 else len(out)
    at = dice.randrange(end)
    length = min(len(out) - at, dice.choice((1, 2, 4, 8, 16, 64, 256)))
    kind = dice.choices(
        ("bit", "byte", "wide", "cut", "drop", "again", "noise", "word"),
        (30, 15, 12, 4, 10, 10, 9, 25 if words else 0),
    )[0]
    if kind == "bit":
        out[at] ^= 1 << dice.randrange(8)
    elif kind == "byte":
        out[at] = dice.choice(NASTY)
    elif kind == "wide":
        size, order = dice.choice((2, 4, 8)), dice.choice(("little", "big"))
        value = dice.choice(WIDE) & ((1 << 8 * size) - 1)
        out[at : at + size] = value.to_bytes(size, "little" if order == "little" else "big")
    elif kind == "cut":
        del out[at:]
    elif kind == "drop":
        del out[at : at + length]
    elif kind == "again":
        to = dice.randrange(len(out) + 1)
        out[to:to] = out[at : at + length]
    elif kind == "noise":
        out[at : at + length] = dice.randbytes(length)
    else:
        word = dice.choice(words)
        out[at : at + (len(word) if dice.random() < 0.5 else 0)] = word


@dataclass
class Count:
    """What became of the cases."""

    cases: int = 0
    refused: int = 0
    """Ended with the error that they may end with."""
    slowest: float = 0.0
    """Seconds."""
    failed: dict[int, str] = field(default_factory=dict)
    """Seed -> traceback of any other exception."""

    @property
    def taken(self) -> int:
        """How many were found whole, or were whole enough."""
        return self.cases - self.refused - len(self.failed)


def run_cases(
    one: Callable[[int], object],
    seeds: Iterable[int],
    allowed: type[Exception] | tuple[type[Exception], ...],
    running: Path | None = None,
) -> Count:
    """Runs `one` for every seed. `running`, where given, holds the seed of the case under way."""
    count = Count()
    for seed in seeds:
        if running is not None:
            running.write_text(str(seed), encoding="utf-8")
        began = time.perf_counter()
        try:
            one(seed)
        except allowed as error:
            count.refused += 1
            if "\n" in str(error) or not str(error).strip() or len(str(error)) > 2000:
                count.failed[seed] = f"not one sentence: {str(error)[:2000]!r}"
                count.refused -= 1
        except Exception:
            count.failed[seed] = traceback.format_exc()
        count.cases += 1
        count.slowest = max(count.slowest, time.perf_counter() - began)
    return count
