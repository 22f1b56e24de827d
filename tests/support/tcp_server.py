"""A TCP server that talks to one client at a time, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def listening(serve: Callable[[socket.socket], object], timeout_s: float = 5) -> Iterator[int]:
    """Hands each client to `serve` and closes its connection after that; gives the port.

    A client that goes away, or is silent for `timeout_s`, ends its own turn alone.
    """

    def accept() -> None:
        while True:
            try:
                client = server.accept()[0]
            except OSError:
                return
            with client, suppress(OSError):
                client.settimeout(timeout_s)
                serve(client)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def hang_up_after(client: socket.socket, answer: bytes) -> None:
    """Reads a request, sends the answer and closes; waits until the client has closed as well."""
    client.recv(4096)
    client.sendall(answer)
    client.shutdown(socket.SHUT_WR)
    client.recv(4096)
