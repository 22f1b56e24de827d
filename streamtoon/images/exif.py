"""Reading, filtering and writing EXIF: facts about the photograph stay, facts about the file are dropped.

The structure is that of TIFF (TIFF 6.0, section 2); the tags are those of CIPA DC-008 (EXIF 3.0). Values keep
their bytes, converted to little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["bytes", "text", "whole", "ratio"]

EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
ORIENTATION, WIDTH, HEIGHT = 0x0112, 0xA002, 0xA003
_HEADER = b"Exif\0\0"
_MAX_ENTRIES = 4096
"""Maximum number of entries in one directory. Cameras write about fifty."""

# Bytes per unit of each TIFF type. Values of the types in _PAIRS have two units.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 129: 1}
_PAIRS = {5, 10}
_BYTE, _SHORT, _LONG, _UTF8 = 1, 3, 4, 129
_TYPES: dict[Kind, frozenset[int]] = {
    "bytes": frozenset((1, 2, 7)),
    "text": frozenset((2, _UTF8)),
    "whole": frozenset((1, 3, 4, 6, 8, 9)),
    "ratio": frozenset((5, 10)),
}


def _table(**tags: str) -> dict[int, Kind]:
    kinds: tuple[Kind, ...] = ("bytes", "text", "whole", "ratio")
    return {int(tag, 16): kind for kind in kinds for tag in tags[kind].split()}


# Tags to keep, with the kind of their values. Dropped are previews, maker notes and private data, counters of
# the original file, and the coding of its samples. Orientation and size are rewritten.
_MAIN = _table(
    text="010E 010F 0110 0132 013B 8298",
    whole="0128 4746 4749",
    ratio="011A 011B",
    bytes="9C9B 9C9C 9C9D 9C9E 9C9F",
)
_PHOTO = _table(
    text="8824 9003 9004 9010 9011 9012 9290 9291 9292 A430 A431 A433 A434 A435",
    whole="8822 8827 8830 8831 8832 8833 8834 8835 9207 9208 9209 A001 A210 A217 A401 A402 A403 A405 A406"
    " A407 A408 A409 A40A A40C",
    ratio="829A 829D 9201 9202 9203 9204 9205 9206 920A 920B 9400 9401 9402 9403 9404 9405 A20B A20E A20F"
    " A215 A404 A432 A500",
    bytes="9000 9286 A000 A300 A301",
)
_PLACE = _table(
    text="01 03 08 09 0A 0C 0E 10 12 13 15 17 19 1D",
    whole="05 1E",
    ratio="02 04 06 07 0B 0D 0F 11 14 16 18 1A 1F",
    bytes="00 1B 1C",
)
_CHECKED: dict[int, Kind] = {ORIENTATION: "whole", 0x0213: "whole"}
"""Tags that are not kept but reported if invalid, because other programs fail on them."""
_INTEROP = _table(text="01", whole="", ratio="", bytes="02")


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory entry: one or more values of one type."""

    type: int
    data: bytes
    """Little-endian."""

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.data) // (_SIZES[self.type] * (2 if self.type in _PAIRS else 1))


Directory = dict[int, Entry]


@dataclass(slots=True)
class Exif:
    """The EXIF directories of one image."""

    main: Directory = field(default_factory=dict)
    photo: Directory = field(default_factory=dict)
    place: Directory = field(default_factory=dict)
    interop: Directory = field(default_factory=dict)
    odd: list[int] = field(default_factory=list)
    """Tags that were dropped because their values have a type that the standard does not allow."""

    def __bool__(self) -> bool:
        return bool(self.main or self.photo or self.place)

    def tobytes(self, width: int, height: int) -> bytes:
        """Encode for an upright image of this size, with the header that JPEG and others require."""
        return _HEADER + b"II*\0\x08\0\0\0" + _packed(self.directory(width, height), 8)

    def directory(self, width: int, height: int) -> _Tree:
        """Return the main directory with its subdirectories."""
        size = {WIDTH: _long(width), HEIGHT: _long(height)}
        photo: _Tree = {**self.photo, **size} if self.photo else {}
        if self.interop and photo:
            photo[INTEROP_IFD] = dict(self.interop)
        below: _Tree = {EXIF_IFD: photo, GPS_IFD: dict(self.place)}
        return {**self.main, **{tag: ifd for tag, ifd in below.items() if ifd}}


_Tree = dict[int, "Entry | _Tree"]


def read_exif(data: bytes) -> Exif:
    """Read and filter an EXIF block or a whole TIFF file. Corrupt parts are ignored."""
    exif = Exif()
    while data.startswith(_HEADER):
        data = data[len(_HEADER) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return exif
    main = _directory(data, struct.unpack_from(f"{order}I", data, 4)[0], order)
    photo = _below(data, main.get(EXIF_IFD), order)
    exif.main = _filtered(main, _MAIN, exif.odd)
    exif.photo = _filtered(photo, _PHOTO, exif.odd)
    exif.place = _filtered(_below(data, main.get(GPS_IFD), order), _PLACE, exif.odd)
    exif.interop = _filtered(_below(data, photo.get(INTEROP_IFD), order), _INTEROP, exif.odd)
    exif.odd += [tag for tag, kind in _CHECKED.items() if tag in main and _kind_is_wrong(main[tag], kind)]
    return exif


def tiff_entry(data: bytes, tag: int) -> bytes | None:
    """Return the value of a tag in the main directory of a TIFF file; None if it is missing."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return None
    found = _directory(data, struct.unpack_from(f"{order}I", data, 4)[0], order).get(tag)
    return None if found is None else found.data


def with_entries(tiff: bytes, added: _Tree) -> bytes:
    """Add entries to the first directory of a little-endian TIFF file. Existing entries win."""
    at = struct.unpack_from("<I", tiff, 4)[0]
    tree: _Tree = {**added, **_directory(tiff, at, "<")}
    place = len(tiff) + len(tiff) % 2
    count = struct.unpack_from("<H", tiff, at)[0]
    following = tiff[at + 2 + 12 * count :][:4]  # offset of the next page's directory
    packed = _packed(tree, place, following)
    return tiff[:4] + struct.pack("<I", place) + tiff[8:].ljust(place - 8, b"\0") + packed


def _directory(data: bytes, at: int, order: str) -> Directory:
    try:
        (count,) = struct.unpack_from(f"{order}H", data, at)
    except struct.error:
        return {}
    return dict(_entries(data, at + 2, min(count, _MAX_ENTRIES), order))


def _entries(data: bytes, at: int, count: int, order: str) -> Iterator[tuple[int, Entry]]:
    for start in range(at, at + 12 * count, 12):
        if start + 12 > len(data):
            return
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, start)
        unit = _SIZES.get(kind)
        if unit is None:
            continue
        size = values * unit * (2 if kind in _PAIRS else 1)
        place = start + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, start + 8)[0]
        value = data[place : place + size]
        if not size or len(value) < size:
            continue
        if order == ">" and unit > 1:
            value = b"".join(value[n : n + unit][::-1] for n in range(0, size, unit))
        yield tag, Entry(kind, value)


def _below(data: bytes, pointer: Entry | None, order: str) -> Directory:
    if pointer is None or pointer.type not in (4, 13):
        return {}
    return _directory(data, struct.unpack("<I", pointer.data[:4])[0], order)


def _filtered(found: Directory, wanted: dict[int, Kind], odd: list[int]) -> Directory:
    kept = {}
    for tag, entry in found.items():
        kind = wanted.get(tag)
        if kind is None:
            continue
        if _kind_is_wrong(entry, kind):
            odd.append(tag)
        else:
            kept[tag] = entry
    return kept


def _kind_is_wrong(entry: Entry, kind: Kind) -> bool:
    return entry.type not in _TYPES[kind]


def _long(value: int) -> Entry:
    return Entry(_LONG, struct.pack("<I", value))


def _packed(tree: _Tree, at: int, following: bytes = b"\0\0\0\0") -> bytes:
    """Encode a directory at offset `at`, followed by the values that do not fit into its entries."""
    entries, behind = b"", b""
    free = at + 2 + 12 * len(tree) + 4
    for tag in sorted(tree):
        value = tree[tag]
        place = free + len(behind)
        if isinstance(value, dict):
            entry, more = _long(place), _packed(value, place)
        elif len(value.data) > 4:
            entry, more = value, value.data
        else:
            entry, more = value, b""
        inside = struct.pack("<I", place) if more else entry.data.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, entry.type, entry.count) + inside
        behind += more + b"\0" * (len(more) % 2)
    return struct.pack("<H", len(tree)) + entries + following + behind
