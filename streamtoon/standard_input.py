"""Standard input as a source that can be left at any moment, also while nothing comes."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, cast

from streamtoon.media import Source
from streamtoon.media.nvdec import DecoderName
from streamtoon.media.opening import standard_input
from streamtoon.media.source import OnError

CHUNK = 1 << 16
AHEAD = 64
"""Chunks that are read ahead: 4 MB."""
PATIENCE = 0.1
"""Seconds between two looks at whether anybody still wants to read."""


class StandardInput:
    """A readable binary file whose `read` gives up when told to: then it looks like the end of the file.

    A thread of its own waits in the operating system's read, which nothing can end from outside. It waits as
    long as it takes: whatever writes into the pipe may have to do something else first. Raises InputError
    when the process has no standard input, or a terminal for one.
    """

    name = "standard input"

    def __init__(self) -> None:
        self._chunks: queue.Queue[bytes] = queue.Queue(AHEAD)
        self._rest = b""
        self._ended = False
        self._stopped = threading.Event()
        buffered = standard_input()
        # Unbuffered: a buffer's lock, held by a waiting thread, would break the interpreter's own end.
        self._stream = getattr(buffered, "raw", buffered)
        threading.Thread(target=self._pump, name="streamtoon-stdin", daemon=True).start()

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes as soon as there are any; none at the end or once stopped."""
        while not self._rest and not self._ended and not self._stopped.is_set():
            try:
                self._rest = self._chunks.get(timeout=PATIENCE)
            except queue.Empty:
                continue
            self._ended = not self._rest
        if self._stopped.is_set():
            return b""
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def stop(self) -> None:
        """End every read, now and later. May be called from any thread."""
        self._stopped.set()

    def open(
        self,
        *,
        start: float | None = None,
        end: float | None = None,
        on_error: OnError = "repair",
        decoder: DecoderName = "cpu",
    ) -> Source:
        """The Source that reads this. Raises what Source raises; Ctrl-C works while it waits."""
        pipe = cast(BinaryIO, self)
        with ThreadPoolExecutor(1) as pool:
            # In the main thread PyAV would swallow a KeyboardInterrupt that hits it while it reads.
            opening = pool.submit(Source, pipe, start=start, end=end, on_error=on_error, decoder=decoder)
            try:
                return opening.result()
            except BaseException:
                self.stop()
                raise

    def _pump(self) -> None:
        data = b"."
        while data:
            try:
                data = self._stream.read(CHUNK) or b""
            except (OSError, ValueError):  # closed under our feet
                data = b""
            self._chunks.put(data)
