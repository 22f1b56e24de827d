"""How long things took, of any number of them, in little memory: a live run may go on for months."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque

STEP = 1.01
"""From one class to the next: by so much a quantile may be too large."""
SHORTEST = 1e-3
"""Milliseconds; what is shorter counts as this."""
RECENT = 25
"""How many the latest are."""


class Durations:
    """In milliseconds; may be added to and read in any threads.

    Number, mean and longest are exact. Quantiles come from a histogram whose classes grow by STEP: some
    1500 hold everything from a microsecond to an hour.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._number, self._sum, self._longest = 0, 0.0, 0.0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._number

    def add(self, duration: float) -> None:
        """One more."""
        place = math.ceil(math.log(max(SHORTEST, duration), STEP))
        with self._lock:
            self._counts[place] += 1
            self._recent.append(duration)
            self._number += 1
            self._sum += duration
            self._longest = max(self._longest, duration)

    @property
    def mean(self) -> float:
        """0 without any, as `recent` and quantiles."""
        with self._lock:
            return self._sum / self._number if self._number else 0.0

    @property
    def recent(self) -> float:
        """The mean of the latest."""
        with self._lock:
            return sum(self._recent) / len(self._recent) if self._recent else 0.0

    def quantile(self, share: float) -> float:
        """What that share of all, 0 to 1, did not exceed, by nearest rank; up to 1 % too much, never less."""
        with self._lock:
            left = max(1, math.ceil(share * self._number))
            for place in sorted(self._counts):
                left -= self._counts[place]
                if left <= 0:
                    return min(STEP**place, self._longest)
        return 0.0
