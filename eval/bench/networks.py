"""Time the generators alone, as papers do, with every runtime that this machine has.

The weights are random: the time of a network depends only on its layers. "layer by layer" is plain torch,
timed from a tensor on the device to a tensor on the device. The time of an engine runs from the planes of the
frame to the planes of the cartoon and includes the guided filter or the look.
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

from engines.backends.selection import available
from engines.backends.tensorrt.engine_cache import PlanCache
from engines.common.arrays import Bytes
from engines.engine import Engine, PendingFrame
from engines.errors import StreamtoonError
from engines.export.onnx_graph import save_style
from engines.factory import open_engine
from engines.frame import Frame
from engines.generators import FIELD_GENERATORS, GENERATORS, create
from engines.imaging.color import yuv_to_rgb
from engines.imaging.field_blocks import pack
from engines.imaging.working_size import BlockSize, WorkingSize, extend
from engines.registry.style import Style
from engines.settings import EngineSettings
from eval.bench.gpu_trace import hidden, middle_spans, trace
from eval.bench.interleaved_timer import NOISY_SPREAD, InterleavedTimer
from eval.bench.results import NetworkRow, TimeSpan
from eval.scoring.cost import generator_macs

LAYERS, COMPILED = "layer by layer", "torch.compile"
RUNS = 3
MIN_IN_A_ROW_S = 0.2
"""Seconds for which frames are drawn in a row. It is long enough that filling and emptying the lanes hardly
counts.
"""
SEED = 0
GUIDED_FILTER = {"radius": 1, "eps": 3e-4}
Runtime = tuple[str, str, str]
"""Runtime, device, precision."""


@dataclass(slots=True)
class Networks:
    """The results."""

    rows: list[NetworkRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """One sentence for each runtime that could not be used."""
    timeline: list[TimeSpan] = field(default_factory=list)
    """The timeline of the first engine that ran on a GPU."""


def measure_networks(
    generators: Sequence[str],
    width: int,
    height: int,
    frames: Sequence[Frame],
    *,
    seconds: float = 2.0,
    report: Callable[[float, str], object] | None = None,
) -> Networks:
    """Time every runtime for each generator, in turns.

    Args:
        generators: Names of generators.
        width: Width of the frames in pixels.
        height: Height of the frames in pixels.
        frames: Different frames of that size.
        seconds: Time to spend on each runtime.
        report: Called with the share that is done, 0 to 1, and the name of what runs now.

    Raises:
        StyleError: A generator is unknown.
    """
    networks = {name: create(name) for name in _named(generators)}
    found = Networks()
    with _folder() as folder:
        for n, name in enumerate(networks):
            if report:
                report(n / len(networks), name)
            torch.manual_seed(SEED)
            network = create(name).eval().requires_grad_(requires_grad=False)
            style = save_style(folder / name, network, _card(name, height))
            _NetworkRuns(style, network, (width, height), frames, found).measure(seconds)
    return found


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a temporary folder for the styles, which also removes the TensorRT engines cached for them."""
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


class _NetworkRuns:
    """All runtimes of one network."""

    def __init__(
        self,
        style: Style,
        network: nn.Module,
        size: tuple[int, int],
        frames: Sequence[Frame],
        found: Networks,
    ) -> None:
        self._style, self._network, self._size = style, network, size
        self._frames, self._found = frames, found
        self._turns = InterleavedTimer()
        self._device_ms: dict[Runtime, float] = {}
        self._hidden: dict[Runtime, float | None] = {}

    def measure(self, seconds: float) -> None:
        """Time the runtimes and add their rows, the fastest last."""
        alone: dict[Runtime, Callable[[], object]] = {}
        in_a_row: dict[Runtime, int] = {}
        with ExitStack() as stack:
            for runtime, make in self._by_torch().items():
                try:
                    call = make()
                    call()
                except Exception as error:  # torch passes on any exception of its compilers
                    self._leave_out(" ".join(runtime), error)
                else:
                    alone[runtime] = call
            for runtime, engine in self._engines(throughput=False, kept=stack):
                alone[runtime] = partial(_draw_next, engine, cycle(self._frames))
            self._run(alone, "alone", seconds)
        # One engine at a time: the frames in flight of several engines would fill the memory of a small
        # machine.
        for runtime, engine in self._engines(throughput=True):
            if runtime in alone and engine.concurrency > 1:
                several = _DrawnInARow(engine, self._frames, self._seconds("alone", runtime))
                in_a_row[runtime] = several.count
                with closing(several):
                    self._run({runtime: several}, "in a row", seconds)
                    self._look_inside(runtime, several)
        rows = [self._row(runtime, in_a_row.get(runtime)) for runtime in alone]
        self._found.rows += sorted(rows, key=lambda row: row.ms.median, reverse=True)

    def _look_inside(self, runtime: Runtime, several: _DrawnInARow) -> None:
        """Add the GPU's own measurements, if the engine runs on a GPU."""
        if (seconds := several.engine.device_seconds()) is not None:
            self._device_ms[runtime] = round(1000 * seconds, 4)
            spans = trace(several)
            self._hidden[runtime] = hidden(spans)
            self._found.timeline = self._found.timeline or middle_spans(spans)
            if not spans:
                self._leave_out(f"the timeline of {' '.join(runtime)}", "CUDA's tracing reports nothing")

    def _run(self, calls: Mapping[Runtime, Callable[[], object]], what: str, seconds: float) -> None:
        named = {f"{what} {' '.join(runtime)}": call for runtime, call in calls.items()}
        if named:
            self._turns.run(named, seconds=seconds, runs=RUNS)

    def _seconds(self, what: str, runtime: Runtime) -> float:
        return self._turns.latency(f"{what} {' '.join(runtime)}").median / 1000

    def _row(self, runtime: Runtime, count: int | None) -> NetworkRow:
        latency = self._turns.latency(f"alone {' '.join(runtime)}")
        (engine, device, precision), (width, height) = runtime, self._size
        noisy = latency.spread > NOISY_SPREAD
        share = None
        if count is not None:
            together = self._turns.latency(f"in a row {' '.join(runtime)}")
            share, noisy = round(together.median / count, 4), noisy or together.spread > NOISY_SPREAD
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
            device_ms=self._device_ms.get(runtime),
            hidden=self._hidden.get(runtime),
            noisy=noisy,
        )

    def _by_torch(self) -> dict[Runtime, Callable[[], Callable[[], object]]]:
        """Return functions that open the network alone in torch, on a GPU if there is one and on the CPU
        otherwise.
        """
        if not torch.cuda.is_available():
            return {(LAYERS, "cpu", "fp32"): partial(self._alone, "cpu", torch.float32)}
        # By default cuDNN computes fp32 convolutions with ten bits of mantissa.
        single = "tf32" if torch.backends.cudnn.allow_tf32 else "fp32"
        runtimes = {
            (LAYERS, "cuda", single): partial(self._alone, "cuda", torch.float32),
            (LAYERS, "cuda", "fp16"): partial(self._alone, "cuda", torch.float16),
        }
        if importlib.util.find_spec("triton"):
            runtimes[COMPILED, "cuda", "fp16"] = partial(self._alone, "cuda", torch.float16, compiled=True)
        return dict(runtimes)

    def _alone(self, device: str, kind: torch.dtype, *, compiled: bool = False) -> Callable[[], object]:
        given = _given(self._style, self._size, self._frames[0])
        values = torch.from_numpy(given).permute(2, 0, 1)[None].float() / 127.5 - 1
        layout = torch.contiguous_format if kind == torch.float32 else torch.channels_last
        network: Any = create(self._style.generator).eval()
        network.load_state_dict(self._network.state_dict())
        network = network.to(device, kind).to(memory_format=layout)
        placed = values.to(device, kind).to(memory_format=layout)
        return partial(_called, torch.compile(network) if compiled else network, placed)

    def _engines(
        self, *, throughput: bool, kept: ExitStack | None = None
    ) -> Iterator[tuple[Runtime, Engine]]:
        """Open every installed engine on its first device, in that device's first precision.

        Each engine is closed before the next one is opened, unless `kept` keeps it open.
        """
        width, height = self._size
        color = self._frames[0].color
        for row in available():
            if not row.present:
                continue
            try:
                engine = open_engine(
                    EngineSettings(self._style, backend=row.name, quality="full"),
                    width=width,
                    height=height,
                    throughput=throughput,
                    color=color,
                )
            except StreamtoonError as error:
                self._leave_out(row.name, error)
                continue
            with nullcontext(kept.enter_context(engine)) if kept else engine:
                yield (row.name, engine.facts.device, engine.facts.precision), engine

    def _leave_out(self, what: str, why: Exception | str) -> None:
        said = " ".join(str(why).split())[:200].rstrip(".")
        note = f"{self._style.generator}: {what} is skipped: {said}"
        if note not in self._found.notes:
            self._found.notes.append(note)


class _DrawnInARow:
    """Draws `count` frames with as many in flight as the engine allows, and returns when all are finished."""

    def __init__(self, engine: Engine, frames: Sequence[Frame], seconds_alone: float) -> None:
        self.engine, self._turn = engine, cycle(frames)
        # A whole number of batches: an incomplete batch waits for more frames.
        times = max(2, round(MIN_IN_A_ROW_S / seconds_alone / engine.concurrency))
        self.count = times * engine.concurrency
        self._pool = ThreadPoolExecutor(engine.concurrency)

    def __call__(self) -> None:
        waiting: deque[tuple[PendingFrame, Future[None]]] = deque()

        def finish_first() -> None:
            pending, computed = waiting.popleft()
            computed.result()
            pending.result()

        for _ in range(self.count):
            if len(waiting) == self.engine.concurrency:
                finish_first()
            pending = self.engine.submit(next(self._turn))
            waiting.append((pending, self._pool.submit(pending.compute)))
        while waiting:
            finish_first()

    def close(self) -> None:
        self._pool.shutdown()


def _given(style: Style, size: tuple[int, int], frame: Frame) -> Bytes:
    """Return the frame as the input of the style's generator: RGB pixels, or blocks of samples."""
    width, height = size
    if style.gives_fields:
        blocks = BlockSize.of(height, width, 1.0, style.size_multiple)
        half = blocks.block_height // 2, blocks.block_width // 2
        y = extend(frame.y, blocks.block_height, blocks.block_width)
        return pack((y, extend(frame.u, *half), extend(frame.v, *half)))
    pixels = WorkingSize.of(height, width, 1.0, style.size_multiple)
    y, u, v = (pixels.shrink(plane) for plane in (frame.y, frame.u, frame.v))
    return np.ascontiguousarray(pixels.pad(yuv_to_rgb(y, u, v, frame.color)))


@torch.inference_mode()
def _called(network: Callable[[Tensor], Tensor], frame: Tensor) -> None:
    network(frame)
    if frame.is_cuda:
        torch.cuda.synchronize(frame.device)


def _draw_next(engine: Engine, frames: Iterator[Frame]) -> object:
    return engine(next(frames))


def _card(generator: str, height: int) -> dict[str, object]:
    """Return the card of a temporary style."""
    drawn_by = {"look": {}} if generator in FIELD_GENERATORS else {"guided_filter": GUIDED_FILTER}
    return {
        "name": generator,
        "title": generator,
        "description": "Random weights for timing.",
        "generator": generator,
        "working_height": height,
        "licence": "Apache-2.0",
        "attribution": "streamtoon",
        "recipe": "none",
        **drawn_by,
        "data": [{"name": "none", "licence": "CC0-1.0", "source": "https://example.org"}],
    }
