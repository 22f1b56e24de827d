"""A source that is read for as long as it takes: in a thread of its own, connected anew when it is lost."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from time import monotonic
from typing import Any, Final

import av
from av.codec.context import Flags
from av.packet import Packet
from av.stream import Stream

from streamtoon.errors import InputError
from streamtoon.media import network_tls
from streamtoon.media.decode import VideoDecoder
from streamtoon.media.network import GATED, PATIENCE, Address, BackOff, InputScheme, input_error
from streamtoon.media.network_gate import Gate
from streamtoon.media.opening import MAX_PIXELS, OpenedVideo, main_video, open_video

LEAST: Final = 1.0
"""Seconds of packets that may always wait: files hold their streams in pieces."""
KEYS: Final = 10.0
"""Seconds between key frames that are usual: pictures are worth throwing away where there are more."""
PROBE: Final = 2.0
"""Seconds of a stream that are looked at before it is known what it holds."""
BETWEEN_SEGMENTS: Final = 30.0
"""Seconds in which a playlist's next segment, or a web server's next bytes, have to come."""
_NEAR = 2
"""Seconds by which servers miss the length that they declare."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open source: its pictures, and the first of its sounds."""

    opened: OpenedVideo
    decoder: VideoDecoder
    sound: Stream | None
    length: Fraction | None
    """Seconds, where it has an end; zero where the end of what can be read is its end, as a file's."""

    def ends_at(self, time: Fraction | None) -> bool:
        """Whether a connection that is over with a packet of that time was at its end."""
        if self.length is None or time is None:
            return False
        start = Fraction(self.opened.container.start_time or 0, 1_000_000)
        return time - start > self.length - _NEAR


@dataclass(frozen=True, slots=True)
class Arrived:
    """A packet, and when it came."""

    packet: Packet[Any]
    at: float
    """By time.monotonic."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A connection is over, or none could be made."""

    connection: Connection | None
    error: InputError | None
    """Why none could be made."""
    is_end: bool = False
    """Nothing will come any more."""


Event = Connection | Arrived | Lost


def connect(address: Address, way: InputScheme, latency: float, gate: Gate | None) -> Connection:
    """`gate`: what HTTPS goes through. Raises InputError within twice PATIENCE."""
    options = {
        "max_pixels": str(MAX_PIXELS),
        "protocol_whitelist": way.protocols if gate is None else GATED,
        "format_whitelist": ",".join(way.formats),
        "analyzeduration": str(round(PROBE * 1e6)),
        "max_delay": str(round(latency * 1e6)),
        **way.options,
    }
    if gate is not None:
        options["http_proxy"] = "none"  # the gate is on this computer
    elif address.is_checked:
        options |= network_tls.ffmpeg_options()
    began = monotonic()
    try:
        address.find()
        container = av.open(
            address.text if gate is None else gate.address(address.text),
            "r",
            format=way.format,
            options=options,
            metadata_errors="surrogateescape",
            timeout=(PATIENCE, BETWEEN_SEGMENTS if way.is_paced else PATIENCE),
        )
    except (av.FFmpegError, LookupError, ValueError, OSError) as error:
        is_late = monotonic() - began >= PATIENCE  # whatever FFmpeg makes of it
        raise input_error(address, TimeoutError() if is_late else error) from error
    try:
        stream = main_video(container, address.shown, is_joined=True)
        if not way.is_paced:
            # Decoders that draw several frames at a time are late by as many.
            stream.thread_type = "SLICE"
            stream.codec_context.flags |= Flags.low_delay
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            stream.codec_context.open()
    except (av.FFmpegError, InputError) as error:
        container.close()
        raise error if isinstance(error, InputError) else input_error(address, error) from error
    length = Fraction(container.duration, 1_000_000) if container.duration else None
    return _connection(OpenedVideo(container, stream, address.shown, None), length)


def open_file(path: str) -> Connection:
    """Raises InputError."""
    return _connection(open_video(path), Fraction(0))


def _connection(opened: OpenedVideo, length: Fraction | None) -> Connection:
    sounds = [s for s in opened.container.streams.audio if s.codec_context is not None]
    sound = sounds[0] if sounds else None
    return Connection(opened, VideoDecoder(opened.stream, opened.name), sound, length)


class Reader:
    """Reads packets ahead. `open_it` is called for the first connection, and again whenever one is lost.

    With `waits`, no more than `ahead` seconds are read that nobody has asked for yet. Without it all that
    comes is taken; pictures that have waited longer than that, and KEYS, are thrown away up to the next key
    frame, and counted. `repeats`: what has an end begins again at once.
    """

    def __init__(
        self, open_it: Callable[[], Connection], *, waits: bool, ahead: float, repeats: bool
    ) -> None:
        self._open, self._waits, self._repeats = open_it, waits, repeats
        self._ahead = max(ahead, LEAST) + (0 if waits else KEYS)
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._back_off = BackOff()
        self._unwanted: Connection | None = None
        self._skipping = self._begun = False
        self._video, self._streams = -1, 0  # of the connection at hand: its pictures' index, its streams
        self._time: Fraction | None = None  # of the latest packet of pictures
        self.skipped = 0
        """Packets of pictures that were thrown away, since they were not decoded fast enough."""
        self._thread = threading.Thread(target=self._run, name="streamtoon-source", daemon=True)
        self._thread.start()

    def get(self, timeout: float) -> Event | None:
        """What comes next; None when nothing has come for that many seconds, or once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped.is_set() or self._next() is not None, timeout)
            place = self._next()
            if place is None or self._stopped.is_set():
                return None
            event = self._events[place]
            del self._events[place]
            self._changed.notify_all()
            return event

    def _next(self) -> int | None:
        """The place of what comes next, None where that has still to be read.

        Files may hold their streams in pieces of a second, one after the other: with `waits`, packets come in
        the order of their times, as far as that can be seen.
        """
        firsts: dict[int, int] = {}
        for place, event in enumerate(self._events):
            if not isinstance(event, Arrived):
                if not firsts:
                    return place
                break
            if not self._waits:
                return place
            firsts.setdefault(event.packet.stream_index, place)
        else:
            if not firsts or (len(firsts) < self._streams and self._span() <= self._ahead):
                return None

        def time(place: int) -> Fraction:
            event = self._events[place]
            return (_time(event.packet) if isinstance(event, Arrived) else None) or Fraction(0)

        return min(firsts.values(), key=time)

    def keep_newest(self) -> bool:
        """Throw away what lies before the latest key frame that waits; False where there is none."""
        with self._changed:
            keys = [
                n
                for n, event in enumerate(self._events)
                if isinstance(event, Arrived) and self._is_picture(event) and event.packet.is_keyframe
            ]
            if not keys or not all(isinstance(event, Arrived) for event in self._events):
                return False
            for _ in range(keys[-1]):
                self._events.popleft()
            return True

    def succeeded(self) -> None:
        """Pictures come: the next loss is a new one."""
        self._back_off.reset()

    def drop(self, connection: Connection) -> None:
        """Read no more of it: it is Lost, and may be closed, when that comes by `get`."""
        self._unwanted = connection

    def stop(self) -> None:
        """End every wait. May be called from any thread."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> bool:
        """Whether nothing is read any more: a thread that waits for a silent server ends when it does."""
        self.stop()
        self._thread.join(0.5)
        return not self._thread.is_alive()

    # --- in its own thread -----------------------------------------------------------------------

    def _run(self) -> None:
        before: Connection | None = None
        while not self._stopped.is_set():
            try:
                connection = self._open()
            except InputError as error:
                self._put(Lost(None, error))
                self._stopped.wait(self._back_off.next())
                continue
            if before is not None and connection.length is not None and not self._repeats:
                if before.length is None:  # whoever made it has finished it since
                    self._put(Lost(connection, None, is_end=True))
                    return
                self._go_to(connection)
            self._put(connection)
            self._read(connection)
            is_end = connection.ends_at(self._time)
            self._put(Lost(connection, None, is_end and not self._repeats))
            if is_end and not self._repeats:
                return
            before = connection
            if not is_end:
                self._stopped.wait(self._back_off.next())

    def _go_to(self, connection: Connection) -> None:
        """Where the connection before was cut."""
        if self._time is not None:
            with suppress(av.FFmpegError):
                connection.opened.container.seek(round(self._time * 1_000_000))

    def _read(self, connection: Connection) -> None:
        opened, sound = connection.opened, connection.sound
        streams = (opened.stream,) if sound is None else (opened.stream, sound)
        self._video, self._streams = opened.stream.index, len(streams)
        self._skipping, self._begun = True, False  # what comes before a key frame cannot be decoded
        with suppress(InputError):  # silence, for too long
            for packet in connection.decoder.packets(opened.container, streams):
                if self._stopped.is_set() or self._unwanted is connection:
                    return
                self._take(packet)

    def _take(self, packet: Packet[Any]) -> None:
        time = _time(packet)
        if packet.stream_index != self._video:
            self._put(Arrived(packet, monotonic()))
            return
        if packet.is_keyframe:
            self._skipping = False
            self._begun = True
        elif self._skipping:
            self.skipped += self._begun  # what comes before the first of a connection was never to be had
            return
        self._time = time if time is not None else self._time
        if self._waits:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped.is_set() or self._span() <= self._ahead)
        elif self._span() > self._ahead:
            self._skip()
            if not packet.is_keyframe:
                self._skipping = True
                self.skipped += 1
                return
        self._put(Arrived(packet, monotonic()))

    def _skip(self) -> None:
        """Throw away all pictures that wait; sound stays."""
        with self._changed:
            kept = [e for e in self._events if not (isinstance(e, Arrived) and self._is_picture(e))]
            self.skipped += len(self._events) - len(kept)
            self._events = deque(kept)

    def _span(self) -> Fraction:
        """Seconds of pictures that wait, up to the latest that was read."""
        with self._changed:
            pictures = (e for e in self._events if isinstance(e, Arrived) and self._is_picture(e))
            first = next(pictures, None)
        begin = None if first is None else _time(first.packet)
        return Fraction(0) if begin is None or self._time is None else self._time - begin

    def _is_picture(self, event: Arrived) -> bool:
        return event.packet.stream_index == self._video

    def _put(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()


def _time(packet: Packet[Any]) -> Fraction | None:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return None if stamp is None else stamp * packet.time_base
