"""Generators side by side, as papers' tables have them: each by every way that this machine has to run it.

Weights are drawn by lot: what a network takes hangs on its layers alone. "layer by layer" is torch as it
comes, the network by itself from a tensor on the device to a tensor on the device; an engine's time is from
the picture's planes to the cartoon's, guided filter included.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engines.backends import available
from engines.colour import yuv_to_rgb
from engines.engine import Engine
from engines.errors import StreamtoonError
from engines.export import save_style
from engines.generators import GENERATORS, create
from engines.opening import open_engine
from engines.picture import Picture
from engines.plan_cache import PlanCache
from engines.style import Style
from engines.working_size import WorkingSize
from eval.bench.overlap import hidden, middle, traced
from eval.bench.results import NetworkRow, Span
from eval.bench.turns import NOISY, Turns
from eval.cost import generator_macs

LAYERS, COMPILED = "layer by layer", "torch.compile"
RUNS = 3
AT_LEAST = 0.2
"""Seconds that pictures in a row are drawn for: filling and emptying the lanes then count for little."""
SEED = 0
Way = tuple[str, str, str]
"""What runs it, device, precision."""


@dataclass(slots=True)
class Networks:
    """What was found."""

    rows: list[NetworkRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """A sentence for each way that does not run."""
    timeline: list[Span] = field(default_factory=list)
    """Of the first engine that ran on a GPU."""


def measure_networks(
    generators: Sequence[str],
    width: int,
    height: int,
    pictures: Sequence[Picture],
    *,
    seconds: float = 2.0,
    tell: Callable[[float, str], object] | None = None,
) -> Networks:
    """Every way to run each of the generators, in turns.

    `pictures` are of width x height, all different; `seconds` are for each way. `tell` is called with the
    share that is done, 0 to 1, and what is being done. Raises StyleError for an unknown generator.
    """
    networks = {name: create(name) for name in _named(generators)}
    found = Networks()
    with _folder() as folder:
        for n, name in enumerate(networks):
            if tell:
                tell(n / len(networks), name)
            torch.manual_seed(SEED)
            network = create(name).eval().requires_grad_(requires_grad=False)
            style = save_style(folder / name, network, _card(name, height))
            _Ways(style, network, (width, height), pictures, found).measure(seconds)
    return found


@contextmanager
def _folder() -> Iterator[Path]:
    """Where the styles lie for as long as they are timed; TensorRT engines kept of them go with it."""
    with tempfile.TemporaryDirectory(prefix="streamtoon-networks-") as name:
        folder = Path(name).resolve()
        try:
            yield folder
        finally:
            cache = PlanCache.of_user()
            for entry in cache.entries():
                if Path(str(entry.facts.get("folder"))).is_relative_to(folder):
                    cache.remove(entry.key)


def _named(generators: Sequence[str]) -> list[str]:
    return list(GENERATORS) if list(generators) == ["all"] else list(dict.fromkeys(generators))


class _Ways:
    """All ways to run one network."""

    def __init__(
        self,
        style: Style,
        network: nn.Module,
        size: tuple[int, int],
        pictures: Sequence[Picture],
        found: Networks,
    ) -> None:
        self._style, self._network, self._size = style, network, size
        self._pictures, self._found = pictures, found
        self._turns = Turns()
        self._device_ms: dict[Way, float] = {}
        self._hidden: dict[Way, float | None] = {}

    def measure(self, seconds: float) -> None:
        """Adds the rows, the fastest last."""
        alone: dict[Way, Callable[[], object]] = {}
        in_a_row: dict[Way, int] = {}
        with ExitStack() as stack:
            for way, make in self._by_torch().items():
                try:
                    call = make()
                    call()
                except Exception as error:  # torch raises whatever its compilers do
                    self._leave_out(" ".join(way), error)
                else:
                    alone[way] = call
            for way, engine in self._engines(throughput=False, kept=stack):
                alone[way] = partial(_draw_next, engine, cycle(self._pictures))
            self._run(alone, "alone", seconds)
        # One engine at a time: several pictures of each under way would fill a small machine's memory.
        for way, engine in self._engines(throughput=True):
            if way in alone and engine.at_a_time > 1:
                several = _InARow(engine, self._pictures, self._seconds("alone", way))
                in_a_row[way] = several.count
                with closing(several):
                    self._run({way: several}, "in a row", seconds)
                    self._look_inside(way, several)
        rows = [self._row(way, in_a_row.get(way)) for way in alone]
        self._found.rows += sorted(rows, key=lambda row: row.ms.median, reverse=True)

    def _look_inside(self, way: Way, several: _InARow) -> None:
        """What a GPU says of itself, where it is one."""
        if (seconds := several.engine.device_seconds()) is not None:
            self._device_ms[way] = round(1000 * seconds, 4)
            spans = traced(several)
            self._hidden[way] = hidden(spans)
            self._found.timeline = self._found.timeline or middle(spans)
            if not spans:
                self._leave_out(f"the timeline of {' '.join(way)}", "CUDA's tracing gives nothing")

    def _run(self, calls: Mapping[Way, Callable[[], object]], what: str, seconds: float) -> None:
        named = {f"{what} {' '.join(way)}": call for way, call in calls.items()}
        if named:
            self._turns.run(named, seconds=seconds, runs=RUNS)

    def _seconds(self, what: str, way: Way) -> float:
        return self._turns.latency(f"{what} {' '.join(way)}").median / 1000

    def _row(self, way: Way, count: int | None) -> NetworkRow:
        latency = self._turns.latency(f"alone {' '.join(way)}")
        (engine, device, precision), (width, height) = way, self._size
        noisy = latency.spread > NOISY
        share = None
        if count is not None:
            together = self._turns.latency(f"in a row {' '.join(way)}")
            share, noisy = round(together.median / count, 4), noisy or together.spread > NOISY
        return NetworkRow(
            generator=self._style.generator,
            parameters=self._style.parameters,
            gmacs=round(generator_macs(self._style.generator, height, width) / 1e9, 2),
            engine=engine,
            device=device,
            precision=precision,
            width=width,
            height=height,
            ms=latency,
            in_a_row_ms=share,
            device_ms=self._device_ms.get(way),
            hidden=self._hidden.get(way),
            noisy=noisy,
        )

    def _by_torch(self) -> dict[Way, Callable[[], Callable[[], object]]]:
        """What makes the network alone by torch: on a GPU where there is one, else on the processor."""
        if not torch.cuda.is_available():
            return {(LAYERS, "cpu", "fp32"): partial(self._alone, "cpu", torch.float32)}
        # As torch comes, cuDNN's convolutions of fp32 keep ten bits of mantissa.
        single = "tf32" if torch.backends.cudnn.allow_tf32 else "fp32"
        ways = {
            (LAYERS, "cuda", single): partial(self._alone, "cuda", torch.float32),
            (LAYERS, "cuda", "fp16"): partial(self._alone, "cuda", torch.float16),
        }
        if importlib.util.find_spec("triton"):
            ways[COMPILED, "cuda", "fp16"] = partial(self._alone, "cuda", torch.float16, compiled=True)
        return dict(ways)

    def _alone(self, device: str, kind: torch.dtype, *, compiled: bool = False) -> Callable[[], object]:
        width, height = self._size
        size = WorkingSize.of(height, width, 1.0, self._style.size_multiple)
        picture = self._pictures[0]
        y, u, v = (size.shrink(plane) for plane in (picture.y, picture.u, picture.v))
        rgb = size.pad(yuv_to_rgb(y, u, v, picture.colour))
        values = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float() / 127.5 - 1
        layout = torch.contiguous_format if kind == torch.float32 else torch.channels_last
        network: Any = create(self._style.generator).eval()
        network.load_state_dict(self._network.state_dict())
        network = network.to(device, kind).to(memory_format=layout)
        given = values.to(device, kind).to(memory_format=layout)
        return partial(_called, torch.compile(network) if compiled else network, given)

    def _engines(self, *, throughput: bool, kept: ExitStack | None = None) -> Iterator[tuple[Way, Engine]]:
        """Every engine that is installed, on its first device and in that one's first precision.

        Each is closed before the next one is opened, or kept open by `kept`.
        """
        width, height = self._size
        colour = self._pictures[0].colour
        for row in available():
            if not row.present:
                continue
            try:
                engine = open_engine(
                    self._style,
                    backend=row.name,
                    quality="full",
                    width=width,
                    height=height,
                    throughput=throughput,
                    colour=colour,
                )
            except StreamtoonError as error:
                self._leave_out(row.name, error)
                continue
            with nullcontext(kept.enter_context(engine)) if kept else engine:
                yield (row.name, engine.facts.device, engine.facts.precision), engine

    def _leave_out(self, what: str, why: Exception | str) -> None:
        said = " ".join(str(why).split())[:200].rstrip(".")
        note = f"{self._style.generator}: {what} is left out: {said}"
        if note not in self._found.notes:
            self._found.notes.append(note)


class _InARow:
    """Draws `count` pictures, as many at a time as the engine takes; returns when all are there."""

    def __init__(self, engine: Engine, pictures: Sequence[Picture], seconds_alone: float) -> None:
        self.engine, self._turn = engine, cycle(pictures)
        # A whole number of batches: one that does not fill waits a while for more.
        times = max(2, round(AT_LEAST / seconds_alone / engine.at_a_time))
        self.count = times * engine.at_a_time
        self._pool = ThreadPoolExecutor(engine.at_a_time)

    def __call__(self) -> None:
        jobs: deque[Future[Picture]] = deque()
        for _ in range(self.count):
            if len(jobs) == self.engine.at_a_time:
                jobs.popleft().result()
            jobs.append(self._pool.submit(self.engine.start(next(self._turn))))
        for job in jobs:
            job.result()

    def close(self) -> None:
        self._pool.shutdown()


@torch.inference_mode()
def _called(network: Callable[[Tensor], Tensor], picture: Tensor) -> None:
    network(picture)
    if picture.is_cuda:
        torch.cuda.synchronize(picture.device)


def _draw_next(engine: Engine, pictures: Iterator[Picture]) -> object:
    return engine(next(pictures))


def _card(generator: str, height: int) -> dict[str, object]:
    """Of a style that nobody keeps."""
    return {
        "name": generator,
        "title": generator,
        "description": "Weights drawn by lot, to be timed.",
        "generator": generator,
        "working_height": height,
        "licence": "Apache-2.0",
        "attribution": "streamtoon",
        "recipe": "none",
        "guided_filter": {"radius": 1, "eps": 3e-4},
        "data": [{"name": "none", "licence": "CC0-1.0", "source": "https://example.org"}],
    }
