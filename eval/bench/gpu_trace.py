"""Record the timeline of a GPU, and compute how much of its copying overlaps with drawing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np

from eval.bench.results import TimeSpan

COPIES: dict[str, Literal["in", "out"]] = {"Memcpy HtoD": "in", "Memcpy DtoH": "out"}
"""The prefixes of CUDA's names for copies from and to the host. Everything else is drawing."""
JOIN_GAP_MS = 0.005
"""Two kernels with a shorter gap, in milliseconds, are shown as one."""
MAX_SPANS_PER_KIND = 40
"""The number of spans kept of each kind. They come from the middle of a run, where the lanes are full."""


def trace(draw: Callable[[], object]) -> list[TimeSpan]:
    """Run `draw` and return what the GPU did meanwhile, ordered by time, starting at 0.

    Needs torch with CUDA and a GPU. Returns an empty list if CUDA's tracing reports nothing.
    """
    # By default CUDA's tracing is torn down after its first use and may fail to start again.
    os.environ.setdefault("TEARDOWN_CUPTI", "0")
    import torch
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        draw()
        torch.cuda.synchronize()
    spans = [
        TimeSpan(_kind(event.name), event.time_range.start / 1000, event.time_range.end / 1000)
        for event in seen.events() or ()
        if event.device_type.name == "CUDA" and not event.is_user_annotation
    ]
    first = min((span.begin for span in spans), default=0.0)
    return sorted(
        (TimeSpan(span.kind, round(span.begin - first, 4), round(span.end - first, 4)) for span in spans),
        key=lambda span: span.begin,
    )


def hidden(spans: Iterable[TimeSpan]) -> float | None:
    """Return the share of all copying time during which the GPU also drew, 0 to 1.

    Returns None if nothing was copied.
    """
    spans = list(spans)
    drawing = join_spans((span for span in spans if span.kind == "draw"), 0.0)
    copies = np.array([(span.begin, span.end) for span in spans if span.kind != "draw"]).reshape(-1, 2)
    total = float(np.diff(copies).sum())
    if not total:
        return None
    if not drawing:
        return 0.0
    # Total drawing time before a given time: it rises within spans and is constant between them.
    times = np.array([(span.begin, span.end) for span in drawing])
    drawn = np.zeros(times.size)
    drawn[1::2] = np.cumsum(np.diff(times))
    drawn[2::2] = drawn[1:-1:2]
    return round(float(np.diff(np.interp(copies, times.ravel(), drawn)).sum()) / total, 4)


def join_spans(spans: Iterable[TimeSpan], gap: float = JOIN_GAP_MS) -> list[TimeSpan]:
    """Merge spans of one kind, given in order, that overlap or are at most `gap` milliseconds apart."""
    found: list[TimeSpan] = []
    for span in sorted(spans, key=lambda span: span.begin):
        if found and span.begin - found[-1].end <= gap:
            found[-1] = TimeSpan(span.kind, found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def middle_spans(spans: Sequence[TimeSpan]) -> list[TimeSpan]:
    """Return about `MAX_SPANS_PER_KIND` drawing spans from the middle, with the copies around them."""
    drawing = join_spans(span for span in spans if span.kind == "draw")
    if not drawing:
        return []
    start = max(0, (len(drawing) - MAX_SPANS_PER_KIND) // 2)
    kept = drawing[start : start + MAX_SPANS_PER_KIND]
    begin, end = kept[0].begin, kept[-1].end
    copies = [span for span in spans if span.kind != "draw" and begin <= span.begin and span.end <= end]
    return sorted([*kept, *copies], key=lambda span: span.begin)


def _kind(name: str) -> Literal["in", "draw", "out"]:
    return next((kind for begins, kind in COPIES.items() if name.startswith(begins)), "draw")
