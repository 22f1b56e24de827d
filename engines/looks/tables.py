"""Look-up tables of a look, which map code values of paint and ink response, 256 entries each.

Luma tables give code values above black, 0 to 219 (limited range) or 0 to 255 (full range), because they are
multiplied. Chroma tables give code values with 128 for grey.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.frame import ColorInfo
from engines.imaging.color import rgb_to_yuv_matrix
from engines.imaging.field_blocks import INK_SCALE, INK_ZERO
from engines.looks.look import Look

Table = NDArray[np.uint8]
Curve = NDArray[np.float64]

CODES: Curve = np.arange(256, dtype=np.float64)
PAINT_BLACK, PAINT_SPAN, PAINT_CHROMA = 16, 219, 224
"""Range of the fields: limited range, independent of the output's."""
EDGE_LIMIT = 0.22
"""Most luma that pigment takes away at an edge."""
HARDEST = 24.0
"""Slope of the hyperbolic tangent between two tones at `hardness` 1."""
RICHEST = 0.5
"""Largest chroma."""


def smoothstep(values: Curve, low: float, high: float) -> Curve:
    """Return 0 below `low`, 1 above `high`, and 3 x^2 - 2 x^3 between them."""
    x = np.clip((values - low) / (high - low), 0, 1)
    return x * x * (3 - 2 * x)


def to_table(values: Curve) -> Table:
    """Round and clip to 0..255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def rgb_of(color: str) -> Curve:
    """Return the three components, 0 to 255, of `#rrggbb`."""
    return np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)], np.float64)


class Tones:
    """Maps luma and chroma of the paint to those of the output, in its matrix and range."""

    def __init__(self, look: Look, color: ColorInfo) -> None:
        self._look = look
        self._matrix = rgb_to_yuv_matrix(color.matrix, color.full_range)
        self.black, self.span, self.chroma_span = (0, 255, 255) if color.full_range else (16, 219, 224)
        self.paper = self.yuv(rgb_of(look.paper_color))
        self._amount = look.palette_amount if look.palette else 0.0

    def yuv(self, rgb: Curve) -> Curve:
        """Convert RGB 0..255 (last axis) to luma above black and two chroma code values."""
        codes: Curve = rgb @ self._matrix[:, :3].T + self._matrix[:, 3]
        codes[..., 0] -= self.black
        return codes

    def curve(self) -> Curve:
        """Return the luma, 0 to 1, of every code value of paint, lifted and with contrast."""
        luma = np.clip((CODES - PAINT_BLACK) / PAINT_SPAN, 0, 1) ** self._look.lift
        return luma + self._look.contrast * (luma * luma * (3 - 2 * luma) - luma)

    def tone(self) -> Curve:
        """Return the curve quantized to `levels` tones, 0 to 1."""
        return quantized(self.curve(), self._look.levels, self._look.hardness)

    def tone_by_steepness(self) -> Curve:
        """Return the tone, 0 to 1, of every code value of paint (columns) at every steepness (rows).

        Edges between tones are hard where the paint is steep, 255. Winnemoeller, Olsen and Gooch (2006) let
        the sharpness of their quantization follow the gradient in the same way, against flicker.
        """
        soft = self._look.gradients * (1 - CODES[:, None] / 255)
        return (1 - soft) * self.tone() + soft * self.curve()

    def luma(self, tone: Curve) -> Curve:
        """Return the luma above black of tones from 0 to 1."""
        look = self._look
        luma: Curve = (1 - self._amount) * (look.black + (look.white - look.black) * tone) * self.paper[0]
        return luma + self._amount * self._palette(tone)[:, 0] if self._amount else luma

    def chroma(self) -> Curve:
        """Return the chroma code value of every chroma code value of paint; grey stays 128."""
        look = self._look
        c = (CODES - 128) / PAINT_CHROMA
        rich = look.saturation * c / (1 + max(0.0, look.saturation - 1) * np.abs(c) / RICHEST)
        if look.color_levels:
            steps = quantized(np.abs(rich) / RICHEST, look.color_levels + 1, look.hardness)
            rich = np.sign(c) * steps * RICHEST
        return 128 + (1 - self._amount) * rich * self.chroma_span

    def chroma_of_tone(self, tone: Curve) -> tuple[Curve, Curve] | None:
        """Return the chroma code values that palette and paper give to tones from 0 to 1.

        Return None if they add nothing.
        """
        look = self._look
        paint = (look.black + (look.white - look.black) * tone)[:, None] * (self.paper[1:] - 128)
        added = (1 - self._amount) * paint
        if self._amount:
            added += self._amount * (self._palette(tone)[:, 1:] - 128)
        return (128 + added[:, 0], 128 + added[:, 1]) if np.abs(added).max() >= 0.5 else None

    def _palette(self, tone: Curve) -> Curve:
        """Return luma above black, Cb and Cr of the palette on the paper for every tone, n x 3."""
        colors = (
            np.array([rgb_of(color) for color in self._look.palette]) * rgb_of(self._look.paper_color) / 255
        )
        at = np.linspace(0, 1, len(colors))
        return self.yuv(np.stack([np.interp(tone, at, colors[:, band]) for band in range(3)], axis=-1))


def quantized(values: Curve, levels: int, hardness: float) -> Curve:
    """Quantize 0..1 to `levels` plateaus from 0 to 1, with steps of a hardness from 0 to 1.

    A soft quantization after Winnemoeller, Olsen and Gooch (2006, equation 9), with plateaus at both ends and
    continuous steps. It is monotone, and the identity if `hardness` or `levels` is 0.
    """
    if levels == 1:
        return np.ones_like(values)
    slope = HARDEST * hardness**2
    if not levels or slope < 1e-3:
        return values.copy()
    z = np.clip(values, 0, 1) * (levels - 1)
    low = np.minimum(np.floor(z), levels - 2)
    steps: Curve = low + 0.5 + 0.5 * np.tanh(slope * (z - low - 0.5)) / np.tanh(slope / 2)
    return steps / (levels - 1)


def ink_coverage(look: Look) -> Curve:
    """Return the share, 0 to 1, of the paint's luma that a line takes away, for every ink code."""
    response = (CODES - INK_ZERO) / INK_SCALE * look.line_density
    ramp = smoothstep(response, 1 - look.line_softness, 1 + look.line_softness)
    return look.line_opacity * (1 - look.line_tint) * ramp


def screen_tone(look: Look, curve: Curve) -> Curve:
    """Return the value, for every code value of paint, that a screen's thresholds are compared with.

    255 leaves no marks.
    """
    width = 255 * look.screen_softness
    light = max(look.screen_light, look.screen_dark + 0.01)
    dark = np.clip((light - curve) / (light - look.screen_dark), 0, 1)
    return 255 - dark * (255 + width / 2)


def screen_coverage(look: Look) -> Curve:
    """Return the share, 0 to 1, of the paint that a mark covers, for every difference threshold - tone."""
    ramp = smoothstep(CODES, 0, 255 * look.screen_softness)
    return look.screen_opacity * (1 - look.screen_tint) * ramp


def edge_loss(look: Look, span: float) -> Curve:
    """Return the luma that pigment takes away at an edge, for every difference from the surroundings."""
    limit = EDGE_LIMIT * span
    return limit * (1 - np.exp(-look.edge_darkening * CODES / limit))
