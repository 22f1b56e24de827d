"""Reading a video as a stream of frames, with the packets of its other streams in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal

from av.stream import Stream
from av.video.frame import VideoFrame

from engines.frame import Frame
from streamtoon.errors import CorruptInputError, InputError
from streamtoon.media.packets import Passthrough
from streamtoon.media.reader.corruption import ends_early, sentences
from streamtoon.media.reader.decoder import VideoDecoder
from streamtoon.media.reader.edit_lists import EditLists
from streamtoon.media.reader.frame_converter import FrameConverter
from streamtoon.media.reader.frame_rate import SteadyRate, Timed
from streamtoon.media.reader.frame_size import FrameSize
from streamtoon.media.reader.nvdec import DecoderName, delivers_whole_frame, unsupported_warning
from streamtoon.media.reader.opening import OpenedVideo, is_cover_art, is_still
from streamtoon.media.reader.probe import MediaInfo, describe, plausible_rate
from streamtoon.media.reader.seek import audio_start, open_at, origin_of, seek
from streamtoon.media.reader.timestamps import Clock, Cut, Timeline, offset_of

if TYPE_CHECKING:
    from av.container.core import Chapter

OnError = Literal["repair", "stop"]
_LATE_AUDIO_S = Fraction(10)
"""Seconds after the end of a cut that are searched for audio stored late in the file."""


class VideoReader:
    """Reads one video once, front to back. A context manager.

    `path` is a file, '-' for standard input, or a binary file object. The options are those of
    `ReaderOptions`. Opening decodes the first frame, so that `info` is certain. Damage is skipped, counted
    and reported in `warnings`, unless `on_error` is "stop".

    Raises InputError if the file has no frame that can be decoded, and EngineError if `decoder` is
    "nvdec" and there is no GPU.
    """

    def __init__(
        self,
        path: str | Path | BinaryIO,
        *,
        start: float | None = None,
        end: float | None = None,
        on_error: OnError = "repair",
        decoder: DecoderName = "cpu",
        size: FrameSize | None = None,
        fps: Fraction | None = None,
    ) -> None:
        if decoder == "nvdec" and on_error == "stop":
            raise ValueError("NVDEC does not report all damage: on_error 'stop' needs decoder 'cpu'")
        self.warnings: list[str] = []
        """Warnings for the user; complete after the last item."""
        self.frames_read = 0
        """Number of frames read so far."""
        self.on_error: OnError = on_error
        """What to do about damage."""
        self.shift = Fraction(0)
        """Seconds that a cut subtracts from every timestamp."""
        self.opened: OpenedVideo
        """The container and its main stream, for the VideoWriter that copies the other streams."""
        self.covers: dict[int, bytes]
        """Cover art by stream index."""
        self.first_pts: int
        """Timestamp of the first frame, in `info.time_base`."""
        self._size, self._fps, self._counts_all = size, fps, True
        self._again = partial(VideoReader, path, start=start, end=end, on_error=on_error)
        first = self._open(path, start, end, decoder)
        if decoder == "nvdec" and not delivers_whole_frame(self.opened.stream, first):
            if self.opened.stream.codec_context.is_hwaccel:
                self.close()
                self._open(path, start, end, "cpu")
            self.warnings.append(unsupported_warning(self.info.video_codec, self.info.pixel_format))

    def _open(
        self, path: str | Path | BinaryIO, start: float | None, end: float | None, decoder: DecoderName
    ) -> VideoFrame:
        """Open the file and return the first frame within the cut."""
        self.opened, self.covers = open_at(path, start, decoder)
        try:
            return self._prepare(start, end)
        except BaseException:
            self.close()
            raise

    def _prepare(self, start: float | None, end: float | None) -> VideoFrame:
        container, stream = self.opened.container, self.opened.stream
        time_base = stream.time_base or Fraction(1, 90000)
        begins = origin_of(self.opened)
        self._offset = Fraction(0)
        if start is None:
            self._offset = offset_of(begins, (stream.start_time or 0) * time_base)
        self.origin = begins + min(Fraction(0), self._offset)
        """The time that a user calls 0, in seconds of the timestamps before a cut shifts them."""
        try:
            self.cut = Cut.of(start, end, self.origin)
        except ValueError as error:
            raise InputError(f"{self.opened.name}: {error}.") from error
        # Damage before the cut does not matter.
        strict = self.on_error == "stop" and self.cut.start is None
        self.copied: list[Stream] = [
            s
            for s in container.streams
            if s is not stream and s.type in ("audio", "video", "subtitle", "data") and not is_still(s)
        ]
        """Streams whose packets are passed on."""
        self._decoding = True
        self._begin_reading(strict=strict)
        first = self._find_first() if self.opened.pipe is None else self._wait_for_first()
        self.original: MediaInfo = describe(self.opened, first[0])
        """The facts of the file. `info` has those of the output of this reader."""
        if self.cut.start is not None:
            self.shift = first[1] * time_base
            self._decoder.reset_damage()  # damage before the cut, wherever the search stopped
            self._decoder.strict = self.on_error == "stop"
        zero = self.shift or begins  # the start in the file's own time
        late = ((s.index, audio_start(s) - zero) for s in self.opened.container.streams.audio)
        begin = Fraction(0) if self.cut.start is not None else max(Fraction(0), self.origin)
        sounds = tuple((index, seconds) for index, seconds in late if seconds > 0)
        self.info: MediaInfo = replace(
            self.original, start=begin, late=sounds, is_cut=self.cut.start is not None
        )
        self.first_pts = first[1] - round(self.shift / time_base)
        if self._size is not None:
            self.info = self._size.applied(self.info, self.warnings)
        self._steady = None
        if self._fps is not None:
            self._steady = SteadyRate(self._fps, time_base, first[1], self.first_pts * time_base)
            self.info, self.first_pts = self._steady.applied(self.info), self._steady.first_pts
        self._converter = FrameConverter(self.info, self.warnings)
        return first[0]

    def _begin_reading(self, *, strict: bool) -> None:
        """Reset all state that depends on earlier packets, at the container's present position."""
        stream = self.opened.stream
        self._decoder = VideoDecoder(stream, self.opened.name, strict=strict)
        self._timeline = Timeline(self.opened.container.format.flags, self._offset)
        self._trims = EditLists()
        self._clock = Clock(stream.time_base or Fraction(1, 90000), plausible_rate(stream))
        self._raw = self._cut_items()
        self._ahead: deque[Timed | Passthrough] = deque()
        self._items: Iterator[Frame | Passthrough] = self._finished_items()

    # --- output ------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Frame | Passthrough]:
        """Iterate over frames in order of time, and between them over the packets of all other streams."""
        return self._items

    def frames(self) -> Iterator[Frame]:
        """Iterate over the frames only."""
        return (item for item in self if isinstance(item, Frame))

    def other_packets(self) -> Iterator[Passthrough]:
        """Iterate over the other packets only. No further frame is decoded."""
        self._decoding = False
        return (item for item in self._shifted(self._all_items()) if isinstance(item, Passthrough))

    @property
    def can_seek(self) -> bool:
        """Whether seeking gives the same frames as reading on: nothing was repaired so far."""
        whole = not (self._decoder.damaged or self._decoder.read_errors)
        in_time = not (self._clock.estimated or self._timeline.resets)
        return whole and in_time and self._converter.is_alone and self.opened.path is not None

    @property
    def keeps_times(self) -> bool:
        """Whether all timestamps equal those in the file."""
        return not (self.shift or self._offset)

    def skip_to(self, count: int, pts: int, check: int | None) -> bool:
        """Seek so that the frame at `pts`, with `count` frames before it, is the next one.

        Return False if there is no frame at that time with this `check` (see Frame.check; None for any). The
        reader is then unusable.
        """
        wanted = pts * self.info.time_base + self.shift - self._offset
        if not seek(self.opened, wanted, is_exact=check is None):
            return False
        self._begin_reading(strict=False)
        for dropped, picture in enumerate(self.frames()):
            if picture.pts >= pts:
                if picture.pts != pts or check not in (None, picture.check()):
                    return False
                self._decoder.reset_damage()  # damage of frames that refer to frames before the key frame
                self._decoder.packets_seen += count - dropped
                self._counts_all = self._steady is None
                self._decoder.strict = self.on_error == "stop"
                self._put_back(picture, count)
                return True
        return False

    def skip(self, count: int, check: int | None, watch: Callable[[int], object]) -> bool:
        """Drop the next `count` frames. Return False if the frame after them has another `check` (None: any).

        `watch` is called before each frame with the number dropped so far. Its exceptions end the skipping.
        """
        pictures = self.frames()
        for dropped in range(count):
            watch(dropped)
            if next(pictures, None) is None:
                return False
        following = next(pictures, None)
        if following is None or check not in (None, following.check()):
            return False
        self._put_back(following, count)
        return True

    def _put_back(self, picture: Frame, count: int) -> None:
        self._items = chain([picture], self._items)
        self.frames_read = count + 1

    @property
    def expected_frames(self) -> int | None:
        """Estimated total number of frames; None if unknown."""
        total = self.info.frames
        if total is None and self.info.duration:
            total = max(1, round(self.info.duration * self.info.rate))
        if total is None or (self.cut.start is None and self.cut.end is None):
            return total
        origin, length = self.origin, Fraction(total) / self.info.rate
        start = (self.cut.start or origin) - origin
        end = min(length, (self.cut.end or origin + length) - origin)
        return max(1, round((end - start) * self.info.rate))

    def chapters(self) -> list[Chapter]:
        """Return the chapters, cut and shifted like everything else."""
        return self.cut.chapters(self.opened.container.chapters(), self._offset, self.shift)

    def again(self) -> VideoReader | None:
        """Return a new VideoReader of the whole file; None if it can be read only once."""
        return None if self.opened.path is None or self.opened.pipe is not None else self._again()

    def stop(self) -> None:
        """End a wait for data from a pipe. Thread-safe."""
        if self.opened.pipe is not None:
            self.opened.pipe.stop()

    def close(self) -> None:
        """Close the file."""
        self.opened.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        size = f"{self.info.width}x{self.info.height}"
        return f"VideoReader({self.opened.name!r}, {size}, {self.frames_read} read)"

    # --- internals ---------------------------------------------------------------------------------

    def _wait_for_first(self) -> Timed:
        """Find the first frame in another thread. In the main thread, PyAV swallows Ctrl-C during a read."""
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
            raise InputError(f"{self.opened.name} has no frame in the part to keep: {length}.")
        raise CorruptInputError(f"{self.opened.name} contains no frame that can be decoded.")

    def _read(self) -> Iterator[Timed | Passthrough]:
        """Yield decoded frames with their times, and packets, in file order.

        A frame is held until the next one gives its duration. Decoders report the distance between packets in
        decoding order, which is wrong for reordered or unevenly spaced frames.
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
            end = None if end is None else end + round(self._offset / (stream.time_base or 1))
            yield (*waiting, self._clock.last_duration(end))

    def _decode(self) -> Iterator[VideoFrame | Passthrough]:
        stream = self.opened.stream
        dense = {
            s.index for s in (stream, *self.copied) if s.type in ("audio", "video") and not is_cover_art(s)
        }
        for packet in self._decoder.packets(self.opened.container, (stream, *self.copied)):
            if packet.stream_index != stream.index and self._trims.is_removed(packet):
                continue
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
        """Yield the items within the cut, with the file's times."""
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
                late = self.cut.end is not None and time > self.cut.end + _LATE_AUDIO_S
                if not open_streams or (late and self.opened.stream.index not in open_streams):
                    return
            elif not self.cut.before(time or Fraction(0)) or (
                isinstance(item, Passthrough) and item.reaches(self.cut.start)
            ):
                yield item

    def _finished_items(self) -> Iterator[Frame | Passthrough]:
        for item in self._shifted(self._all_items()):
            self.frames_read += isinstance(item, Frame)
            yield item
        self._warn_about_damage()

    def _all_items(self) -> Iterator[Frame | Passthrough]:
        if self._steady is None:
            return self._converted(self._unread(), round(self.shift / self.info.time_base))
        return self._steady.split(self._converted(self._steady.choose(self._unread()), 0))

    def _unread(self) -> Iterator[Timed | Passthrough]:
        while self._ahead:
            yield self._ahead.popleft()
        yield from self._raw

    def _converted(self, items: Iterator[Timed | Passthrough], shift: int) -> Iterator[Frame | Passthrough]:
        for item in items:
            yield from self._finish(item, shift)
        yield from self._converter.flush()

    def _finish(self, item: Timed | Passthrough, shift: int) -> Iterator[Frame | Passthrough]:
        if isinstance(item, Passthrough):
            yield item
        else:
            frame, pts, duration = item
            yield from self._converter.convert(frame, pts - shift, duration)

    def _shifted(self, items: Iterator[Frame | Passthrough]) -> Iterator[Frame | Passthrough]:
        for item in items:
            if isinstance(item, Frame) or self.cut.start is None or item.move_back(self.shift):
                yield item

    def _warn_about_damage(self) -> None:
        early = None
        if self.cut.start is None and self.cut.end is None:
            container, held = self.opened.container, self._decoder.packets_seen
            end = self._timeline.end
            declared = self.original if self._counts_all else replace(self.original, frames=None)
            early = ends_early(declared, container, held, None if end is None else end - self._offset)
        if early and self.on_error == "stop":
            raise CorruptInputError(
                f"{self.opened.name} ends early: {early}. Use --on-error repair to keep what there is."
            )
        self.warnings += sentences(self._decoder, self._timeline, self._clock, early)
