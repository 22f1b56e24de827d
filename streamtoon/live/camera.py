"""A camera that reconnects: the newest frames, with their time of arrival."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from types import TracebackType

from engines.frame import Frame
from streamtoon.errors import InputError
from streamtoon.media.devices.capture import Capture, live_info, open_capture, upright
from streamtoon.media.devices.discovery import CaptureRequest
from streamtoon.media.orientation import Orientation
from streamtoon.pipeline.queues import NewestQueue, StoppedError

MICROSECOND = Fraction(1, 1_000_000)
RETRY_INTERVAL_S = 1.0
"""Between two attempts to reopen a lost camera."""
SILENCE_TIMEOUT_S = 2.0
"""A camera counts as lost after this time without a frame."""
_CLOSE_TIMEOUT_S = 1.0
"""For a device to close."""
_MIRROR = Orientation(flip_x=True)


class ReconnectingCamera:
    """An iterable of the newest frames of a camera or a file. A context manager.

    A frame's `pts` is its time of arrival, in microseconds of `now`. A camera is read at once, so that no old
    frame waits in it, and a lost one is reopened. A file starts with the iteration, and ends or `loops`.
    Raises InputError if no first frame can be read.
    """

    def __init__(
        self, device: str, request: CaptureRequest, *, mirror: bool = False, loops: bool = False
    ) -> None:
        self._loops = loops
        self.mirror = mirror
        """Whether left and right are swapped. May be set at any time."""
        self._device, self._request = device, request
        self._began = time.monotonic_ns()
        self._latest = -1
        self._queue: NewestQueue[Frame] = NewestQueue()
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._capture: Capture | None = open_capture(device, request)
        self.name = self._capture.name
        self.info = live_info(self._capture.info)
        """Facts about the frames. They stay the same after a reconnection."""
        self._thread = threading.Thread(target=self._read, name="streamtoon-camera", daemon=True)
        self._ends = self._capture.ends
        self._missed = 0
        if not self._ends:
            self._thread.start()

    def now(self) -> int:
        """Return the microseconds since it was opened."""
        return (time.monotonic_ns() - self._began) // 1000

    def age(self, pts: int, at: int) -> int:
        """Return the microseconds from a frame's arrival to `at`, a time.monotonic_ns()."""
        return (at - self._began) // 1000 - pts

    @property
    def is_gone(self) -> bool:
        """Whether the camera is lost."""
        silent = self._capture is None or self.now() - self._latest > 1_000_000 * SILENCE_TIMEOUT_S
        return silent and not self._ends

    @property
    def dropped(self) -> int:
        """Pictures that came while the one before was still waiting to be taken."""
        return self._queue.dropped - self._missed

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames from now on. Raises InputError if a file cannot be read further."""
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
        """Stop the frames. May be called from any thread."""
        self._stopped.set()
        capture = self._capture
        if capture is not None:
            capture.stop()
        self._queue.stop()

    def close(self) -> None:
        """Close the device; one that does not answer is left to its thread."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_TIMEOUT_S)
        elif self._capture is not None:
            self._capture.close()

    def __enter__(self) -> ReconnectingCamera:
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
                before = self._latest
                try:
                    self._take(capture)
                except InputError:
                    if capture.ends:
                        raise
                finally:
                    self._capture = None
                    capture.close()
                if capture.ends and self._loops and self._latest > before:
                    self._capture = open_capture(self._device, self._request)
                elif capture.ends:
                    break
        except StoppedError:
            return
        except BaseException as error:
            self._error = error
        self._queue.end()

    def _take(self, capture: Capture) -> None:
        for picture in capture.frames():
            if self._stopped.is_set():
                return
            self._latest = max(self.now(), self._latest + 1)
            seen = upright(picture, _MIRROR) if self.mirror else picture
            self._queue.put(replace(seen, pts=self._latest, time_base=MICROSECOND, duration=0))

    def _find(self) -> Capture | None:
        """Wait for the camera to come back and return it; None if stopped."""
        while not self._stopped.wait(RETRY_INTERVAL_S):
            try:
                return open_capture(self._device, self._request, self.info)
            except InputError:
                continue
        return None
