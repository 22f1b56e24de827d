"""The libavfilter graphs that convert any frame to 8-bit YUV 4:2:0 of one size and colour."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from av.filter import Graph
from av.filter.context import FilterContext

from engines.frame import ColorInfo
from streamtoon.media.color import Hdr, is_rgb
from streamtoon.media.reader.hdr_tonemap import cube

_EXACT = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
_ALPHA = ("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16", "pal8")


@dataclass(frozen=True, slots=True)
class Shape:
    """The properties of a frame that decide its graph."""

    format: str
    width: int
    height: int
    matrix: str
    full: bool
    hdr: Hdr | None
    interlaced: bool


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """The format of all converted frames."""

    width: int
    height: int
    color: ColorInfo
    over_white: bool
    """Put transparent parts on white (as web pages do) instead of black (as players do)."""


def has_alpha(pixel_format: str) -> bool:
    """Return whether a pixel format may have transparency: an alpha channel or a palette."""
    return pixel_format.startswith(_ALPHA)


def is_plain(shape: Shape, target: OutputFormat) -> bool:
    """Return whether a frame needs no conversion."""
    if shape.interlaced or shape.hdr or (shape.width, shape.height) != (target.width, target.height):
        return False
    if shape.full != target.color.full_range:
        return False
    if shape.format.startswith("gray"):
        return True
    return shape.format in ("yuv420p", "yuvj420p", "nv12") and shape.matrix == target.color.matrix


def build_graph(shape: Shape, target: OutputFormat) -> Graph:
    """Return a configured graph from `shape` to `target`: one frame out per frame in."""
    graph = Graph()
    steps = [
        graph.add(
            "buffer",
            video_size=f"{shape.width}x{shape.height}",
            pix_fmt=shape.format,
            time_base="1/1000",
            pixel_aspect="1/1",
        )
    ]
    if shape.interlaced:
        steps.append(graph.add("bwdif", mode="send_frame", parity="auto", deint="interlaced"))
    rgb = is_rgb(shape.format)
    if shape.hdr:
        steps += _to_rgb(graph, shape, "gbrp16le")
        steps.append(_tone_map(graph, shape.hdr))
        rgb = True
    elif has_alpha(shape.format):
        steps += _to_rgb(graph, shape, "gbrap")
        steps += _over_ground(graph, white=target.over_white)
        rgb = True
    steps += [
        graph.add(
            "scale",
            w=str(target.width),
            h=str(target.height),
            flags=_EXACT,
            out_color_matrix=target.color.matrix,
            out_range="full" if target.color.full_range else "limited",
            **({} if rgb else _reading(shape)),
        ),
        graph.add("format", pix_fmts="yuv420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*steps).configure()
    return graph


def _reading(shape: Shape) -> dict[str, str]:
    """Return the scale filter's options for the interpretation of YUV values."""
    return {"in_color_matrix": shape.matrix, "in_range": "full" if shape.full else "limited"}


def _to_rgb(graph: Graph, shape: Shape, pixel_format: str) -> list[FilterContext]:
    reading = {} if is_rgb(shape.format) else _reading(shape)
    return [graph.add("scale", flags=_EXACT, **reading), graph.add("format", pix_fmts=pixel_format)]


def _over_ground(graph: Graph, *, white: bool) -> list[FilterContext]:
    """Return filters that put an image on black or white.

    Multiplying by alpha gives black. White is the same with all colours negated before and after.
    """
    multiply = [graph.add("premultiply", inplace="1")]
    if white:
        multiply = [_negate(graph), *multiply, _negate(graph)]
    return [*multiply, graph.add("format", pix_fmts="gbrp")]


def _negate(graph: Graph) -> FilterContext:
    return graph.add("negate", components="r+g+b")


def _tone_map(graph: Graph, hdr: Hdr) -> FilterContext:
    # The filter reads its table from a file, only during construction.
    with tempfile.TemporaryDirectory(prefix="streamtoon-") as folder:
        path = Path(folder) / "hdr.cube"
        path.write_text(cube(hdr), encoding="ascii")
        return graph.add("lut3d", file=str(path), interp="tetrahedral")
