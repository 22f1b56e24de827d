"""Reading frames and audio from a live source, on one continuous clock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Final

import av
from av.stream import Stream
from av.video.frame import VideoFrame

from engines.frame import Frame
from streamtoon.errors import InputConnectionLostError, InputError
from streamtoon.media.network.connection import Connection, audio_format, connect, detached_stream, open_file
from streamtoon.media.network.hls_discontinuities import DiscontinuityWatch
from streamtoon.media.network.https_proxy import HttpsProxy
from streamtoon.media.network.reader import Arrived, Lost, Reader
from streamtoon.media.network.urls import SOURCE_TIMEOUT_S, is_address, shown, source_address
from streamtoon.media.packets import Passthrough
from streamtoon.media.reader.frame_converter import FrameConverter
from streamtoon.media.reader.opening import OpenedVideo
from streamtoon.media.reader.probe import MediaInfo, describe, plausible_rate
from streamtoon.media.reader.timestamps import Clock, Timeline
from streamtoon.media.reader.video_reader import OnError
from streamtoon.media.writer.containers import codec_name

REPEAT_INTERVAL_S: Final = 0.5
"""Seconds between two repeats of the last frame while the source is away: servers drop idle connections."""
MAX_SILENCE_S: Final = 2.0
"""Seconds without a frame from a connected source after which the last frame is repeated too."""
FIRST_FRAME_TIMEOUT_S: Final = 30.0
"""Timeout for the first frame. Key frames may be ten seconds apart, rarely more."""
_POLL_INTERVAL_S = 0.2
"""Seconds between two checks for Ctrl-C."""
_MIN_STEP_S = Fraction(1, 1000)
"""Minimum seconds between two timestamps: the resolution of most containers."""
_MAX_LATENESS_S = 0.05
"""Seconds by which a packet may be late before the clock waits for it."""


class NetworkSource:
    """A live source: a network address, or a file played at its own speed. A context manager.

    A lost connection is reopened.

    Args:
        place: The address or path.
        latency: Seconds of the source to buffer, for networks that deliver in bursts.
        loop: Whether a file starts again at its end.
        retry: Whether to wait for the first connection.
        give_up: Maximum seconds for `retry` and for a reconnection; None for no limit.
        insecure: Whether to accept any certificate.
        tell: Called with messages for the user.

    Raises:
        InputError: There is no frame.
        ConnectionLostError: The server does not answer or cut the connection.
    """

    def __init__(
        self,
        place: str,
        *,
        latency: float,
        loop: bool = False,
        retry: bool = False,
        give_up: float | None = None,
        insecure: bool = False,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.warnings: list[str] = []
        """Warnings for the user."""
        self.reconnects = 0
        """Number of reconnections."""
        self.covers: dict[int, bytes] = {}
        self.on_error: OnError = "repair"
        self.keeps_times = False
        """For routes: timestamps differ from the file's."""
        self._latency, self._give_up, self._tell = latency, give_up, tell
        self._stopped = threading.Event()
        self._arrivals: deque[tuple[int, float]] = deque()
        self._base: float | None = None  # time.monotonic at 0 of our clock
        self._end = Fraction(0)  # of all output, on our clock
        self._last: Frame | None = None
        self._sound_end: Fraction | None = None
        self._sound: Stream | None = None
        self._pictured = monotonic()  # when the latest frame was output
        self._is_over = False
        self._gate: HttpsProxy | None = None
        if is_address(place):
            address, way = source_address(place, insecure=insecure)
            self._is_paced, loop = way.is_paced, False
            if address.is_checked and address.scheme == "https":
                self._gate = HttpsProxy(SOURCE_TIMEOUT_S)
            open_it = partial(connect, address, way, latency, self._gate)
        else:
            self._is_paced, open_it = True, partial(open_file, place)
        self._is_file, self._place = not is_address(place), shown(place)
        self._reader = Reader(open_it, waits=self._is_paced, ahead=latency, repeats=loop)
        self._connection: Connection | None = None
        try:
            self._begin(retry)
        except BaseException:
            self.close()
            raise

    # --- properties --------------------------------------------------------------------------------

    @property
    def opened(self) -> OpenedVideo:
        """The present connection, or the last one."""
        assert self._connection is not None, "a NetworkSource begins with a connection"
        return self._connection.opened

    @property
    def sound(self) -> Stream | None:
        """The audio stream, if any."""
        return self._sound

    @property
    def skipped(self) -> int:
        """Number of video packets that were dropped because decoding was too slow."""
        return self._reader.skipped

    def waited(self, pts: int) -> float | None:
        """Return the seconds since the frame with this time arrived. Call it once per frame, in order."""
        found = None
        while self._arrivals and self._arrivals[0][0] <= pts:
            found = self._arrivals.popleft()
        return None if found is None or found[0] != pts else monotonic() - found[1]

    # --- output ------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Frame | Passthrough]:
        """Iterate over frames and audio packets when they are due, until the source ends or `stop` is called.

        Timestamps increase over every reconnection, with a gap as long as the source was away. Meanwhile, the
        last frame is repeated.
        """
        assert self._connection is not None, "a NetworkSource begins with a connection"
        connection: Connection | None = self._connection
        if not self._is_paced and self._reader.keep_newest():
            self._first.clear()
        while connection is not None:
            yield from self._play(connection)
            connection = yield from self._wait()

    def stop(self) -> None:
        """Stop after the frames at hand. Thread-safe."""
        self._stopped.set()
        self._reader.stop()

    def close(self) -> None:
        """Close the connection."""
        self.stop()
        if self._gate is not None:
            self._gate.close()
        if self._reader.close() and self._connection is not None:
            self._connection.opened.close()

    def __enter__(self) -> NetworkSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- internals ---------------------------------------------------------------------------------

    def _begin(self, retry: bool) -> None:
        """Wait for the first connection and its first frame."""
        since, failure, told = monotonic(), None, ""
        while True:
            event = self._reader.get(_POLL_INTERVAL_S)
            if isinstance(event, Connection):
                self._connection = event
                if self._find_first(event):
                    return
                failure = InputError(f"{event.opened.name} sent no frame that can be decoded.")
                if not retry or self._is_over:
                    raise failure
                self._reader.drop(event)
            elif isinstance(event, Lost):
                if event.error is None:
                    self._part(event)
                elif not retry:
                    raise event.error
                failure = event.error or failure
            if failure is not None and told != str(failure):
                told = str(failure)
                self._tell(f"{told} Waiting for it.")
            if retry and self._give_up is not None and monotonic() - since > self._give_up:
                failure = failure or InputConnectionLostError(f"{self._place} does not answer.")
                raise type(failure)(f"{failure} Gave up after {self._give_up:g} seconds.")

    def _find_first(self, connection: Connection) -> bool:
        """Decode the first frame, so that `info` is certain. The packets read for it are kept."""
        opened = connection.opened
        self._first: deque[Arrived | Lost] = deque()
        until = monotonic() + FIRST_FRAME_TIMEOUT_S
        while monotonic() < until:
            event = self._reader.get(_POLL_INTERVAL_S)
            frames: Iterable[VideoFrame] = ()
            if isinstance(event, Lost):
                frames = connection.decoder.flush()  # the stream may have only one frame
            elif isinstance(event, Arrived):
                self._first.append(event)
                if event.packet.stream_index == opened.stream.index:
                    frames = connection.decoder.decode(event.packet)
            for frame in frames:
                if isinstance(event, Lost):
                    self._first.append(event)
                self._take_facts(connection, frame)
                return True
            if isinstance(event, Lost):
                self._is_over = event.is_end
                self._part(event)
                return False
        return False  # and the Reader still has the connection

    def _take_facts(self, connection: Connection, frame: VideoFrame) -> None:
        """Take the facts from the first frame. It will be decoded again."""
        self.info: MediaInfo = describe(connection.opened, frame)
        self._converter = FrameConverter(self.info, self.warnings)
        self._sound, self._sound_kind = None, audio_format(connection.sound)
        if connection.sound is not None:
            try:
                self._sound = detached_stream(connection.sound)
            except (ValueError, av.FFmpegError):
                codec = codec_name(connection.sound)
                self._warn(f"The audio ({codec}) cannot be copied by this FFmpeg: it is left out.")
        connection.opened.stream.codec_context.flush_buffers()
        connection.decoder.reset_damage()

    def _part(self, event: Lost) -> None:
        """Close a connection that the Reader no longer uses."""
        if event.connection is not None:
            event.connection.opened.close()
            self._connection = None

    def _play(self, connection: Connection) -> Iterator[Frame | Passthrough]:
        """Read one connection until it is lost."""
        opened, decoder = connection.opened, connection.decoder
        unit = opened.stream.time_base or Fraction(1, 90000)
        clock, timeline = Clock(unit, plausible_rate(opened.stream)), None
        hears, self._pictured = self._hears(connection), monotonic()
        while not self._stopped.is_set():
            event = self._first.popleft() if self._first else self._reader.get(_POLL_INTERVAL_S)
            yield from self._fill()
            if event is None:
                continue
            if isinstance(event, Lost):
                self._is_over = event.is_end
                break
            assert isinstance(event, Arrived), "a connection comes after the loss of the one before"
            packet = event.packet
            is_picture = packet.stream_index == opened.stream.index
            if timeline is None:
                if not (is_picture or self._is_paced):
                    continue  # audio before the first key frame of a stream joined in progress
                timeline = Timeline(opened.container.format.flags, self._offset(event))
                cuts = DiscontinuityWatch(timeline, connection.has_discontinuity)
            cuts.look(packet)
            timeline.place(packet, dense=True)
            stamp = packet.dts if packet.dts is not None else packet.pts
            time = None if stamp is None else stamp * packet.time_base
            at = event.at if not self._is_paced or time is None else self._pace(time, is_picture)
            if not is_picture:
                if hears and self._is_later(time):
                    yield Passthrough(packet, packet.stream_index)
                continue
            frames = decoder.decode(packet)
            for frame in frames:
                self._reader.succeeded()
                yield from self._pictures(frame, clock.stamp(frame) * unit, at)
        for frame in () if self._stopped.is_set() else decoder.flush():
            time = clock.stamp(frame) * unit
            at = self._pace(time, True) if self._is_paced and self._base is not None else monotonic()
            yield from self._pictures(frame, time, at)
        if timeline is not None and timeline.end is not None:
            self._end = max(self._end, timeline.end)
        if not self._stopped.is_set():
            opened.close()

    def _pictures(self, frame: VideoFrame, time: Fraction, at: float) -> Iterator[Frame]:
        pts = round(time / self.info.time_base)
        if self._last is not None and (pts - self._last.pts) * self.info.time_base < _MIN_STEP_S:
            return
        self._arrivals.append((pts, at))
        self._pictured = monotonic()
        for picture in self._converter.convert(frame, pts, 0):
            self._last = picture
            self._end = max(self._end, time + 1 / self.info.rate)
            yield picture

    def _offset(self, first: Arrived) -> Fraction:
        """Return what to add to the times of a connection that begins with this packet."""
        packet = first.packet
        stamp = packet.dts if packet.dts is not None else packet.pts
        begin = Fraction(0) if stamp is None else stamp * packet.time_base
        start = self.opened.container.start_time
        if start is not None and abs(begin - Fraction(start, 1_000_000)) < 1:
            begin = Fraction(start, 1_000_000)  # in presentation time, and over both streams
        now = monotonic()
        if self._base is None:
            self._base, self._held = now, 0.0
        passed = Fraction(0) if self._is_file else Fraction(now - self._base).limit_denominator(1_000_000)
        return max(self._end, passed if self._end else Fraction(0)) - begin

    def _pace(self, time: Fraction, is_picture: bool) -> float:
        """Wait until a packet is due. Return the time."""
        assert self._base is not None, "the clock begins with the first packet"
        due = self._base + float(time)
        late = monotonic() - due
        if late < 0:
            self._stopped.wait(-late)
        elif late > _MAX_LATENESS_S and is_picture:
            # The clock waits for late frames as long as the buffer allows.
            wait = max(0.0, min(late, self._latency - self._held))
            self._base, self._held = self._base + wait, self._held + wait
        return max(due, monotonic())

    def _is_later(self, time: Fraction | None) -> bool:
        """Return whether audio of this time continues the last connection's."""
        if time is None or (self._sound_end is not None and time - self._sound_end < _MIN_STEP_S):
            return False
        self._sound_end = time
        return True

    def _hears(self, connection: Connection) -> bool:
        """Return whether the connection's audio has the format of the output. Warn once if not."""
        if self._sound is None or connection.sound is None:
            return False
        alike = self._sound_kind == audio_format(connection.sound)
        if not alike:
            self._warn("The audio format changed at a reconnection: audio is left out from there on.")
        return alike

    def _wait(self) -> Generator[Frame, None, Connection | None]:
        """Return the next connection; None at the end. Meanwhile, yield the last frame repeatedly."""
        since, told = monotonic(), ""
        if not (self._is_over or self._is_file or self._stopped.is_set()):
            self._tell(f"The connection to {self.opened.name} was lost. Reconnecting.")
        while not (self._is_over or self._stopped.is_set()):
            event = self._reader.get(REPEAT_INTERVAL_S)
            if isinstance(event, Connection):
                self._connection = event
                if not self._is_file:
                    self.reconnects += 1
                    self._tell(f"Reconnected to {event.opened.name}.")
                return event
            if isinstance(event, Lost):
                self._is_over = event.is_end
                if event.error is not None and told != str(event.error):
                    told = str(event.error)
                    self._tell(told)
            elif not self._is_file:
                yield from self._again()
            if self._give_up is not None and monotonic() - since > self._give_up:
                self._warn(f"{self.opened.name} was away for {self._give_up:g} seconds. Gave up.")
                return None
        return None

    def _fill(self) -> Iterator[Frame]:
        """Repeat the last frame if an open connection has sent none for a while."""
        if not self._is_paced and self._base is not None and monotonic() - self._pictured > MAX_SILENCE_S:
            self._pictured += REPEAT_INTERVAL_S
            yield from self._again()

    def _again(self) -> Iterator[Frame]:
        """Yield the last frame with the present time."""
        assert self._base is not None, "the clock begins with the first packet"
        now = monotonic()
        time = Fraction(now - self._base).limit_denominator(1_000_000)
        pts = round(time / self.info.time_base)
        if self._last is not None and pts > self._last.pts:
            self._arrivals.append((pts, now))
            self._last, self._end = replace(self._last, pts=pts), max(self._end, time)
            yield self._last

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
