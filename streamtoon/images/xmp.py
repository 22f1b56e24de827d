"""Filtering XMP and IPTC: descriptions of the photograph stay, facts about the file are dropped.

XMP is RDF in XML (ISO 16684-1). The older form of IPTC is a sequence of datasets (IIM 4.2, chapter 3) in
Photoshop's image resources.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"
_MAX_XMP_BYTES = 1 << 22
"""Maximum bytes of XMP that are read."""
_ALL = frozenset(("*",))


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Prefix: namespace and the properties to keep. Dropped are history, previews, sizes, regions of a stored
# image, identifiers, settings of raw converters, and properties that announce more data in the file (depth,
# gain maps, videos).
_KEPT: dict[str, tuple[str, frozenset[str]]] = {
    "cc": ("http://creativecommons.org/ns#", _ALL),
    "dc": (
        "http://purl.org/dc/elements/1.1/",
        _names(
            "contributor coverage creator date description language publisher relation rights subject title"
        ),
    ),
    "exif": (
        "http://ns.adobe.com/exif/1.0/",
        _names(
            "DateTimeOriginal DateTimeDigitized ExposureTime FNumber FocalLength GPSAltitude GPSAltitudeRef"
            " GPSLatitude GPSLongitude GPSTimeStamp GPSImgDirection GPSImgDirectionRef UserComment"
        ),
    ),
    "GPano": ("http://ns.google.com/photos/1.0/panorama/", _ALL),
    "Iptc4xmpCore": ("http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", _ALL),
    "Iptc4xmpExt": (
        "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
        _names(
            "AddlModelInfo ArtworkOrObject Contributor CopyrightYear Creator Event EventName LocationCreated"
            " LocationShown ModelAge OrganisationInImageCode OrganisationInImageName PersonInImage"
            " PersonInImageWDetails ProductInImage"
        ),
    ),
    "lr": ("http://ns.adobe.com/lightroom/1.0/", _names("hierarchicalSubject")),
    "photoshop": (
        "http://ns.adobe.com/photoshop/1.0/",
        _names(
            "AuthorsPosition CaptionWriter Category City Country Credit DateCreated Headline Instructions"
            " Source State SupplementalCategories TransmissionReference Urgency"
        ),
    ),
    "plus": ("http://ns.useplus.org/ldf/xmp/1.0/", _ALL),
    "tiff": ("http://ns.adobe.com/tiff/1.0/", _names("Artist Copyright ImageDescription Make Model")),
    "xmp": ("http://ns.adobe.com/xap/1.0/", _names("CreateDate Label Nickname Rating")),
    "xmpRights": ("http://ns.adobe.com/xap/1.0/rights/", _ALL),
}
_BY_NAMESPACE = dict(_KEPT.values())
_PANORAMA = _KEPT["GPano"][0]

# IIM records and datasets. Record 2 is descriptive; its datasets 200 to 202 are a preview.
_RECORD, _CHARACTER_SET, _PREVIEWS = 2, (1, 90), range(200, 203)
_RESOURCES, _IPTC = b"8BIM", 0x0404
APP13 = b"Photoshop 3.0\0"


def filter_xmp(data: bytes, *, is_whole: bool = True) -> bytes | None:
    """Return the filtered XMP packet; None if nothing is left. Raises ValueError if it cannot be read.

    The panorama's shape is kept only if the image `is_whole`, not next to another one.
    """
    if len(data) > _MAX_XMP_BYTES:
        raise ValueError(f"{len(data)} bytes")
    text = data.strip(b"\0 \r\n\t")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:  # XMP has no DTD; XML bombs do
        raise ValueError("it defines entities")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # without a DOCTYPE nothing is expanded or fetched
    except (ElementTree.ParseError, ExpatError, LookupError, ValueError) as error:
        raise ValueError(str(error)) from error
    kept = ElementTree.Element(f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})
    rdf = root if root.tag == f"{{{RDF}}}RDF" else root.find(f".//{{{RDF}}}RDF")
    for description in () if rdf is None else rdf.findall(f"{{{RDF}}}Description"):
        for name, value in description.attrib.items():
            if _is_kept(name, is_whole=is_whole):
                kept.set(name, value)
        kept.extend(each for each in description if _is_kept(each.tag, is_whole=is_whole))
    if len(kept) == 0 and len(kept.attrib) == 1:
        return None
    meta = ElementTree.Element(f"{{{_META}}}xmpmeta")
    ElementTree.SubElement(meta, f"{{{RDF}}}RDF").append(kept)
    try:
        return _written(meta)
    except RecursionError as error:
        raise ValueError("its elements are nested too deeply") from error


def _is_kept(name: str, *, is_whole: bool) -> bool:
    namespace, brace, local = name.removeprefix("{").partition("}")
    names = _BY_NAMESPACE.get(namespace) if brace else None
    if names is None or (namespace == _PANORAMA and not is_whole):
        return False
    return names is _ALL or local in names


def _written(meta: ElementTree.Element) -> bytes:
    for prefix, (namespace, _) in _KEPT.items():
        ElementTree.register_namespace(prefix, namespace)
    ElementTree.register_namespace("rdf", RDF)
    ElementTree.register_namespace("x", _META)
    body: bytes = ElementTree.tostring(meta, "utf-8", xml_declaration=False)
    # The wrapper and its id are defined by the standard (7.3.2). Programs search files for them.
    return b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>' + body + b'<?xpacket end="r"?>'


def filter_iptc(data: bytes) -> bytes | None:
    """Return the filtered sequence of IIM datasets; None if nothing is left."""
    kept = [
        (record, number, raw)
        for record, number, raw in _datasets(data)
        if (record, number) == _CHARACTER_SET or (record == _RECORD and number not in _PREVIEWS)
    ]
    if all(record != _RECORD or number == 0 for record, number, _ in kept):
        return None
    return b"".join(raw for _, _, raw in kept)


def _datasets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 5 <= len(data) and data[at] == 0x1C:
        record, number, size = struct.unpack_from(">BBH", data, at + 1)
        end = at + 5 + size
        if size >= 0x8000 or end > len(data):  # an extended size, which only object data needs
            return
        yield record, number, data[at:end]
        at = end


def as_resource(iptc: bytes) -> bytes:
    """Wrap IIM datasets in a Photoshop image resource, as JPEG stores them (APP13)."""
    block = _RESOURCES + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc
    return block + b"\0" * (len(block) % 2)
