"""An RTSP server as cameras are: FFmpeg's RTP packets over one TCP connection (RFC 2326, 10.12)."""

from __future__ import annotations

import base64
import re
import socket
import socketserver
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from stream_parts import FFMPEG, HANG, end, free_port


class RtspServer:
    """Plays a clip again and again, to one client at a time who knows `password`. A context manager."""

    def __init__(self, clip: Path, folder: Path, password: str = "", port: int = 0) -> None:
        self.password = base64.b64encode(f"ann:{password}".encode()).decode() if password else ""
        self._sdp = folder / "clip.sdp"
        self._sockets = _neighbours(4)  # RTP and RTCP, without which nothing is in sync, of each stream
        for receiver in self._sockets:
            receiver.settimeout(0.2)
        first = self._sockets[0].getsockname()[1]
        ffmpeg = [FFMPEG or "ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1"]
        outputs: list[str] = []
        for number, stream in enumerate("va"):
            outputs += [
                "-map",
                f"0:{stream}",
                "-c",
                "copy",
                "-f",
                "rtp",
                f"rtp://127.0.0.1:{first + 2 * number}",
            ]
        describe = [*ffmpeg, "-t", "0.1", "-i", str(clip), "-sdp_file", str(self._sdp), *outputs]
        subprocess.run(describe, check=True, timeout=HANG, stdout=subprocess.DEVNULL)
        # Two RTP muxers have a clock each, some 40 ms apart; those of SAP share one.
        sap = f"sap://127.0.0.1:{first}?announce_addr=127.0.0.1"
        self._command = [
            *ffmpeg,
            "-i",
            str(clip),
            "-map",
            "0:v",
            "-map",
            "0:a",
            "-c",
            "copy",
            "-f",
            "sap",
            sap,
        ]
        self._ffmpeg: subprocess.Popen[bytes] | None = None
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # the client has left
                    server.talk(self)

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._clients: list[socket.socket] = []
        self._relays: list[threading.Thread] = []
        self._stopped = threading.Event()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def talk(self, handler: Any) -> None:
        """One client, request by request."""
        self._clients.append(handler.connection)
        while request := handler.rfile.readline().decode():
            if request[:1] == "$" or not request.strip():
                continue
            headers = {}
            while line := handler.rfile.readline().decode().strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            self._answer(handler, request.split()[0], request.split()[1], headers)

    def _answer(self, handler: Any, method: str, url: str, headers: dict[str, str]) -> None:
        status, extra, body = "200 OK", "Session: 1\r\n", ""
        if self.password and headers.get("authorization") != f"Basic {self.password}":
            status, extra = "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n'
        elif method == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = self._description()
            extra = f"Content-Type: application/sdp\r\nContent-Base: {url}/\r\n"
        elif method == "SETUP":
            extra += f"Transport: {headers['transport']}\r\n"
        head = f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        handler.wfile.write((head + body).encode())
        if method == "PLAY" and status.startswith("200"):
            for receiver in self._sockets:  # what came of the description
                receiver.settimeout(0)
                with suppress(OSError):
                    while receiver.recv(2048):
                        pass
                receiver.settimeout(0.2)
            lock = threading.Lock()
            for number, receiver in enumerate(self._sockets):
                arguments = (receiver, number, handler.connection, lock)
                self._relays.append(threading.Thread(target=self._relay, args=arguments, daemon=True))
                self._relays[-1].start()
            self._ffmpeg = subprocess.Popen(self._command)

    def _description(self) -> str:
        lines: list[str] = []
        for line in self._sdp.read_text().splitlines():
            if line.startswith("m="):
                line = re.sub(r"^(m=\w+) \d+", r"\1 0", line)
                lines += [line, f"a=control:track{sum(each.startswith('m=') for each in lines)}"]
            elif not line.startswith("SDP"):
                lines.append(line)
        return "\r\n".join(lines) + "\r\n"

    def _relay(self, receiver: socket.socket, channel: int, client: socket.socket, lock: Any) -> None:
        while not self._stopped.is_set():
            try:
                packet = receiver.recv(2048)
                with lock:
                    client.sendall(b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet)
            except TimeoutError:
                continue
            except OSError:
                return

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._stopped.set()
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for relay in self._relays:
            relay.join()
        for each in self._sockets:
            each.close()
        if self._ffmpeg is not None:
            end(self._ffmpeg)


def _neighbours(count: int) -> list[socket.socket]:
    """UDP receivers at ports that follow each other, the first of which is even."""
    while True:
        first = free_port(socket.SOCK_DGRAM) & ~1
        receivers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        try:
            for number, receiver in enumerate(receivers):
                receiver.bind(("127.0.0.1", first + number))
        except OSError:
            for receiver in receivers:
                receiver.close()
        else:
            return receivers
