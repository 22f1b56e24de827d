"""What a Stabilizer remembers, kept with the parts of unfinished work: going on is as never stopping."""

from __future__ import annotations

import base64
from collections.abc import Callable

from engines.picture import Picture
from engines.stabilize import Stabilizer
from streamtoon.artist import Opened
from streamtoon.errors import InputError
from streamtoon.media.parts import PartWriter, Seam
from streamtoon.media.work import Work


def finishing(opened: Opened, writer: PartWriter, work: Work) -> Callable[[Picture | Seam], None]:
    """`writer.write` for cartoons as they are drawn. What is remembered is kept before each part is."""

    def write(item: Picture | Seam) -> None:
        if isinstance(item, Picture):
            item = opened.finish(item)
        elif opened.stabilizer is not None:
            _remember(work, opened.stabilizer)
        writer.write(item)

    return write


def recall(work: Work, stabilizer: Stabilizer | None) -> None:
    """Go on after the last part of `work`. Raises InputError where it is not known how."""
    number = len(work.parts)
    if stabilizer is None or not number:
        return
    known, _, state = work.facts().get(_name(number), "").partition(" ")
    if known != str(number):
        raise _forgotten(work)
    try:
        stabilizer.restore(base64.b64decode(state))
    except ValueError as error:
        raise _forgotten(work) from error


def _forgotten(work: Work) -> InputError:
    return InputError(
        f"{work.path} does not know what the pictures before looked like: run the command with "
        "--no-resume, which draws all of them anew."
    )


def _remember(work: Work, stabilizer: Stabilizer) -> None:
    """Two are kept, in turns: the one before is right for as long as the next part is not there."""
    number = len(work.parts) + 1
    work.note(_name(number), f"{number} {base64.b64encode(stabilizer.state()).decode('ascii')}")


def _name(number: int) -> str:
    return f"stabilizer {number % 2}"
