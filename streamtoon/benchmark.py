"""Styles, engines, sizes and qualities, timed on this machine: what `eval.bench` times, handed to it."""

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
from engines.opening import open_engine
from engines.picture import Picture
from engines.style import Style
from eval.bench.gauges import Gauges
from eval.bench.peers import open_peers
from eval.bench.process import run_measured
from eval.bench.results import Bench, LengthRow, Row
from eval.bench.session import Case, FileRun, Session
from streamtoon import children
from streamtoon.benchmark_clips import Clip, SizedClip, default_clip, rgb_of
from streamtoon.benchmark_plan import EngineChoice, Plan
from streamtoon.errors import InputError
from streamtoon.machine import examine_cpu, memory_gb, nvidia_gpus

if TYPE_CHECKING:
    from eval.bench.networks import Networks

PACKAGES = ("streamtoon", "openvino", "onnxruntime", "torch", "tensorrt", "av", "numpy")
DIFFERENT = 8
"""Pictures that an engine is given in turn: an identical one it may know from the last time."""
MOST_OPEN = 6
"""Engines open at a time."""
FEWEST, MOST = 6, 5000
"""Pictures of a file."""
LONGER = 4
"""How much longer the second file is when memory is held against length."""
Progress = Callable[[float, str], object]
"""Told the share that is done, 0 to 1, and what is being done."""


def machine_facts() -> dict[str, Any]:
    """What a time depends on."""
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
    plan: Plan,
    machine: dict[str, Any],
    *,
    clip: Path | None = None,
    seconds: float = 2.0,
    peers: Path | None = None,
    lengths: bool = False,
    networks: Sequence[str] = (),
    tell: Progress | None = None,
) -> Bench:
    """Measures all that is planned, about `seconds` for each figure.

    `machine` is from `machine_facts`. `clip` is any video, None for the project's own; `peers` a folder of
    ONNX generators; `lengths` adds a short and a long file for the fastest row of the first size; `networks`
    are generators to be timed by themselves at that size, with ["all"] every one.

    Raises StreamtoonError: the clip cannot be read, no peer is in the folder, no engine does what is asked.
    """
    film = Clip(clip or default_clip())
    others, notes = open_peers(peers) if peers else ([], [])
    gauges, rows, peer_rows = Gauges(), [], []
    grown: list[LengthRow] = []
    parts = len(plan.sizes) + bool(networks)
    with tempfile.TemporaryDirectory(prefix="streamtoon-bench-") as folder:
        for n, (name, size) in enumerate(plan.sizes.items()):
            session = Session(name, size, seconds, gauges, others)
            bench = _AtSize(plan, film, Path(folder), session)
            found = bench.measure(partial(_share, tell, n, parts, name) if tell else None)
            rows += found
            peer_rows += bench.session.peer_rows(found) if found else []
            if lengths and found and not grown:
                grown = bench.lengths()
            notes += bench.notes
    if not rows:
        raise EngineError(notes[-1] if notes else "nothing was asked for")
    by_themselves: Networks | None = None
    if networks:
        from eval.bench.networks import measure_networks  # which needs torch

        size = next(iter(plan.sizes.values()))
        told = partial(_share, tell, parts - 1, parts, "networks:") if tell else None
        shown = film.pictures(*size, DIFFERENT)
        by_themselves = measure_networks(networks, *size, shown, seconds=seconds, tell=told)
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
    """All rows of one size."""

    def __init__(self, plan: Plan, film: Clip, folder: Path, session: Session) -> None:
        self._plan, self._film, self._folder = plan, film, folder
        self.session = session
        self._notes: list[str] = []
        self._cases: list[Case] = []
        self._rows: list[Row] = []
        self._clip: SizedClip | None = None

    @property
    def notes(self) -> list[str]:
        """What was left out, a sentence each."""
        return [*self._notes, *self.session.notes]

    def measure(self, tell: Progress | None) -> list[Row]:
        """The rows, in the order of the plan."""
        pictures = self._film.pictures(*self.session.picture, DIFFERENT)
        self.session.show([rgb_of(picture) for picture in pictures])
        choices = list(product(self._plan.styles, self._plan.engines, self._plan.qualities))
        groups = [choices[n : n + MOST_OPEN] for n in range(0, len(choices), MOST_OPEN)]
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
                case.frames = 1 + min(MOST, max(FEWEST, round(expected)))
            self._write(max(case.frames for case in cases))
            self.session.convert(cases, _part(tell, n, len(groups), 0.2, 0.8, "files"))
            self._cases += cases
            self._rows += [self.session.row(case) for case in cases]
        return self._rows

    def lengths(self) -> list[LengthRow]:
        """The fastest row's memory for a file, and for one that is longer."""
        row = max(self._rows, key=lambda row: row.file_fps)
        case = self._cases[self._rows.index(row)]
        self._write(LONGER * case.frames)
        assert self._clip
        found = []
        for frames in (case.frames, LONGER * case.frames):
            run = case.convert(frames)
            peak = None if run.peak_rss is None else round(run.peak_rss / 1e6, 1)
            found.append(LengthRow(row.title, run.frames, round(float(self._clip.ends[frames - 1]), 2), peak))
        return found

    def _open(
        self,
        stack: ExitStack,
        choices: Sequence[tuple[Style, EngineChoice, str]],
        pictures: Sequence[Picture],
    ) -> Iterator[Case]:
        """Each engine once: what was asked for in two ways may come to the same."""
        known = {case.name for case in self._cases}
        width, height = self.session.picture
        rate = self._film.rate
        for style, choice, quality in choices:
            options: dict[str, Any] = {"quality": quality, "rate": rate, "width": width, "height": height}
            try:
                engine = open_engine(
                    style, backend=choice.backend, device=choice.device, precision=choice.precision, **options
                )
            except StreamtoonError as error:
                self._notes.append(f"{style.name} {quality} is left out: {str(error).rstrip('.')}")
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
        """A clip at least that long at hand."""
        if self._clip is None or len(self._clip.ends) < frames:
            self._clip = self._film.write(self._folder, *self.session.picture, frames)

    def _convert(self, engine: Engine, style: Style, quality: str, frames: int) -> FileRun:
        """`streamtoon video` on the first `frames` pictures, in a process of its own."""
        assert self._clip
        facts, target = engine.facts, self._folder / f"out{self._clip.path.suffix}"
        command = [*children.command("streamtoon"), "video", str(self._clip.path), str(target)]
        command += ["--style", str(style.folder), "--quality", quality, "--engine", facts.backend]
        command += ["--device", facts.device, "--precision", facts.precision]
        command += ["--to", self._clip.cut(frames), "--json", "--quiet", "--overwrite"]
        ran = run_measured(command, children.environment(), gpu=facts.device.startswith("cuda"))
        report = json.loads(ran.output)
        if report["frames_out"] < frames:
            raise InputError(f"{self._film.path} came out with {report['frames_out']} pictures of {frames}")
        return FileRun(
            frames=report["frames_out"],
            seconds=report["seconds"],
            process_seconds=ran.seconds,
            stages={stage: times["mean_ms"] for stage, times in report["stages"].items()},
            cpu_seconds=ran.cpu_seconds,
            peak_rss=ran.peak_rss,
            watts=ran.watts,
        )


def _draw_next(engine: Engine, pictures: Iterator[Picture]) -> object:
    return engine(next(pictures))


def _part(
    tell: Progress | None, n: int, groups: int, begin: float, length: float, doing: str
) -> Callable[[float], object] | None:
    """The progress of one stage of a group as that of the whole size."""
    return (lambda share: tell((n + begin + length * share) / groups, doing)) if tell else None
