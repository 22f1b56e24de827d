"""The course of a benchmark: engines, peers and reference calculations in turns, then whole files in turns.

It does not know about videos: `Case` has the calls to time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from statistics import median
from typing import Any

from engines.common.arrays import Image
from engines.common.extras import install_line
from engines.engine import EngineFacts
from engines.errors import StreamtoonError
from eval.bench.baselines import Baseline
from eval.bench.interleaved_timer import NOISY_SPREAD, InterleavedTimer, spread
from eval.bench.reference_kernels import ReferenceKernels
from eval.bench.results import BaselineRow, BenchRow, Limit
from eval.bench.roofline import channels_of, fraction, parameters_of, roofline_limit
from eval.scoring.cost import generator_macs

FILE_ROUNDS = 3
"""Runs of every file."""
MIN_RUNS = 5
"""Least number of runs of an engine, however slow it is."""


@dataclass(frozen=True, slots=True)
class FileRun:
    """The conversion of one video from file to file in a separate process."""

    frames: int
    """Frames written."""
    seconds: float
    """Time that the conversion itself reports: from its call to the finished file."""
    process_seconds: float
    """Time from the start of the process to its end."""
    stages: Mapping[str, float]
    """Mean milliseconds per frame of each stage."""
    cpu_seconds: float | None
    peak_rss: int | None
    """Peak main memory in bytes."""
    watts: Mapping[str, float] | None


@dataclass(slots=True)
class Case:
    """One row to measure."""

    facts: EngineFacts
    asked: str
    """The quality as requested."""
    draw: Callable[[], object]
    """Draws one frame with the open engine, a different frame in each call."""
    convert: Callable[[int], FileRun]
    """Converts that many frames from file to file."""
    frames: int = 0
    """Frames of the long run. The caller sets it when the speed of the engine is known."""
    long: list[FileRun] = field(default_factory=list)
    short: list[FileRun] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return a name that is unique among the cases of one size."""
        facts = self.facts
        return f"{facts.style} {facts.backend} {facts.device} {facts.precision} {self.asked}"


class BenchSession:
    """The measurements at one frame size.

    Args:
        size: The size as requested, such as 720p.
        frame_size: Width and height of the frames in pixels.
        seconds: Time to spend on each engine, peer and reference calculation.
        gauges: The reference calculations, which all sizes share.
        peers: Networks of other projects, timed in turns with the engines.
    """

    def __init__(
        self,
        size: str,
        frame_size: tuple[int, int],
        seconds: float,
        gauges: ReferenceKernels,
        peers: Sequence[Baseline],
    ) -> None:
        self.size, self.frame_size, self.seconds = size, frame_size, seconds
        self._gauges, self._turns = gauges, InterleavedTimer()
        self._peers: dict[str, tuple[Callable[[], object], tuple[int, int]]] = {}
        self._asked = peers
        self.notes: list[str] = []

    def show(self, images: Sequence[Image]) -> None:
        """Open this size for the peers, which receive these H x W x 3 RGB images in turn."""
        for peer in self._asked:
            seen = peer.size_for(*self.frame_size)
            if seen is None:
                fixed = f"{peer.layout.width}x{peer.layout.height}"
                self.notes.append(f"{peer.name} accepts {fixed} only; it is skipped at {self.size}")
                continue
            turn = cycle([peer.tensor(image, seen) for image in images])
            call = partial(_next, peer, turn)
            try:
                call()
            except StreamtoonError as error:
                self.notes.append(f"{error}; it is skipped at {self.size}")
            else:
                self._peers[peer.name] = (call, seen)

    def draw(self, cases: Sequence[Case], tick: Callable[[float], object] | None = None) -> None:
        """Time the open engines of these cases in turns with peers and reference calculations."""
        gauges = self._gauges.of({(case.facts.device, case.facts.precision) for case in cases})
        calls = {**{case.name: case.draw for case in cases}, **self._peer_calls()}
        # Before and after, not in between: copying main memory would empty the caches for the next call.
        self._gauges.turns.run(gauges, seconds=self.seconds / 4, runs=MIN_RUNS)
        self._turns.run(calls, seconds=self.seconds, runs=MIN_RUNS, restless=self._peer_calls(), tick=tick)
        self._gauges.turns.run(gauges, seconds=self.seconds / 4, runs=MIN_RUNS, warm=0)

    def latency_ms(self, case: Case) -> float:
        """Return the median latency of a case that has been drawn."""
        return self._turns.latency(case.name).median

    def convert(self, cases: Sequence[Case], tick: Callable[[float], object] | None = None) -> None:
        """Convert the long and short file of each case in turns with peers and reference calculations."""
        gauges = self._gauges.of({(case.facts.device, case.facts.precision) for case in cases})
        calls: dict[str, Callable[[], object]] = {}
        for case in cases:
            calls[f"long {case.name}"] = partial(_keep, case.long, case.convert, case.frames)
            calls[f"short {case.name}"] = partial(_keep, case.short, case.convert, 1)
        calls |= self._peer_calls()
        calls |= {f"gauge {name}": partial(self._gauges.turns.run, {name: call}, seconds=0, runs=1, warm=1)
                  for name, call in gauges.items()}  # fmt: skip
        self._turns.run(calls, seconds=0, runs=FILE_ROUNDS, warm=0, restless=self._peer_calls(), tick=tick)

    def row(self, case: Case) -> BenchRow:
        """Return the row of a case that has been drawn and converted."""
        facts, latency = case.facts, self._turns.latency(case.name)
        ours, stages = rates(case.long, case.short), stages_of(case.long, case.short)
        slowest = max(stages.values(), default=0.0)
        limit = self._limit(case)
        noisy = latency.spread > NOISY_SPREAD or ours.spread > NOISY_SPREAD
        return BenchRow(
            engine=facts.backend,
            device=facts.device,
            precision=facts.precision,
            style=facts.style,
            generator=facts.generator,
            size=self.size,
            width=self.frame_size[0],
            height=self.frame_size[1],
            working_width=facts.working_width,
            working_height=facts.working_height,
            quality=case.asked,
            chosen=facts.quality,
            latency_ms=latency,
            fps=_figure(1000 / latency.median),
            file_fps=ours.fps,
            file_spread=ours.spread,
            frames=case.long[0].frames,
            stages=stages,
            efficiency=round(ours.fps * slowest / 1000, 3) if slowest else None,
            cpu_ms=ours.cpu_ms,
            peak_rss_mb=_megabytes(case.long),
            start_s=round(median(run.process_seconds for run in case.short), 2),
            watts=_watts(case.long),
            limit=limit,
            limit_fraction=fraction(limit, latency.median) if limit else None,
            ratios={name: _figure(ours.fps / self._peer_fps(name)) for name in self._peers},
            noisy=noisy,
        )

    def peer_rows(self, rows: Sequence[BenchRow]) -> list[BaselineRow]:
        """Return the rows of the peers, with ratios to the rows of this size."""
        best = max(rows, key=lambda row: row.file_fps)
        found = []
        for name, (_, (width, height)) in self._peers.items():
            latency, fps = self._turns.latency(f"peer {name}"), self._peer_fps(name)
            ratio, noisy = _figure(best.file_fps / fps), latency.spread > NOISY_SPREAD
            found.append(
                BaselineRow(name, self.size, width, height, _figure(fps), latency, ratio, best.title, noisy)
            )
        return found

    def _peer_calls(self) -> dict[str, Callable[[], object]]:
        return {f"peer {name}": call for name, (call, _) in self._peers.items()}

    def _peer_fps(self, name: str) -> float:
        return 1000 / self._turns.latency(f"peer {name}").median

    def _limit(self, case: Case) -> Limit | None:
        facts = case.facts
        rate = self._gauges.rate(facts.device, facts.precision)
        try:
            if rate is None:
                return None
            macs = generator_macs(facts.generator, facts.working_height, facts.working_width)
            parameters = parameters_of(facts.generator)
        except (StreamtoonError, ImportError):
            self.notes.append(
                "the fraction of the machine's limit is not shown: it needs torch to count a "
                f"network's operations; install it with: {install_line('torch')}"
            )
            return None
        return roofline_limit(
            macs=macs,
            parameters=parameters,
            precision=facts.precision,
            channels=channels_of(facts.generator),
            frame=self.frame_size,
            working=(facts.working_width, facts.working_height),
            rate=rate,
            bandwidth=self._gauges.bandwidth,
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """The figures of a file without the time to start."""

    fps: float
    cpu_ms: float | None
    spread: float


def rates(long: Sequence[FileRun], short: Sequence[FileRun]) -> Rates:
    """Return the time per frame in a long file: the long run minus the short run, divided by the difference
    in frames.

    Both are medians. Starting and finishing the encoder take the same time in both runs and cancel out. If
    the short run took as long, which happens only with tiny files, nothing is subtracted.
    """
    first, frames = median(run.seconds for run in short), long[0].frames - short[0].frames
    seconds = median(run.seconds for run in long) - first
    if seconds <= 0 or frames <= 0:
        first, frames, seconds = 0.0, long[0].frames, median(run.seconds for run in long)
    each = [run.seconds - first for run in long]
    return Rates(_figure(frames / seconds), _cpu_ms(long, short), spread(each))


def _cpu_ms(long: Sequence[FileRun], short: Sequence[FileRun]) -> float | None:
    spent = [[run.cpu_seconds for run in runs if run.cpu_seconds is not None] for runs in (long, short)]
    frames = long[0].frames - short[0].frames
    if not all(spent) or frames <= 0:
        return None
    return round(max(0.0, 1000 * (median(spent[0]) - median(spent[1])) / frames), 2)


def stages_of(long: Sequence[FileRun], short: Sequence[FileRun]) -> dict[str, float]:
    """Return milliseconds per frame of each stage, also minus the short run: the first frame warms up."""
    found = {}
    for name in long[0].stages:
        total, first = (median(run.stages[name] * run.frames for run in runs) for runs in (long, short))
        frames = long[0].frames - short[0].frames
        if total <= first or frames <= 0:
            total, first, frames = total, 0.0, long[0].frames
        found[name] = round((total - first) / frames, 3)
    return found


def _megabytes(runs: Sequence[FileRun]) -> float | None:
    peaks = [run.peak_rss for run in runs if run.peak_rss is not None]
    return round(median(peaks) / 1e6, 1) if peaks else None


def _watts(runs: Sequence[FileRun]) -> dict[str, float] | None:
    said = [run.watts for run in runs if run.watts]
    return {name: round(median(one[name] for one in said), 2) for name in said[0]} if said else None


def _keep(runs: list[FileRun], convert: Callable[[int], FileRun], frames: int) -> None:
    runs.append(convert(frames))


def _next(peer: Baseline, turn: Any) -> object:
    return peer(next(turn))


def _figure(value: float) -> float:
    """Return the value rounded to four significant digits."""
    return float(f"{value:.4g}")
