"""Format figures for readers, and mark the best one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from eval.scoring.metric_registry import METRICS
from eval.scoring.results import Interval, Number, Spread

MAX_DECIMALS = 6
WORDS = {"lower": "lower is better", "higher": "higher is better", "nearer 0.5": "closer to 0.5 is better"}
ARROWS = {"lower": "↓", "higher": "↑", "nearer 0.5": "→ ½"}


def central_value(number: Number) -> float:
    """Return the figure without its spread."""
    return number.mean if isinstance(number, Spread) else number


def decimals_for(values: Iterable[float]) -> int:
    """Return the number of decimals that shows three or four digits of the largest value.

    Examples: 110.2, 17.15, 0.8123, 0.0351.
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest == 0:
        return 1
    power = math.floor(math.log10(largest))
    return min(max((3 if power >= -1 else 2) - power, 0 if power >= 4 else 1), MAX_DECIMALS)


def format_number(value: float, decimals: int) -> str:
    """Return the value with thousands separators and a true minus sign, infinity as ∞ and NaN as its sign."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def format_interval(interval: Interval, decimals: int) -> str:
    """Return both ends in brackets."""
    return f"[{format_number(interval.low, decimals)}, {format_number(interval.high, decimals)}]"


def merit(metric: str, value: float) -> float:
    """Return a value for which higher is better, whatever the metric; minus infinity for NaN."""
    if math.isnan(value):
        return -math.inf
    better = METRICS[metric].better
    return {"lower": -value, "higher": value}.get(better, -abs(value - 0.5))


def best(metric: str, numbers: Mapping[str, Number]) -> frozenset[str]:
    """Return the names with the best value: several if values are equal, none if all values are NaN."""
    merits = {
        name: merit(metric, central_value(number))
        for name, number in numbers.items()
        if not math.isnan(central_value(number))
    }
    return frozenset(name for name, value in merits.items() if value == max(merits.values()))


def winners(metric: str, numbers: Mapping[str, Number]) -> frozenset[str]:
    """Return the names to mark as best: none if all values are equal or the metric is secondary."""
    names = frozenset() if METRICS[metric].secondary else best(metric, numbers)
    return names if len(names) < len(numbers) else frozenset()


def join_words(words: Iterable[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last
