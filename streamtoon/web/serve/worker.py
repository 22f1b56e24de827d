"""The process that draws an uploaded file: `python -m streamtoon.web.serve.worker`.

The first line of standard input is the request, as JSON; the process ends when that input ends. It writes
lines of JSON to standard output: progress, and last the result. A file that crashes a decoder or needs
endless memory or time ends only this process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamtoon.errors import StreamtoonError
from streamtoon.pipeline.run import Progress
from streamtoon.web.serve.settings import Limits, clock

if TYPE_CHECKING:
    from streamtoon.reports import Report

MAX_MEMORY_BYTES = 8 << 30
"""Limit of the data segment (RLIMIT_DATA; RLIMIT_AS would count address space that a GPU driver reserves)."""
MAX_CPU_SECONDS_PER_SECOND = 120
"""CPU time of all cores per second of video."""
ENGINE_CPU_SECONDS = 300
"""CPU time of all cores to open the engine."""
MAX_OPEN_FILES = 256
DURATION_TOLERANCE_S = 1.0
"""Error of a declared duration that is not reported: sound may be longer than the video."""
PROGRESS_INTERVAL_S = 0.25


def main() -> None:
    """Read a request from standard input and carry it out."""
    line = sys.stdin.readline()
    if not line:  # the server ended in the meantime
        return
    request = json.loads(line)
    threading.Thread(target=_exit_with_the_server, daemon=True).start()
    limits = Limits(**request["limits"])
    _limit(limits, request["room"])
    try:
        said = _draw(request, limits)
    except StreamtoonError as error:
        said = {"error": str(error).replace(request["source"], request["name"])}
    except MemoryError:
        said = {"error": f"{request['name']} needs more memory than this server allows."}
    _say(said)


def _draw(request: dict[str, Any], limits: Limits) -> dict[str, Any]:
    from streamtoon.api import Cartoonizer
    from streamtoon.images.formats import READ_SUFFIXES

    source, target = Path(request["source"]), Path(request["target"])
    style, look, strength = request["style"], request["look"], request["strength"]
    engine = request["engine"] | {"quality": request["quality"]}
    with Cartoonizer(style, look=look, strength=strength, **engine) as cartoonizer:
        if source.suffix in READ_SUFFIXES:
            _check_photo(source, limits)
            photo = cartoonizer.image(source, target)
            drawn = photo.output
            warnings = [text.replace(source.name, request["name"]) for text in photo.warnings]
            return {"done": True, "width": drawn.width, "height": drawn.height, "warnings": warnings}
        part = Part(request["start"] or 0.0, request["end"], limits.duration)
        _check_video(source, limits, part, request["size"])
        told = 0.0

        def tell(progress: Progress) -> None:
            nonlocal told
            if time.monotonic() - told >= PROGRESS_INTERVAL_S and not progress.joining:
                told = time.monotonic()
                _say(
                    {
                        "frames": progress.frames,
                        "total": progress.total,
                        "fps": round(progress.fps, 1),
                        "remaining": progress.remaining,
                    }
                )

        beside = bool(request["side_by_side"])
        report = cartoonizer.video(
            source, target, start=request["start"], end=part.stop, size=request["size"],
            side_by_side=beside, resume=False, on_progress=tell,
        )  # fmt: skip
    size, said = report.output, [*report.warnings, *_length(report, part)]
    return {"done": True, "width": size.width, "height": size.height, "warnings": said}


@dataclass(frozen=True, slots=True)
class Part:
    """The range of a video to draw."""

    start: float
    """Start, seconds."""
    end: float | None
    """End, seconds; None is the end of the video."""
    most: float
    """Longest duration that may be drawn, seconds."""

    @property
    def stop(self) -> float:
        """The latest end, seconds."""
        return min(self.start + self.most, inf if self.end is None else self.end)

    def of(self, duration: float) -> float:
        """Return the seconds of this range in a video of that duration."""
        return max(0.0, min(duration, inf if self.end is None else self.end) - self.start)


def _check_video(source: Path, limits: Limits, part: Part, size: str | None) -> None:
    """Check the header of a video. If it lies, drawing still ends at the longest allowed duration."""
    from streamtoon.media import probe
    from streamtoon.media.reader.frame_size import FrameSize

    info = probe(source)
    limits.require_pixels(info.width, info.height)
    if size is not None:
        limits.require_pixels(*FrameSize.parse(size).seen(info.width, info.height))
    if info.duration is not None:
        limits.require_duration(part.of(float(info.duration)))


def _length(report: Report, part: Part) -> list[str]:
    """Return a warning if a video is longer or shorter than it declares."""
    declared, drawn = report.input.duration, report.output.duration
    said = None if declared is None else part.of(declared)
    if said is None or (drawn is not None and drawn > said + DURATION_TOLERANCE_S):
        return [f"The file declares a wrong duration; at most {clock(part.most)} of it were drawn."]
    if drawn is not None and drawn < min(said, part.most) - max(DURATION_TOLERANCE_S, said / 100):
        return [f"The file ends early: it declares {declared:.1f} s but has {part.start + drawn:.1f} s."]
    return []


def _check_photo(source: Path, limits: Limits) -> None:
    """Check the header of a photo, without decoding it."""
    from streamtoon.images.reader import open_image

    with open_image(source) as (image, _):
        limits.require_pixels(*image.size)


def _limit(limits: Limits, room: int) -> None:
    """Set the resource limits of this process, on POSIX; `room` is the largest file in bytes."""
    if sys.platform == "win32":
        return
    import resource

    cpu_seconds = ENGINE_CPU_SECONDS + int(MAX_CPU_SECONDS_PER_SECOND * limits.duration)
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, room),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
    ):
        with suppress(ValueError, OSError):  # the limit is lower already
            resource.setrlimit(what, (most, most))
    os.nice(5)  # live sessions have priority


def _exit_with_the_server() -> None:
    sys.stdin.read()
    os._exit(0)


def _say(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
