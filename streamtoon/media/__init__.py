"""Reading and writing media. The only package that imports PyAV."""

from __future__ import annotations

from streamtoon.media.packets import Passthrough
from streamtoon.media.reader.probe import MediaInfo, probe
from streamtoon.media.reader.video_reader import VideoReader
from streamtoon.media.writer.video_writer import VideoWriter

__all__ = ["MediaInfo", "Passthrough", "VideoReader", "VideoWriter", "probe"]
