"""Small videos made on the spot, and an independent reader that states what a file holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from streamtoon.media import VideoReader, VideoWriter


def scene(width: int, height: int, n: int) -> NDArray[np.uint8]:
    """Picture `n` of a moving scene, RGB H x W x 3: smooth colours and one hard-edged square."""
    y, x = np.mgrid[0:height, 0:width]
    red = 128 + 90 * np.sin((x + 3 * n) / 17)
    green = 128 + 90 * np.sin((y - 2 * n) / 13)
    blue = 128 + 90 * np.cos((x + y + n) / 23)
    rgb = np.stack([red, green, blue], -1).clip(0, 255).astype(np.uint8)
    left = (5 * n) % max(1, width - 12)
    rgb[4:14, left : left + 10] = (250, 240, 20)
    return rgb


def make_clip(
    path: Path,
    *,
    size: tuple[int, int] = (64, 48),
    pts: list[int] | None = None,
    time_base: Fraction = Fraction(1, 12800),
    rate: Fraction = Fraction(25),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    audio: str | None = "aac",
    audio_start: int = 0,
    tags: tuple[int, int, int, int] = (2, 0, 2, 2),
    aspect: Fraction | None = None,
    rotation: int | None = None,
) -> Path:
    """Write a video of `pts` (in `time_base`; default: 25 pictures at `rate`) with a tone beside it.

    `tags` are (matrix, range, primaries, transfer).
    """
    step = 1 / (rate * time_base)
    pts = [round(n * step) for n in range(25)] if pts is None else pts
    with av.open(str(path), "w", container_options=container_options or {}) as out:
        video: Any = out.add_stream(codec, rate=rate, options=options or {})
        video.width, video.height = size
        video.pix_fmt = pixel_format
        video.codec_context.time_base = video.time_base = time_base
        video.codec_context.flags |= av.codec.context.Flags.frame_duration
        context = video.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        if aspect:
            context.sample_aspect_ratio = aspect
        if rotation is not None:
            video.set_display_rotation(rotation)
        sound: Any = out.add_stream(audio, rate=48000) if audio else None
        out.start_encoding()
        for n, time in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(scene(*size, n), "rgb24")
            frame = frame.reformat(format=pixel_format, dst_colorspace=5 if tags[0] in (2, 5, 6) else tags[0])
            frame.pts, frame.time_base = time, time_base
            frame.duration = (pts[n + 1] - time) if n + 1 < len(pts) else round(step)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound is not None:
            seconds = float((pts[-1] - pts[0] + step) * time_base)
            tone(out, sound, audio_start, seconds)
    return path


def tone(out: Any, stream: Any, start: int, seconds: float) -> None:
    for block in range(max(1, int(seconds * 48000 / 1024))):
        t = np.arange(block * 1024, (block + 1) * 1024) / 48000
        samples = np.tile((0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), (2, 1))
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start + block * 1024, Fraction(1, 48000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def rich_matroska(path: Path) -> Path:
    """Two sounds, subtitles, a font, chapters, tags of all kinds."""
    with av.open(str(path), "w", container_options={"default_mode": "passthrough"}) as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height, video.disposition = 64, 48, 1
        first: Any = out.add_stream("aac", rate=48000)
        second: Any = out.add_stream("libopus", rate=48000)
        first.metadata.update({"language": "deu", "title": "Ton"})
        second.metadata.update({"language": "fra", "title": "Commentaire"})
        first.disposition, second.disposition = 1, 8
        subtitles: Any = out.add_mux_stream("subrip")
        subtitles.metadata.update({"language": "eng", "title": "English"})
        subtitles.disposition = 64
        out.add_attachment("face.ttf", "application/x-truetype-font", bytes(range(256)) * 4)
        out.metadata.update({"title": "A film", "ARTIST": "Nobody", "custom key": "kept"})
        out.set_chapters(
            [
                {
                    "id": n,
                    "start": 400 * n,
                    "end": 400 * (n + 1),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": f"Part {n}"},
                }
                for n in range(3)
            ]
        )
        for n in range(30):
            frame = av.VideoFrame.from_ndarray(scene(64, 48, n), "rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for stream in (first, second):
            tone(out, stream, 0, 1.2)
        for n in range(3):
            packet = av.Packet(f"line {n}".encode())
            packet.stream, packet.time_base = subtitles, Fraction(1, 1000)
            packet.pts = packet.dts = 300 * n
            packet.duration = 250
            out.mux(packet)
    return path


@dataclass
class StreamFacts:
    type: str
    codec: str | None
    duration: Fraction | None
    aspect: Fraction | None
    disposition: int
    metadata: dict[str, str]
    times: list[Fraction | None] = field(default_factory=list)
    """Of packets, as stored."""
    digests: list[str] = field(default_factory=list)
    """Of packets' contents."""


@dataclass
class Facts:
    """What an independent reader sees in a file: packets and single-threaded decoding, none of our code."""

    times: list[Fraction]
    """Of pictures, in seconds."""
    rotation: int
    tags: tuple[int, int, int, int]
    size: tuple[int, int]
    interlaced: bool
    pixel_format: str
    streams: list[StreamFacts]
    metadata: dict[str, str]
    chapters: list[tuple[Fraction, Fraction, dict[str, str]]]

    @property
    def video(self) -> StreamFacts:
        return next(s for s in self.streams if s.type == "video" and not s.disposition & 1024)

    @property
    def others(self) -> list[StreamFacts]:
        return [s for s in self.streams if s is not self.video]


def facts(path: Path) -> Facts:
    """Read all of `path`."""
    times: list[Fraction] = []
    first: Any = None
    with av.open(str(path), metadata_errors="surrogateescape") as file:
        streams = {
            s.index: StreamFacts(
                s.type,
                s.codec_context.codec.canonical_name if s.codec_context else None,
                s.duration * s.time_base if s.duration and s.time_base else None,
                s.sample_aspect_ratio if isinstance(s, av.VideoStream) else None,
                int(s.disposition),
                dict(s.metadata),
            )
            for s in file.streams
        }
        for packet in file.demux():
            known = streams[packet.stream.index]  # a flushing packet has no index of its own
            if packet.size:
                known.times.append(None if packet.pts is None else packet.pts * packet.time_base)
                known.digests.append(hashlib.sha256(bytes(packet)).hexdigest())
            if known.type == "video" and not known.disposition & 1024:
                try:
                    frames: list[Any] = packet.decode()
                except av.FFmpegError:
                    continue
                for frame in frames:
                    first = first or frame
                    if frame.pts is not None:  # bare streams have no times
                        times.append(frame.pts * packet.time_base)
        return Facts(
            times,
            first.rotation,
            (first.colorspace, first.color_range, first.color_primaries, first.color_trc),
            (first.width, first.height),
            first.interlaced_frame,
            first.format.name,
            list(streams.values()),
            dict(file.metadata),
            [
                (c["start"] * base, c["end"] * base, c["metadata"])
                for c in file.chapters()
                if (base := c["time_base"])
            ],
        )


def convert(source: Path, target: Path, **settings: Any) -> tuple[list[str], Any]:
    """Source -> Sink with nothing between; gives (warnings, what was written)."""
    cut = {key: settings.pop(key) for key in ("start", "end") if key in settings}
    with VideoReader(source, **cut) as opened:
        with VideoWriter(target, opened, **settings) as sink:
            for item in opened:
                sink.write(item)
        return opened.warnings + sink.warnings, sink.info


def luma_frames(path: Path) -> list[NDArray[np.uint8]]:
    """The decoded luma planes of every picture, as stored."""
    return [planes[0] for planes in yuv_frames(path)]


def yuv_frames(path: Path) -> list[list[NDArray[np.uint8]]]:
    """The decoded planes of every picture of a planar 8-bit video."""
    result = []
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            planes = []
            for plane in frame.planes:
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
                planes.append(rows[:, : plane.width].copy())
            result.append(planes)
    return result
