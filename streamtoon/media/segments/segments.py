"""Encoding a video in segments, storing them, and joining them at the end with the other streams."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from types import TracebackType
from typing import Protocol

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from engines.frame import Frame
from streamtoon.errors import OutputError
from streamtoon.media.reader.probe import MediaInfo
from streamtoon.media.reader.video_reader import VideoReader
from streamtoon.media.segments.packet_store import Segment
from streamtoon.media.writer.coded_frame import CodedFrame
from streamtoon.media.writer.containers import ContainerKind
from streamtoon.media.writer.encoders import EncoderChoice
from streamtoon.media.writer.video_encoder import FrameTimes, VideoEncoder
from streamtoon.media.writer.video_writer import VideoWriter

MIN_SEGMENT_FRAMES, MAX_SEGMENT_FRAMES = 120, 240
"""Frames per segment: what a crash can cost, against the cost of key frames. A segment ends at the source's
first key frame within this range, from which reading can resume independently, or at the maximum."""


WARNINGS = "warnings"
"""Name of the fact with the warnings about the source, as JSON."""
ROUNDING = "rounding"
"""Name of the fact with the maximum error of a frame's time in seconds."""


@dataclass(frozen=True, slots=True)
class SegmentBoundary:
    """The boundary between two segments, on its way from the source to the writer. It describes the next
    frame.
    """

    pts: int
    """Timestamp in the source's time base."""
    check: int
    """CRC-32 of its samples."""
    can_seek: bool
    """Whether it can be read without the frames before it."""
    warnings: tuple[str, ...] = ()
    """Warnings about the source so far."""


def in_segments(source: VideoReader, stopping: Callable[[], bool]) -> Iterator[Frame | SegmentBoundary]:
    """Yield the frames of a source, with a SegmentBoundary wherever a new segment begins.

    Once `stopping` returns True, it ends with the current segment. The boundaries depend only on the frames,
    and neither encoder nor engine remembers anything across one. So a resumed run gives the same segments as
    an uninterrupted run, wherever and in whatever order they are rendered.
    """
    length = 0
    for item in source.frames():
        if length >= MAX_SEGMENT_FRAMES or (length >= MIN_SEGMENT_FRAMES and item.is_key):
            yield SegmentBoundary(item.pts, item.check(), source.can_seek, tuple(source.warnings))
            if stopping():
                return
            length = 0
        length += 1
        yield item


class SegmentStore(Protocol):
    """Where a SegmentWriter puts packets and finished segments; a PacketStore is one."""

    parts: list[Segment]

    def facts(self) -> dict[str, str]:
        """Return the facts noted so far."""
        ...

    def note(self, name: str, value: str) -> None:
        """Store one more fact."""

    def write(self, packet: CodedFrame) -> None:
        """Take the next packet of the current segment."""

    def keep(self, part: Segment) -> None:
        """Store the segment whose packets were written."""

    def drop(self) -> None:
        """Discard the packets of the unfinished segment."""


class FinishedSegments(Protocol):
    """The segments of a whole video, in order; a PacketStore with all of them is one."""

    @property
    def count(self) -> int:
        """Number of segments."""
        ...

    def facts(self) -> dict[str, str]:
        """Return the facts about all of them."""
        ...

    def times(self, part: int) -> Sequence[int]:
        """Return the presentation times of one segment's frames, in decoding order."""
        ...

    def packets(self, part: int) -> Iterable[CodedFrame]:
        """Return the packets of one segment, in decoding order."""
        ...


class SegmentWriter:
    """Encodes frames into a SegmentStore, each segment with a new encoder. A context manager."""

    def __init__(
        self,
        work: SegmentStore,
        kind: ContainerKind,
        choice: EncoderChoice,
        info: MediaInfo,
        size: tuple[int, int],
    ) -> None:
        self._work, self._kind, self._choice, self._info = work, kind, choice, info
        self._size = size
        # Discarded: the VideoWriter that joins the segments sets up the same encoder and gives the same
        # warnings.
        self._warnings: list[str] = []
        self._times: FrameTimes | None = None
        if work.parts:
            latest = work.parts[-1]
            self._times = FrameTimes(latest.first, latest.last, latest.until)
        self._encoder: VideoEncoder | None = None
        self._scratch: OutputContainer | None = None
        self._lengths: dict[int, int] = {}
        """Durations of frames that the encoder still holds, by timestamp."""
        self._written = 0
        """Number of packets in the current segment."""

    def close(self) -> None:
        """Discard an unfinished segment and free the encoder, which refers to its
        container and vice versa.
        """
        self._work.drop()
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, item: Frame | SegmentBoundary) -> None:
        """Write one frame, or store the finished segment. Raises OutputError."""
        if isinstance(item, SegmentBoundary):
            self._keep(item, item.warnings)
            return
        if self._encoder is None:
            # Nothing is muxed here: the container tells the encoder where its headers go.
            scratch = self._scratch = av.open(io.BytesIO(), "w", format=self._kind.format)
            self._encoder = VideoEncoder(
                scratch, self._kind, self._choice, self._info, self._size, self._warnings, self._times
            )
        with self._translate_errors():
            packets = self._encoder.encode(item)
        times = self._encoder.times
        assert times is not None, "a frame has been encoded"
        self._lengths[times.last] = times.until - times.last
        self._put(packets)

    def finish(self, warnings: Sequence[str] = ()) -> None:
        """Store the last segment and all warnings about the source. Raises OutputError."""
        self._keep(None, warnings)

    @property
    def is_between_parts(self) -> bool:
        """Whether no frame was written since the last SegmentBoundary."""
        return self._encoder is None

    def _keep(self, seam: SegmentBoundary | None, warnings: Sequence[str]) -> None:
        encoder = self._encoder
        assert encoder is not None, "a segment has at least one frame"
        with self._translate_errors():
            packets = encoder.drain()
        self._put(packets)
        times = self._times = encoder.times
        assert times is not None, "a segment has at least one frame"
        if self._written != encoder.frames:
            raise OutputError(
                f"{self._choice.name} made {self._written} packets from {encoder.frames} frames. Segments "
                "of such video cannot be joined; use another --codec."
            )
        part = Segment(
            encoder.frames,
            seam.pts if seam else None,
            seam.check if seam else None,
            seam is not None and seam.can_seek,
            times.first,
            times.last,
            times.until,
        )
        self._note(encoder.rounding, warnings)
        self._work.keep(part)
        self.close()
        self._encoder, self._written, self._lengths = None, 0, {}

    def _note(self, rounding: Fraction, warnings: Sequence[str]) -> None:
        """Store warnings about the segment's frames: a resumed run does not read these frames."""
        facts = self._work.facts()
        if rounding > _rounding(facts):
            self._work.note(ROUNDING, str(rounding))
        said = [*json.loads(facts.get(WARNINGS, "[]")), *warnings]
        self._work.note(WARNINGS, json.dumps(list(dict.fromkeys(said))))

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate the encoder's errors to OutputError."""
        try:
            yield
        except av.FFmpegError as error:
            reason = str(error.strerror or error).rstrip(".").lower()
            raise OutputError(f"The encoder {self._choice.name} failed: {reason}.") from error

    def _put(self, packets: Iterable[Packet[VideoStream]]) -> None:
        for packet in packets:
            self._work.write(self._plain(packet))
            self._written += 1

    def _plain(self, packet: Packet[VideoStream]) -> CodedFrame:
        assert packet.pts is not None, "an encoder sets the time of its packets"
        length = self._lengths.pop(packet.pts, packet.duration or 0)
        dts = packet.dts if packet.dts is not None else packet.pts
        return CodedFrame(packet.pts, dts, length, packet.is_keyframe, bytes(packet))


def join(
    work: FinishedSegments,
    source: VideoReader,
    sink: VideoWriter,
    tell: Callable[[int], object] = lambda _: None,
) -> None:
    """Write all segments and the other streams of `source` to `sink`. Raises OutputError.

    `tell` is called after each frame with the number of frames so far.
    """
    base = sink.time_base
    beside = source.other_packets()
    waiting = next(beside, None)
    for coded in in_decoding_order(work.count, work.times, work.packets):
        while waiting is not None and (waiting.time is None or waiting.time <= coded.dts * base):
            sink.write(waiting)
            waiting = next(beside, None)
        sink.write_coded(coded)
        tell(sink.frames)
    while waiting is not None:
        sink.write(waiting)
        waiting = next(beside, None)
    sink.adopt_rounding(_rounding(work.facts()))


def _rounding(facts: Mapping[str, str]) -> Fraction:
    return Fraction(facts.get(ROUNDING, "0"))


def in_decoding_order(
    count: int,
    times: Callable[[int], Sequence[int]],
    packets: Callable[[int], Iterable[CodedFrame]],
) -> Iterator[CodedFrame]:
    """Yield the packets of `count` segments with decoding times that increase across segments.

    Each segment begins as early as its reordering requires, as if nothing came before it. In the whole,
    decoding times must increase, and none may be later than its frame's presentation time or leave no room
    for those after it.

    Args:
        count: Number of segments.
        times: Returns the presentation times of a segment.
        packets: Returns the packets of a segment, read one by one.
    """
    last: int | None = None
    part = times(0) if count else ()
    for number in range(count):
        following = times(number + 1) if number + 1 < count else ()
        latest = _latest(part, _latest(following, None)[0] if following else None)
        for coded, limit in zip(packets(number), latest, strict=True):
            dts = min(coded.dts, limit)
            last = dts if last is None else max(dts, last + 1)
            yield replace(coded, dts=last)
        part = following


def _latest(times: Sequence[int], after: int | None) -> list[int]:
    """Return the latest valid decoding time of each packet; `after` is the first of the next segment."""
    found: list[int] = []
    for pts in reversed(times):
        after = pts if after is None else min(pts, after - 1)
        found.append(after)
    return found[::-1]
