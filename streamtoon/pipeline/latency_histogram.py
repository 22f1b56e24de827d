"""A latency histogram of constant size, for runs that last for months."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque

BUCKET_GROWTH = 1.01
"""Ratio between neighbouring bucket limits. A quantile is at most this factor too large."""
MIN_DURATION_MS = 1e-3
"""Milliseconds. Shorter durations count as this."""
RECENT_COUNT = 25
"""Number of latest durations that `recent` averages."""


class LatencyHistogram:
    """Count, mean, maximum and quantiles of durations in milliseconds. Thread-safe.

    Count, mean and maximum are exact. Quantiles come from a histogram with buckets that grow by
    BUCKET_GROWTH: about 1500 buckets cover a microsecond to an hour.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._recent: deque[float] = deque(maxlen=RECENT_COUNT)
        self._number, self._sum, self._longest = 0, 0.0, 0.0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._number

    def add(self, duration: float) -> None:
        """Add one duration in milliseconds."""
        place = math.ceil(math.log(max(MIN_DURATION_MS, duration), BUCKET_GROWTH))
        with self._lock:
            self._counts[place] += 1
            self._recent.append(duration)
            self._number += 1
            self._sum += duration
            self._longest = max(self._longest, duration)

    @property
    def mean(self) -> float:
        """Mean in milliseconds; 0 if nothing was added."""
        with self._lock:
            return self._sum / self._number if self._number else 0.0

    @property
    def recent(self) -> float:
        """Mean of the latest RECENT_COUNT durations in milliseconds; 0 if nothing was added."""
        with self._lock:
            return sum(self._recent) / len(self._recent) if self._recent else 0.0

    def quantile(self, share: float) -> float:
        """Return the nearest-rank quantile in milliseconds for `share` (0 to 1), at most 1 % too large."""
        with self._lock:
            left = max(1, math.ceil(share * self._number))
            for place in sorted(self._counts):
                left -= self._counts[place]
                if left <= 0:
                    return min(BUCKET_GROWTH**place, self._longest)
        return 0.0
