"""Reading standard input so that a wait for data can be interrupted at any time.

A file as standard input ("< in.mp4") is read with seeking, like a file given by name.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, cast

from streamtoon.media.reader.opening import standard_input
from streamtoon.media.reader.options import ReaderOptions
from streamtoon.media.reader.pipe import is_seekable
from streamtoon.media.reader.video_reader import VideoReader

CHUNK_BYTES = 1 << 16
MAX_CHUNKS_AHEAD = 64
"""Number of chunks to read ahead: 4 MB."""
POLL_INTERVAL_S = 0.1
"""Seconds between two checks whether reading was stopped."""


class StandardInput:
    """A readable binary file whose `read` returns end of file after `stop`.

    A separate thread waits in the operating system's read, which cannot be interrupted. It has no timeout:
    the program that writes into the pipe may have other work first. Raises InputError if standard input is
    closed or a terminal.
    """

    name = "standard input"

    def __init__(self) -> None:
        self._chunks: queue.Queue[bytes] = queue.Queue(MAX_CHUNKS_AHEAD)
        self._rest = b""
        self._ended = False
        self._stopped = threading.Event()
        buffered = standard_input()
        self._is_file = is_seekable(buffered)
        if self._is_file:
            return
        # Unbuffered: a buffer's lock, held by a waiting thread, would break the interpreter's shutdown.
        self._stream = getattr(buffered, "raw", buffered)
        threading.Thread(target=self._pump, name="streamtoon-stdin", daemon=True).start()

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes as soon as there are any; none at the end or once stopped."""
        while not self._rest and not self._ended and not self._stopped.is_set():
            try:
                self._rest = self._chunks.get(timeout=POLL_INTERVAL_S)
            except queue.Empty:
                continue
            self._ended = not self._rest
        if self._stopped.is_set():
            return b""
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def stop(self) -> None:
        """End every read, now and later. Thread-safe."""
        self._stopped.set()

    def open(self, options: ReaderOptions) -> VideoReader:
        """Open a VideoReader on standard input. Raises InputError like VideoReader. Ctrl-C works during the
        wait.
        """
        pipe = "-" if self._is_file else cast(BinaryIO, self)
        with ThreadPoolExecutor(1) as pool:
            # In the main thread, PyAV swallows a KeyboardInterrupt during a read.
            opening = pool.submit(options.open, pipe)
            try:
                return opening.result()
            except BaseException:
                self.stop()
                raise

    def _pump(self) -> None:
        data = b"."
        while data:
            try:
                data = self._stream.read(CHUNK_BYTES) or b""
            except (OSError, ValueError):  # closed by another thread
                data = b""
            self._chunks.put(data)
