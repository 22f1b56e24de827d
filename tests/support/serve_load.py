"""Eight live sessions on one server, one of them killed hard: `python tests/support/serve_load.py [SECONDS]`.

Clients run in a process each, as browsers do. Prints, for every client, the pictures a second that came back,
before and after the kill, and the server's memory before, during and after.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from urllib.request import urlopen

from paths import ROOT

SESSIONS = 8
AT_REST = 7.0
"""Seconds after which a server that draws for nobody has given its memory back."""


async def client(address: str, seconds: float) -> None:
    """One session of that many seconds; a line of its pictures every second."""
    import aiohttp
    from serve_client import Coded, Page

    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        page = Page(http, address)
        await page.open()
        said = await page.go_live(Coded(320, 180))
        if said:
            say(said)
            return
        await page.opened.wait()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(1)
            say(page.frames)
        await page.close()


def say(*what: object) -> None:
    sys.stdout.write(" ".join(map(str, what)) + "\n")
    sys.stdout.flush()


def memory(address: str) -> float:
    """Megabytes of the server."""
    return _metric(address, "memory_bytes") / 1e6


def sessions(address: str) -> float:
    return _metric(address, "sessions")


def _metric(address: str, name: str) -> float:
    with urlopen(f"{address}metrics") as answer:
        text = answer.read().decode()
    return float(re.search(rf"^streamtoon_{name} (\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]


def main(seconds: float) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in a shell's background it is ignored
    server = subprocess.Popen(
        [sys.executable, "-m", "streamtoon", "serve", "--port", "0", "--max-sessions", str(SESSIONS),
         "--quality", "lite"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert server.stderr is not None
    address = re.search(r"open (\S+) in", server.stderr.readline())[1]  # type: ignore[index]
    try:
        for turn in range(4):
            say(f"turn {turn}: at rest {memory(address):.0f} MB")
            clients = [
                subprocess.Popen(
                    [sys.executable, __file__, "--client", address, str(seconds)],
                    stdout=subprocess.PIPE, text=True, start_new_session=True,
                )
                for _ in range(SESSIONS)
            ]  # fmt: skip
            time.sleep(seconds / 2)
            say(f"  half-way {sessions(address):.0f} sessions, {memory(address):.0f} MB")
            os.killpg(clients[0].pid, signal.SIGKILL)
            killed = time.monotonic()
            while sessions(address) == SESSIONS and time.monotonic() - killed < 60:
                time.sleep(0.1)
            say(f"  the killed one's place was free after {time.monotonic() - killed:.1f} s")
            for n, one in enumerate(clients):
                counts = [int(line) for line in one.communicate()[0].split()]
                half = len(counts) // 2 if n else len(counts) - 1
                after = (counts[-1] - counts[half]) / max(1, len(counts) - 1 - half)
                say(f"  client {n}: {counts[half] / max(1, half):.1f} fps, then {after:.1f}")
            while sessions(address):
                time.sleep(0.1)
            time.sleep(AT_REST)
        say(f"at rest {memory(address):.0f} MB")
    finally:  # else it would outlive whoever ends this
        server.send_signal(signal.SIGINT)
        began = time.monotonic()
        say(server.communicate()[1].strip(), f"after {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        asyncio.run(client(sys.argv[2], float(sys.argv[3])))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 40)
