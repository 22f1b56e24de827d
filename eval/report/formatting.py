"""Numbers as people read them, and which of them is the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from eval.scoring.metric_registry import METRICS
from eval.scoring.results import Interval, Number, Spread

MAX_DECIMALS = 6
WORDS = {"lower": "lower is better", "higher": "higher is better", "nearer 0.5": "nearer 0.5 is better"}
ARROWS = {"lower": "↓", "higher": "↑", "nearer 0.5": "→ ½"}


def central_value(number: Number) -> float:
    """The figure itself, without its spread."""
    return number.mean if isinstance(number, Spread) else number


def decimals_for(values: Iterable[float]) -> int:
    """So many that the largest shows three or four digits: 110.2, 17.15, 0.8123, 0.0351."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest == 0:
        return 1
    power = math.floor(math.log10(largest))
    return min(max((3 if power >= -1 else 2) - power, 0 if power >= 4 else 1), MAX_DECIMALS)


def format_number(value: float, decimals: int) -> str:
    """With thousands set apart and a true minus; infinity and what is no number by their signs."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def format_interval(interval: Interval, decimals: int) -> str:
    """Both ends in brackets."""
    return f"[{format_number(interval.low, decimals)}, {format_number(interval.high, decimals)}]"


def merit(metric: str, value: float) -> float:
    """The higher the better, whichever way the metric counts; minus infinity for what is no number."""
    if math.isnan(value):
        return -math.inf
    better = METRICS[metric].better
    return {"lower": -value, "higher": value}.get(better, -abs(value - 0.5))


def best(metric: str, numbers: Mapping[str, Number]) -> frozenset[str]:
    """The names that no other beats; several where figures are equal, none where nothing is a number."""
    merits = {
        name: merit(metric, central_value(number))
        for name, number in numbers.items()
        if not math.isnan(central_value(number))
    }
    return frozenset(name for name, value in merits.items() if value == max(merits.values()))


def winners(metric: str, numbers: Mapping[str, Number]) -> frozenset[str]:
    """Those to mark as the best: none where all are alike, nor by a metric that is not there to decide by."""
    names = frozenset() if METRICS[metric].secondary else best(metric, numbers)
    return names if len(names) < len(numbers) else frozenset()


def join_words(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last
