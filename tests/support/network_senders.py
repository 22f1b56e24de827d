"""Senders for tests of network sources: one that repeats a clip, one that says nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

from stream_parts import free_port

SECONDS = 2
"""Length of the clip that `sender` sends."""


@contextmanager
def sender(content: bytes) -> Iterator[tuple[str, threading.Event]]:
    """Send a transport stream by UDP in real time, repeatedly, until the event is set."""
    port, ended = free_port(socket.SOCK_DGRAM), threading.Event()
    pieces = [content[n : n + 1316] for n in range(0, len(content), 1316)]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for n in count():
                if ended.wait(SECONDS / len(pieces)):
                    return
                out.sendto(pieces[n % len(pieces)], ("127.0.0.1", port))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield f"udp://127.0.0.1:{port}", ended
    finally:
        ended.set()
        thread.join()


@contextmanager
def mute() -> Iterator[int]:
    """Accept connections and close each one after its first message."""

    def serve() -> None:
        while True:
            try:
                client = server.accept()[0]
            except OSError:
                return
            with client:
                client.settimeout(1)
                with suppress(OSError):
                    client.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
