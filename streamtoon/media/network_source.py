"""Pictures and sound that come for as long as somebody sends them, on one clock that never leaps."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Final

import av
from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.frame import VideoFrame

from engines.picture import Picture
from streamtoon.errors import InputError
from streamtoon.media.containers import add_copy
from streamtoon.media.convert import Converter
from streamtoon.media.network import PATIENCE, is_address, shown, source_address
from streamtoon.media.network_gate import Gate
from streamtoon.media.network_reader import Arrived, Connection, Lost, Reader, connect, open_file
from streamtoon.media.opening import OpenedVideo
from streamtoon.media.packets import Passthrough
from streamtoon.media.probe import MediaInfo, believable_rate, describe
from streamtoon.media.source import OnError
from streamtoon.media.timestamps import Clock, Timeline

ALIVE: Final = 0.5
"""Seconds between two repeats of the last picture while the source is away: servers give up the silent."""
FIRST: Final = 30.0
"""Seconds within which a picture has to come: key frames may be ten seconds apart, few are more."""
_LOOK = 0.2
"""Seconds between two looks at whether somebody has pressed Ctrl-C."""
_STEP = Fraction(1, 1000)
"""Seconds by which times grow at least: what most containers count in."""
_LATE = 0.05
"""Seconds by which a packet may come late before the clock waits for it."""


class NetworkSource:
    """A source that goes on: a network address, or a file at the speed at which it plays. A context manager.

    `latency` is how many seconds of the source may be held back, to even out a network that delivers in
    bursts. With `loop` a file begins again at its end. With `retry` the first connection is waited for.
    `tell` is called with sentences on what happens meanwhile. A lost connection is made anew. Both take
    `give_up` seconds at most (None: for ever). With `insecure` a server may show any certificate.

    Raises InputError where there is no picture to be had.
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
        """Sentences for the user."""
        self.reconnects = 0
        """Times that a lost connection was made again."""
        self.covers: dict[int, bytes] = {}
        self.on_error: OnError = "repair"
        self.keeps_times = False
        """For routes: the times are not the file's own."""
        self._latency, self._give_up, self._tell = latency, give_up, tell
        self._stopped = threading.Event()
        self._arrivals: deque[tuple[int, float]] = deque()
        self._base: float | None = None  # time.monotonic at 0 of our own clock
        self._end = Fraction(0)  # of all that was given, on our own clock
        self._last: Picture | None = None
        self._sound_end: Fraction | None = None
        self._is_over = False
        self._gate: Gate | None = None
        if is_address(place):
            address, way = source_address(place, insecure=insecure)
            self._is_paced, loop = way.is_paced, False
            if address.is_checked and address.scheme == "https":
                self._gate = Gate(PATIENCE)
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

    # --- what it is ------------------------------------------------------------------------------

    @property
    def opened(self) -> OpenedVideo:
        """The connection at hand, or the last one."""
        assert self._connection is not None, "a NetworkSource begins with a connection"
        return self._connection.opened

    @property
    def sound(self) -> Stream | None:
        """What is heard with the pictures, if anything."""
        return self._sound

    @property
    def skipped(self) -> int:
        """Packets of pictures that came faster than they could be decoded."""
        return self._reader.skipped

    def waited(self, pts: int) -> float | None:
        """Seconds since the picture of that time arrived; to be asked once, in the pictures' order."""
        found = None
        while self._arrivals and self._arrivals[0][0] <= pts:
            found = self._arrivals.popleft()
        return None if found is None or found[0] != pts else monotonic() - found[1]

    # --- what it gives ---------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Picture | Passthrough]:
        """Pictures and packets of sound, each when it is due, until the source ends or `stop` is called.

        Their times rise over every reconnection, with a gap as long as the source was away; the last picture
        is repeated meanwhile.
        """
        assert self._connection is not None, "a NetworkSource begins with a connection"
        connection: Connection | None = self._connection
        if not self._is_paced and self._reader.keep_newest():
            self._first.clear()
        while connection is not None:
            yield from self._play(connection)
            connection = yield from self._wait()

    def stop(self) -> None:
        """End it: what is at hand is still given. May be called from any thread."""
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

    # --- how it gets there -----------------------------------------------------------------------

    def _begin(self, retry: bool) -> None:
        """Wait for the first connection and its first picture."""
        since, told = monotonic(), ""
        while True:
            event = self._reader.get(_LOOK)
            if isinstance(event, Connection):
                self._connection = event
                if self._find_first(event):
                    return
                said = f"{event.opened.name} gave no picture that can be decoded."
                if not retry or self._is_over:
                    raise InputError(said)
                if told != said:
                    told = said
                    self._tell(f"{said} Waiting for it.")
                self._reader.drop(event)
            elif isinstance(event, Lost):
                if event.error is None:
                    self._part(event)
                elif not retry:
                    raise event.error
                elif told != str(event.error):
                    told = str(event.error)
                    self._tell(f"{told} Waiting for it.")
            if retry and self._give_up is not None and monotonic() - since > self._give_up:
                told = told or f"{self._place} gives no answer."
                raise InputError(f"{told} It was waited for, {self._give_up:g} seconds.")

    def _find_first(self, connection: Connection) -> bool:
        """Decode the first picture, so that `info` is fact; what was read for it is kept."""
        opened = connection.opened
        self._first: deque[Arrived] = deque()
        until = monotonic() + FIRST
        while monotonic() < until:
            event = self._reader.get(_LOOK)
            if isinstance(event, Lost):
                self._is_over = event.is_end
                self._part(event)
                return False
            if not isinstance(event, Arrived):
                continue
            self._first.append(event)
            if event.packet.stream_index == opened.stream.index:
                for frame in connection.decoder.decode(event.packet):
                    self.info: MediaInfo = describe(opened, frame)
                    self._converter = Converter(self.info, self.warnings)
                    self._sound, self._sound_kind = _detached(connection.sound), _kind(connection.sound)
                    opened.stream.codec_context.flush_buffers()
                    connection.decoder.forget_damage()
                    return True
        return False  # and the Reader still has it

    def _part(self, event: Lost) -> None:
        """Close a connection, which the Reader no longer has."""
        if event.connection is not None:
            event.connection.opened.close()
            self._connection = None

    def _play(self, connection: Connection) -> Iterator[Picture | Passthrough]:
        """One connection, until it is lost."""
        opened, decoder = connection.opened, connection.decoder
        unit = opened.stream.time_base or Fraction(1, 90000)
        clock, timeline = Clock(unit, believable_rate(opened.stream)), None
        hears = self._hears(connection)
        while not self._stopped.is_set():
            event = self._first.popleft() if self._first else self._reader.get(_LOOK)
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
                    continue  # sound before the first key frame of what is joined on its way
                timeline = Timeline(opened.container.format.flags, self._offset(event))
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

    def _pictures(self, frame: VideoFrame, time: Fraction, at: float) -> Iterator[Picture]:
        pts = round(time / self.info.time_base)
        if self._last is not None and (pts - self._last.pts) * self.info.time_base < _STEP:
            return
        self._arrivals.append((pts, at))
        for picture in self._converter.convert(frame, pts, 0):
            self._last = picture
            self._end = max(self._end, time + 1 / self.info.rate)
            yield picture

    def _offset(self, first: Arrived) -> Fraction:
        """What has to be added to the times of a connection that begins with this packet."""
        packet = first.packet
        stamp = packet.dts if packet.dts is not None else packet.pts
        begin = Fraction(0) if stamp is None else stamp * packet.time_base
        start = self.opened.container.start_time
        if start is not None and abs(begin - Fraction(start, 1_000_000)) < 1:
            begin = Fraction(start, 1_000_000)  # of pictures that are seen, not decoded, and of both streams
        now = monotonic()
        if self._base is None:
            self._base, self._held = now, 0.0
        passed = Fraction(0) if self._is_file else Fraction(now - self._base).limit_denominator(1_000_000)
        return max(self._end, passed if self._end else Fraction(0)) - begin

    def _pace(self, time: Fraction, is_picture: bool) -> float:
        """Wait until a packet is due; gives the moment."""
        assert self._base is not None, "the clock begins with the first packet"
        due = self._base + float(time)
        late = monotonic() - due
        if late < 0:
            self._stopped.wait(-late)
        elif late > _LATE and is_picture:
            # The clock waits for what is late, as long as that much may be held back.
            wait = max(0.0, min(late, self._latency - self._held))
            self._base, self._held = self._base + wait, self._held + wait
        return max(due, monotonic())

    def _is_later(self, time: Fraction | None) -> bool:
        """Whether sound of that time goes on where the last connection's ended."""
        if time is None or (self._sound_end is not None and time - self._sound_end < _STEP):
            return False
        self._sound_end = time
        return True

    def _hears(self, connection: Connection) -> bool:
        """Whether its sound is of the kind that the target was told of. Said once where it is not."""
        if self._sound is None or connection.sound is None:
            return False
        alike = self._sound_kind == _kind(connection.sound)
        if not alike:
            self._warn("The sound has changed its format at a reconnection: it is left out from there on.")
        return alike

    def _wait(self) -> Generator[Picture, None, Connection | None]:
        """The next connection; None where there is none to come. The last picture goes on meanwhile."""
        since, told = monotonic(), ""
        if not (self._is_over or self._is_file or self._stopped.is_set()):
            self._tell(f"{self.opened.name} is lost: it is connected to again.")
        while not (self._is_over or self._stopped.is_set()):
            event = self._reader.get(ALIVE)
            if isinstance(event, Connection):
                self._connection = event
                if not self._is_file:
                    self.reconnects += 1
                    self._tell(f"{event.opened.name} is back.")
                return event
            if isinstance(event, Lost):
                self._is_over = event.is_end
                if event.error is not None and told != str(event.error):
                    told = str(event.error)
                    self._tell(told)
            elif not self._is_file:
                yield from self._again()
            if self._give_up is not None and monotonic() - since > self._give_up:
                self._warn(f"{self.opened.name} was away for {self._give_up:g} seconds: it was given up.")
                return None
        return None

    def _again(self) -> Iterator[Picture]:
        """The last picture, now."""
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


def _detached(sound: Stream | None) -> Stream | None:
    """A stream of the same facts that outlives its connection."""
    return None if sound is None else add_copy(av.open(io.BytesIO(), "w", format="matroska"), sound)


def _kind(sound: Stream | None) -> tuple[object, ...]:
    context = sound.codec_context if isinstance(sound, AudioStream) else None
    if context is None:
        return ()
    return context.codec.canonical_name, context.sample_rate, context.layout.name, context.extradata
