"""When each stage of a conversion works on which frame, and a chart of it.

    python -m streamtoon.tools.benchmark.stage_trace CLIP docs/images/stages.svg fast

The bars are the work of this program's own threads. FFmpeg's threads decode ahead and encode behind them.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

import matplotlib as mpl

from engines.frame import Frame
from engines.registry.style import load_style
from engines.settings import EngineSettings
from engines.spec import Quality
from eval.report.plots import SETTINGS, new_figure
from streamtoon.convert.renderer import FileRenderer, OpenRenderer
from streamtoon.engine_holder import EngineHolder
from streamtoon.errors import StreamtoonError
from streamtoon.media.reader.options import ReaderOptions
from streamtoon.media.writer.options import WriterOptions
from streamtoon.pipeline.renderer import PendingFrame
from streamtoon.pipeline.run import run

Result = TypeVar("Result")
Work = Literal["decode", "network", "look", "encode"]
COLORS: dict[Work, str] = {"decode": "#8a8a8a", "network": "#b3401f", "look": "#d9a03f", "encode": "#3f6fa5"}
WARM_UP_FRAMES, SHOWN_FRAMES = 40, 16
TEXT = "#8a8a8a"
"""Readable on light and dark pages."""


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work on one frame in one thread."""

    work: Work
    frame: int
    """Counted from 0."""
    thread: str
    begin_s: float
    """By `time.perf_counter`."""
    end_s: float


@dataclass(slots=True)
class StageTrace:
    """Collects the spans of a run; any thread may add to it."""

    spans: list[Span] = field(default_factory=list)

    def time(self, work: Work, frame: int, call: Callable[[], Result]) -> Result:
        """Call, remember when, and return the result."""
        begin = time.perf_counter()
        result = call()
        self.spans.append(Span(work, frame, threading.current_thread().name, begin, time.perf_counter()))
        return result

    def watched(self, source: Iterable[Any], frames: int) -> Iterator[Any]:
        """Yield up to `frames` frames and what lies between them, and remember how long each frame took."""
        items, number = iter(source), 0
        while number < frames:
            item = self.time("decode", number, lambda: next(items, None))
            if not isinstance(item, Frame):
                self.spans.pop()
            if item is None:
                return
            number += isinstance(item, Frame)
            yield item


@dataclass(slots=True)
class _TracedFrame:
    pending: PendingFrame
    number: int
    trace: StageTrace

    def compute(self) -> None:
        self.trace.time("network", self.number, self.pending.compute)

    def result(self) -> Frame:
        return self.trace.time("look", self.number, self.pending.result)


@dataclass(slots=True)
class _TracedRenderer:
    renderer: OpenRenderer
    trace: StageTrace
    submitted: int = 0

    @property
    def concurrency(self) -> int:
        return self.renderer.concurrency

    def submit(self, frame: Frame) -> PendingFrame:
        self.submitted += 1
        return _TracedFrame(self.renderer.submit(frame), self.submitted - 1, self.trace)


def trace_stages(clip: Path, quality: Quality, frames: int) -> list[Span]:
    """Convert up to `frames` frames of a clip in the default style, and return what was done when.

    Raises InputError, OutputError, StyleError and EngineError.
    """
    trace, holder = StageTrace(), EngineHolder()
    settings = EngineSettings(load_style("comic"), quality=quality)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="streamtoon-") as folder,
            ReaderOptions().open(clip) as source,
        ):
            renderer = FileRenderer(holder, settings, side_by_side=False)
            with WriterOptions().open(Path(folder) / "out.mp4", source, renderer.size(source.info)) as writer:
                numbers = count()

                def write(item: Any) -> None:
                    if isinstance(item, Frame):
                        trace.time("encode", next(numbers), partial(writer.write, item))
                    else:
                        writer.write(item)

                run(
                    trace.watched(source, frames),
                    _TracedRenderer(renderer.open(source.info, None), trace),
                    write,
                )
    finally:
        holder.close()
    return sorted(trace.spans, key=lambda span: span.begin_s)


def draw_stages(spans: Sequence[Span], path: Path) -> None:
    """Draw bars as an SVG file, a row per thread."""
    threads = sorted({span.thread for span in spans}, key=_place)
    origin = spans[0].begin_s
    with mpl.rc_context(SETTINGS):
        figure, axes = new_figure(0.9 + 0.32 * len(threads))
        for work, color in COLORS.items():
            for y, thread in enumerate(threads):
                bars = [
                    (1000 * (span.begin_s - origin), 1000 * (span.end_s - span.begin_s))
                    for span in spans
                    if (span.work, span.thread) == (work, thread)
                ]
                label = work if y == 0 else None
                axes.broken_barh(bars, (y - 0.3, 0.6), facecolors=color, label=label)
        axes.set_yticks(range(len(threads)), [thread.removeprefix("streamtoon-") for thread in threads])
        axes.set_ylim(len(threads) - 0.5, -0.5)
        axes.set_xlabel("milliseconds")
        axes.tick_params(axis="both", length=0, colors=TEXT)
        axes.xaxis.label.set_color(TEXT)
        axes.grid(visible=False, axis="y")
        axes.grid(axis="x", color=TEXT, alpha=0.3)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False, labelcolor=TEXT)
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})


def _place(thread: str) -> tuple[int, str]:
    order = ("decode", "run", "finish", "encode")
    return next(at for at, stage in enumerate(order) if stage in thread), thread


def main(arguments: Sequence[str]) -> None:
    """Draw the chart of a clip. The arguments are CLIP CHART.svg QUALITY."""
    if len(arguments) != 3 or arguments[2] not in ("full", "fast", "lite"):
        raise SystemExit(
            "usage: python -m streamtoon.tools.benchmark.stage_trace CLIP CHART.svg full|fast|lite"
        )
    quality: Quality = arguments[2]  # type: ignore[assignment]  # checked above
    try:
        spans = trace_stages(Path(arguments[0]), quality, WARM_UP_FRAMES + 2 * SHOWN_FRAMES)
        shown = range(WARM_UP_FRAMES, WARM_UP_FRAMES + SHOWN_FRAMES)
        draw_stages([span for span in spans if span.frame in shown], Path(arguments[1]))
    except (OSError, StreamtoonError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
