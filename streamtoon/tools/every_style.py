"""Draws one image in many styles; looks that share a network need one run of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.engine import RGB_COLOR
from engines.errors import StyleError
from engines.factory import open_engine
from engines.fields_engine import FieldsEngine
from engines.frame import Frame
from engines.imaging.color import rgb_to_yuv, yuv_to_rgb
from engines.imaging.field_blocks import FieldPlanes
from engines.imaging.working_size import extend, fit
from engines.looks.look import Look
from engines.looks.renderer import LookRenderer
from engines.registry.style import Style
from engines.settings import EngineSettings

Rgb = NDArray[np.uint8]
"""H x W x 3, 0..255."""


def in_every_style(
    image: Rgb,
    styles: Sequence[Style],
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Iterator[tuple[int, Rgb]]:
    """Draw an image in each style, at full quality; yield each drawing with the index of its style.

    Styles that share a network come one after the other, whatever their order. Raises EngineError, like
    `engines.factory.open_engine`.
    """
    height, width = image.shape[:2]
    for places in of_one_network(styles):
        first = styles[places[0]]
        settings = EngineSettings(first, backend=backend, device=device, precision=precision, quality="full")
        with open_engine(settings, width=width, height=height) as engine:
            if not isinstance(engine, FieldsEngine):
                yield places[0], engine.rgb(image)
                continue
            looks = [look for place in places if (look := styles[place].look) is not None]
            for place, picture in zip(places, engine.looks(_picture(image), looks), strict=True):
                yield place, _rgb(picture, height, width)


def fields_of(
    image: Rgb, style: Style, *, backend: str = "auto", device: str = "auto", precision: str = "auto"
) -> FieldPlanes:
    """Compute the fields of an image with the network of a look, for `drawn_with`.

    Raises ValueError for an image of odd height or width, StyleError for a style that is not a look, and
    EngineError, like `engines.factory.open_engine`.
    """
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"image is {width}x{height}, expected even sizes")
    settings = EngineSettings(style, backend=backend, device=device, precision=precision, quality="full")
    with open_engine(settings, width=width, height=height) as engine:
        if not isinstance(engine, FieldsEngine):
            raise StyleError(f"style {style.name} is not a look")
        return engine.fields(_picture(image))


def drawn_with(fields: FieldPlanes, look: Look, height: int, width: int) -> Rgb:
    """Draw the fields of an image of height x width pixels with a look."""
    y, u, v = (fit(plane, height, width) for plane in LookRenderer(look, RGB_COLOR, *fields.y.shape)(fields))
    return yuv_to_rgb(y, u, v, RGB_COLOR)


def of_one_network(styles: Sequence[Style]) -> list[list[int]]:
    """Group the indices of styles that one network draws at one size."""
    groups: dict[object, list[int]] = {}
    for place, style in enumerate(styles):
        network = (style.network_folder, tuple(style.sha256.items()), style.working_height)
        groups.setdefault(network if style.look else place, []).append(place)
    return list(groups.values())


def _picture(image: Rgb) -> Frame:
    """Convert to 4:2:0, as `Engine.rgb` does; an odd size is extended by a row or column."""
    height, width = image.shape[:2]
    even = extend(np.ascontiguousarray(image), height + height % 2, width + width % 2)
    y, u, v = rgb_to_yuv(even, RGB_COLOR)
    half = even.shape[0] // 2, even.shape[1] // 2
    return Frame(y, fit(u, *half), fit(v, *half), 0, Fraction(1), color=RGB_COLOR)


def _rgb(picture: Frame, height: int, width: int) -> Rgb:
    u, v = (fit(plane, picture.height, picture.width) for plane in (picture.u, picture.v))
    return yuv_to_rgb(picture.y, u, v, picture.color)[:height, :width]
