"""One video from a source to a target, drawn in parts that outlive whatever ends the process.

Finished parts are kept beside the output. The same conversion, begun again, reads its source from the first
part that is missing, draws with the engine that drew the others, and joins all of them as if it had never
been stopped. What comes or goes through a pipe cannot be read or written twice, and is converted at once.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.memory import memory_told
from engines.picture import Picture
from streamtoon.artist import Artist
from streamtoon.errors import OutputError
from streamtoon.identity import identity
from streamtoon.media import MediaInfo, Sink, Source
from streamtoon.media.containers import BY_EXTENSION
from streamtoon.media.parts import PartWriter, in_parts, join
from streamtoon.media.sink import Written
from streamtoon.media.work import Work
from streamtoon.pipeline import Outcome, Progress, run
from streamtoon.report import EngineReport
from streamtoon.resuming import (
    JOINED,
    at_the_first_missing,
    discard_if_joined,
    earlier,
    hold_to,
    kept_is_told,
    stopped,
)
from streamtoon.standard_input import StandardInput
from streamtoon.steadiness import finishing, recall

BITS_PER_PIXEL = 0.1
"""Of a coded cartoon, more than most take: for the estimate of the room that is needed."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of a conversion."""

    info: MediaInfo
    written: Written
    outcome: Outcome
    engine: EngineReport
    reused: int
    kept: int
    """Pictures that an earlier run had drawn."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is converted, and how. `reading` and `writing` are arguments of Source and Sink."""

    source: str | Path
    target: str | Path
    reading: Mapping[str, Any]
    writing: Mapping[str, Any]
    artist: Artist

    def run(
        self,
        *,
        resume: bool,
        stop: threading.Event | None,
        on_progress: Callable[[Progress], object] | None,
        on_warning: Callable[[str], object] | None,
    ) -> Converted:
        """Draw it, in parts where they can be kept.

        Without `resume`, what an earlier run has left is thrown away. When `stop` is set, the part at hand is
        finished and UnfinishedError raised, or, where nothing can be kept, KeyboardInterrupt.

        Raises InputError, OutputError and EngineError.
        """
        with memory_told("this conversion: close other programs first"):
            if can_be_kept(self.source, self.target):
                return self._in_parts(resume, stop or threading.Event(), on_progress, on_warning)
            return self._at_once(stop, on_progress)

    def _at_once(
        self, stop: threading.Event | None, on_progress: Callable[[Progress], object] | None
    ) -> Converted:
        def watch(progress: Progress) -> None:
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
            if on_progress is not None:
                on_progress(progress)

        stdin = StandardInput() if self.source == "-" else None
        with stdin.open(**self.reading) if stdin else self._open() as source, self._sink(source) as sink:
            engine = self.artist.open(source.info, None)
            before = engine.reused()
            outcome = run(
                source,
                engine.start,
                lambda item: sink.write(engine.finish(item) if isinstance(item, Picture) else item),
                workers=engine.workers,
                total=source.expected_frames,
                on_progress=watch,
                unblock=stdin.stop if stdin else source.stop,
            )
        assert sink.info is not None, "a Sink that is left in peace knows what it wrote"
        said = (*engine.warnings, *source.warnings, *sink.warnings)
        return Converted(source.info, sink.info, outcome, engine.report, engine.reused() - before, 0, said)

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

        with self._open() as source:
            info = source.info
            facts = identity(Path(self.source), self.artist.style, self._settings())
            if not self.writing["overwrite"] and Path(self.target).exists():
                discard_if_joined(Path(self.target), facts)
            # An output's checks come before the first picture; it is made when all pictures are there.
            trial = self._sink(source)
            trial.abandon()
            warnings += trial.warnings
            if _same_file(Path(self.source), Work.place(Path(self.target))):
                raise OutputError(f"{self.source} lies where unfinished work would be kept: rename it.")
            with Work(Path(self.target)) as work, kept_is_told(work, source):
                engine, said = earlier(work, facts) if resume else (None, [])
                warn([*said, *self._room(source, work)])
                kept, reused, outcome = work.pictures, 0, Outcome(0, 0, {})
                if not work.complete:
                    opened = self.artist.open(info, engine)
                    hold_to(engine, opened.report)
                    recall(work, opened.stabilizer)
                    engine, before = opened.report, opened.reused()
                    warn(opened.warnings)
                    if not work.parts:
                        work.begin({**facts, "engine": json.dumps(asdict(engine))})
                    writer = PartWriter(work, trial.kind, trial.choice, info, self.artist.size(info))
                    going_on = at_the_first_missing(source, work, self._open, stop.is_set, on_progress)
                    with writer, going_on as missing:
                        if stop.is_set():
                            raise KeyboardInterrupt
                        outcome = run(
                            in_parts(missing, stop.is_set),
                            opened.start,
                            finishing(opened, writer, work),
                            workers=opened.workers,
                            before=kept,
                            total=source.expected_frames,
                            on_progress=on_progress,
                            unblock=missing.stop,
                        )
                        if writer.is_between_parts:
                            raise stopped(work, source)
                        work.note("warnings", json.dumps(missing.warnings))
                        writer.finish()
                    reused = opened.reused() - before
                assert engine is not None, "work that is complete has had an engine"
                warnings += json.loads(work.facts()["warnings"])
                written, said = self._join(work)
                said += work.discard()
        return Converted(info, written, outcome, engine, reused, kept, (*warnings, *said))

    def _settings(self) -> dict[str, object]:
        options = {**self.artist.settings, **self.reading, **self.writing}
        # The pictures are the same whoever decodes them.
        del options["overwrite"], options["decoder"]
        return {**options, "container": Path(self.target).suffix.lower()}

    def _open(self, **changes: Any) -> Source:
        return Source(self.source, **{**self.reading, **changes})

    def _sink(self, source: Source, *, alone: bool = False) -> Sink:
        width, height = self.artist.size(source.info)
        return Sink(self.target, source, width=width, height=height, alone=alone, **self.writing)

    def _room(self, source: Source, work: Work) -> list[str]:
        """A warning where the disk has hardly room for the parts and the output, as far as one can tell."""
        pictures = source.expected_frames
        if pictures is None:
            return []
        width, height = self.artist.size(source.info)
        coded = pictures * width * height * BITS_PER_PIXEL / 8
        folder = Path(self.target).absolute().parent
        need = 2 * coded + Path(self.source).stat().st_size / 4 - work.path.stat().st_size
        free = shutil.disk_usage(folder).free
        if free >= need:
            return []
        left, needed = _size(free), _size(need)
        return [f"The disk may become full: {folder} has {left} left, and about {needed} may be needed."]

    def _join(self, work: Work) -> tuple[Written, list[str]]:
        with self._open(decoder="cpu") as source:  # nothing but its first picture
            sink = self._sink(source, alone=True)  # whoever has the Work open
            try:
                with sink:
                    join(work, source, sink)
                    work.note(JOINED, "")
            except OutputError as error:
                raise OutputError(
                    f"{str(error).rstrip('.')}; all pictures are drawn and kept in {work.path}, and the same "
                    "command makes the file of them."
                ) from error
        assert sink.info is not None, "a Sink that is left in peace knows what it wrote"
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


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"
