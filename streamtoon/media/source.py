"""A video as a stream of Pictures, with the packets of its other streams between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from engines.picture import Picture
from streamtoon.errors import InputError
from streamtoon.media.convert import Converter
from streamtoon.media.damage import ends_early, sentences
from streamtoon.media.decode import VideoDecoder
from streamtoon.media.nvdec import DecoderName, gives_all, not_decoded
from streamtoon.media.opening import OpenedVideo, is_cover_art
from streamtoon.media.packets import Passthrough
from streamtoon.media.probe import MediaInfo, believable_rate, describe
from streamtoon.media.seeking import open_at, origin_of, seek
from streamtoon.media.timestamps import Clock, Cut, Timeline

if TYPE_CHECKING:
    from av.container.core import Chapter

OnError = Literal["repair", "stop"]
Timed = tuple[VideoFrame, int, int]
"""A frame, its timestamp and its duration in the stream's time base."""
_SLACK = Fraction(10)
"""Seconds past the end of a cut that are searched for sound that lies late in the file."""


class Source:
    """Reads one video once, front to back. A context manager.

    `path` is a file, a URL, '-' for standard input, or a binary file object. `start` and `end` cut:
    pictures from `start` up to, not including, `end` seconds of the video's own time, the first one at
    timestamp 0 and everything else in its old relation to it.

    Opening decodes the first picture, so that `info` is fact. Raises InputError when there is none.
    Damage on the way is survived, counted and told in `warnings`; with `on_error` "stop" the first of it
    raises InputError. `decoder` "nvdec" has the GPU decode a file, where it can (EngineError where there is
    none); how pictures are damaged, it does not always say.
    """

    def __init__(
        self,
        path: str | Path | BinaryIO,
        *,
        start: float | None = None,
        end: float | None = None,
        on_error: OnError = "repair",
        decoder: DecoderName = "cpu",
    ) -> None:
        if decoder == "nvdec" and on_error == "stop":
            raise ValueError("NVDEC does not tell of every damage: on_error stop takes decoder cpu")
        self.warnings: list[str] = []
        """Sentences for the user; complete when the last item has been given."""
        self.frames = 0
        """Pictures given so far."""
        self.on_error: OnError = on_error
        """What becomes of damage on the way."""
        self.shift = Fraction(0)
        """Seconds that a cut takes off every timestamp."""
        self.opened: OpenedVideo
        """The container and its main stream, for the Sink that copies the rest."""
        self.covers: dict[int, bytes]
        """Cover art by stream index."""
        first = self._open(path, start, end, decoder)
        if decoder == "nvdec" and not gives_all(self.opened.stream, first):
            if self.opened.stream.codec_context.is_hwaccel:
                self.close()
                self._open(path, start, end, "cpu")
            self.warnings.append(not_decoded(self.info.video_codec, self.info.pixel_format))

    def _open(
        self, path: str | Path | BinaryIO, start: float | None, end: float | None, decoder: DecoderName
    ) -> VideoFrame:
        """Gives the first picture within the cut."""
        self.opened, self.covers = open_at(path, start, decoder)
        try:
            return self._prepare(start, end)
        except BaseException:
            self.close()
            raise

    def _prepare(self, start: float | None, end: float | None) -> VideoFrame:
        container, stream = self.opened.container, self.opened.stream
        time_base = stream.time_base or Fraction(1, 90000)
        try:
            self.cut = Cut.of(start, end, origin_of(self.opened))
        except ValueError as error:
            raise InputError(f"{self.opened.name}: {error}.") from error
        # What lies before a cut may be damaged for all that is wanted of it.
        strict = self.on_error == "stop" and self.cut.start is None
        early = -(stream.start_time or 0) * time_base if self.cut.start is None else Fraction(0)
        self._early = max(Fraction(0), early)
        self.copied: list[Stream] = [
            s
            for s in container.streams
            if s is not stream and s.type in ("audio", "video", "subtitle", "data")
        ]
        """Streams whose packets are passed on."""
        self._decoding = True
        self._begin_reading(strict=strict)
        first = self._find_first() if self.opened.pipe is None else self._wait_for_first()
        self.info: MediaInfo = describe(self.opened, first[0])
        if self.cut.start is not None:
            self.shift = first[1] * time_base
            self._decoder.forget_damage()  # what came before the cut, from wherever the search ended
            self._decoder.strict = self.on_error == "stop"
        self._converter = Converter(self.info, self.warnings)
        return first[0]

    def _begin_reading(self, *, strict: bool) -> None:
        """Everything that remembers what came before begins anew, where the container now stands."""
        stream = self.opened.stream
        self._decoder = VideoDecoder(stream, self.opened.name, strict=strict)
        self._timeline = Timeline(self.opened.container.format.flags, self._early)
        self._clock = Clock(stream.time_base or Fraction(1, 90000), believable_rate(stream))
        self._raw = self._cut_items()
        self._ahead: deque[Timed | Passthrough] = deque()
        self._items: Iterator[Picture | Passthrough] = self._finished_items()

    # --- what it gives ---------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Picture | Passthrough]:
        """Pictures in order of time, and between them, in file order, the packets of all other streams."""
        return self._items

    def pictures(self) -> Iterator[Picture]:
        """Only the pictures."""
        return (item for item in self if isinstance(item, Picture))

    def beside(self) -> Iterator[Passthrough]:
        """Only the packets between them; no picture is decoded any more."""
        self._decoding = False
        return (item for item in self._shifted(self._all_items()) if isinstance(item, Passthrough))

    @property
    def can_seek(self) -> bool:
        """Whether all so far was as a file says it: then any key frame gives the same pictures by itself."""
        whole = not (self._decoder.damaged or self._decoder.read_errors)
        steady = not (self._clock.mended or self._timeline.leaps)
        return whole and steady and self._converter.is_plain and self.opened.path is not None

    @property
    def keeps_times(self) -> bool:
        """Whether all times are as in the file: no cut has moved them."""
        return not self.shift

    def skip_to(self, count: int, pts: int, check: int) -> bool:
        """Make the picture at `pts`, which has `count` before it, the next one, by seeking.

        False where there is no picture at that time that `check` (see Picture.check) is of; there is nothing
        to be had of this Source any more then.
        """
        wanted = pts * self.info.time_base + self.shift - self._early
        if not seek(self.opened, wanted):
            return False
        self._begin_reading(strict=False)
        for dropped, picture in enumerate(self.pictures()):
            if picture.pts >= pts:
                if picture.pts != pts or picture.check() != check:
                    return False
                self._decoder.forget_damage()  # of pictures that look back across the key frame
                self._decoder.packets_seen += count - dropped
                self._decoder.strict = self.on_error == "stop"
                self._put_back(picture, count)
                return True
        return False

    def skip(self, count: int, check: int, watch: Callable[[int], object]) -> bool:
        """Drop the next `count` pictures; False where `check` is not of the one after them.

        `watch` is called before each with the number of those dropped; what it raises ends this.
        """
        pictures = self.pictures()
        for dropped in range(count):
            watch(dropped)
            if next(pictures, None) is None:
                return False
        following = next(pictures, None)
        if following is None or following.check() != check:
            return False
        self._put_back(following, count)
        return True

    def _put_back(self, picture: Picture, count: int) -> None:
        self._items = chain([picture], self._items)
        self.frames = count + 1

    @property
    def expected_frames(self) -> int | None:
        """An estimate of the pictures to come in all; None where nothing is known."""
        total = self.info.frames
        if total is None and self.info.duration:
            total = max(1, round(self.info.duration * self.info.rate))
        if total is None or (self.cut.start is None and self.cut.end is None):
            return total
        origin = origin_of(self.opened)
        length = Fraction(total) / self.info.rate
        start = (self.cut.start or origin) - origin
        end = min(length, (self.cut.end or origin + length) - origin)
        return max(1, round((end - start) * self.info.rate))

    def chapters(self) -> list[Chapter]:
        """The chapters, cut and moved like everything else."""
        kept = []
        for chapter in self.opened.container.chapters():
            unit = chapter["time_base"]
            if not unit or self.cut.after(chapter["start"] * unit) or self.cut.before(chapter["end"] * unit):
                continue
            begin = max(
                Fraction(0) if self.shift else chapter["start"] * unit, chapter["start"] * unit - self.shift
            )
            until = chapter["end"] if self.cut.end is None else min(chapter["end"], int(self.cut.end / unit))
            kept.append({**chapter, "start": int(begin / unit), "end": until - round(self.shift / unit)})
        return kept  # type: ignore[return-value]  # the same keys as the TypedDict they come from

    def stop(self) -> None:
        """End a wait for a pipe that stays silent. May be called from any thread."""
        if self.opened.pipe is not None:
            self.opened.pipe.stop()

    def close(self) -> None:
        """Close the file."""
        self.opened.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Source({self.opened.name!r}, {self.info.width}x{self.info.height}, {self.frames} given)"

    # --- how it gets there -----------------------------------------------------------------------

    def _wait_for_first(self) -> Timed:
        """In a thread of its own: in the main one PyAV swallows the KeyboardInterrupt that hits a read."""
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(self._find_first)
            try:
                return found.result()
            except BaseException:
                self.stop()
                raise

    def _find_first(self) -> Timed:
        for item in self._raw:
            self._ahead.append(item)
            if not isinstance(item, Passthrough):
                return item
        if self.cut.start:
            seconds = self.opened.container.duration
            length = f"it is {seconds / 1_000_000:.3f} s long" if seconds else "it is shorter"
            raise InputError(f"{self.opened.name} has no picture in the part to keep: {length}.")
        raise InputError(f"{self.opened.name} holds no picture that can be decoded.")

    def _read(self) -> Iterator[Timed | Passthrough]:
        """Decoded frames with their times, and packets, in file order.

        A frame waits for the next one, which tells how long it lasts: what decoders say of that is the
        distance of packets in decoding order, wrong wherever pictures are reordered or unevenly spaced.
        """
        waiting: tuple[VideoFrame, int] | None = None
        for item in self._decode():
            if isinstance(item, Passthrough):
                yield item
                continue
            pts = self._clock.stamp(item)
            if waiting is not None:
                yield (*waiting, pts - waiting[1])
            waiting = item, pts
        if waiting is not None:
            stream = self.opened.stream
            known = stream.duration is not None
            end = (stream.start_time or 0) + (stream.duration or 0) if known else None
            yield (*waiting, self._clock.last_duration(end))

    def _decode(self) -> Iterator[VideoFrame | Passthrough]:
        stream = self.opened.stream
        dense = {
            s.index for s in (stream, *self.copied) if s.type in ("audio", "video") and not is_cover_art(s)
        }
        for packet in self._decoder.packets(self.opened.container, (stream, *self.copied)):
            self._timeline.place(packet, dense=packet.stream_index in dense)
            if packet.stream_index == stream.index:
                if self._decoding:
                    yield from self._decoder.decode(packet)
            elif is_cover_art(packet.stream):
                self.covers.setdefault(packet.stream_index, bytes(packet))
            else:
                yield Passthrough(packet, packet.stream_index)
        if self._decoding:
            yield from self._decoder.flush()

    def _cut_items(self) -> Iterator[Timed | Passthrough]:
        """What lies within the cut, with the times it has in the file."""
        time_base = self.opened.stream.time_base or Fraction(1, 90000)
        video = self.opened.stream.index
        open_streams = {s.index for s in self.copied if s.type == "audio"} | {video}
        for item in self._read():
            if isinstance(item, Passthrough):
                time, index = item.time, item.stream_index
            else:
                time, index = item[1] * time_base, self.opened.stream.index
            if not self._decoding:
                open_streams.discard(video)
            if time is not None and self.cut.after(time):
                open_streams.discard(index)
                late = self.cut.end is not None and time > self.cut.end + _SLACK
                if not open_streams or (late and self.opened.stream.index not in open_streams):
                    return
            elif not self.cut.before(time or Fraction(0)) or _may_last(item):
                yield item

    def _finished_items(self) -> Iterator[Picture | Passthrough]:
        for item in self._shifted(self._all_items()):
            self.frames += isinstance(item, Picture)
            yield item
        self._tell_damage()

    def _all_items(self) -> Iterator[Picture | Passthrough]:
        shift = round(self.shift / self.info.time_base)
        while self._ahead:
            yield from self._finish(self._ahead.popleft(), shift)
        for item in self._raw:
            yield from self._finish(item, shift)
        yield from self._converter.flush()

    def _finish(self, item: Timed | Passthrough, shift: int) -> Iterator[Picture | Passthrough]:
        if isinstance(item, Passthrough):
            yield item
        else:
            frame, pts, duration = item
            yield from self._converter.convert(frame, pts - shift, duration)

    def _shifted(self, items: Iterator[Picture | Passthrough]) -> Iterator[Picture | Passthrough]:
        for item in items:
            if isinstance(item, Picture) or self.cut.start is None or _shift_packet(item.packet, self.shift):
                yield item

    def _tell_damage(self) -> None:
        early = None
        if self.cut.start is None and self.cut.end is None:
            container, held = self.opened.container, self._decoder.packets_seen
            early = ends_early(self.info, container, held, self._timeline.end)
        if early and self.on_error == "stop":
            raise InputError(f"{self.opened.name} ends early: {early}; --on-error repair keeps that.")
        self.warnings += sentences(self._decoder, self._timeline, self._clock, early)


def _may_last(item: Timed | Passthrough) -> bool:
    """True for what may begin before a cut and reach into it; the rest is not held until the cut is found."""
    return isinstance(item, Passthrough) and item.packet.stream.type == "subtitle"


def _shift_packet(packet: Packet[Any], shift: Fraction) -> bool:
    """Move a packet's times back by `shift` seconds; False when it belongs before the cut."""
    unit = packet.time_base
    offset = round(shift / unit)
    pts = packet.pts if packet.pts is not None else packet.dts
    if pts is None:
        return False
    if pts < offset:
        # A subtitle that is still on screen at the cut stays, for the rest of its time.
        rest = pts + (packet.duration or 0) - offset
        if packet.stream.type != "subtitle" or rest <= 0:
            return False
        packet.pts = packet.dts = offset
        packet.duration = rest
    if packet.pts is not None:
        packet.pts -= offset
    if packet.dts is not None:
        packet.dts -= offset
    return True
