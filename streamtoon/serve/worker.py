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
from typing import Any

from streamtoon.errors import InputError, StreamtoonError
from streamtoon.pipeline import Progress
from streamtoon.serve.settings import MEGABYTE, Limits, clock

MEMORY = 8 << 30
"""Bytes of its own that the process may have (RLIMIT_DATA: RLIMIT_AS would count what a GPU's driver only
reserves, and forbid every GPU)."""
EFFORT = 120
"""Seconds of all cores together that a second of video may take, opening the engine aside."""
OPENING = 300
"""Seconds of all cores together for that."""
ROOM = 4
"""Times the largest upload that what is written may take."""
FILES = 256
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
    _limit(limits)
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
        end = _end_of(source, limits)
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
            source, target, end=end, side_by_side=beside, resume=False, on_progress=tell
        )
    size, said = report.output, list(report.warnings)
    if end is not None:
        said.append(f"The file does not say how long it is: at most its first {clock(end)} were drawn.")
    return {"done": True, "width": size.width, "height": size.height, "warnings": said}


def _end_of(source: Path, limits: Limits) -> float | None:
    """Seconds after which to stop: None where the video is known to end early enough."""
    from streamtoon.media import probe

    info = probe(source)
    limits.demand_pixels(info.width, info.height)
    if info.duration is None:
        return limits.duration
    limits.demand_duration(float(info.duration))
    return None


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


def _limit(limits: Limits) -> None:
    """Where the system has such limits."""
    if sys.platform == "win32":
        return
    import resource

    effort = OPENING + int(EFFORT * limits.duration)
    size = ROOM * limits.upload * MEGABYTE
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_CPU, effort),
        (resource.RLIMIT_FSIZE, size),
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
