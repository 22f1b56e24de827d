"""Media in and out: the only place where PyAV is imported."""

from __future__ import annotations

from streamtoon.media.packets import Passthrough
from streamtoon.media.probe import MediaInfo, probe
from streamtoon.media.sink import Sink
from streamtoon.media.source import Source

__all__ = ["MediaInfo", "Passthrough", "Sink", "Source", "probe"]
