"""A video's pictures coded in parts, kept in a Work, and joined at the end with all that came along."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from engines.picture import Picture
from streamtoon.errors import OutputError
from streamtoon.media.containers import ContainerKind
from streamtoon.media.encoders import EncoderChoice
from streamtoon.media.probe import MediaInfo
from streamtoon.media.sink import Sink
from streamtoon.media.source import Source
from streamtoon.media.video import Times, VideoEncoder
from streamtoon.media.work import CodedPicture, Part, Work

SHORTEST, LONGEST = 120, 240
"""Pictures of a part: what a crash can cost, and how often a key frame is paid for. It ends at the source's
first key frame between the two, from where reading can go on without what came before, or at the longest."""


@dataclass(frozen=True, slots=True)
class Seam:
    """Between two parts, on its way from the source to the writer: what the next one begins with."""

    pts: int
    """In the source's time base."""
    check: int
    """CRC-32 of its samples."""
    can_seek: bool
    """Whether it can be read without what comes before it."""


def in_parts(source: Source, stopping: Callable[[], bool]) -> Iterator[Picture | Seam]:
    """The pictures of a source, with a Seam wherever a new part begins.

    After `stopping` says so, it ends with the part that it is in. The rule looks at nothing but the pictures,
    so that a run that goes on later cuts where one that was never stopped would have.
    """
    length = 0
    for item in source.pictures():
        if length >= LONGEST or (length >= SHORTEST and item.is_key):
            yield Seam(item.pts, item.check(), source.can_seek)
            if stopping():
                return
            length = 0
        length += 1
        yield item


class PartWriter:
    """Codes pictures into a Work, each part by an encoder of its own. A context manager."""

    def __init__(
        self,
        work: Work,
        kind: ContainerKind,
        choice: EncoderChoice,
        info: MediaInfo,
        size: tuple[int, int],
    ) -> None:
        self._work, self._kind, self._choice, self._info = work, kind, choice, info
        self._size = size
        # Thrown away: the Sink that joins the parts has the same encoder, and says the same.
        self._warnings: list[str] = []
        self._times: Times | None = None
        if work.parts:
            latest = work.parts[-1]
            self._times = Times(latest.first, latest.last, latest.until)
        self._encoder: VideoEncoder | None = None
        self._scratch: OutputContainer | None = None
        self._lengths: dict[int, int] = {}
        """How long pictures last that the encoder still holds, by their times."""
        self._written = 0
        """Packets of the part at hand."""

    def close(self) -> None:
        """Forget a part that is not finished, and free the encoder at once: it holds its container, which
        holds it.
        """
        self._work.drop()
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, item: Picture | Seam) -> None:
        """Take one picture, or keep the part that is finished. Raises OutputError."""
        if isinstance(item, Seam):
            self._keep(item)
            return
        if self._encoder is None:
            # Nothing is ever muxed here: the container tells the encoder where its headers are to go.
            scratch = self._scratch = av.open(io.BytesIO(), "w", format=self._kind.format)
            self._encoder = VideoEncoder(
                scratch, self._kind, self._choice, self._info, self._size, self._warnings, self._times
            )
        with self._errors_told():
            packets = self._encoder.encode(item)
        times = self._encoder.times
        assert times is not None, "a picture has been encoded"
        self._lengths[times.last] = times.until - times.last
        self._put(packets)

    def finish(self) -> None:
        """Keep the last part: there is nothing after it. Raises OutputError."""
        self._keep(None)

    @property
    def is_between_parts(self) -> bool:
        """Whether nothing has come since the last Seam."""
        return self._encoder is None

    def _keep(self, seam: Seam | None) -> None:
        encoder = self._encoder
        assert encoder is not None, "a part has a picture at least"
        with self._errors_told():
            packets = encoder.drain()
        self._put(packets)
        times = self._times = encoder.times
        assert times is not None, "a part has a picture at least"
        if self._written != encoder.frames:
            raise OutputError(
                f"{self._choice.name} has made {self._written} packets of {encoder.frames} pictures, and "
                "parts of such video cannot be joined: take another --codec."
            )
        part = Part(
            encoder.frames,
            seam.pts if seam else None,
            seam.check if seam else None,
            seam is not None and seam.can_seek,
            times.first,
            times.last,
            times.until,
        )
        self._work.keep(part)
        self.close()
        self._encoder, self._written, self._lengths = None, 0, {}

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """The encoder's errors as OutputErrors."""
        try:
            yield
        except av.FFmpegError as error:
            reason = str(error.strerror or error).rstrip(".").lower()
            raise OutputError(f"The encoder {self._choice.name} fails: {reason}.") from error

    def _put(self, packets: Iterable[Packet[VideoStream]]) -> None:
        for packet in packets:
            self._work.write(self._plain(packet))
            self._written += 1

    def _plain(self, packet: Packet[VideoStream]) -> CodedPicture:
        assert packet.pts is not None, "an encoder times its packets"
        length = self._lengths.pop(packet.pts, packet.duration or 0)
        dts = packet.dts if packet.dts is not None else packet.pts
        return CodedPicture(packet.pts, dts, length, packet.is_keyframe, bytes(packet))


def join(work: Work, source: Source, sink: Sink) -> None:
    """Bring all parts, and everything in `source` but its pictures, into `sink`. Raises OutputError."""
    base = sink.time_base
    beside = source.beside()
    waiting = next(beside, None)
    for coded in in_one_order(len(work.parts), work.times, work.packets):
        while waiting is not None and (waiting.time is None or waiting.time <= coded.dts * base):
            sink.write(waiting)
            waiting = next(beside, None)
        sink.write_coded(coded)
    while waiting is not None:
        sink.write(waiting)
        waiting = next(beside, None)


def in_one_order(
    count: int,
    times: Callable[[int], Sequence[int]],
    packets: Callable[[int], Iterable[CodedPicture]],
) -> Iterator[CodedPicture]:
    """The packets of `count` parts, their decoding times moved where two parts meet.

    Each part begins as early as its reordering asks for, as if nothing came before it. Of the whole, decoding
    times have to grow, and none may be later than its picture's own time or leave no room for those after it.
    `times` gives the pictures' times of a part, `packets` all of it, which is read one by one.
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
    """The latest decoding time of each packet that leaves one for all after it; `after` is a next part's."""
    found: list[int] = []
    for pts in reversed(times):
        after = pts if after is None else min(pts, after - 1)
        found.append(after)
    return found[::-1]
