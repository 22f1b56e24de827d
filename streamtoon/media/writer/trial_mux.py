"""A short trial output in memory before the work, which shows what the muxer refuses.

A muxer only refuses streams in its header, its first packets or its trailer. So all of these are written
once, with flat frames in place of the cartoon and the source's own first packets of everything else. A stream
that makes this fail is handled differently: audio is re-encoded, other streams are left out.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from engines.frame import Frame
from streamtoon.errors import InputError, OutputError
from streamtoon.media.reader.video_reader import VideoReader
from streamtoon.media.writer.container_writer import ContainerWriter, RefusedError
from streamtoon.media.writer.containers import ContainerKind
from streamtoon.media.writer.encoders import EncoderChoice
from streamtoon.media.writer.packet_routes import DropRoute
from streamtoon.media.writer.stream_routing import Handling, Plan

TRIAL_LENGTH_S = Fraction(5)
"""Length of the packets to try, in seconds from the first frame."""
TRIAL_FRAMES = 4
"""Number of flat frames to try: enough for an encoder that reorders them."""
_BY_IMPORTANCE = ("audio", "video", "subtitle", "attachment", "data")
"""Types of streams, the most important first."""


@dataclass(frozen=True, slots=True)
class TrialMux:
    """Tries an output of `source` in memory. The arguments are those of ContainerWriter."""

    name: str
    kind: ContainerKind
    choice: EncoderChoice
    source: VideoReader
    size: tuple[int, int]

    def plan(self) -> Plan:
        """Return the handling of streams with which the muxer accepts them.

        Raises OutputError if it does not even accept the video alone.
        """
        first = self._try({})
        if first is None:
            return {}
        plan = dict(self.next_plan({}, first, self._try))
        for index in list(plan) if len(plan) > 1 else ():  # given up along the way, but perhaps not the cause
            without = {each: handling for each, handling in plan.items() if each != index}
            if self._try(without) is None:
                plan = without
        return plan

    def next_plan(
        self, plan: Plan, refused: RefusedError, attempt: Callable[[Plan], RefusedError | None]
    ) -> Plan:
        """Return the smallest change to `plan`, which was `refused`, that passes `attempt`.

        Raises OutputError if there is none.
        """
        everything = dict(plan)
        steps = list(self._steps(plan))
        for index, handling in steps:
            if attempt({**plan, index: handling}) is None:
                return {**plan, index: handling}
        for index, handling in steps:  # more than one stream is refused
            everything[index] = handling
            if attempt(everything) is None:
                return everything
        reason = str(getattr(refused.__cause__, "strerror", None) or refused).rstrip(".").lower()
        other = ".mp4" if self.kind.format == "matroska" else ".mkv"
        raise OutputError(
            f"{self.kind.name} does not accept this video ({reason}). Use the extension {other} for the "
            "output."
        ) from refused

    def _steps(self, plan: Plan) -> Iterator[tuple[int, Handling]]:
        """Yield the possible changes, the least harmful first."""
        main = self.source.opened.stream
        streams = [s for s in self.source.opened.container.streams if s is not main]
        streams.sort(
            key=lambda s: _BY_IMPORTANCE.index(s.type) if s.type in _BY_IMPORTANCE else len(_BY_IMPORTANCE),
            reverse=True,
        )
        sounds = [s for s in streams if s.type == "audio" and self.kind.audio]
        yield from ((s.index, "drop") for s in streams if s not in sounds and plan.get(s.index) != "drop")
        yield from ((s.index, "encode") for s in sounds if s.index not in plan)
        yield from ((s.index, "drop") for s in sounds if plan.get(s.index) != "drop")

    def _try(self, plan: Plan) -> RefusedError | None:
        """Return the refusal; None if everything is accepted."""
        try:
            output = ContainerWriter(
                io.BytesIO(), self.name, self.kind, self.choice, self.source, self.size, plan, rehearses=True
            )
            try:
                self._perform(output)
            finally:
                output.abandon()
        except RefusedError as error:
            return error
        return None

    def _perform(self, output: ContainerWriter) -> None:
        output.begin()
        for n in range(TRIAL_FRAMES):
            output.write(self._flat(n))
        if not all(isinstance(route, DropRoute) for route in output.routes.values()):
            with suppress(InputError):  # damage is reported when it is reached
                self._write_beside(output)
        output.finish()

    def _write_beside(self, output: ContainerWriter) -> None:
        again = self.source.again()
        if again is None:
            return
        with closing(again):
            for item in again.other_packets():
                if item.time is not None and item.time > self._start + TRIAL_LENGTH_S:
                    return
                output.write(item)

    @property
    def _start(self) -> Fraction:
        return self.source.first_pts * self.source.info.time_base

    def _flat(self, n: int) -> Frame:
        """Return frame `n` of a grey video that starts with the source."""
        width, height = self.size
        info = self.source.info
        step = max(1, round(1 / (info.rate * info.time_base)))
        chroma = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
        luma = np.full((height, width), 128, np.uint8)
        pts = self.source.first_pts + n * step
        return Frame(luma, chroma, chroma, pts, info.time_base, step, info.color, n == 0)
