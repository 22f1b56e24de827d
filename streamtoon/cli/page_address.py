"""Helpers of the commands that serve a page: a QR code of its address, and the desktop's browser."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Mapping

from streamtoon.cli.common import console

QUIET_ZONE_MODULES = 4
"""Margin around a QR code, required by ISO/IEC 18004."""
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
"""Two modules, one above the other, as one character."""


def print_qr_code(address: str) -> bool:
    """Print `address` as a QR code on standard error; return False if that is no terminal of enough width."""
    lines = qr_lines(address)
    screen = console()
    if not (screen.is_terminal and screen.width >= len(lines[0]) and _can_print(screen.encoding)):
        return False
    for line in lines:  # dark on light, as scanners need it, in any colours of the terminal
        screen.print(line, style="#000000 on #ffffff", no_wrap=True)
    return True


def qr_lines(address: str) -> list[str]:
    """Return the QR code of `address` as lines of half blocks; dark modules are ink."""
    import segno

    rows = [list(row) for row in segno.make_qr(address, error="l").matrix_iter(border=QUIET_ZONE_MODULES)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(_HALVES[int(a), int(b)] for a, b in zip(*pair, strict=True)) for pair in pairs]


def is_at_a_desktop(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Return whether the command was probably started on a desktop.

    That is: standard error is a terminal, this is not an SSH session, and there is a display (on macOS and
    Windows there always is).
    """
    if not sys.stderr.isatty() or environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return False
    if platform in ("darwin", "win32"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def open_in_browser(address: str) -> None:
    """Open `address` in the desktop's browser, in a thread, as some browsers block until they exit."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is webbrowser.GenericBrowser and "BROWSER" not in os.environ:
        return  # a browser for the terminal, which would take over this one
    threading.Thread(target=browser.open, args=(address,), name="browser", daemon=True).start()


def _can_print(encoding: str) -> bool:
    try:
        "".join(_HALVES.values()).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
