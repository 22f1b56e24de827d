"""A camera that may be pulled out and put back: its pictures, timed by their arrival, the newest first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from types import TracebackType

from engines.picture import Picture
from streamtoon.errors import InputError
from streamtoon.media.capture import Capture, as_live, open_capture, turned
from streamtoon.media.devices import CaptureRequest
from streamtoon.media.orientation import Orientation
from streamtoon.queues import NewestQueue, StoppedError

MICROSECOND = Fraction(1, 1_000_000)
AGAIN = 1.0
"""Seconds between two tries to find a camera that is gone."""
SILENCE = 2.0
"""Seconds without a picture after which a camera counts as gone."""
_PATIENCE = 1.0
"""Seconds that a device gets for its end."""
_MIRROR = Orientation(flip_x=True)


class Camera:
    """Gives what has just come, once, to whoever iterates. A context manager.

    Of a picture, `pts` is when it came, in microseconds of `now`. A camera is read from the start, so that
    nothing old waits in it, and one that is gone is looked for until it is back. A file begins when it is
    asked for, and ends. Raises InputError where there is no picture to begin with.
    """

    def __init__(self, device: str, request: CaptureRequest, *, mirror: bool = False) -> None:
        self.mirror = mirror
        """Whether left and right are swapped; may be set at any time."""
        self._device, self._request = device, request
        self._began = time.monotonic_ns()
        self._latest = -1
        self._queue: NewestQueue[Picture] = NewestQueue()
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._capture: Capture | None = open_capture(device, request)
        self.name = self._capture.name
        self.info = as_live(self._capture.info)
        """Of its pictures, whatever it gives when it comes back."""
        self._thread = threading.Thread(target=self._read, name="streamtoon-camera", daemon=True)
        self._ends = self._capture.ends
        self._missed = 0
        if not self._ends:
            self._thread.start()

    def now(self) -> int:
        """Microseconds since it was opened."""
        return (time.monotonic_ns() - self._began) // 1000

    def age(self, pts: int, at: int) -> int:
        """Microseconds from a picture's arrival to that time.monotonic_ns()."""
        return (at - self._began) // 1000 - pts

    @property
    def is_gone(self) -> bool:
        """Whether it is being waited for."""
        silent = self._capture is None or self.now() - self._latest > 1_000_000 * SILENCE
        return silent and not self._ends

    @property
    def dropped(self) -> int:
        """Pictures that came while the one before was still waiting to be taken."""
        return self._queue.dropped - self._missed

    def __iter__(self) -> Iterator[Picture]:
        """Pictures from now on. Raises InputError when a file cannot be read on."""
        self._missed = self._queue.dropped
        if self._ends:
            self._thread.start()
        try:
            yield from self._queue
        except StoppedError:
            return
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """No more pictures. May be called from any thread."""
        self._stopped.set()
        capture = self._capture
        if capture is not None:
            capture.stop()
        self._queue.stop()

    def close(self) -> None:
        """Gives the device back; one that does not answer is left to its thread."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)
        elif self._capture is not None:
            self._capture.close()

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- in its thread ---------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while not self._stopped.is_set():
                capture = self._capture or self._find()
                if capture is None:
                    return
                self._capture = capture
                try:
                    self._take(capture)
                except InputError:
                    if capture.ends:
                        raise
                finally:
                    self._capture = None
                    capture.close()
                if capture.ends:
                    break
        except StoppedError:
            return
        except BaseException as error:
            self._error = error
        self._queue.end()

    def _take(self, capture: Capture) -> None:
        for picture in capture.pictures():
            if self._stopped.is_set():
                return
            self._latest = max(self.now(), self._latest + 1)
            seen = turned(picture, _MIRROR) if self.mirror else picture
            self._queue.put(replace(seen, pts=self._latest, time_base=MICROSECOND, duration=0))

    def _find(self) -> Capture | None:
        """The camera when it is back; None once stopped."""
        while not self._stopped.wait(AGAIN):
            try:
                return open_capture(self._device, self._request, self.info)
            except InputError:
                continue
        return None
