"""HDR to SDR as one 3-D table from PQ or HLG code values in BT.2020 to BT.709 code values.

The steps and their standards:

1. Light on the mastering display in cd/m2: SMPTE ST 2084 for PQ; for HLG the inverse OETF and the system
   gamma 1.2 of a 1000 cd/m2 display (ITU-R BT.2100).
2. The EETF of ITU-R BT.2390 maps the master's peak to 203 cd/m2, the graphics white of BT.2408. It acts on
   luminance, so hue and saturation stay.
3. BT.2020 to BT.709 primaries. Colours out of gamut are mixed with their own grey until they fit.
4. The inverse of BT.1886 (gamma 2.4), which an SDR display undoes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamtoon.media.color import Hdr

Array = NDArray[np.float64]

SDR_WHITE_CD_M2 = 203.0
"""cd/m2 that become SDR white (ITU-R BT.2408)."""
HDR_PEAK_CD_M2 = 1000.0
"""Assumed peak of the mastering display in cd/m2."""
CUBE_SIZE = 33
"""Entries per axis. PQ and HLG are perceptually even, so few suffice."""

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593])
_LUMA_709 = np.array([0.2126, 0.7152, 0.0722])
_TO_709 = np.array(  # ITU-R BT.2087, inverse of its BT.709 to BT.2020 matrix
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


def pq_to_light(code: Array) -> Array:
    """Apply the ST 2084 EOTF: code 0..1 to cd/m2."""
    power = np.maximum(code, 0) ** (1 / _M2)
    light: Array = 10000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return light


def light_to_pq(light: Array) -> Array:
    """Apply the ST 2084 inverse EOTF: cd/m2 to code 0..1."""
    power = np.maximum(light / 10000, 0) ** _M1
    code: Array = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return code


def hlg_to_light(code: Array) -> Array:
    """Apply BT.2100 HLG's inverse OETF and OOTF for a 1000 cd/m2 display: R'G'B' 0..1
    (last axis) to cd/m2.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    luminance = np.maximum(scene @ _LUMA_2020, 1e-9)[..., None]
    light: Array = HDR_PEAK_CD_M2 * luminance**0.2 * scene
    return light


def eetf(light: Array, peak: float = HDR_PEAK_CD_M2, white: float = SDR_WHITE_CD_M2) -> Array:
    """Map luminance of a `peak` master to a `white` display (BT.2390-11 section 5.4.1 for black at 0)."""
    top = light_to_pq(np.array(peak))
    e1 = np.clip(light_to_pq(light) / top, 0, 1)
    limit = light_to_pq(np.array(white)) / top
    knee = 1.5 * limit - 0.5
    t = (e1 - knee) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * limit
    )
    return pq_to_light(np.where(e1 < knee, e1, spline) * top)


def to_sdr(code: Array, hdr: Hdr) -> Array:
    """Convert R'G'B' of BT.2020 in PQ or HLG, 0..1 in the last axis, to R'G'B' of BT.709, 0..1."""
    light = pq_to_light(code) if hdr == "PQ" else hlg_to_light(code)
    luminance = np.maximum(light @ _LUMA_2020, 1e-6)[..., None]
    linear = (light * (eetf(luminance) / luminance) / SDR_WHITE_CD_M2) @ _TO_709.T
    code_out: Array = np.clip(_into_gamut(linear), 0, 1) ** (1 / 2.4)
    return code_out


def _into_gamut(linear: Array) -> Array:
    """Mix each colour with its own grey, just until all three components lie within 0..1."""
    grey = np.clip(linear @ _LUMA_709, 0, 1)[..., None]
    offset = linear - grey
    room = np.where(offset > 0, 1 - grey, grey)
    reach = np.min(np.where(np.abs(offset) > 1e-9, room / np.maximum(np.abs(offset), 1e-9), 1), -1)
    mixed: Array = grey + offset * np.clip(reach, 0, 1)[..., None]
    return mixed


def cube(hdr: Hdr) -> str:
    """Return the table in the .cube format of FFmpeg's lut3d filter (red varies fastest)."""
    axis = np.linspace(0, 1, CUBE_SIZE)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    table = to_sdr(np.stack([red, green, blue], -1), hdr).reshape(-1, 3)
    rows = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in table)
    return f"LUT_3D_SIZE {CUBE_SIZE}\n{rows}\n"
