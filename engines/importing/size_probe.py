"""Which sizes a graph takes: found by trying, from any to multiples of 32."""

from __future__ import annotations

from engines.errors import StyleError
from engines.importing.io_convention import IoConvention, Network, check_likeness
from engines.importing.test_image import draw

MULTIPLES = (1, 2, 4, 8, 16, 32)
MIN_SIDE_PIXELS = 72
"""Pixels a side of what is tried, at least."""


def size_multiple(network: Network, form: IoConvention) -> int:
    """The smallest of `MULTIPLES` such that pictures of it come back in their own size, and drawn.

    Each is tried at two sizes whose sides are odd multiples of it, so that no larger one can stand in.
    Raises StyleError where there is none.
    """
    said = "it gives back pictures of another size"
    for multiple in MULTIPLES:
        odd = max(1, MIN_SIDE_PIXELS // multiple) | 1
        try:
            for rows, columns in ((odd, odd + 2), (odd + 4, odd)):
                draw_at(network, form, rows * multiple, columns * multiple)
        except StyleError as error:
            said = str(error)
        else:
            return multiple
    raise StyleError(f"takes pictures of no size that is free: {said}")


def draw_at(network: Network, form: IoConvention, height: int, width: int) -> None:
    """Draws the test picture at that size. Raises StyleError where it cannot be drawn."""
    picture = draw(height, width)
    drawn = form.decode(network(form.encode(picture)))
    if drawn.shape != picture.shape:
        raise StyleError(f"of {width}x{height} it makes {drawn.shape[1]}x{drawn.shape[0]}")
    check_likeness(drawn, picture)
