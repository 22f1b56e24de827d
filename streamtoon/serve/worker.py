"""The process that draws a visitor's file: `python -m streamtoon.serve.worker`.

The first line on standard input is the request, JSON; when that input ends, so does the process. On standard
output come lines of JSON: how far it is, and last what came of it. A file that crashes a decoder, or asks for
memory or time without end, takes this process and no other.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamtoon.errors import InputError, StreamtoonError
from streamtoon.pipeline import Progress
from streamtoon.serve.settings import Limits, clock

if TYPE_CHECKING:
    from streamtoon.report import Report

MEMORY = 8 << 30
"""Bytes of its own that the process may have (RLIMIT_DATA: RLIMIT_AS would count what a GPU's driver only
reserves, and forbid every GPU)."""
EFFORT = 120
"""Seconds of all cores together that a second of video may take, opening the engine aside."""
OPENING = 300
"""Seconds of all cores together for that."""
FILES = 256
SLACK = 1.0
"""Seconds that a length may be wrong by: sound may last longer than pictures."""
STEP = 0.25
"""Seconds between two lines of progress."""


def main() -> None:
    """Does what the request asks for."""
    line = sys.stdin.readline()
    if not line:  # the server ended in the meantime
        return
    request = json.loads(line)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    limits = Limits(**request["limits"])
    _limit(limits, request["room"])
    try:
        said = _draw(request, limits)
    except StreamtoonError as error:
        said = {"error": str(error).replace(request["source"], request["name"])}
    except MemoryError:
        said = {"error": f"{request['name']} needs more memory than a visitor's file may have."}
    _say(said)


def _draw(request: dict[str, Any], limits: Limits) -> dict[str, Any]:
    from streamtoon.cartoonizer import Cartoonizer
    from streamtoon.images import SUFFIXES

    source, target = Path(request["source"]), Path(request["target"])
    with Cartoonizer(request["style"], strength=request["strength"], **request["engine"]) as cartoonizer:
        if source.suffix in SUFFIXES:
            _check_photo(source, limits)
            photo = cartoonizer.image(source, target)
            return {"done": True, "width": photo.output.width, "height": photo.output.height, "warnings": []}
        _check_video(source, limits)
        told = 0.0

        def tell(progress: Progress) -> None:
            nonlocal told
            if time.monotonic() - told >= STEP:
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
            source, target, end=limits.duration, side_by_side=beside, resume=False, on_progress=tell
        )
    size, said = report.output, [*report.warnings, *_length(report, limits)]
    return {"done": True, "width": size.width, "height": size.height, "warnings": said}


def _check_video(source: Path, limits: Limits) -> None:
    """By its header, which may lie: drawing ends at the longest duration all the same."""
    from streamtoon.media import probe

    info = probe(source)
    limits.demand_pixels(info.width, info.height)
    if info.duration is not None:
        limits.demand_duration(float(info.duration))


def _length(report: Report, limits: Limits) -> list[str]:
    """What a visitor should know of a video whose length is another than it says."""
    said, drawn = report.input.duration, report.output.duration
    if said is None or (drawn is not None and drawn > said + SLACK):
        most = clock(limits.duration)
        return [f"The file does not say rightly how long it is: at most its first {most} were drawn."]
    if drawn is not None and drawn < min(said, limits.duration) - max(SLACK, said / 100):
        return [f"The file ends early: it declares {said:.1f} s and holds {drawn:.1f} s."]
    return []


def _check_photo(source: Path, limits: Limits) -> None:
    """By its header alone: nothing is decoded."""
    from PIL import Image

    from streamtoon.images import READ

    try:
        with Image.open(source, formats=READ) as image:
            size = image.size
    except Exception as error:  # Pillow raises nearly anything on damaged files
        raise InputError(f"{source} is no picture that can be read.") from error
    limits.demand_pixels(*size)


def _limit(limits: Limits, room: int) -> None:
    """Where the system has such limits; `room` is the bytes of a file that is written."""
    if sys.platform == "win32":
        return
    import resource

    effort = OPENING + int(EFFORT * limits.duration)
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_CPU, effort),
        (resource.RLIMIT_FSIZE, room),
        (resource.RLIMIT_NOFILE, FILES),
    ):
        with suppress(ValueError, OSError):  # less is allowed already
            resource.setrlimit(what, (most, most))
    os.nice(5)  # whoever is looked at live comes first


def _end_with_the_server() -> None:
    sys.stdin.read()
    os._exit(0)


def _say(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
