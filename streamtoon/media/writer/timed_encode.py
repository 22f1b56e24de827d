"""Encoding frames in memory and measuring the time: for comparing encoders."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av

from engines.frame import Frame
from streamtoon.media.reader.probe import MediaInfo
from streamtoon.media.writer.containers import BY_EXTENSION, muxer_options
from streamtoon.media.writer.encoders import EncoderChoice
from streamtoon.media.writer.video_encoder import VideoEncoder


@dataclass(frozen=True, slots=True)
class TimedEncode:
    """Encoded frames and their cost."""

    file: bytes
    """Matroska."""
    coded_bytes: int
    """Bytes of the packets alone."""
    cpu_s: float
    """CPU time of all threads of this process while it encoded, seconds."""


def encode_timed(frames: Sequence[Frame], info: MediaInfo, choice: EncoderChoice) -> TimedEncode:
    """Encode frames of one size, as a conversion does.

    `info` describes their source. Opening the encoder is not timed. Raises OutputError if it cannot be
    opened.
    """
    kind = BY_EXTENSION[".mkv"]
    file = io.BytesIO()
    size = frames[0].width, frames[0].height
    packets: list[Any] = []
    options = muxer_options(kind, [info.time_base])
    with av.open(file, "w", format=kind.format, container_options=options) as container:
        encoder = VideoEncoder(container, kind, choice, info, size, [])
        container.start_encoding()
        began = time.process_time()
        for frame in frames:
            packets += encoder.encode(frame)
        packets += encoder.drain()
        cpu_s = time.process_time() - began
        coded_bytes = sum(packet.size for packet in packets)
        container.mux(packets)
    return TimedEncode(file.getvalue(), coded_bytes, cpu_s)
