"""The half of the corpus that is sound but odd: pictures and streams of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import corpus
from media_clips import make_clip, rich_matroska, scene
from reliability_promises import Case, whole

FEW = [0, 512, 1024]
ONE = 65536


def clip(name: str, **settings: Any) -> Callable[[Path], Path]:
    """Makes it."""
    return lambda folder: make_clip(folder / name, **settings)


def _covered(folder: Path) -> Path:
    """A clip with a picture on its cover."""
    photo = make_clip(folder / "cover.mjpeg", codec="mjpeg", pixel_format="yuvj420p", audio=None, pts=[0])
    target = folder / "covered.mp4"
    with av.open(str(corpus.base(folder, ".mp4"))) as file, av.open(str(target), "w") as out:
        copies = {s.index: out.add_stream_from_template(s, opaque=True) for s in file.streams}
        cover: Any = out.add_mux_stream("mjpeg", width=64, height=48)
        cover.disposition = 1024
        for packet in file.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
        image = av.Packet(photo.read_bytes())
        image.stream, image.pts, image.dts, image.time_base = cover, 0, 0, corpus.SLOW_CLOCK
        out.mux(image)
    return target


def _timecoded(folder: Path) -> Path:
    """A QuickTime film with a track that holds its time code."""
    with av.open(str(folder / "in.mov"), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        video.metadata["timecode"] = "10:20:30:05"
        for n in range(5):
            frame = av.VideoFrame.from_ndarray(scene(64, 48, n), "rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return folder / "in.mov"


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


PICTURES = [
    *(
        Case("Pictures", f"{w}x{h}", clip("in.mkv", codec="ffv1", size=(w, h), audio=None, pts=FEW), promise)
        for w, h, promise in (
            (1, 1, whole(3, (2, 2), "even size")),
            (2, 2, whole()),
            (17, 31, whole(3, (18, 32), "even size")),
            (8192, 16, whole(same=True)),
        )
    ),
    Case(
        "Pictures",
        "another size on the way",
        lambda d: corpus.changing(d, ((64, 48), "yuv420p"), ((96, 80), "yuv420p")),
        whole(6, (64, 48), "size or format of the frames changes"),
    ),
    Case(
        "Pictures",
        "another layout on the way",
        lambda d: corpus.changing(d, ((64, 48), "yuv420p"), ((64, 48), "yuv444p")),
        whole(6, (64, 48), "size or format of the frames changes"),
    ),
    *(
        Case("Pictures", f"turned by {degrees} degrees", clip("in.mp4", rotation=degrees, pts=FEW), whole())
        for degrees in (90, 180, 270)
    ),
    Case(
        "Pictures",
        "turned by 45 degrees, sheared, of no size",
        lambda d: [
            corpus.turned(d / name, matrix)
            for name, matrix in (
                (_folder(d / "a"), (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)),
                (_folder(d / "b"), (ONE, 20000, 0, 0, ONE, 0, 0, 0, 1 << 30)),
                (_folder(d / "c"), (0,) * 9),
                (_folder(d / "d"), (-(1 << 31), (1 << 31) - 1, 77, -5, 1 << 30, -1, 9, 9, -1)),
            )
        ],
        whole(),
    ),
    Case(
        "Pictures",
        "10 bits",
        clip("in.mkv", codec="ffv1", pixel_format="yuv420p10le"),
        whole(warns="10 bits"),
    ),
    Case("Pictures", "4:4:4", clip("in.mkv", pixel_format="yuv444p"), whole(same=True)),
    Case("Pictures", "grey", clip("in.mkv", codec="ffv1", pixel_format="gray"), whole(same=True)),
    Case(
        "Pictures",
        "transparent",
        clip("in.mkv", codec="ffv1", pixel_format="yuva420p"),
        whole(warns="transparent parts"),
    ),
    Case(
        "Pictures", "a palette (GIF)", clip("in.gif", codec="gif", pixel_format="rgb8", audio=None), whole()
    ),
    Case(
        "Pictures",
        "interlaced",
        clip("in.mkv", options={"flags": "+ildct+ilme", "x264-params": "tff=1"}),
        whole(warns="deinterlaced"),
    ),
    *(
        Case(
            "Pictures",
            name,
            clip("in.mkv", codec="ffv1", pixel_format="yuv420p10le", tags=(9, 1, 9, transfer)),
            whole(warns=f"HDR ({name})"),
        )
        for name, transfer in (("PQ", 16), ("HLG", 18))
    ),
]

STREAMS = [
    Case("Streams", "8 tracks of sound", lambda d: corpus.many_streams(d, 8, 1), whole()),
    Case("Streams", "3 tracks of pictures", lambda d: corpus.many_streams(d, 1, 3), whole()),
    Case(
        "Streams", "subtitles, two sounds, a font, chapters", lambda d: rich_matroska(d / "in.mkv"), whole()
    ),
    Case("Streams", "cover art", _covered, whole()),
    Case("Streams", "a track of time codes (a tag in Matroska)", _timecoded, whole()),
    Case(
        "Streams",
        "raw H.264",
        clip("in.h264", audio=None, options={"bf": "0"}),
        whole(25, warns="no usable timestamp"),
    ),
]
