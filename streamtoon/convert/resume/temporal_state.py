"""The temporal filter's state, stored with each segment, so that resuming gives the same frames."""

from __future__ import annotations

import base64
from collections.abc import Callable

from engines.frame import Frame
from engines.imaging.temporal_filter import Stabilizer
from streamtoon.convert.renderer import OpenRenderer
from streamtoon.errors import InputError
from streamtoon.media.segments.packet_store import PacketStore
from streamtoon.media.segments.segments import SegmentBoundary, SegmentWriter


def storing_filter_state(
    opened: OpenRenderer, writer: SegmentWriter, work: PacketStore
) -> Callable[[Frame | SegmentBoundary], None]:
    """Return `writer.write`, extended to store the filter's state before each segment ends."""

    def write(item: Frame | SegmentBoundary) -> None:
        if not isinstance(item, Frame) and opened.stabilizer is not None:
            _store_state(work, opened.stabilizer)
        writer.write(item)

    return write


def restore_filter_state(work: PacketStore, stabilizer: Stabilizer | None) -> None:
    """Restore the filter's state after the last segment of `work`. Raises InputError if it is not stored."""
    number = len(work.parts)
    if stabilizer is None or not number:
        return
    known, _, state = work.facts().get(_name(number), "").partition(" ")
    if known != str(number):
        raise _missing_state(work)
    try:
        stabilizer.restore(base64.b64decode(state))
    except ValueError as error:
        raise _missing_state(work) from error


def _missing_state(work: PacketStore) -> InputError:
    return InputError(
        f"{work.path} lacks the temporal filter's state, so it cannot be resumed. Run the command with "
        "--no-resume to render all frames again."
    )


def _store_state(work: PacketStore, stabilizer: Stabilizer) -> None:
    """Store the state under one of two alternating names.

    The state before stays valid until the next segment is stored.
    """
    number = len(work.parts) + 1
    work.note(_name(number), f"{number} {base64.b64encode(stabilizer.state()).decode('ascii')}")


def _name(number: int) -> str:
    return f"stabilizer {number % 2}"
