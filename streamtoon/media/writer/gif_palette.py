"""A GIF palette of 256 colours per frame, so that memory use is constant."""

from __future__ import annotations

from av.filter import Graph
from av.video.frame import VideoFrame

from engines.frame import ColorInfo


class Palette:
    """Converts 4:2:0 frames to palette frames."""

    def __init__(self, width: int, height: int, color: ColorInfo) -> None:
        self._size = width, height
        graph = Graph()
        source = graph.add(
            "buffer", video_size=f"{width}x{height}", pix_fmt="yuv420p", time_base="1/100", pixel_aspect="1/1"
        )
        scale = graph.add(
            "scale",
            in_color_matrix=color.matrix,
            in_range="full" if color.full_range else "limited",
            flags="bicubic+accurate_rnd+full_chroma_int",
        )
        rgb = graph.add("format", pix_fmts="bgra")
        split = graph.add("split")
        generate = graph.add("palettegen", stats_mode="single", reserve_transparent="0")
        use = graph.add("paletteuse", new="1", dither="sierra2_4a")
        sink = graph.add("buffersink")
        graph.link_nodes(source, scale, rgb, split)
        split.link_to(use, 0, 0)
        split.link_to(generate, 1, 0)
        generate.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._graph = graph
        self._pushed = 0

    def apply(self, frame: VideoFrame) -> VideoFrame:
        """Return `frame` in its best 256 colours."""
        frame.pts = self._pushed
        self._pushed += 1
        self._graph.vpush(frame)
        return self._graph.vpull()
