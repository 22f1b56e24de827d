"""Determining the sizes that a graph accepts, from any size to multiples of 32, by trying them."""

from __future__ import annotations

from engines.errors import StyleError
from engines.importing.io_convention import IoConvention, Network, check_likeness
from engines.importing.probe_image import draw

MULTIPLES = (1, 2, 4, 8, 16, 32)
MIN_SIDE_PIXELS = 72
"""Least side of the images that are tried."""


def size_multiple(network: Network, form: IoConvention) -> int:
    """Return the smallest of `MULTIPLES` at which images are drawn and keep their size.

    Each is tried at two sizes whose sides are odd multiples of it, so that a larger one cannot pass in its
    place. Raises StyleError if there is none.
    """
    said = "its output has another size than its input"
    for multiple in MULTIPLES:
        odd = max(1, MIN_SIDE_PIXELS // multiple) | 1
        try:
            for rows, columns in ((odd, odd + 2), (odd + 4, odd)):
                draw_at(network, form, rows * multiple, columns * multiple)
        except StyleError as error:
            said = str(error)
        else:
            return multiple
    raise StyleError(f"accepts no variable size: {said}")


def draw_at(network: Network, form: IoConvention, height: int, width: int) -> None:
    """Draw the test image at that size. Raises StyleError if the result does not resemble it."""
    picture = draw(height, width)
    drawn = form.decode(network(form.encode(picture)))
    if drawn.shape != picture.shape:
        raise StyleError(f"it returns {drawn.shape[1]}x{drawn.shape[0]} for {width}x{height}")
    check_likeness(drawn, picture)
