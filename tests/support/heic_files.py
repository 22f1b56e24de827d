"""HEIC files like a phone's, put together box by box: HEVC tiles of FFmpeg's encoder, joined by a grid item.

ISO/IEC 23008-12 (HEIF) and 14496-12 (its boxes). A writer that shares nothing with what reads them.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

GRID_ITEM, EXIF_ITEM = 1000, 1001


def box(kind: str, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind.encode()) + content


def full(kind: str, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def coded_tiles(tiles: list[Any], *, deep: bool) -> tuple[bytes, list[bytes]]:
    """The decoder's configuration (hvcC) and the samples of pictures of one size."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx265", rate=25, options={"crf": "2", "x265-params": "log-level=none"}
        )
        stream.height, stream.width = tiles[0].shape[:2]
        stream.pix_fmt = "yuv444p10le" if deep else "yuv444p"
        stream.codec_context.gop_size = 1
        stream.codec_context.max_b_frames = 0
        for n, tile in enumerate(tiles):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(tile), "rgb24").reformat(
                format=stream.pix_fmt, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG
            )
            frame.pts = n
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        stream = container.streams.video[0]
        samples = [(packet.pts, bytes(packet)) for packet in container.demux(stream) if packet.size]
        return bytes(stream.codec_context.extradata or b""), [sample for _, sample in sorted(samples)]


def write_heic(
    path: Path,
    rgb: Any,
    *,
    tile: int,
    deep: bool = False,
    turn: int = 0,
    mirror: int | None = None,
    exif: bytes = b"",
    brand: str = "heic",
    transfer: int = 13,
) -> Path:
    """`rgb` (H x W x 3) as it is stored: tiles of `tile` pixels, padded at the right and the bottom.

    `turn` quarters anticlockwise (irot), and then mirrored (imir: 0 exchanges top and bottom, 1 left and
    right), it is shown. The colours are BT.601's of full range, and said to be (nclx), with the `transfer`
    function of ITU-T H.273.
    """
    height, width = rgb.shape[:2]
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.pad(rgb, ((0, rows * tile - height), (0, columns * tile - width), (0, 0)), "edge")
    tiles = [
        padded[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile]
        for y in range(rows)
        for x in range(columns)
    ]
    configuration, samples = coded_tiles(tiles, deep=deep)
    ids = range(1, len(tiles) + 1)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    block = struct.pack(">I", 0) + exif  # the TIFF header begins at once
    items = [*zip(ids, samples, strict=True), (GRID_ITEM, grid), *([(EXIF_ITEM, block)] if exif else [])]

    kinds = {**dict.fromkeys(ids, b"hvc1"), GRID_ITEM: b"grid", EXIF_ITEM: b"Exif"}
    entries = [
        full("infe", 2, 1 if item in ids else 0, struct.pack(">HH4sx", item, 0, kinds[item]))
        for item, _ in items
    ]
    references = [box("dimg", struct.pack(f">HH{len(tiles)}H", GRID_ITEM, len(tiles), *ids))]
    if exif:
        references.append(box("cdsc", struct.pack(">HHH", EXIF_ITEM, 1, GRID_ITEM)))
    properties = [
        box("hvcC", configuration),
        full("ispe", 0, 0, struct.pack(">II", tile, tile)),
        full("ispe", 0, 0, struct.pack(">II", width, height)),
        box("colr", b"nclx", struct.pack(">HHHB", 1, transfer, 6, 0x80)),
        box("irot", bytes([turn])),
        *([] if mirror is None else [box("imir", bytes([mirror]))]),
    ]
    of_grid = [0x03, 0x04, 0x85, *([] if mirror is None else [0x86])]
    of_tile = [0x81, 0x02, 0x04]
    links = b"".join(
        struct.pack(">HB", item, len(used)) + bytes(used)
        for item, used in [*((each, of_tile) for each in ids), (GRID_ITEM, of_grid)]
    )
    ftyp = box("ftyp", brand.encode(), struct.pack(">I", 0), b"mif1heic")

    def meta(offset: int) -> bytes:
        places, at = b"", offset
        for item, data in items:
            places += struct.pack(">HHHII", item, 0, 1, at, len(data))
            at += len(data)
        return full(
            "meta", 0, 0,
            full("hdlr", 0, 0, struct.pack(">I4s12xx", 0, b"pict")),
            full("pitm", 0, 0, struct.pack(">H", GRID_ITEM)),
            full("iloc", 0, 0, b"\x44\0", struct.pack(">H", len(items)), places),
            full("iinf", 0, 0, struct.pack(">H", len(entries)), *entries),
            full("iref", 0, 0, *references),
            box("iprp", box("ipco", *properties), full("ipma", 0, 0, struct.pack(">I", len(ids) + 1), links)),
        )  # fmt: skip

    begin = len(ftyp) + len(meta(0)) + 8
    path.write_bytes(ftyp + meta(begin) + box("mdat", *(data for _, data in items)))
    return path
