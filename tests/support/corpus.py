"""Damaged, odd and hostile videos, made on the spot: each function writes one kind and gives its files."""

from __future__ import annotations

import os
import random
import struct
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from media_clips import make_clip, scene, tone

SLOW_CLOCK = Fraction(1, 90000)
TS_PACKET = 188


def base(folder: Path, extension: str, **settings: Any) -> Path:
    """A second of pictures, a key frame in five, with a tone."""
    path = folder / f"whole{extension}"
    settings.setdefault("options", {"g": "5", "bf": "2"})
    return path if path.exists() else make_clip(path, **settings)


# --- damage --------------------------------------------------------------------------------------------


def cut(folder: Path, extension: str, **settings: Any) -> Iterator[Path]:
    """The first 1/20, 2/20, ... 19/20 of a file."""
    data = base(folder, extension, **settings).read_bytes()
    for n in range(1, 20):
        path = folder / f"cut-{n:02}{extension}"
        path.write_bytes(data[: len(data) * n // 20])
        yield path


def flipped(folder: Path, extension: str, part: str, count: int = 12) -> Iterator[Path]:
    """One to eight bits flipped in the header, in the index (`moov`) or in the middle."""
    data = base(folder, extension).read_bytes()
    low, high = {"header": (0, 64), "middle": (len(data) // 3, 2 * len(data) // 3)}.get(part, (0, 0))
    if part == "index":
        low, high = data.index(b"moov"), len(data)
    for seed in range(count):
        dice = random.Random(f"{extension}{part}{seed}")
        bad = bytearray(data)
        for _ in range(dice.randint(1, 8)):
            bad[dice.randrange(low, high)] ^= 1 << dice.randrange(8)
        path = folder / f"flip-{seed:02}{extension}"
        path.write_bytes(bad)
        yield path


def lost_packets(folder: Path) -> Path:
    """Every 23rd packet of a transport stream is missing, as from a weak aerial."""
    data = base(folder, ".ts").read_bytes()
    packets = [data[i : i + TS_PACKET] for i in range(0, len(data), TS_PACKET)]
    path = folder / "lost.ts"
    path.write_bytes(b"".join(p for n, p in enumerate(packets) if n % 23 != 22))
    return path


def blank(folder: Path, extension: str) -> Path:
    """A tenth in the middle is zeros, as from a dying disk."""
    data = bytearray(base(folder, extension, options={"g": "5", "bf": "0"}).read_bytes())
    start = len(data) // 2
    data[start : start + len(data) // 10] = bytes(len(data) // 10)
    path = folder / f"blank{extension}"
    path.write_bytes(data)
    return path


# --- time ----------------------------------------------------------------------------------------------


def _decoding_time(packet: Packet[Any]) -> Fraction:
    """Return the time in seconds at which a packet is decoded."""
    at = packet.pts if packet.dts is None else packet.dts
    assert at is not None and packet.time_base is not None
    return at * packet.time_base


def remuxed(source: Path, target: Path, change: Any, **settings: Any) -> Path:
    """`source`'s packets in a new file, each put through `change`, which may refuse one."""
    with av.open(str(source)) as old, av.open(str(target), "w", **settings) as new:
        copies = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        kept = [p for p in old.demux() if p.size]
        for packet in sorted(kept, key=_decoding_time):
            kind = packet.stream.type
            packet.stream = copies[packet.stream_index]
            if change(packet, kind) is not False:
                new.mux(packet)
    return target


def moved(folder: Path, seconds: float, extension: str = ".ts") -> Path:
    """The clip with all its times moved; a transport stream's counter overflows at 2^33 / 90000 s."""

    def change(packet: Any, _: str) -> None:
        ticks = round(seconds / packet.time_base)
        packet.pts += ticks
        packet.dts = packet.pts if packet.dts is None else packet.dts + ticks

    settings: dict[str, Any] = {"container_options": {"mpegts_copyts": "1"}} if extension == ".ts" else {}
    # Without B-frames where a container stores no decoding times.
    source = base(folder, extension) if extension == ".ts" else base(folder, extension, options={"bf": "0"})
    return remuxed(source, folder / f"moved{seconds:.0f}{extension}", change, **settings)


def joined(folder: Path, *starts: float) -> Path:
    """Transport streams of one clip end to end, each with a clock that begins at its own time."""
    path = folder / "joined.ts"
    path.write_bytes(b"".join(moved(folder, start).read_bytes() for start in starts))
    return path


def uneven(folder: Path) -> Path:
    """Pictures at any distance, and nothing for forty seconds."""
    pts = [0, 512, 600, 601, 2000, 5000, 5010, 9000, 40 * 12800, 40 * 12800 + 512]
    return make_clip(folder / "uneven.mp4", pts=pts, audio=None)


def without_times(folder: Path) -> Path:
    """AVI stores none: B-frames packed into one another have times that nobody wrote."""
    return make_clip(
        folder / "packed.avi",
        codec="mpeg4",
        audio="libmp3lame",
        options={"bf": "2"},
        time_base=Fraction(1, 25),
    )


def sound_of(folder: Path, seconds: float) -> Path:
    """A second of pictures with sound of another length."""
    path = folder / f"sound{seconds}.mkv"
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        sound: Any = out.add_stream("aac", rate=48000)
        for n in range(25):
            frame = av.VideoFrame.from_ndarray(scene(64, 48, n), "rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        tone(out, sound, 0, seconds)
    return path


def nonsense_length(folder: Path) -> Path:
    """An MP4 whose header claims 50,000 years (movie, track and media header alike)."""
    data = bytearray(base(folder, ".mp4").read_bytes())
    for box, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        at = data.index(box)
        data[at + offset : at + offset + 4] = b"\xff\xff\xff\xf0"
    scale = data.index(b"mvhd") + 16
    data[scale : scale + 4] = struct.pack(">I", 1)
    path = folder / "long.mp4"
    path.write_bytes(data)
    return path


# --- streams and pictures ------------------------------------------------------------------------------


def no_pictures(folder: Path) -> Path:
    """A video track that holds nothing."""
    path = folder / "none.mkv"
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        sound: Any = out.add_stream("aac", rate=48000)
        out.start_encoding()
        tone(out, sound, 0, 0.3)
    return path


def changing(folder: Path, *kinds: tuple[tuple[int, int], str]) -> Path:
    """Raw H.264 whose size or layout changes on the way."""
    path = folder / "changing.h264"
    for n, (size, pixel_format) in enumerate(kinds):
        part = folder / f"part{n}.h264"
        make_clip(
            part, size=size, pixel_format=pixel_format, audio=None, pts=[0, 512, 1024], options={"bf": "0"}
        )
        with path.open("ab") as file:
            file.write(part.read_bytes())
    return path


def turned(folder: Path, matrix: tuple[int, ...]) -> Path:
    """Any nine numbers as the display matrix, written into the track header of an MP4."""
    data = bytearray(base(folder, ".mp4").read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", *matrix)
    path = folder / "turned.mp4"
    path.write_bytes(data)
    return path


def many_streams(folder: Path, sounds: int, videos: int) -> Path:
    """`sounds` tracks of sound and `videos` of pictures, the first of which is the main one."""
    path = folder / f"{sounds}-{videos}.mkv"
    with av.open(str(path), "w") as out:
        tracks: list[Any] = [out.add_stream("libx264", rate=25) for _ in range(videos)]
        for n, video in enumerate(tracks):
            video.width, video.height = (64, 48) if n == 0 else (32, 32)
            video.disposition = 1 if n == 0 else 0
        tones: list[Any] = [out.add_stream("aac", rate=48000) for _ in range(sounds)]
        out.start_encoding()
        for video in tracks:
            for n in range(10):
                frame = av.VideoFrame.from_ndarray(scene(video.width, video.height, n), "rgb24")
                frame.pts = n
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        for sound in tones:
            tone(out, sound, 0, 0.4)
    return path


# --- names ---------------------------------------------------------------------------------------------

NAMES = [
    b"two words.mkv",
    b'it\'s "quoted".mkv',
    b"two\nlines.mkv",
    b"-dash.mkv",
    b"--help.mkv",
    "ünï → 漫画.mkv".encode(),
    b"100%03d%s%%.mkv",
    b"not utf-8 \xff\xfe.mkv",
    b"a:b|c?d*e.mkv",
    b"$(touch x) `y`;&.mkv",
    b"  .mkv",
    b"[a-z]{1,2}.mkv",
    b"\\back\\slash.mkv",
    b"x" * 250 + b".mkv",
]


def named(folder: Path) -> Iterator[Path]:
    """One clip under every odd name."""
    data = base(folder, ".mkv").read_bytes()
    for name in NAMES:
        path = folder / os.fsdecode(name)
        path.write_bytes(data)
        yield path


# --- no videos -----------------------------------------------------------------------------------------


def archive(folder: Path) -> Path:
    """A ZIP archive with a video in it, named .mp4."""
    path = folder / "archive.mp4"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(base(folder, ".mkv"), "film.mkv")
    return path


def playlists(folder: Path, port: int) -> Iterator[Path]:
    """Files that only name others: a real video beside them, and an address that notices who calls."""
    video = base(folder, ".ts")
    address = f"http://127.0.0.1:{port}/secret.ts"
    texts = {
        "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "concat.txt": "ffconcat version 1.0\nfile '{}'\n",
        "plain-concat.mp4": "file '{}'\nduration 1\n",
        "dash.mpd": '<?xml version="1.0"?><MPD><Period><BaseURL>{}</BaseURL></Period></MPD>',
        "talk.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nm=video 5000 RTP/AVP 96\n",
        "list.asx": "<ASX><Entry><Ref href='{}'/></Entry></ASX>",
        "list.pls": "[playlist]\nFile1={}\n",
    }
    for name, text in texts.items():
        for n, what in enumerate((video.name, str(video), address)):
            path = folder / f"{n}-{name}"
            path.write_text(text.format(what), encoding="utf-8")
            yield path
