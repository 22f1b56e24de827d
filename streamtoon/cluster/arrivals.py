"""The segments of one video in their order, as they arrive, for the join that waits for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from fractions import Fraction

from streamtoon.cluster.jobs import SegmentFacts
from streamtoon.cluster.segment_folder import SegmentFolder
from streamtoon.errors import InputError, OutputError, UnfinishedError
from streamtoon.media.segments.segment_file import DrawnSegment
from streamtoon.media.segments.segments import ROUNDING, WARNINGS
from streamtoon.media.writer.coded_frame import CodedFrame


class MisfitError(InputError):
    """Two segments do not fit together: the file does not decode as its index says."""


class Arrivals:
    """All segments of a video, as `Conversion.join` reads them: it waits until each one has arrived.

    A segment is given out once the next one is there, too, and begins with the frame that was decoded after
    it. The dispatcher's thread adds segments; one other thread joins them.
    """

    def __init__(self, folder: SegmentFolder, count: int) -> None:
        self.path = folder.path
        self.count = count
        """Number of segments."""
        self._folder = folder
        self._segments: dict[int, SegmentFacts] = {}
        self._read: dict[int, DrawnSegment] = {}
        self._changed = threading.Condition()
        self._is_given_up = False

    @property
    def is_complete(self) -> bool:
        """Whether all segments have arrived."""
        return len(self._segments) == self.count

    @property
    def numbers(self) -> set[int]:
        """The numbers of the segments that have arrived."""
        return set(self._segments)

    @property
    def frames(self) -> int:
        """Number of frames in the segments that have arrived."""
        return sum(segment.ends.part.frames for segment in self._segments.values())

    def add(self, segments: Iterable[SegmentFacts]) -> None:
        """Add segments, in any order."""
        found = {segment.number: segment for segment in segments}
        with self._changed:
            self._segments = self._segments | found  # replaced, for another thread may be reading it
            self._changed.notify_all()

    def give_up(self) -> None:
        """End the wait for segments: it raises UnfinishedError."""
        with self._changed:
            self._is_given_up = True
            self._changed.notify_all()

    def facts(self) -> dict[str, str]:
        """Return the greatest rounding of times, and the warnings of all segments."""
        facts = [self._segments[number].facts for number in sorted(self._segments)]
        rounding = max((Fraction(each.get(ROUNDING, "0")) for each in facts), default=Fraction(0))
        said = [text for each in facts for text in json.loads(each.get(WARNINGS, "[]"))]
        return {ROUNDING: str(rounding), WARNINGS: json.dumps(list(dict.fromkeys(said)))}

    def note(self, name: str, value: str) -> None:
        """Add one fact to the manifest."""
        self._folder.note(name, value)

    def times(self, part: int) -> list[int]:
        """Return the presentation times of one segment's frames, in decoding order."""
        return [packet.pts for packet in self._segment(part).packets]

    def packets(self, part: int) -> Sequence[CodedFrame]:
        """Return the packets of one segment. Those of segments before it are no longer held."""
        for earlier in [number for number in self._read if number < part]:
            del self._read[earlier]
        return self._segment(part).packets

    def _segment(self, number: int) -> DrawnSegment:
        if number not in self._read:
            self._wait(number)
            segment = self._folder.get(number)
            if segment is None:
                raise OutputError(
                    f"{self.path} has lost a finished segment. Run the same command to draw it again."
                )
            self._read[number] = segment
        return self._read[number]

    def _wait(self, number: int) -> None:
        """Wait for a segment and the one after it. Raises MisfitError and UnfinishedError."""
        needed = {number, min(number + 1, self.count - 1)}
        with self._changed:
            self._changed.wait_for(lambda: self._is_given_up or needed <= set(self._segments))
            if self._is_given_up:
                raise UnfinishedError("stopped")
            following = self._segments[number + 1].ends if number + 1 < self.count else None
            if not self._segments[number].ends.leads_to(following):
                raise MisfitError(f"segment {number} of {self.path} does not lead to the next one")
