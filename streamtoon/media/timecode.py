"""SMPTE time codes, by which productions number frames (SMPTE ST 12-1)."""

from __future__ import annotations

import re
import struct
from fractions import Fraction

KEY = "timecode"
"""Tag with the time code of the first frame. MOV writes it in lower case, Matroska in capitals."""
_WRITTEN = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d)")
_DROPPED = {30: 2, 60: 4}
"""Drop-frame counts by nominal rate: numbers skipped at the start of each minute except every tenth (ST 12-1,
5.2.2)."""


def from_side_data(data: bytes, rate: Fraction) -> str | None:
    """Decode AV_FRAME_DATA_S12M_TIMECODE (libavutil/timecode.h: BCD as in ST 12-1); None if it is all zero.

    Above 30 fps it counts pairs of frames, and a field flag distinguishes the two (ST 12-1, 12).
    """
    count, code = struct.unpack("=II", data[:8])
    if not count or not code:
        return None
    hours, minutes, seconds, frames = (
        10 * (code >> at & tens) + (code >> (at - 4) & 15) for at, tens in ((4, 3), (12, 7), (20, 7), (28, 3))
    )
    if rate > 30:
        frames = 2 * frames + bool(code & (1 << 7 if round(rate) == 50 else 1 << 23))
    separator = ";" if code & 1 << 30 else ":"
    return f"{hours:02}:{minutes:02}:{seconds:02}{separator}{frames:02}"


def add_time(code: str, seconds: Fraction, rate: Fraction) -> str | None:
    """Return the time code `seconds` after `code` at `rate` fps; None if `code` is not valid at this rate.

    Drop-frame counting ("10:00:00;00") skips its numbers. The count restarts after 24 hours.
    """
    found = _WRITTEN.fullmatch(code.strip())
    fps = round(rate)
    if found is None or int(found[5]) >= fps or int(found[1]) >= 24:
        return None
    hours, minutes, secs, frames = (int(found[n]) for n in (1, 2, 3, 5))
    drops = 0 if found[4] == ":" else _DROPPED.get(fps, 0)
    if found[4] != ":" and not drops:
        return None
    minute = 60 * hours + minutes
    number = (60 * minute + secs) * fps + frames - drops * (minute - minute // 10)
    day = 24 * 60 * 60 * fps - drops * (24 * 60 - 24 * 6)
    number = (number + round(seconds * rate)) % day
    if drops:
        number += _left_out(number, fps, drops)
    rest, frames = divmod(number, fps)
    return f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}{found[4]}{frames:02}"


def _left_out(number: int, fps: int, drops: int) -> int:
    """Return how many numbers are skipped before the frame with this count from 0."""
    in_ten_minutes, in_a_minute = 600 * fps - 9 * drops, 60 * fps - drops
    tens, rest = divmod(number, in_ten_minutes)
    # The first minute of ten skips none and is longer by that.
    return drops * (9 * tens + max(0, rest - drops) // in_a_minute)
