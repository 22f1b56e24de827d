"""Where a page is served: its address for others, the QR code, the browser, ports that are taken."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from paths import ROOT
from typer.testing import CliRunner, Result

from streamtoon.cli.app import app
from streamtoon.cli.page_address import is_at_a_desktop, qr_lines
from streamtoon.web.address import cannot_listen, lan_host, own_host, page_address

pty = pytest.importorskip("pty", reason="there are no pseudo terminals here")
LIMIT_S = 120


class Terminal:
    """`streamtoon serve` in a terminal of 100 columns."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        import fcntl
        import struct
        import termios

        here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self._screen = here
        mine = {key: value for key, value in os.environ.items() if not key.startswith("SSH_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamtoon", "serve", "--port", "0", *arguments],
            cwd=ROOT, stdin=there, stdout=there, stderr=there, start_new_session=True,
            env=mine | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | environment,
        )  # fmt: skip
        os.close(there)
        self._data = b""

    def read_until(self, words: str) -> str:
        """Everything up to a line with these words, without colours."""
        end = time.monotonic() + LIMIT_S
        while words not in (text := self._data.decode(errors="replace")):
            ready, _, _ = select.select([self._screen], [], [], max(0.0, end - time.monotonic()))
            assert ready, text
            self._data += os.read(self._screen, 65536)  # raises where it has ended
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(LIMIT_S)
        os.close(self._screen)


@pytest.fixture
def browser(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A browser that writes down what it shall open, and the environment of a desktop that has it."""
    opened, script = tmp_path / "opened", tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > "{opened}.part" && mv "{opened}.part" "{opened}"\n')
    script.chmod(0o755)
    return opened, {"BROWSER": f"{script} %s", "DISPLAY": ":99"}


def _wait_for(path: Path) -> str:
    end = time.monotonic() + LIMIT_S
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    return path.read_text()


def test_for_others_there_are_an_address_and_a_code_and_this_machine_opens_its_own(
    browser: tuple[Path, dict[str, str]],
) -> None:
    opened, environment = browser
    terminal = Terminal("--host", "0.0.0.0", **environment)
    try:
        text = terminal.read_until("creates a new token")
        address = re.search(r"open (http://(\S+):(\d+)/\?token=\S+) in a browser", text)
        assert address
        with socket.socket() as mine:
            mine.bind((address[2], 0))  # no machine can do so with an address that is not its own
        code = [line for line in text.splitlines() if line in qr_lines(address[1])]
        assert code == qr_lines(address[1])
        assert _decoded(code) == address[1]
        assert _wait_for(opened) == address[1].replace(address[2], "localhost")
        with socket.create_connection((address[2], int(address[3])), timeout=LIMIT_S):
            pass
    finally:
        terminal.end()


def test_a_page_for_this_machine_alone_has_no_code_and_no_open_opens_nothing(
    browser: tuple[Path, dict[str, str]],
) -> None:
    opened, environment = browser
    terminal = Terminal("--no-open", **environment)
    try:
        text = terminal.read_until("Ctrl-C stops the server")
        assert "http://127.0.0.1:" in text and "█" not in text and "token" not in text
    finally:
        terminal.end()
    assert not opened.exists()


def _decoded(lines: list[str]) -> str:
    """What OpenCV reads in a code of half blocks."""
    halves = [[letter in upper for letter in line] for line in lines for upper in ("▀█", "▄█")]
    image = np.where(np.array(halves), 0, 255).astype(np.uint8)
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(cv2.resize(image, None, fx=6, fy=6, interpolation=0))
    return str(text)


@pytest.mark.parametrize(
    "address",
    [
        "http://10.0.0.7:8080/",
        "http://192.168.178.201:65535/?token=Zm9vYmFyYmF6cXV1eDEyMzQ1Njc4OTAx",
        "https://[fd00:1234:5678:9abc:def0:1234:5678:9abc]:8080/?token=Zm9vYmFyYmF6cXV1eDEyMzQ1Njc4OTAx",
    ],
)
def test_a_code_holds_the_address_and_fits_80_columns(address: str) -> None:
    lines = qr_lines(address)
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= 60
    assert _decoded(lines) == address


@pytest.mark.parametrize(
    ("environment", "platform", "terminal", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True, True),
        ({}, "linux", True, False),
        ({}, "darwin", True, True),
        ({}, "win32", True, True),
        ({"DISPLAY": ":0"}, "linux", False, False),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, "linux", True, False),
        ({"SSH_TTY": "/dev/pts/1"}, "darwin", True, False),
    ],
)
def test_a_browser_is_opened_where_a_person_sits_before_it(
    environment: dict[str, str],
    platform: str,
    terminal: bool,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    assert is_at_a_desktop(environment, platform) is expected


def test_hosts_of_addresses() -> None:
    assert lan_host("192.168.1.5") == own_host("192.168.1.5") == "192.168.1.5"
    assert own_host("0.0.0.0") == "localhost"
    assert page_address("http", "10.0.0.7", 80) == "http://10.0.0.7:80/"
    assert page_address("https", "::1", 8443) == "https://[::1]:8443/"


def test_a_machine_without_a_network_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(self: socket.socket, to: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("streamtoon.web.address.socket.socket.connect", nowhere, raising=False)
    assert lan_host("0.0.0.0") == socket.gethostname()


# --- where it cannot be ------------------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def _serve(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["serve", *arguments])


def test_a_port_that_is_taken_is_one_sentence_with_a_way_out(taken: int) -> None:
    done = _serve("--port", str(taken))
    assert done.exit_code == 1
    assert f"port {taken} is in use" in done.stderr
    assert "--port 0" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_an_address_of_somebody_else_is_one_sentence(host: str) -> None:
    done = _serve("--host", host)
    assert done.exit_code == 1
    assert f"{host} is not an address of this machine" in done.stderr
    assert done.stderr.count("\n") == 1


def test_other_reasons_are_told_in_the_systems_words() -> None:
    assert "--port 8080" in cannot_listen("0.0.0.0", 80, PermissionError(13, "Permission denied"))
    assert "Too many open files" in cannot_listen("0.0.0.0", 80, OSError(24, "Too many open files"))
    assert "--port 65534" in cannot_listen("0.0.0.0", 65535, OSError(98, "Address already in use"))
