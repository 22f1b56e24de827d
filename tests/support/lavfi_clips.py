"""Small clips drawn by FFmpeg's own test sources: what the tests of pipeline, API and commands convert."""

from __future__ import annotations

from pathlib import Path

import av


def make_clip(
    path: Path, *, size: str = "128x96", rate: int = 25, frames: int = 25, sound: bool = True
) -> Path:
    """`frames` pictures of testsrc2 in H.264, and a tone of the same length in AAC."""
    seconds = frames / rate
    with av.open(str(path), "w") as target:
        width, height = map(int, size.split("x"))
        video = target.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "10"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        tone = target.add_stream("aac", rate=44100) if sound else None
        with av.open(f"testsrc2=size={size}:rate={rate}:duration={seconds}", format="lavfi") as source:
            for frame in source.decode(video=0):
                target.mux(video.encode(frame.reformat(format="yuv420p")))
        target.mux(video.encode(None))
        if tone:
            with av.open(f"sine=frequency=440:duration={seconds}", format="lavfi") as source:
                for sample in source.decode(audio=0):
                    target.mux(tone.encode(sample))
            target.mux(tone.encode(None))
    return path


def make_tone(path: Path, seconds: float = 0.5) -> Path:
    """Sound without pictures."""
    with av.open(str(path), "w") as target, av.open(f"sine=duration={seconds}", format="lavfi") as source:
        tone = target.add_stream("aac", rate=44100)
        for sample in source.decode(audio=0):
            target.mux(tone.encode(sample))
        target.mux(tone.encode(None))
    return path


def read_clip(path: Path) -> tuple[list[int], int, int]:
    """Timestamps, width and height of a video's pictures, as PyAV decodes them."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [int(frame.pts or 0) for frame in frames], frames[0].width, frames[0].height


def sound_packets(path: Path) -> list[bytes]:
    """Contents of the first sound stream's packets."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]
