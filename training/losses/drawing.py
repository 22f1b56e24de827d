"""The finished drawing of fields in a look, for losses.

Viewers see the drawing: an error of the paint matters most at the edge of a patch, and one of the ink at the
beginning of a line. The tables of a look are those of `engines.looks.tables`, interpolated linearly, which
gives a gradient wherever they have a slope. Lines are not widened, tones have hard edges everywhere, and
patterns, which do not depend on the photograph, are left out.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.frame import ColorInfo
from engines.imaging.color import yuv_to_rgb_matrix
from engines.imaging.field_blocks import BLOCK, CHANGE_ZERO, SAMPLES
from engines.looks.look import Look
from engines.looks.tables import Curve, Tones, ink_coverage, rgb_of
from training.losses.pixels import gradient_distance

CODES_PER_UNIT = 127.5
LUMA_CHANNELS = BLOCK**2
COLOR = ColorInfo("bt709", full_range=False)
"""The colours of the drawings. Photographs with another matrix get slightly different hues, in both drawings
alike.
"""


class Drawing:
    """Finishes fields in a look without paper, screen and pigment."""

    def __init__(self, look: Look) -> None:
        tones = Tones(look, COLOR)
        self._luma, self._chroma = tones.luma(tones.tone()), tones.chroma()
        self._of_luma = tones.chroma_of_tone(tones.tone())
        self._ink, self._line = ink_coverage(look), tones.yuv(rgb_of(look.line_color))
        self._chroma_share = (1 - look.line_chroma) / (1 - look.line_tint)
        self._matrix = yuv_to_rgb_matrix(COLOR.matrix, COLOR.full_range)

    def __call__(self, source: Tensor, fields: Tensor) -> Tensor:
        """Map N x 24 x h x w blocks and N x 40 x h x w fields to N x 3 x 4h x 4w RGB, all in [-1, 1]."""
        return self.rgb(*self.planes(source, fields))

    def planes(self, source: Tensor, fields: Tensor) -> tuple[Tensor, Tensor]:
        """Return the drawing as planes of code values: N x 1 x 4h x 4w luma and N x 2 x 2h x 2w chroma."""
        source, fields = source.float(), fields.float()
        paint = (source + fields[:, :SAMPLES] + 2) * CODES_PER_UNIT - CHANGE_ZERO
        luma = F.pixel_shuffle(paint[:, :LUMA_CHANNELS], BLOCK)
        chroma = F.pixel_shuffle(paint[:, LUMA_CHANNELS:], 2)
        cover = between(self._ink, F.pixel_shuffle((fields[:, SAMPLES:] + 1) * CODES_PER_UNIT, BLOCK))
        drawn = between(self._luma, luma) * (1 - cover) + self._line[0] * cover
        colors = between(self._chroma, chroma)
        if self._of_luma is not None:
            half = F.avg_pool2d(luma, 2)
            colors = colors + torch.cat([between(curve, half) for curve in self._of_luma], 1) - 128
        line = torch.tensor(self._line[1:], dtype=drawn.dtype, device=drawn.device)[:, None, None]
        colors = colors + (line - colors) * F.avg_pool2d(cover, 2) * self._chroma_share
        return drawn + 16, colors

    def rgb(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """Convert planes of code values to RGB in [-1, 1]."""
        planes = torch.cat([luma, F.interpolate(chroma, scale_factor=2.0, mode="nearest")], 1)
        matrix = torch.tensor(self._matrix, dtype=planes.dtype, device=planes.device)
        rgb = (planes[:, None] * matrix[None, :, :3, None, None]).sum(2) + matrix[None, :, 3, None, None]
        return rgb.clamp(0, 255) / CODES_PER_UNIT - 1


def drawing_distance(drawn: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> Tensor:
    """Return L1 of the planes of two drawings plus L1 of steps, luma and chroma, in half the value range."""
    return (
        sum(
            (F.l1_loss(a, b) + gradient_distance(a, b) for a, b in zip(drawn, wanted, strict=True)),
            start=torch.zeros((), device=drawn[0].device),
        )
        / CODES_PER_UNIT
    )


def between(curve: Curve, codes: Tensor) -> Tensor:
    """Interpolate a curve of 256 entries linearly at any code values."""
    table = torch.tensor(np.append(curve, curve[-1]), dtype=codes.dtype, device=codes.device)
    codes = codes.clamp(0, 255)
    low = codes.detach().floor().long()
    first = table[low]
    return first + (table[low + 1] - first) * (codes - low)
