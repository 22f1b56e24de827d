"""One finished segment as a file of its own, which any number of machines may write at the same time.

The file has a mark, the SHA-256 of all that follows, the length of a header, the header as JSON, and the
packets' data. A file that is cut short or altered is refused, so nothing half-written is taken for whole.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass

from engines.frame import Frame
from streamtoon.media.segments.packet_store import Segment
from streamtoon.media.segments.segments import SegmentBoundary
from streamtoon.media.writer.coded_frame import CodedFrame

MAGIC = b"toonseg1"
_LENGTH = struct.Struct("<I")
_DIGEST_BYTES = 32


class DamagedSegmentError(ValueError):
    """The bytes are no whole segment."""


@dataclass(frozen=True, slots=True)
class SegmentEnds:
    """What a segment is known by: it fits to the next one if that begins with the frame named here."""

    first_pts: int
    """Timestamp of its first frame, in the source's time base."""
    first_check: int
    """CRC-32 of that frame's planes, as read from the source."""
    part: Segment

    def leads_to(self, following: SegmentEnds | None) -> bool:
        """Return whether `following` begins with the frame that was read after this one; None for the end."""
        if following is None:
            return self.part.next_pts is None
        named = (self.part.next_pts, self.part.next_check)
        in_time = self.part.last < following.part.first
        return self.part.can_seek and in_time and named == (following.first_pts, following.first_check)


@dataclass(frozen=True, slots=True)
class DrawnSegment:
    """A finished segment with all that the output needs of it."""

    ends: SegmentEnds
    facts: dict[str, str]
    """Facts as `PacketStore` keeps them: warnings and the rounding of times."""
    packets: tuple[CodedFrame, ...]

    def pack(self) -> bytes:
        """Return the bytes of the file."""
        sizes = [[*astuple(packet)[:4], len(packet.data)] for packet in self.packets]
        header = json.dumps({"ends": asdict(self.ends), "facts": self.facts, "packets": sizes}).encode()
        body = b"".join([_LENGTH.pack(len(header)), header, *(packet.data for packet in self.packets)])
        return MAGIC + hashlib.sha256(body).digest() + body

    @classmethod
    def unpack(cls, data: bytes) -> DrawnSegment:
        """Read the bytes of a file. Raises DamagedSegmentError."""
        digest, body = data[len(MAGIC) : len(MAGIC) + _DIGEST_BYTES], data[len(MAGIC) + _DIGEST_BYTES :]
        if not data.startswith(MAGIC) or hashlib.sha256(body).digest() != digest:
            raise DamagedSegmentError("the segment's file is not whole")
        (length,) = _LENGTH.unpack_from(body)
        header = json.loads(body[_LENGTH.size : _LENGTH.size + length])
        ends = SegmentEnds(**{**header["ends"], "part": Segment(**header["ends"]["part"])})
        at, packets = _LENGTH.size + length, []
        for pts, dts, duration, is_key, size in header["packets"]:
            packets.append(CodedFrame(pts, dts, duration, is_key, body[at : at + size]))
            at += size
        return cls(ends, header["facts"], tuple(packets))


class SegmentBuffer:
    """Holds the segment that a SegmentWriter encodes, and passes on every finished one.

    `watch` reads the frames in another thread than `keep`, and is ahead of it.
    """

    def __init__(self, publish: Callable[[DrawnSegment], object]) -> None:
        self.parts: list[Segment] = []
        """Always empty: the first frame's time does not depend on segments before it."""
        self._publish = publish
        self._facts: dict[str, str] = {}
        self._packets: list[CodedFrame] = []
        self._heads: deque[tuple[int, int]] = deque()

    def watch(self, items: Iterable[Frame | SegmentBoundary]) -> Iterator[Frame | SegmentBoundary]:
        """Yield all items, and remember the first frame of every segment."""
        is_first = True
        for item in items:
            if isinstance(item, SegmentBoundary):
                self._heads.append((item.pts, item.check))
            elif is_first:
                self._heads.append((item.pts, item.check()))
                is_first = False
            yield item

    def facts(self) -> dict[str, str]:
        """Return the facts of the current segment."""
        return dict(self._facts)

    def note(self, name: str, value: str) -> None:
        """Store a fact of the current segment."""
        self._facts[name] = value

    def write(self, packet: CodedFrame) -> None:
        """Add a packet to the current segment."""
        self._packets.append(packet)

    def keep(self, part: Segment) -> None:
        """End the current segment and pass it on."""
        pts, check = self._heads.popleft()
        part = Segment(**{**asdict(part), "first": min(packet.pts for packet in self._packets)})
        drawn = DrawnSegment(SegmentEnds(pts, check, part), self._facts, tuple(self._packets))
        self._facts, self._packets = {}, []
        self._publish(drawn)

    def drop(self) -> None:
        """Discard the current segment."""
        self._facts, self._packets = {}, []
