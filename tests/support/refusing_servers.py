"""Servers that take no publication: RTMP with a status or without a word, RTSP and WHIP with a number."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tcp_server import listening

_HANDSHAKE = 1536
_CHUNK = 128
"""Bytes of a message between two headers, where nobody has said otherwise."""


def _text(text: str) -> bytes:
    return b"\x02" + struct.pack(">H", len(text)) + text.encode()


def _number(number: float) -> bytes:
    return b"\x00" + struct.pack(">d", number)


def _object(**values: str) -> bytes:
    inner = b"".join(
        struct.pack(">H", len(key)) + key.encode() + _text(value) for key, value in values.items()
    )
    return b"\x03" + inner + b"\x00\x00\x09"


def _message(body: bytes, stream: int = 0) -> bytes:
    """A command in chunks: the basic header, time, length, type 20 (AMF0), the stream's number."""
    head = b"\x03" + bytes(3) + len(body).to_bytes(3, "big") + b"\x14" + struct.pack("<I", stream)
    parts = [body[at : at + _CHUNK] for at in range(0, len(body), _CHUNK)]
    return head + b"\xc3".join(parts)


def _rtmp(status: str | None) -> Callable[[socket.socket], None]:
    def serve(client: socket.socket) -> None:
        with client.makefile("rb") as said:
            said.read(1 + _HANDSHAKE)
            client.sendall(b"\x03" + bytes(2 * _HANDSHAKE))
            said.read(_HANDSHAKE)
            heard, answered = b"", set()
            while True:
                more = said.read1(4096)
                if not more:
                    return
                heard += more
                if b"connect" in heard and 1 not in answered:
                    answered.add(1)
                    code = _object(level="status", code="NetConnection.Connect.Success")
                    client.sendall(_message(_text("_result") + _number(1) + _object(fmsVer="x") + code))
                at = heard.find(_text("createStream"))
                if at >= 0 and 2 not in answered and len(heard) >= at + 24:
                    answered.add(2)
                    number = struct.unpack(">d", heard[at + 16 : at + 24])[0]
                    client.sendall(_message(_text("_result") + _number(number) + b"\x05" + _number(1)))
                if _text("publish") in heard:
                    if status is not None:
                        told = _object(level="error", code=status, description="Not you.")
                        client.sendall(_message(_text("onStatus") + _number(0) + b"\x05" + told, 1))
                        said.read1(4096)
                    return

    return serve


def _numbered(protocol: str, status: str) -> Callable[[socket.socket], None]:
    def serve(client: socket.socket) -> None:
        with client.makefile("rb") as said:
            while request := said.readline():
                headers = {}
                while line := said.readline().strip():
                    name, _, value = line.partition(b":")
                    headers[name.lower()] = value.strip()
                said.read(int(headers.get(b"content-length", 0)))
                is_first = request.startswith(b"OPTIONS")
                head = [f"{protocol} {'200 OK' if is_first else status}", "Content-Length: 0"]
                if b"cseq" in headers:
                    head.append(f"CSeq: {headers[b'cseq'].decode()}")
                client.sendall("\r\n".join([*head, "", ""]).encode())

    return serve


WAYS = {
    "rtmp-status": _rtmp("NetStream.Publish.BadName"),
    "rtmp-silent": _rtmp(None),
    "rtsp-403": _numbered("RTSP/1.0", "403 Forbidden"),
    "rtsp-401": _numbered("RTSP/1.0", "401 Unauthorized"),
    "rtsp-406": _numbered("RTSP/1.0", "406 Not Acceptable"),
    "http-403": _numbered("HTTP/1.1", "403 Forbidden"),
    "http-401": _numbered("HTTP/1.1", "401 Unauthorized"),
    "http-409": _numbered("HTTP/1.1", "409 Conflict"),
}


@contextmanager
def refusing(way: str) -> Iterator[str]:
    """The address of a server that refuses so."""
    with listening(WAYS[way]) as port:
        yield f"{way.partition('-')[0]}://127.0.0.1:{port}/live/x"
