"""HDR becomes SDR by the standards' own curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_clips import convert, facts, make_clip

from streamtoon.media import VideoReader
from streamtoon.media.color import Hdr
from streamtoon.media.reader.hdr_tonemap import (
    CUBE_SIZE,
    cube,
    eetf,
    hlg_to_light,
    light_to_pq,
    pq_to_light,
    to_sdr,
)


@pytest.mark.parametrize(
    ("light", "code"),  # SMPTE ST 2084 / ITU-R BT.2408 table: 10-bit limited-range levels as fractions
    [(0.0, 0.0), (100, 0.5081), (203, 0.5807), (1000, 0.7518), (4000, 0.9026), (10000, 1.0)],
)
def test_pq_has_the_values_of_its_standard(light: float, code: float) -> None:
    assert float(light_to_pq(np.array(light))) == pytest.approx(code, abs=5e-4)
    assert float(pq_to_light(np.array(code))) == pytest.approx(light, rel=6e-3, abs=1e-3)


def test_hlg_has_the_values_of_its_standard() -> None:
    # BT.2408: reference white is 75 % of HLG and 203 cd/m2 on a 1000 cd/m2 screen; 100 % is its peak.
    white = hlg_to_light(np.array([[0.75, 0.75, 0.75], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    assert white[0] == pytest.approx(203, rel=5e-3)
    assert white[1] == pytest.approx(1000, rel=5e-3)
    assert white[2] == pytest.approx(0, abs=1e-3)


def test_the_curve_keeps_shadows_and_brings_the_peak_to_white() -> None:
    light = np.array([0.1, 1.0, 10.0, 50.0])
    assert eetf(light) == pytest.approx(light, rel=1e-6)
    assert float(eetf(np.array(1000.0))) == pytest.approx(203, rel=1e-3)
    ramp = eetf(np.linspace(0, 1000, 500))
    assert (np.diff(ramp) > 0).all()


@pytest.mark.parametrize("hdr", ["PQ", "HLG"])
def test_grey_stays_grey_and_colors_stay_in_range(hdr: Hdr) -> None:
    ramp = np.repeat(np.linspace(0, 1, 50)[:, None], 3, 1)
    out = to_sdr(ramp, hdr)
    assert np.ptp(out, axis=1).max() < 2e-3
    assert (np.diff(out[:, 0]) >= -1e-9).all()
    colors = np.random.default_rng(0).random((1000, 3))
    assert ((to_sdr(colors, hdr) >= 0) & (to_sdr(colors, hdr) <= 1)).all()


def test_the_table_runs_red_first() -> None:
    rows = cube("PQ").splitlines()
    assert rows[0] == f"LUT_3D_SIZE {CUBE_SIZE}"
    assert len(rows) == 1 + CUBE_SIZE**3
    second = np.array([float(v) for v in rows[2].split()])
    assert second == pytest.approx(to_sdr(np.array([[1 / (CUBE_SIZE - 1), 0, 0]]), "PQ")[0], abs=1e-5)


@pytest.mark.parametrize(("hdr", "transfer"), [("PQ", 16), ("HLG", 18)])
def test_a_video_is_tone_mapped_as_the_formula_says(tmp_path: Path, hdr: Hdr, transfer: int) -> None:
    source = make_clip(
        tmp_path / "in.mkv",
        codec="ffv1",
        pixel_format="yuv420p10le",
        tags=(9, 1, 9, transfer),
        audio=None,
        pts=[0, 512],
    )
    with VideoReader(source) as opened:
        assert opened.info.tags.hdr == hdr
        picture = next(opened.frames())
        assert opened.info.color.matrix == "bt709"
        assert any("tone-mapped" in w for w in opened.warnings)
        assert not any("bits" in w for w in opened.warnings)
    expected = _expected_luma(source, hdr)
    assert np.abs(picture.y.astype(float) - expected).mean() < 2.5
    convert(source, tmp_path / "out.mp4")
    assert facts(tmp_path / "out.mp4").tags == (1, 1, 1, 1)


def _expected_luma(path: Path, hdr: Hdr) -> np.ndarray:
    """The same picture by NumPy alone: chroma doubled, BT.2020 to R'G'B', the formula, BT.709 luma."""
    import av

    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
        planes = [
            np.frombuffer(memoryview(p), "<u2").reshape(p.height, -1)[:, : p.width] / 4.0
            for p in frame.planes
        ]
    y = (planes[0] - 16) / 219
    cb, cr = (((p - 128) / 224).repeat(2, 0).repeat(2, 1) for p in planes[1:])
    kr, kb = 0.2627, 0.0593
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    sdr = to_sdr(np.stack([red, green, blue], -1).clip(0, 1), hdr)
    return np.asarray(16 + 219 * (sdr @ [0.2126, 0.7152, 0.0722]))
