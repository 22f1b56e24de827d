"""Reading a live source in a separate thread, with automatic reconnection."""

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
from av.packet import Packet

from streamtoon.errors import InputError
from streamtoon.media.network.connection import Connection
from streamtoon.media.network.position import Position, packet_time
from streamtoon.media.network.urls import BackOff
from streamtoon.media.reader.probe import plausible_rate

MIN_BUFFER_S: Final = 1.0
"""Minimum seconds of packets to buffer: files store their streams in chunks."""
MAX_KEY_INTERVAL_S: Final = 10.0
"""Usual maximum seconds between key frames. Frames are dropped only if more are buffered."""
_MAX_SEEK_ERROR_S = 60
"""Maximum seconds between a key frame that was found and the position that was sought."""
_MAX_OPEN_AHEAD = 2
"""Maximum number of open connections that were not requested yet. A file of one frame ends at once."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A packet and its arrival time."""

    packet: Packet[Any]
    at: float
    """By time.monotonic."""
    is_picture: bool
    position: Fraction
    """Seconds of its stream that were read before it, over all connections."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A connection is over, or could not be made."""

    connection: Connection | None
    error: InputError | None
    """Why it could not be made."""
    is_end: bool = False
    """Whether this is the end of the source."""


Event = Connection | Arrived | Lost


class Reader:
    """Reads packets ahead. `open_it` opens the first connection, and a new one whenever one is lost.

    With `waits`, at most `ahead` seconds are read in advance. Without it, all packets are accepted; frames
    that have waited longer than that, and MAX_KEY_INTERVAL_S, are dropped up to the next key frame, and
    counted. With `repeats`, a source that ends starts again at once.
    """

    def __init__(
        self, open_it: Callable[[], Connection], *, waits: bool, ahead: float, repeats: bool
    ) -> None:
        self._open, self._waits, self._repeats = open_it, waits, repeats
        self._ahead = max(ahead, MIN_BUFFER_S) + (0 if waits else MAX_KEY_INTERVAL_S)
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._back_off = BackOff()
        self._unwanted: Connection | None = None
        self._skipping = self._begun = self._is_first = False
        self._video, self._streams = -1, 0  # of the connection: index of the video, number of streams
        self._reached = {True: Position(), False: Position()}  # of video, of audio
        self._source: Connection | None = None
        self._place: Fraction | None = None  # position in the present connection in seconds
        self.skipped = 0
        """Number of video packets that were dropped because decoding was too slow."""
        self._thread = threading.Thread(target=self._run, name="streamtoon-source", daemon=True)
        self._thread.start()

    def get(self, timeout: float) -> Event | None:
        """Return the next event; None if there was none for `timeout` seconds, or once stopped."""
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
        """Return the index of the next event; None if it must still be read.

        Files may store their streams in chunks of a second, one after the other. With `waits`, packets are
        sorted by time, as far as they have been read.
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
            return (packet_time(event.packet) if isinstance(event, Arrived) else None) or Fraction(0)

        return min(firsts.values(), key=time)

    def keep_newest(self) -> bool:
        """Drop everything before the latest buffered key frame. Return False if there is none."""
        with self._changed:
            keys = [
                n
                for n, event in enumerate(self._events)
                if isinstance(event, Arrived) and event.is_picture and event.packet.is_keyframe
            ]
            if not keys or not all(isinstance(event, Arrived) for event in self._events):
                return False
            for _ in range(keys[-1]):
                self._events.popleft()
            return True

    def succeeded(self) -> None:
        """Reset the reconnection delay: frames arrive again."""
        self._back_off.reset()

    def drop(self, connection: Connection) -> None:
        """Stop reading a connection. It may be closed once `get` returns its Lost event."""
        self._unwanted = connection

    def stop(self) -> None:
        """End every wait. Thread-safe."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> bool:
        """Stop reading. Return False if the thread still waits for a silent server."""
        self.stop()
        self._thread.join(0.5)
        if self._thread.is_alive():
            return False
        for event in self._events:
            if isinstance(event, Connection):  # it was not requested yet
                event.opened.close()
        self._events.clear()
        return True

    # --- in its own thread -------------------------------------------------------------------------

    def _run(self) -> None:
        before: Connection | None = None
        while not self._stopped.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._stopped.is_set() or self._open_ahead() < _MAX_OPEN_AHEAD)
            if self._stopped.is_set():
                return
            try:
                connection = self._open()
            except InputError as error:
                self._put(Lost(None, error))
                self._stopped.wait(self._back_off.next())
                continue
            if before is not None and connection.length is not None and not self._repeats:
                if before.length is None:  # the publisher has finished it since
                    self._put(Lost(connection, None, is_end=True))
                    return
                self._go_to(connection)
            else:
                self._place = None
            self._is_first = True
            self._put(connection)
            is_silent = self._read(connection)
            is_end = connection.ends_at(self._place, is_silent=is_silent)
            self._put(Lost(connection, None, is_end and not self._repeats))
            if is_end and not self._repeats:
                return
            before = connection
            if not is_end:
                self._stopped.wait(self._back_off.next())

    def _go_to(self, connection: Connection) -> None:
        """Seek to where the connection before was cut."""
        container = connection.opened.container
        if self._place is not None:
            with suppress(av.FFmpegError):
                container.seek(round(self._place * 1_000_000) + (container.start_time or 0))

    def _read(self, connection: Connection) -> bool:
        """Read a connection until it is over. Return whether it ended by a timeout."""
        opened, sound = connection.opened, connection.sound
        streams = (opened.stream,) if sound is None else (opened.stream, sound)
        self._source, self._video, self._streams = connection, opened.stream.index, len(streams)
        self._skipping, self._begun = True, False  # frames before the first key frame cannot be decoded
        self._reached[True].reconnect(1 / plausible_rate(opened.stream))
        self._reached[False].reconnect()
        asked = monotonic()
        with suppress(InputError):  # the timeout expired, or the connection broke
            for packet in connection.decoder.packets(opened.container, streams):
                # The timeout expired, and FFmpeg returns what it had buffered.
                is_silent = connection.patience is not None and monotonic() - asked >= connection.patience
                if self._stopped.is_set() or self._unwanted is connection:
                    return False
                self._take(packet)
                if is_silent:
                    return True
                asked = monotonic()
        return connection.patience is not None and monotonic() - asked >= connection.patience

    def _take(self, packet: Packet[Any]) -> None:
        is_picture = packet.stream_index == self._video
        reached = self._reached[is_picture]
        before, position = reached.seconds, reached.add(packet)
        if self._waits:
            reached.stamp(packet)
        if is_picture:
            if self._is_first or self._place is None:
                self._place, self._is_first = self._first_place(packet), False
            else:
                self._place += position - before
            if packet.is_keyframe:
                self._skipping = False
                self._begun = True
            elif self._skipping:
                self.skipped += self._begun  # frames before the first key frame of a connection do not count
                return
        if self._waits:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped.is_set() or self._span() <= self._ahead)
        elif is_picture and self._span() > self._ahead:
            self._skip()
            if not packet.is_keyframe:
                self._skipping = True
                self.skipped += 1
                return
        self._put(Arrived(packet, monotonic(), is_picture, position))

    def _first_place(self, packet: Packet[Any]) -> Fraction:
        """Return the position of a connection's first video packet in seconds."""
        assert self._source is not None, "packets come from a connection"
        start = Fraction(self._source.opened.container.start_time or 0, 1_000_000)
        said = max(Fraction(0), (packet_time(packet) or start) - start)
        # After seeking, the clock may have been reset before this position.
        return said if self._place is None or abs(said - self._place) < _MAX_SEEK_ERROR_S else self._place

    def _skip(self) -> None:
        """Drop all buffered frames; audio stays."""
        with self._changed:
            kept = [e for e in self._events if not (isinstance(e, Arrived) and e.is_picture)]
            self.skipped += len(self._events) - len(kept)
            self._events = deque(kept)

    def _span(self) -> Fraction:
        """Return the seconds of buffered frames, and with `waits` those of audio if more."""
        spans = [Fraction(0)]
        with self._changed:
            for kind in (True, False) if self._waits else (True,):
                of_kind = (e for e in self._events if isinstance(e, Arrived) and e.is_picture == kind)
                first = next(of_kind, None)
                if first is not None:
                    spans.append(self._reached[kind].seconds - first.position)
        return max(spans)

    def _open_ahead(self) -> int:
        """Return the number of connections that were not requested yet."""
        return sum(isinstance(event, Connection) for event in self._events)

    def _put(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()
