"""Values of three parameters of a test, of which every pair occurs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


def pairwise_cases(first: Sequence[A], second: Sequence[B], third: Sequence[C]) -> list[tuple[A, B, C]]:
    """Return every pair of the first two parameters, with values of the third as in a Latin square.

    So every pair of values of any two parameters occurs. The third has no more values than the others.
    """
    assert len(third) <= min(len(first), len(second))
    return [
        (one, other, third[(i + j) % len(third)])
        for i, one in enumerate(first)
        for j, other in enumerate(second)
    ]
