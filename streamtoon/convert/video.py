"""One video from a source to a target, drawn in parts that outlive whatever ends the process.

Finished parts are kept beside the output. The same conversion, begun again, reads its source from the first
part that is missing, draws with the engine that drew the others, and joins all of them as if it had never
been stopped. What comes or goes through a pipe cannot be read or written twice, and is converted at once.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

from engines.common.memory import translate_oom
from streamtoon.convert.estimate import Countdown, copied_audio_bytes, joining_progress, with_estimates
from streamtoon.convert.renderer import FileRenderer
from streamtoon.convert.resume.fingerprint import identity
from streamtoon.convert.resume.resume import (
    JOINED,
    check_same_engine,
    discard_if_joined,
    load_previous_run,
    report_saved_work,
    seek_to_first_missing,
    stopped_error,
)
from streamtoon.errors import InputError, OutputError
from streamtoon.media import MediaInfo, VideoReader, VideoWriter
from streamtoon.media.reader.opening import require_video
from streamtoon.media.reader.options import ReaderOptions
from streamtoon.media.reader.stdin import StandardInput
from streamtoon.media.segments.packet_store import NotResumableError, PacketStore
from streamtoon.media.segments.segments import (
    WARNINGS,
    FinishedSegments,
    SegmentWriter,
    in_segments,
    join,
)
from streamtoon.media.writer.container_writer import RefusedError
from streamtoon.media.writer.containers import BY_EXTENSION
from streamtoon.media.writer.options import WriterOptions
from streamtoon.media.writer.stream_routing import Plan
from streamtoon.media.writer.video_writer import OutputInfo
from streamtoon.pipeline.run import Outcome, Progress, run
from streamtoon.reports import EngineReport
from streamtoon.wording import size

BITS_PER_PIXEL = 0.1
"""Of a coded cartoon, more than most take: for the estimate of the room that is needed."""


class KeptWork(FinishedSegments, Protocol):
    """All segments of an output, and where they lie; a complete PacketStore is one."""

    @property
    def path(self) -> object:
        """Where they are kept, for messages."""
        ...

    @property
    def frames(self) -> int:
        """Number of frames in all segments."""
        ...

    def note(self, name: str, value: str) -> None:
        """Store one more fact."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of a conversion."""

    info: MediaInfo
    written: OutputInfo
    outcome: Outcome
    engine: EngineReport
    reused: int
    partly_reused: int
    kept: int
    """Pictures that an earlier run had drawn."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is converted, and how."""

    source: str | Path
    target: str | Path
    reading: ReaderOptions
    writing: WriterOptions
    renderer: FileRenderer

    def run(
        self,
        *,
        resume: bool,
        stop: threading.Event | None,
        on_progress: Callable[[Progress], object] | None,
        on_warning: Callable[[str], object] | None,
    ) -> Converted:
        """Draw it, in parts where they can be kept.

        Without `resume`, what an earlier run has left is thrown away. When `stop` is set, the current part is
        finished and UnfinishedError raised, or, where nothing can be kept, KeyboardInterrupt.

        Raises InputError, OutputError, also where an earlier run has left work of something else, and
        EngineError.
        """
        with translate_oom("this conversion: close other programs first"):
            if not can_be_kept(self.source, self.target):
                return self._at_once(stop, on_progress)
            try:
                return self._in_parts(resume, stop or threading.Event(), on_progress, on_warning)
            except NotResumableError as error:  # before anything is drawn
                if on_warning is not None:
                    on_warning(str(error))
                done = self._at_once(stop, on_progress)
                return replace(done, warnings=(str(error), *done.warnings))

    def _at_once(
        self, stop: threading.Event | None, on_progress: Callable[[Progress], object] | None
    ) -> Converted:
        def watch(progress: Progress) -> None:
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
            if on_progress is not None:
                on_progress(progress)

        stdin = StandardInput() if self.source == "-" else None
        with (
            stdin.open(self.reading) if stdin else self.open_source() as source,
            self.open_target(source) as writer,
        ):
            engine = self.renderer.open(source.info, None)
            before = engine.reused, engine.partly_reused
            outcome = run(
                source,
                engine,
                writer.write,
                total=source.expected_frames,
                on_progress=with_estimates(watch, lambda: (writer.frames if writer.size else 0, writer.size)),
                unblock=stdin.stop if stdin else source.stop,
            )
        assert writer.info is not None, "the writer closed without an error"
        said = (*engine.warnings, *source.warnings, *writer.warnings)
        reused, partly = engine.reused - before[0], engine.partly_reused - before[1]
        return Converted(source.original, writer.info, outcome, engine.report, reused, partly, 0, said)

    def _in_parts(
        self,
        resume: bool,
        stop: threading.Event,
        on_progress: Callable[[Progress], object] | None,
        on_warning: Callable[[str], object] | None,
    ) -> Converted:
        warnings: list[str] = []

        def warn(said: list[str]) -> None:
            """At once: what concerns hours of work is no use after them."""
            warnings.extend(said)
            if on_warning is not None:
                for text in said:
                    on_warning(text)

        with self.open_source() as source:
            facts = identity(Path(self.source), self.renderer.style, self.settings())
            if not self.writing.overwrite and Path(self.target).exists():
                discard_if_joined(Path(self.target), facts)
            # An output's checks come before the first picture; it is made when all pictures are there.
            trial = self.open_target(source)
            trial.abandon()
            info = source.info
            warnings += trial.warnings
            if _same_file(Path(self.source), PacketStore.place(Path(self.target))):
                raise OutputError(
                    f"{self.source} is in the place of the folder for unfinished work. Rename it."
                )
            with PacketStore(Path(self.target)) as work, report_saved_work(work, source):
                engine = load_previous_run(work, facts) if resume else None
                warn(self._room(source, work))
                kept, reused, partly, outcome = work.frames, 0, 0, Outcome(0, 0, {})
                if not work.complete:
                    opened = self.renderer.open(info, engine)
                    check_same_engine(engine, opened.report)
                    engine, before = opened.report, (opened.reused, opened.partly_reused)
                    warn(opened.warnings)
                    if not work.parts:
                        work.begin({**facts, "engine": json.dumps(asdict(engine))})
                    countdown = Countdown(kept)
                    writer = SegmentWriter(work, trial.kind, trial.choice, info, self.renderer.size(info))
                    going_on = seek_to_first_missing(source, work, self.open_source, stop.is_set, on_progress)
                    with writer, going_on as missing:
                        if stop.is_set():
                            raise KeyboardInterrupt
                        outcome = run(
                            countdown.watch(in_segments(missing, stop.is_set)),
                            opened,
                            writer.write,
                            pass_by=lambda _: opened.start_segment(),
                            before=kept,
                            total=source.expected_frames,
                            on_progress=with_estimates(
                                on_progress,
                                lambda: (work.coded, work.coded_bytes),
                                beside=copied_audio_bytes(source),
                                stop=stop,
                                countdown=countdown,
                            ),
                            unblock=missing.stop,
                        )
                        if writer.is_between_parts:
                            raise stopped_error(work, source)
                        writer.finish(missing.warnings)
                    reused, partly = opened.reused - before[0], opened.partly_reused - before[1]
                assert engine is not None, "work that is complete has had an engine"
                warnings += json.loads(work.facts()[WARNINGS])
                written, said = self.join(work, trial, on_progress)
                said += work.discard()
        warnings += said
        return Converted(source.original, written, outcome, engine, reused, partly, kept, tuple(warnings))

    def settings(self) -> dict[str, object]:
        """Return all that the coded frames depend on."""
        options = self.renderer.facts() | _values(self.reading) | _values(self.writing)
        # The frames are the same with every decoder.
        del options["overwrite"], options["decoder"]
        return {**options, "container": Path(self.target).suffix.lower()}

    def open_source(self, **changes: Any) -> VideoReader:
        """Open the source, with `changes` of the reader's options. Raises InputError."""
        source = replace(self.reading, **changes).open(self.source)
        try:
            require_video(source.opened)
        except InputError:
            source.close()
            raise
        return source

    def open_target(
        self, source: VideoReader, *, alone: bool = False, plan: Plan | None = None
    ) -> VideoWriter:
        """Open the output, as `VideoWriter`. Raises OutputError."""
        return self.writing.open(self.target, source, self.renderer.size(source.info), alone=alone, plan=plan)

    def _room(self, source: VideoReader, work: PacketStore) -> list[str]:
        """Return a warning if the disk may be too small for the segments and the output, by an estimate."""
        pictures = source.expected_frames
        if pictures is None:
            return []
        width, height = self.renderer.size(source.info)
        coded = pictures * width * height * BITS_PER_PIXEL / 8
        folder = Path(self.target).absolute().parent
        need = 2 * coded + Path(self.source).stat().st_size / 4 - work.path.stat().st_size
        free = shutil.disk_usage(folder).free
        if free >= need:
            return []
        left, needed = size(free), size(need)
        return [f"The disk may become full: {folder} has {left} left, and about {needed} may be needed."]

    def join(
        self, work: KeptWork, trial: VideoWriter, on_progress: Callable[[Progress], object] | None
    ) -> tuple[OutputInfo, list[str]]:
        """Make the file of the parts, as the rehearsal of `trial` found out that it can be done.

        Returns the facts of the file, and warnings. Raises InputError and OutputError.
        """
        made: list[tuple[OutputInfo, list[str]]] = []

        def attempt(plan: Plan) -> RefusedError | None:
            try:
                made.append(self._join_once(work, plan, joining_progress(on_progress, work.frames)))
            except RefusedError as error:
                return error
            return None

        try:
            refused = attempt(trial.plan)
            if refused is not None:  # the rehearsal has seen only the front of the file
                trial.rehearsal.next_plan(trial.plan, refused, attempt)
        except OutputError as error:
            then = "once that is mended, the same command makes the file of them"
            if isinstance(error.__cause__, RefusedError):
                then = "the same command fails in the same way"
            raise OutputError(
                f"{str(error).rstrip('.')}; all frames are drawn and kept in {work.path}, and {then}."
            ) from error
        return made[0]

    def _join_once(
        self, work: KeptWork, plan: Plan, tell: Callable[[int], object]
    ) -> tuple[OutputInfo, list[str]]:
        with self.open_source(decoder="cpu") as source:  # nothing but its first picture
            sink = self.open_target(source, alone=True, plan=plan)
            with sink:
                join(work, source, sink, tell)
                work.note(JOINED, "")
        assert sink.info is not None, "a writer that was closed knows what it wrote"
        return sink.info, sink.warnings


def can_be_kept(source: str | Path, target: str | Path) -> bool:
    """Whether parts can be kept: from a file, which can be read twice, to a format that takes them joined."""
    try:
        if "-" in (source, target) or not Path(source).is_file():
            return False
    except (OSError, ValueError):  # a name that no file can have
        return False
    kind = BY_EXTENSION.get(Path(target).suffix.lower())
    return kind is not None and kind.format != "gif"


def _same_file(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _values(options: ReaderOptions | WriterOptions) -> dict[str, object]:
    return {field.name: getattr(options, field.name) for field in fields(options)}
