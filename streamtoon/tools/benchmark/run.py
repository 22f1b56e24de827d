"""Runs a benchmark: hands styles, engines, sizes and qualities to `eval.bench`."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.engine import Engine
from engines.errors import EngineError, StreamtoonError
from engines.factory import open_engine
from engines.frame import Frame
from engines.registry.style import Style
from engines.settings import EngineSettings
from eval.bench.baselines import open_baselines
from eval.bench.measured_process import run_measured
from eval.bench.reference_kernels import ReferenceKernels
from eval.bench.results import Bench, BenchRow, LengthRow
from eval.bench.session import BenchSession, Case, FileRun
from streamtoon import subprocesses
from streamtoon.errors import InputError
from streamtoon.tools.benchmark.clips import DEFAULT, Clip, SizedClip, rgb_of
from streamtoon.tools.benchmark.plan import BenchmarkPlan, EngineChoice
from streamtoon.tools.system_info import examine_cpu, memory_gb, nvidia_gpus

if TYPE_CHECKING:
    from eval.bench.networks import Networks

PACKAGES = ("streamtoon", "openvino", "onnxruntime", "torch", "tensorrt", "av", "numpy")
DISTINCT_FRAMES = 8
"""Frames that an engine draws in turn; it may reuse the drawing of a repeated frame."""
MAX_OPEN_ENGINES = 6
MIN_FRAMES, MAX_FRAMES = 6, 5000
"""Of a file."""
LENGTH_FACTOR = 4
"""Length of the second file over the first, to compare memory."""
Progress = Callable[[float, str], object]
"""Called with the share done, 0 to 1, and the current step."""


def machine_facts() -> dict[str, Any]:
    """Return the facts that times depend on."""
    cpu = examine_cpu()
    return {
        "cpu": cpu.model,
        "cores": cpu.cores,
        "features": [name for name, has in cpu.features.items() if has],
        "memory_gb": memory_gb(),
        "gpus": [gpu.name for gpu in nvidia_gpus()],
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def benchmark(
    plan: BenchmarkPlan,
    machine: dict[str, Any],
    *,
    clip: Path | None = None,
    seconds: float = 2.0,
    peers: Path | None = None,
    lengths: bool = False,
    networks: Sequence[str] = (),
    tell: Progress | None = None,
) -> Bench:
    """Measure everything in a plan.

    Args:
        plan: Styles, engines, sizes and qualities.
        machine: From `machine_facts`.
        clip: Any video; None for the bundled clip.
        seconds: Approximate time per measurement.
        peers: A folder of ONNX generators to time as well.
        lengths: Add a short and a long file for the fastest row of the first size.
        networks: Generators to time by themselves at the first size; ["all"] for every one.
        tell: Called with the progress.

    Raises:
        StreamtoonError: The clip cannot be read, `peers` has no generator, or no engine fits.
    """
    film = Clip(clip or DEFAULT)
    others, notes = open_baselines(peers) if peers else ([], [])
    gauges, rows, peer_rows = ReferenceKernels(), [], []
    grown: list[LengthRow] = []
    parts = len(plan.sizes) + bool(networks)
    with tempfile.TemporaryDirectory(prefix="streamtoon-bench-") as folder:
        for n, (name, size) in enumerate(plan.sizes.items()):
            session = BenchSession(name, size, seconds, gauges, others)
            bench = _AtSize(plan, film, Path(folder), session)
            found = bench.measure(partial(_share, tell, n, parts, name) if tell else None)
            rows += found
            peer_rows += bench.session.peer_rows(found) if found else []
            if lengths and found and not grown:
                grown = bench.lengths()
            notes += bench.notes
    if not rows:
        raise EngineError(notes[-1] if notes else "there is nothing to measure")
    by_themselves: Networks | None = None
    if networks:
        from eval.bench.networks import measure_networks  # which needs torch

        size = next(iter(plan.sizes.values()))
        told = partial(_share, tell, parts - 1, parts, "networks:") if tell else None
        shown = film.pictures(*size, DISTINCT_FRAMES)
        by_themselves = measure_networks(networks, *size, shown, seconds=seconds, report=told)
        notes += by_themselves.notes
    noise = gauges.noise(row.noisy for row in rows)
    return Bench(
        machine=machine,
        clip=film.facts,
        seconds=seconds,
        results=rows,
        peers=peer_rows,
        lengths=grown,
        networks=by_themselves.rows if by_themselves else (),
        timeline=by_themselves.timeline if by_themselves else (),
        matrix_tmacs=gauges.matrix_tmacs(),
        memory_gbs=round(gauges.bandwidth / 1e9, 2),
        noisy=bool(noise),
        notes=tuple(dict.fromkeys([*notes, *([noise] if noise else [])])),
    )


def _share(tell: Progress, n: int, total: int, name: str, part: float, doing: str) -> None:
    tell((n + part) / total, f"{name} {doing}")


class _AtSize:
    """The measurement of all rows of one size."""

    def __init__(self, plan: BenchmarkPlan, film: Clip, folder: Path, session: BenchSession) -> None:
        self._plan, self._film, self._folder = plan, film, folder
        self.session = session
        self._notes: list[str] = []
        self._cases: list[Case] = []
        self._rows: list[BenchRow] = []
        self._clip: SizedClip | None = None

    @property
    def notes(self) -> list[str]:
        """What was skipped, a sentence each."""
        return [*self._notes, *self.session.notes]

    def measure(self, tell: Progress | None) -> list[BenchRow]:
        """Measure and return the rows, in the order of the plan."""
        pictures = self._film.pictures(*self.session.frame_size, DISTINCT_FRAMES)
        self.session.show([rgb_of(picture) for picture in pictures])
        choices = list(product(self._plan.styles, self._plan.engines, self._plan.qualities))
        groups = [choices[n : n + MAX_OPEN_ENGINES] for n in range(0, len(choices), MAX_OPEN_ENGINES)]
        for n, group in enumerate(groups):
            with ExitStack() as stack:
                cases = list(self._open(stack, group, pictures))
                if not cases:
                    continue
                if tell:
                    tell(n / len(groups), "engines")
                self.session.draw(cases, _part(tell, n, len(groups), 0.0, 0.2, "engines"))
            for case in cases:
                expected = self.session.seconds * 1000 / self.session.latency_ms(case)
                case.frames = 1 + min(MAX_FRAMES, max(MIN_FRAMES, round(expected)))
            self._write(max(case.frames for case in cases))
            self.session.convert(cases, _part(tell, n, len(groups), 0.2, 0.8, "files"))
            self._cases += cases
            self._rows += [self.session.row(case) for case in cases]
        return self._rows

    def lengths(self) -> list[LengthRow]:
        """Measure the memory of the fastest row for a short and a long file."""
        row = max(self._rows, key=lambda row: row.file_fps)
        case = self._cases[self._rows.index(row)]
        self._write(LENGTH_FACTOR * case.frames)
        assert self._clip
        found = []
        for frames in (case.frames, LENGTH_FACTOR * case.frames):
            run = case.convert(frames)
            peak = None if run.peak_rss is None else round(run.peak_rss / 1e6, 1)
            found.append(LengthRow(row.title, run.frames, round(float(self._clip.ends[frames - 1]), 2), peak))
        return found

    def _open(
        self,
        stack: ExitStack,
        choices: Sequence[tuple[Style, EngineChoice, str]],
        pictures: Sequence[Frame],
    ) -> Iterator[Case]:
        """Open each engine once: two requests may lead to the same one."""
        known = {case.name for case in self._cases}
        width, height = self.session.frame_size
        rate = self._film.rate
        for style, choice, quality in choices:
            settings = EngineSettings(
                style,
                backend=choice.backend,
                device=choice.device,
                precision=choice.precision,
                quality=quality,
            )
            try:
                engine = open_engine(settings, width=width, height=height, rate=rate)
            except StreamtoonError as error:
                self._notes.append(f"skipped {style.name} {quality}: {str(error).rstrip('.')}")
                continue
            stack.callback(engine.close)
            case = Case(
                engine.facts,
                quality,
                partial(_draw_next, engine, cycle(pictures)),
                partial(self._convert, engine, style, quality),
            )
            if case.name not in known:
                known.add(case.name)
                yield case

    def _write(self, frames: int) -> None:
        """Make sure that the clip is at least this long."""
        if self._clip is None or len(self._clip.ends) < frames:
            self._clip = self._film.write(self._folder, *self.session.frame_size, frames)

    def _convert(self, engine: Engine, style: Style, quality: str, frames: int) -> FileRun:
        """Run `streamtoon video` on the first `frames` frames, in a process of its own."""
        assert self._clip
        facts, target = engine.facts, self._folder / f"out{self._clip.path.suffix}"
        command = [*subprocesses.command("streamtoon"), "video", str(self._clip.path), str(target)]
        command += ["--style", self._plan.sources[style.name], "--quality", quality]
        command += ["--engine", facts.backend, "--device", facts.device, "--precision", facts.precision]
        command += ["--to", self._clip.cut(frames), "--json", "--quiet", "--overwrite"]
        ran = run_measured(command, subprocesses.environment(), gpu=facts.device.startswith("cuda"))
        report = json.loads(ran.output)
        if report["frames_out"] < frames:
            raise InputError(
                f"{self._film.path}: only {report['frames_out']} of {frames} frames were converted"
            )
        return FileRun(
            frames=report["frames_out"],
            seconds=report["seconds"],
            process_seconds=ran.seconds,
            stages={stage: times["mean_ms"] for stage, times in report["stages"].items()},
            cpu_seconds=ran.cpu_seconds,
            peak_rss=ran.peak_rss,
            watts=ran.watts,
        )


def _draw_next(engine: Engine, pictures: Iterator[Frame]) -> object:
    return engine(next(pictures))


def _part(
    tell: Progress | None, n: int, groups: int, begin: float, length: float, doing: str
) -> Callable[[float], object] | None:
    """Convert the progress of one stage of a group to that of the whole size."""
    return (lambda share: tell((n + begin + length * share) / groups, doing)) if tell else None
