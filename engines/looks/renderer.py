"""Renders a look: fields to finished planes, in a few milliseconds per frame on one core.

Every step is a look-up, sum or product of bytes, which OpenCV computes with vector instructions. A step uses
only a sample, its position and, for some looks, the mean or the slope of its surroundings. Patterns and
patches are therefore stable from frame to frame if the fields are.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import cv2
import numpy as np

from engines.frame import ColorInfo, Plane, Planes
from engines.imaging.field_blocks import FieldPlanes
from engines.looks import patterns, tables
from engines.looks.details import Details, changes_details
from engines.looks.look import Look
from engines.looks.pair_table import PairTable, pair_buffer
from engines.looks.surroundings import cell_side, cells, enlarged, grid_size, halved

SURROUNDINGS = 1 / 12
"""Standard deviation of the surroundings of `local`, as a share of the short side."""
LOCAL_STEP = 16
"""Pixels from one mean of surroundings to the next, in a frame with a short side of 720."""
SLOPE_STEP = 8
"""Pixels over which the slope of luma is measured, in a frame with a short side of 720."""
SOFT_SLOPE, HARD_SLOPE = 0.1, 0.5
"""Slopes up to which edges between tones are soft, and from which they are hard: codes of luma per pixel of a
frame with a short side of 720.
"""
EDGE_SLOPE = 1.0
"""Slope above which a place is the edge of a thing, not shading; the same unit."""
SLOPE_WINDOW = 5
"""Side of the square of steps that slopes are averaged over."""
ENLARGED_LINE_WIDTH = 1.5
"""Pixels, like those of `line_width`, that lines are wider by per unit of enlargement of their fields."""
MIDDLE = 0.5
"""Luma that dark surroundings are lifted to."""
PAPER_DEPTH = 0.045
"""Standard deviation of the light at `paper` 1, as a share of white."""
PIGMENT_RANGE = 0.9
"""Largest change of density by pigment and blotches."""


class _Cover:
    """One colour over the paint. A code says how much of the paint is covered.

    The blend is paint x (1 - covered) + colour x covered.
    """

    def __init__(self, yuv: tables.Curve, covered: tables.Curve, chroma: float, paint: tables.Curve) -> None:
        """Make the tables.

        Args:
            yuv: The colour: luma above black, and two chroma codes.
            covered: Share of the paint's luma that is covered, 0 to 1, for every code.
            chroma: How much of the paint's chroma is covered, relative to its luma.
            paint: Luma of the paint above black, for every code of the plane that is blended into.
        """
        stays = 1 - covered[:, None]
        self._luma = PairTable(stays * paint + (1 - stays) * yuv[0])
        self._covered = tables.to_table(255 * covered)
        left = 1 - np.clip(tables.CODES[:, None] / 255 * chroma, 0, 1)
        self._chroma = [PairTable(left * tables.CODES + (1 - left) * code) for code in yuv[1:]]

    def luma(self, luma: Plane, codes: Plane, pairs: Plane, out: Plane) -> None:
        """Write the blend with `luma` to `out`, which may be the same plane; `pairs` is overwritten."""
        self._luma(luma, codes, pairs, out)

    def chroma(self, planes: list[Plane], codes: Plane, pairs: Plane, spare: Plane) -> None:
        """Blend into both chroma planes, in place; `pairs` and `spare` are overwritten.

        `codes` and `spare` have luma's size.
        """
        half = halved(np.asarray(cv2.LUT(codes, self._covered, spare), np.uint8))
        for plane, table in zip(planes, self._chroma, strict=True):
            table(plane, half, pairs, plane)


class LookRenderer:
    """Renders the fields of frames of one size to finished planes. Any number of threads may call it."""

    def __init__(
        self,
        look: Look,
        color: ColorInfo,
        height: int,
        width: int,
        enlargement: float = 1.0,
        drawn: tuple[int, int] | None = None,
    ) -> None:
        """Make the tables and patterns.

        Args:
            look: The look.
            color: Colour of the output: matrix, which is also the paint's, and range.
            height: Height of the fields, an even number of pixels.
            width: Width of the fields, an even number of pixels.
            enlargement: How much more the fields were enlarged than at full quality, at least 1. Their lines
                are wider, so they are widened less.
            drawn: Height and width of the drawing, even numbers; default: those of the fields. What measures
                a place's surroundings is done before the fields are scaled to it, since it costs the most.

        Raises:
            ValueError: A height or width is odd.
        """
        self._fields_size = height, width
        height, width = drawn or self._fields_size
        for sides in (self._fields_size, (height, width)):
            if min(sides) < 2 or sides[0] % 2 or sides[1] % 2:
                raise ValueError(f"expected even sizes, got {sides[1]}x{sides[0]}")
        self.look, self.color, self.height, self.width = look, color, height, width
        self._buffers = threading.local()
        self._scale = patterns.scale_of(height, width)
        tones = tables.Tones(look, color)
        self._tones = tones
        self._by_steepness: PairTable | None = None
        tone = tones.tone()
        if look.gradients and look.levels:
            self._by_steepness = PairTable(255 * tones.tone_by_steepness())
            self._seen = (tables.PAINT_SPAN * tones.curve()).astype(np.float32)
            tone = tables.CODES / 255
        self._paint_luma = tones.luma(tone)
        self._luma = tables.to_table(self._paint_luma)
        self._make_colors(tones.chroma_of_tone(tone))
        self._lift = tables.to_table(
            look.local * np.clip(tables.PAINT_BLACK + MIDDLE * tables.PAINT_SPAN - tables.CODES, 0, None)
        )
        self._make_screen(tones.curve())
        widen = max(0.0, look.line_width - ENLARGED_LINE_WIDTH * (enlargement - 1))
        # After the screen, which may lie between tones and lines. Less than 0.001 pixels is a rounding error.
        self._make_lines(round(widen * self._scale, 3))
        self._details = Details(look, *self._fields_size) if changes_details(look) else None
        self._make_washes()
        self._make_paper()

    def __call__(self, fields: FieldPlanes) -> Planes:
        """Return (y, u, v) of the drawing's size, 4:2:0.

        Raises ValueError for fields of another size.
        """
        if fields.y.shape != self._fields_size:
            raise ValueError(f"expected fields of shape {self._fields_size}, got {fields.y.shape}")
        (one, two, three), (pairs, half_pairs), large = self._own_buffers()
        y, ink, colors = self._calmed(fields.y, one, two), fields.ink, (fields.u, fields.v)
        if self._details is not None:
            y, ink = self._details(fields, y, one, three, two)
        y = self._lifted(y, one)
        steepness = None if self._by_steepness is None else self._steepness(y)
        if large is not None:
            one, two, three = large
            y, ink = (
                enlarged(plane, (self.width, self.height), out) for plane, out in ((y, one), (ink, three))
            )
            u, v = (enlarged(plane, (self.width // 2, self.height // 2)) for plane in colors)
            colors = u, v
        luma, tone = np.empty_like(y), y
        if self._by_steepness is not None and steepness is not None:
            steep = enlarged(steepness, (self.width, self.height), two)
            tone = self._by_steepness(y, steep, pairs, luma)
        chroma = self._colors(colors, tone, half_pairs)
        if not self._ink_includes_tones:
            cv2.LUT(tone, self._luma, luma)
        if self.look.edge_darkening:
            self._darken_edges(luma, two)
        if self._pigment is not None:
            self._settle(luma, chroma, self._pigment, two)
        if self._screen is not None:
            threshold, compared, cover = self._screen
            marks = np.asarray(cv2.subtract(threshold, cv2.LUT(y, compared, two), two), np.uint8)
            cover.luma(luma, marks, pairs, luma)
            cover.chroma(chroma, marks, half_pairs, one)
        if self.look.line_opacity:
            ink = self._response(ink, two)
            self._ink_cover.luma(tone if self._ink_includes_tones else luma, ink, pairs, luma)
            self._ink_cover.chroma(chroma, ink, half_pairs, one)
        self._on_paper(luma, chroma)
        return luma, chroma[0], chroma[1]

    def _own_buffers(self) -> tuple[list[Plane], tuple[Plane, Plane], list[Plane] | None]:
        """Return three planes of the fields' size, room for the pairs of luma and of chroma, and three planes
        of the drawing's size if that is another.

        They belong to this thread.
        """
        if not hasattr(self._buffers, "planes"):
            size = self.height, self.width
            planes = [np.empty(self._fields_size, np.uint8) for _ in range(3)]
            pairs = pair_buffer(*size), pair_buffer(size[0] // 2, size[1] // 2)
            is_same = size == self._fields_size
            large = None if is_same else [np.empty(size, np.uint8) for _ in range(3)]
            self._buffers.planes = planes, pairs, large
        planes, pairs, large = self._buffers.planes
        return planes, pairs, large

    def _calmed(self, y: Plane, out: Plane, spare: Plane) -> Plane:
        """Return the paint's luma without speckle, written to `out` if there is anything to do."""
        passes = self.look.smooth
        for left in range(passes, 0, -1):
            y = np.asarray(cv2.medianBlur(y, 3, out if left % 2 else spare), np.uint8)
        return y

    def _lifted(self, y: Plane, out: Plane) -> Plane:
        """Return the paint's luma with dark surroundings lifted towards a middle tone."""
        if not self.look.local:
            return y
        size = self._fields_size
        step = cell_side(LOCAL_STEP, *size)
        sigma = SURROUNDINGS * min(size) / step
        means = cells(y, grid_size(step, *size))
        around = cv2.GaussianBlur(means, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        lift = cv2.LUT(around, self._lift)
        lifted = enlarged(np.asarray(lift, np.uint8), size[::-1])
        return np.asarray(cv2.add(y, lifted, out), np.uint8)

    def _steepness(self, y: Plane) -> Plane:
        """Return how steep the shading in every cell is: 0 up to SOFT_SLOPE, 255 from HARD_SLOPE.

        Slopes are measured behind the curve, which amplifies the noise of dark areas: hard edges hide it.
        """
        step = cell_side(SLOPE_STEP, *self._fields_size)
        small = cv2.LUT(cells(y, grid_size(step, *self._fields_size)), self._seen)
        per_pixel = patterns.scale_of(*self._fields_size) / (2 * step)
        across, down = (
            cv2.Sobel(small, cv2.CV_32F, *axis, ksize=1, scale=per_pixel, borderType=cv2.BORDER_REPLICATE)
            for axis in ((1, 0), (0, 1))
        )
        slope = cv2.magnitude(across, down)
        # The outline of a thing says nothing about its shading.
        shaded = (slope <= EDGE_SLOPE).astype(np.float32)
        total, count = (
            cv2.boxFilter(values, -1, (SLOPE_WINDOW,) * 2, normalize=False, borderType=cv2.BORDER_REPLICATE)
            for values in (slope * shaded, shaded)
        )
        slope = np.where(count > 0.5, total / np.maximum(count, 1), HARD_SLOPE)
        ramp = (slope - SOFT_SLOPE) * (255 / (HARD_SLOPE - SOFT_SLOPE))
        return np.asarray(np.clip(np.rint(ramp), 0, 255), np.uint8)

    def _make_colors(self, of_luma: tuple[tables.Curve, tables.Curve] | None) -> None:
        """Make the tables of chroma: of the paint's own, of its luma (or its tone), or of both."""
        look, tones = self.look, self._tones
        full_palette = bool(look.palette) and look.palette_amount == 1
        own = None if full_palette or not look.saturation else tones.chroma()
        self._chroma = self._chroma_of_luma = self._chroma_of_both = None
        if of_luma is None:
            self._chroma = tables.to_table(np.full(256, 128.0) if own is None else own)
        elif own is None:
            self._chroma_of_luma = [tables.to_table(curve) for curve in of_luma]
        else:
            self._chroma_of_both = [PairTable(own + curve[:, None] - 128) for curve in of_luma]

    def _colors(self, planes: tuple[Plane, Plane], tone: Plane, pairs: Plane) -> list[Plane]:
        if self._chroma is not None:
            return [np.asarray(cv2.LUT(plane, self._chroma), np.uint8) for plane in planes]
        half = halved(tone)
        if self._chroma_of_luma is not None:
            return [np.asarray(cv2.LUT(half, table), np.uint8) for table in self._chroma_of_luma]
        assert self._chroma_of_both is not None
        return [table(plane, half, pairs) for plane, table in zip(planes, self._chroma_of_both, strict=True)]

    def _make_lines(self, width: float) -> None:
        """Make the tables and brushes of lines that are widened by `width` pixels."""
        look = self.look
        between = look.edge_darkening or look.pigment or look.blotches or self._screen
        self._ink_includes_tones = bool(look.line_opacity) and not between
        self._ink_cover = _Cover(
            self._tones.yuv(tables.rgb_of(look.line_color)),
            tables.ink_coverage(look),
            (1 - look.line_chroma) / (1 - look.line_tint),
            self._paint_luma if self._ink_includes_tones else tables.CODES,
        )
        self._widen = [
            (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1,) * 2), pixels)
            for pixels in sorted({math.floor(width), math.ceil(width)})
        ]
        self._widen_share = width - math.floor(width)
        self._texture = None
        if look.line_texture:
            rough = patterns.grain(self.height, self.width)
            self._texture = tables.to_table(rough.astype(np.float64) * 45 * look.line_texture)

    def _response(self, ink: Plane, out: Plane) -> Plane:
        """Return the ink response, widened, and reduced by the grain of the paper."""
        if self._widen[-1][1]:
            wide = [cv2.dilate(ink, kernel) if pixels else ink for kernel, pixels in self._widen]
            share = self._widen_share
            mixed = wide[0] if len(wide) == 1 else cv2.addWeighted(wide[0], 1 - share, wide[1], share, 0, out)
            ink = np.asarray(mixed, np.uint8)
        return ink if self._texture is None else np.asarray(cv2.subtract(ink, self._texture, out), np.uint8)

    def _make_screen(self, curve: tables.Curve) -> None:
        look = self.look
        self._screen = None
        if look.screen == "none" or not look.screen_opacity:
            return
        make = {"dots": patterns.dots, "lines": patterns.lines, "hatching": patterns.hatching}[look.screen]
        self._screen = (
            make(self.height, self.width, look.screen_size, look.screen_angle),
            tables.to_table(tables.screen_tone(look, curve)),
            _Cover(
                self._tones.yuv(tables.rgb_of(look.screen_color)),
                tables.screen_coverage(look),
                (1 - look.screen_chroma) / (1 - look.screen_tint),
                tables.CODES,
            ),
        )

    def _make_washes(self) -> None:
        look, span = self.look, self._tones.span
        self._edge = tables.to_table(tables.edge_loss(look, span))
        self._edge_size = (2 * max(1, round(look.edge_width * self._scale / 2)) + 1,) * 2
        self._pigment: Plane | None = None
        if not (look.pigment or look.blotches):
            return
        size = self.height, self.width
        change = np.zeros(size, np.float32)
        if look.pigment:
            change += 0.30 * look.pigment * patterns.grain(*size)
        if look.blotches:
            change += 0.38 * look.blotches * patterns.wash(*size)
        tile = np.clip(change / PIGMENT_RANGE, -1, 1) * 127.5 + 127.5
        self._pigment = np.rint(tile).astype(np.uint8)
        color = tables.CODES / span
        taken = np.clip(color * (1 - color), 0, None) * PIGMENT_RANGE
        self._thin = tables.to_table((color + taken) * span)
        self._dense = tables.to_table(2 * taken * span)
        # Chroma is multiplied by density, (c - 128) (1 + change / 2), as a product and a sum of bytes.
        most = 1 + PIGMENT_RANGE / 2
        factor = halved(self._pigment).astype(np.float64) / 255 * PIGMENT_RANGE + 1 - PIGMENT_RANGE / 2
        self._strength = tables.to_table(factor / most * 255)
        self._strength_zero = tables.to_table(128 - 128 * (self._strength / 255))
        self._strongest = tables.to_table((tables.CODES - 128) * most + 128)

    def _darken_edges(self, luma: Plane, spare: Plane) -> None:
        around = cv2.blur(luma, self._edge_size, borderType=cv2.BORDER_REPLICATE)
        cv2.subtract(around, luma, around)
        cv2.subtract(luma, cv2.LUT(around, self._edge, spare), luma)

    def _settle(self, luma: Plane, chroma: list[Plane], pigment: Plane, spare: Plane) -> None:
        """Apply the density d of pigment, C (1 - (1 - C) (d - 1)): Bousseau et al. (2006), equation 1."""
        dense = cv2.multiply(cv2.LUT(luma, self._dense, spare), pigment, spare, scale=1 / 255)
        cv2.LUT(luma, self._thin, luma)
        cv2.subtract(luma, dense, luma)
        for plane in chroma:
            cv2.LUT(plane, self._strongest, plane)
            cv2.multiply(plane, self._strength, plane, scale=1 / 255)
            cv2.add(plane, self._strength_zero, plane)

    def _make_paper(self) -> None:
        look, size = self.look, (self.height, self.width)
        self._black: Any = (float(self._tones.black), 0.0, 0.0, 0.0)  # a cv2 scalar, missing in the stubs
        self._grain = None
        if look.paper:
            light = 1 + look.paper * PAPER_DEPTH * (patterns.paper_light(*size).astype(np.float64) - 1.5)
            self._grain = tables.to_table(255 * light)
        self._frame = None
        if look.margin:
            inside = patterns.frame(*size, look.margin)
            small = halved(inside)
            blank = self._tones.paper
            around = [tables.to_table(blank[0] * (1 - inside / 255))]
            around += [tables.to_table(code * (1 - small / 255)) for code in blank[1:]]
            self._frame = (inside, small, around)

    def _on_paper(self, luma: Plane, chroma: list[Plane]) -> None:
        if self._frame is not None:
            inside, small, around = self._frame
            for plane, stays, blank in zip((luma, *chroma), (inside, small, small), around, strict=True):
                cv2.multiply(plane, stays, plane, scale=1 / 255)
                cv2.add(plane, blank, plane)
        if self._grain is not None:
            cv2.multiply(luma, self._grain, luma, scale=1 / 255)
        if self._tones.black:
            cv2.add(luma, self._black, luma)
