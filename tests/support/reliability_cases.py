"""The corpus: every case with how it is made and what is promised. docs/reliability.md is its table."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import corpus
from reliability_kinds import PICTURES, STREAMS, clip
from reliability_promises import Case, Made, continuous, ended_well, refused, survived, whole


def _original(extension: str) -> Callable[[Path], Path]:
    return lambda folder: folder / f"whole{extension}"


def _written(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _flips(extension: str, part: str) -> Callable[[Path], Made]:
    return lambda folder: corpus.flipped(folder, extension, part)


def _place(what: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "in.mp4"
        if what == "folder":
            path.mkdir()
        elif what == "loop":
            path.symlink_to(folder / "other.mp4")
            (folder / "other.mp4").symlink_to(path)
        elif what == "dangling":
            path.symlink_to(folder / "nothing.mp4")
        elif what == "socket":
            with socket.socket(socket.AF_UNIX) as server:
                here = Path.cwd()
                os.chdir(folder)  # a socket's name is short
                try:
                    server.bind(path.name)
                finally:
                    os.chdir(here)
        elif what == "pipe":
            os.mkfifo(path)
        return path

    return make


def _written_pipe(folder: Path) -> Path:
    path, data = folder / "pipe.mkv", corpus.base(folder, ".mkv").read_bytes()
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=(data,), daemon=True).start()
    return path


FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
FAST = {"movflags": "+faststart"}

DAMAGE = [
    Case("Damage", "MP4 cut at every 1/20", lambda d: corpus.cut(d, ".mp4"), survived(_original(".mp4"))),
    Case(
        "Damage",
        "MP4 with its index in front, cut at every 1/20",
        lambda d: corpus.cut(d, ".mp4", container_options=FAST),
        survived(_original(".mp4")),
    ),
    Case(
        "Damage",
        "fragmented MP4 cut at every 1/20",
        lambda d: corpus.cut(d, ".mp4", container_options=FRAGMENTS),
        survived(_original(".mp4"), unsaid=2.0),
    ),
    *(
        Case("Damage", f"{name} cut at every 1/20", make, survived(_original(extension), unsaid))
        for name, extension, make, unsaid in (
            ("Matroska", ".mkv", lambda d: corpus.cut(d, ".mkv"), 0.5),
            ("transport stream", ".ts", lambda d: corpus.cut(d, ".ts"), 2.0),
        )
    ),
    *(
        Case("Damage", f"{name}, bits flipped in its {part}", _flips(extension, part), ended_well())
        for name, extension, part in (
            ("MP4", ".mp4", "header"),
            ("MP4", ".mp4", "index"),
            ("MP4", ".mp4", "middle"),
            ("Matroska", ".mkv", "header"),
            ("Matroska", ".mkv", "middle"),
            ("transport stream", ".ts", "header"),
            ("transport stream", ".ts", "middle"),
        )
    ),
]

DAMAGE += [
    Case(
        "Damage",
        "transport stream with lost packets",
        corpus.lost_packets,
        survived(_original(".ts"), least=15),
    ),
    *(
        Case(
            "Damage", f"{name}, a tenth overwritten by zeros", make, survived(_original(extension), least=15)
        )
        for name, extension, make in (
            ("MP4", ".mp4", lambda d: corpus.blank(d, ".mp4")),
            ("Matroska", ".mkv", lambda d: corpus.blank(d, ".mkv")),
        )
    ),
    Case(
        "Damage",
        "MP4, a tenth overwritten by zeros, --on-error stop",
        lambda d: corpus.blank(d, ".mp4"),
        refused("is damaged at 0:00:00."),
        {"on_error": "stop"},
    ),
    Case(
        "Damage",
        "MP4 that ends early, --on-error stop",
        lambda d: list(corpus.cut(d, ".mp4", container_options=FAST))[12:18],
        refused("--on-error repair"),
        {"on_error": "stop"},
    ),
    Case(
        "Damage",
        "an undamaged video, --on-error stop",
        lambda d: corpus.base(d, ".mkv"),
        whole(),
        {"on_error": "stop"},
    ),
]

TIME = [
    Case("Time", "no pictures in the video track", corpus.no_pictures, refused("no frame")),
    Case("Time", "one picture", clip("one.mp4", pts=[0], audio=None), whole(1)),
    Case("Time", "sound three times as long as the pictures", lambda d: corpus.sound_of(d, 3.0), whole()),
    Case("Time", "sound a third as long as the pictures", lambda d: corpus.sound_of(d, 0.34), whole()),
    Case("Time", "times before 0", lambda d: corpus.moved(d, -5.0, ".nut"), whole()),
    Case("Time", "packed AVI, pictures without times", corpus.without_times, whole()),
    Case("Time", "uneven times and a gap of 40 s", corpus.uneven, whole()),
    Case(
        "Time",
        "transport stream whose counter overflows",
        lambda d: corpus.moved(d, 2**33 / 90000 - 0.5),
        whole(),
    ),
    Case("Time", "two transport streams end to end", lambda d: corpus.joined(d, 1, 1), continuous(50)),
    Case(
        "Time", "three, with clocks hours apart", lambda d: corpus.joined(d, 50000, 3, 20000), continuous(75)
    ),
    Case("Time", "a header that claims 50,000 years", corpus.nonsense_length, continuous(25)),
]

NOT_VIDEO = [
    Case("No video", "an empty file", _written("in.mp4", b""), refused("is empty")),
    Case(
        "No video",
        "a text named .mp4",
        _written("in.mp4", b"Dear friend,\n" * 99),
        refused("not a video in a supported format"),
    ),
    Case(
        "No video",
        "a text named .txt",
        _written("in.txt", b"Dear friend,\n" * 99),
        refused("not a video in a supported format"),
    ),
    Case(
        "No video",
        "HTML named .mp4",
        _written("in.mp4", b"<html><body>404</body></html>" * 9),
        refused("not a video in a supported format"),
    ),
    Case("No video", "an archive named .mp4", corpus.archive, refused("not a video in a supported format")),
    Case(
        "No video",
        "noise named .mp4",
        _written("in.mp4", bytes(range(7, 255)) * 99),
        refused("not a video in a supported format"),
    ),
    Case(
        "No video",
        "a still picture",
        clip("in.png", codec="png", pixel_format="rgb24", audio=None, pts=[0]),
        refused("still image"),
    ),
    Case(
        "No video",
        "playlists: HLS, concat, DASH, SDP, ASX, PLS",
        lambda d: corpus.playlists(d, 9),
        refused("", "; what they name is not opened"),
    ),
    Case("No video", "an address", lambda _: "http://127.0.0.1:9/film.mp4", refused("is a URL")),
]

PLACES = [
    Case("Places", "no such file", lambda d: d / "nothing.mp4", refused("does not exist")),
    Case("Places", "a folder", _place("folder"), refused("is a folder")),
    Case("Places", "a loop of symbolic links", _place("loop"), refused("too many levels")),
    Case("Places", "a symbolic link to nothing", _place("dangling"), refused("does not exist")),
    Case("Places", "a socket", _place("socket"), refused("is a socket")),
    Case("Places", "a pipe that somebody writes to", _written_pipe, continuous(25)),
    Case("Places", "a pipe that nobody writes to", _place("pipe"), refused("nobody writes to")),
    Case(
        "Places",
        "devices",
        lambda _: [p for p in map(Path, ("/dev/zero", "/dev/random", "/dev/null", "/dev/tty")) if p.exists()],
        refused("is a device"),
    ),
    Case(
        "Places",
        "names with spaces, quotes, line breaks, dashes, percent signs, Unicode, bytes that are no text",
        corpus.named,
        whole(),
    ),
    Case(
        "Places",
        "a place where nothing can be written",
        lambda d: corpus.base(d, ".mkv"),
        refused("cannot be written"),
        target="/proc/out.mkv",
    ),
]


CASES = [*DAMAGE, *TIME, *PICTURES, *STREAMS, *NOT_VIDEO, *PLACES]
