"""Progress over several videos: which of how many, and the remaining time of all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from streamtoon.wording import counted, length

if TYPE_CHECKING:
    from streamtoon.pipeline.run import Progress
    from streamtoon.reports import Report

PROBE_TIMEOUT_S = 1.0
"""How long the headers of files are read before the first one is converted."""


class Course:
    """Progress over videos that are converted one after the other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._work = _work_of(paths)
        self._total = len(paths)
        self._number = 0
        self._began = time.monotonic()
        self._done = 0.0
        """Work of the finished files, in pixels."""
        self._now = 0.0
        """Work of the current file, in pixels."""
        self._ahead = sum(self._work[path] for path in paths)

    @property
    def place(self) -> str:
        """The number of the current video: "3 of 7"."""
        return f"{self._number} of {self._total}"

    @contextmanager
    def at(self, path: Path) -> Iterator[None]:
        """Mark this video as the current one, within this block."""
        self._number += 1
        self._now = self._work[path]
        self._ahead -= self._now
        yield
        self._done += self._now  # a failed video took almost no time and does not count

    def left(self, progress: Progress) -> float | None:
        """Return the seconds until all are done, at the speed so far; None if unknown yet."""
        if not progress.total or not progress.frames:
            return None
        share = min(1.0, progress.frames / progress.total)
        done = self._done + share * self._now
        spent = time.monotonic() - self._began
        return spent / done * (self._ahead + (1 - share) * self._now) if done else None


class JobSummary:
    """The results of all videos of a job."""

    def __init__(self) -> None:
        self._count, self._seconds = 0, 0.0
        self._other: tuple[str, float] | None = None
        """Another quality, and its time as a share of this one's, measured on one of the videos."""

    @property
    def knows_better(self) -> bool:
        """Whether the time of another quality has been measured."""
        return self._other is not None

    def add(self, report: Report) -> None:
        """Add a finished video."""
        self._count += 1
        self._seconds += report.seconds
        if report.alternative is not None:
            self._other = report.alternative.quality, report.alternative.seconds / report.seconds

    def lines(self) -> list[str]:
        """Return the summary, line by line; empty if no video was converted."""
        if not self._count:
            return []
        said = [f"{counted(self._count, 'video')} in {length(self._seconds)}."]
        if self._other is not None:
            quality, share = self._other
            said.append(f"--quality {quality}: about {length(share * self._seconds)}")
        return said


def _work_of(paths: Sequence[Path]) -> dict[Path, float]:
    """Estimate the pixels of each video, from its header, or from its size if the header does not say."""
    pixels, sizes = {}, {}
    began = time.monotonic()
    for path in paths:
        sizes[path] = _size(path)
        if time.monotonic() - began < PROBE_TIMEOUT_S and (count := _pixels(path)):
            pixels[path] = count
    known = sum(sizes[path] for path in pixels)
    a_byte = sum(pixels.values()) / known if known else 1.0
    return {path: pixels.get(path, a_byte * sizes[path]) for path in paths}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reported when it is this file's turn
        return 0


def _pixels(path: Path) -> float:
    """Return the pixels of all frames together; 0 if the header does not say."""
    if not path.is_file():  # reading a pipe would block, and consume it
        return 0.0
    from streamtoon.errors import InputError
    from streamtoon.media.reader.opening import open_video
    from streamtoon.media.reader.probe import plausible_rate

    try:
        with closing(open_video(path)) as video:
            stream, duration = video.stream, video.container.duration
            if not duration or duration < 0:
                return 0.0
            frames = duration / 1_000_000 * float(plausible_rate(stream))
            return frames * stream.codec_context.width * stream.codec_context.height
    except InputError:
        return 0.0
