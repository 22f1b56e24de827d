"""What soak tests of network sources measure: files, memory and threads of this process over many rounds."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from media_clips import make_clip

from streamtoon.media.network.source import NetworkSource
from streamtoon.media.packets import Passthrough

PICTURES = 10
"""Frames of a clip: a round is 0.4 s of video."""


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Watch:
    """Files, memory and threads of this process, measured once per round."""

    def __init__(self) -> None:
        self.files: list[int] = []
        self.memory: list[float] = []
        self.threads: list[int] = []

    def look(self) -> None:
        self.files.append(open_files())
        self.memory.append(megabytes())
        self.threads.append(threading.active_count())

    def require_flat(self) -> None:
        """Assert that the last quarter is no higher than the first, apart from noise.

        Memory is compared from 100 rounds on: before that, caches fill.
        """
        quarter = len(self.files) // 4
        assert quarter >= 2
        early, late = slice(quarter // 2, quarter), slice(-quarter, None)
        assert max(self.files[late]) <= max(self.files[early]) + 3, self.files
        assert max(self.threads[late]) <= max(self.threads[early]) + 2, self.threads
        if len(self.memory) < 100:
            return
        grown = min(self.memory[late]) - max(self.memory[early])
        assert grown < 8, f"{grown:.1f} MB more after {len(self.memory)} rounds"


def clip_as(kind: str, folder: Path) -> tuple[Path, int]:
    """Make a clip of that kind. Returns its file and its number of frames."""
    name, count, audio = {
        "mp4": ("clip.mp4", PICTURES, "aac"),
        "mkv": ("clip.mkv", PICTURES, "aac"),
        "ts": ("clip.ts", PICTURES, "aac"),
        "one-picture": ("clip.mp4", 1, None),
        "no-times": ("clip.h264", PICTURES, None),
    }[kind]
    pts = [512 * n for n in range(count)]
    return make_clip(folder / name, pts=pts, audio=audio, options={"g": "5", "bf": "0"}), count


def follow(source: NetworkSource, round_of: Callable[[int], bool], rounds: int) -> Watch:
    """Read frames until `round_of`, called with their number, has been true `rounds` times."""
    watch, number, last = Watch(), 0, -1
    for item in source:
        if isinstance(item, Passthrough):
            continue
        assert item.pts > last, "times rise over every round"
        last, number = item.pts, number + 1
        source.waited(item.pts)
        if round_of(number):
            watch.look()
        if len(watch.files) == rounds:
            break
    return watch
