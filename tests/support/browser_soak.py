"""A camera drawn by the page for minutes: memory of the browser's processes, and of the page's own heap.

python tests/support/browser_soak.py [MINUTES]    ten; needs Chromium, chromedriver and ffmpeg; Linux

Ends with code 1, and a sentence for each bound that does not hold.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from web_site_browser import camera_clip, chromium, run, served, until_drawn

from streamtoon.web.site.build import build_site
from streamtoon.web.site.contents import site_styles

START = 0.2
"""Share of the looks that does not count: caches fill."""
BOUNDS = {"renderer": 20.0, "gpu": 20.0, "heap": 0.5}
"""Megabytes that a straight line through the looks may rise by, over all of the time."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one time. Memory is in megabytes, after a collection of garbage."""

    seconds: float
    frames: int
    """Drawn so far."""
    renderer: float
    """Resident memory of the page's process."""
    gpu: float
    """Resident memory of the GPU process, which draws in software."""
    heap: float
    """The page's JavaScript heap."""


def processes(parent: int) -> dict[str, list[int]]:
    """Return the processes that descend from `parent`, by Chromium's word for their kind."""
    parents, kinds = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
        except OSError:  # it has ended
            continue
        kinds[int(folder.name)] = next((one[7:] for one in words if one.startswith("--type=")), "browser")
    found: dict[str, list[int]] = {}
    for process in parents:
        above = process
        while above in parents and above != parent:
            above = parents[above]
        if above == parent and process != parent:
            found.setdefault(kinds[process], []).append(process)
    return found


def resident(numbers: Sequence[int]) -> float:
    """Return the largest resident memory of some processes, in megabytes."""
    sizes = []
    for number in numbers:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
        sizes += [int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS:")]
    return max(sizes)


@contextmanager
def camera_page(folder: Path) -> Iterator[Any]:
    """Open the page with a camera, small enough for software, and wait until it draws."""
    build_site(site_styles(["comic"]), folder / "site")
    clip = camera_clip(folder)
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with (
        served(folder / "site") as address,
        chromium(*fake, f"--use-file-for-fake-video-capture={clip}") as browser,
    ):
        browser.get(address)
        until_drawn(browser, "sample comic")
        browser.execute_script("document.getElementById('camera').click()")
        until_drawn(browser, "camera comic")
        run(
            browser,
            "window.frames_drawn = 0; const video = document.getElementById('video');"
            "const next = () => { window.frames_drawn++; video.requestVideoFrameCallback(next); };"
            "video.requestVideoFrameCallback(next);",
        )
        yield browser


def watch(browser: Any, seconds: float, every: float) -> Iterator[Look]:
    """Look at the browser every so many seconds."""
    browser.execute_cdp_cmd("HeapProfiler.enable", {})
    started = time.monotonic()
    while True:
        browser.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        heap = browser.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"] / 1e6
        kinds = processes(browser.service.process.pid)
        passed = time.monotonic() - started
        frames = int(browser.execute_script("return window.frames_drawn"))
        yield Look(passed, frames, resident(kinds["renderer"]), resident(kinds["gpu-process"]), heap)
        if passed >= seconds:
            return
        time.sleep(max(0.0, every - (time.monotonic() - started - passed)))


def rise(looks: Sequence[Look], name: str) -> float:
    """Return by how many megabytes a straight line through the looks rises, by least squares."""
    times = np.array([look.seconds for look in looks])
    slope = np.polyfit(times, [getattr(look, name) for look in looks], 1)[0]
    return float(slope * (times[-1] - times[0]))


def complaints(looks: Sequence[Look]) -> list[str]:
    """Return a sentence for each bound that does not hold."""
    steady = looks[int(len(looks) * START) :]
    said = []
    if steady[-1].frames <= steady[0].frames:
        said.append("the page draws no more frames")
    for name, bound in BOUNDS.items():
        if (grown := rise(steady, name)) > bound:
            said.append(f"{name} grows by {grown:.1f} MB, more than {bound:g}")
    return said


def main() -> None:
    """Do what the command line asks for."""
    minutes = float((*sys.argv, "10")[1])
    looks: list[Look] = []
    with tempfile.TemporaryDirectory() as name, camera_page(Path(name)) as browser:
        for look in watch(browser, 60 * minutes, min(60.0, 6 * minutes)):
            looks.append(look)
            sys.stdout.write(
                f"{look.seconds / 60:4.1f} min  {look.frames:6d} frames  page {look.renderer:6.1f} MB  "
                f"GPU process {look.gpu:6.1f} MB  heap {look.heap:5.2f} MB\n"
            )
            sys.stdout.flush()
    said = complaints(looks)
    for sentence in said:
        sys.stderr.write(f"{sentence}\n")
    sys.exit(1 if said else 0)


if __name__ == "__main__":
    main()
