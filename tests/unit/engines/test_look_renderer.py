"""Drawing a look: against sums in floating point, exact inks and papers, patterns that stay in place."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import engines
from engines.frame import ColorInfo, Matrix, Planes
from engines.imaging.field_blocks import FieldPlanes, ink_code
from engines.looks import patterns, tables
from engines.looks.look import Look
from engines.looks.renderer import LookRenderer
from engines.registry.card import CardTable
from engines.registry.look_table import read_look
from engines.untrusted.toml_reader import read_toml

SHIPPED = sorted((Path(engines.__file__).parent / "styles").glob("*/card.toml"))
COLORS = [ColorInfo(matrix, full) for matrix in ("bt601", "bt709", "bt2020") for full in (False, True)]
WEIGHTS = {
    "bt601": (0.299, 0.587, 0.114),
    "bt709": (0.2126, 0.7152, 0.0722),
    "bt2020": (0.2627, 0.6780, 0.0593),
}
PLAIN = Look(smooth=0, lift=1, contrast=0, levels=0, saturation=1, line_opacity=0)
FLOAT = NDArray[np.float64]


def some_fields(height: int = 64, width: int = 96, seed: int = 0) -> FieldPlanes:
    """Every kind of tone, colour and response, smooth and rough."""
    rng = np.random.default_rng(seed)

    def plane(rows: int, columns: int, low: int, high: int) -> NDArray[np.uint8]:
        smooth = cv2.resize(
            rng.random((5, 7)).astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC
        )
        rough = smooth + rng.normal(0, 0.05, smooth.shape)
        return np.clip(low + rough * (high - low), low, high).astype(np.uint8)

    half = height // 2, width // 2
    y, ink = plane(height, width, 16, 235), plane(height, width, 0, 250)
    return FieldPlanes(y, plane(*half, 16, 240), plane(*half, 16, 240), ink)


def flat(y: int, u: int = 128, v: int = 128, ink: int = 0, height: int = 32, width: int = 48) -> FieldPlanes:
    """One tone and colour everywhere."""
    half = height // 2, width // 2
    full = [np.full((height, width), code, np.uint8) for code in (y, ink)]
    return FieldPlanes(full[0], np.full(half, u, np.uint8), np.full(half, v, np.uint8), full[1])


def yuv_of(rgb: tuple[int, int, int], matrix: Matrix, full: bool) -> tuple[float, float, float]:
    """Code values of a colour, by the standards' definitions."""
    kr, kg, kb = WEIGHTS[matrix]
    r, g, b = (part / 255 for part in rgb)
    y = kr * r + kg * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    return (
        (255 * y, 128 + 255 * cb, 128 + 255 * cr) if full else (16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr)
    )


def same(one: Planes, two: Planes) -> bool:
    """Sample by sample."""
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("color", COLORS, ids=lambda c: f"{c.matrix}-{c.full_range}")
def test_a_plain_look_gives_the_paint_in_the_range_of_the_output(color: ColorInfo) -> None:
    fields = some_fields()
    y, u, v = LookRenderer(PLAIN, color, *fields.y.shape)(fields)
    assert [plane.dtype for plane in (y, u, v)] == [np.uint8] * 3
    wanted: list[FLOAT] = [plane.astype(np.float64) for plane in (fields.y, fields.u, fields.v)]
    if color.full_range:
        wanted = [(wanted[0] - 16) / 219 * 255, *((c - 128) / 224 * 255 + 128 for c in wanted[1:])]
    for plane, code in zip((y, u, v), wanted, strict=True):
        assert np.abs(plane - np.clip(code, 0, 255)).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("color", COLORS, ids=lambda c: f"{c.matrix}-{c.full_range}")
@pytest.mark.parametrize("rgb", [(18, 13, 26), (214, 40, 90), (255, 255, 255), (0, 90, 200), (255, 0, 0)])
def test_inks_papers_marks_and_palettes_come_out_as_the_color_that_was_given(
    color: ColorInfo, rgb: tuple[int, int, int]
) -> None:
    written = "#{:02x}{:02x}{:02x}".format(*rgb)
    wanted = yuv_of(rgb, color.matrix, color.full_range)
    ink = Look(line_color=written, line_tint=0, line_chroma=0, line_opacity=1)
    mark = Look(screen="lines", screen_light=1.2, screen_dark=1, screen_softness=0.02, screen_color=written)
    drawn = [
        (ink, flat(140, 90, 170, ink=250)),
        (Look(paper_color=written), flat(235)),
        (Look(palette=("#00ff00", written)), flat(235, 60, 200)),
        (Look(palette=(written,), levels=4), flat(99, 60, 200)),
    ]
    for look, fields in drawn:
        planes = LookRenderer(look, color, *fields.y.shape)(fields)
        for plane, code in zip(planes, wanted, strict=True):
            assert np.abs(plane - np.clip(code, 0, 255)).max() <= 1, look
    fields = flat(16, 60, 200, height=256, width=256)
    y, u, v = LookRenderer(mark, color, 256, 256)(fields)
    covered = np.abs(y - np.clip(wanted[0], 0, 255)) <= 1
    assert covered.mean() > 0.9
    inside = covered.reshape(128, 2, 128, 2).all(axis=(1, 3))
    assert np.abs(u[inside] - np.clip(wanted[1], 0, 255)).max() <= 1.5
    assert np.abs(v[inside] - np.clip(wanted[2], 0, 255)).max() <= 1.5


@pytest.mark.parametrize("color", [ColorInfo(), ColorInfo("bt601", full_range=True)], ids=["limited", "full"])
@pytest.mark.parametrize("tint", [0.0, 0.4])
def test_lines_are_blended_as_in_floating_point(color: ColorInfo, tint: float) -> None:
    look = Look(
        smooth=0,
        line_width=0,
        lift=0.7,
        contrast=0.3,
        levels=0,
        saturation=1.5,
        line_color="#3060a0",
        line_tint=tint,
        line_chroma=0.5,
    )
    fields = some_fields()
    planes = LookRenderer(look, color, *fields.y.shape)(fields)
    tones = tables.Tones(look, color)
    cover = tables.ink_coverage(look)[fields.ink]
    ink = yuv_of((0x30, 0x60, 0xA0), color.matrix, color.full_range)
    black = 0 if color.full_range else 16
    paint = black + tones.luma(tones.tone())[fields.y]
    assert np.abs(planes[0] - (paint * (1 - cover) + ink[0] * cover)).max() <= 0.51  # rounded once
    rows, columns = cover.shape
    half = cover.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3)) * 0.5 / (1 - tint)
    for plane, source, code in zip(planes[1:], (fields.u, fields.v), ink[1:], strict=True):
        wanted = tones.chroma()[source] * (1 - half) + code * half
        assert np.abs(plane - wanted).max() <= 2  # the mean, its share and the product are rounded each


def test_a_palette_is_mixed_as_in_floating_point() -> None:
    colors = ("#101840", "#c04060", "#ffe0a0")
    look = Look(
        lift=1, contrast=0, levels=0, saturation=1, palette=colors, palette_amount=0.4, line_opacity=0
    )
    for luma in range(16, 236, 7):
        fields = flat(luma, 100, 150)
        y, u, v = LookRenderer(look, ColorInfo("bt709"), *fields.y.shape)(fields)
        at = (luma - 16) / 219 * 2
        low = min(int(at), 1)
        rgb = [np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in colors]
        mixed = rgb[low] * (1 - (at - low)) + rgb[low + 1] * (at - low)
        code = yuv_of(tuple(mixed), "bt709", False)
        for plane, own, other in zip((y, u, v), (luma, 100, 150), code, strict=True):
            assert abs(int(plane[5, 5]) - (0.6 * own + 0.4 * other)) <= 1
            assert (plane == plane[0, 0]).all()


def test_pigment_changes_density_as_its_equation_says() -> None:
    look = Look(lift=1, contrast=0, levels=0, saturation=1, line_opacity=0, pigment=1)
    full = ColorInfo(full_range=True)
    fields = flat(125, 100, 150, height=128, width=128)
    y, u, _v = LookRenderer(look, full, 128, 128)(fields)
    change = np.clip(0.30 * patterns.grain(128, 128), -0.9, 0.9).astype(np.float64)
    color = (125 - 16) / 219
    assert np.abs(y - 255 * color * (1 - (1 - color) * change)).max() <= 2
    stronger = np.corrcoef(change.reshape(64, 2, 64, 2).mean(axis=(1, 3)).ravel(), 128.0 - u.ravel())[0, 1]
    assert stronger > 0.95  # the denser, the more colour


def test_speckle_is_gone_after_smoothing_and_edges_stay() -> None:
    fields = flat(100)
    fields.y[:, 24:] = 180
    clean = fields.y.copy()
    fields.y[5::7, 3::7] = 30
    look = Look(lift=1, contrast=0, levels=0, line_opacity=0)
    for passes, gone in ((0, False), (1, True), (2, True), (3, True)):
        y = LookRenderer(replace(look, smooth=passes), ColorInfo(), 32, 48)(fields)[0]
        assert np.array_equal(y, clean) == gone


def test_pigment_gathers_on_the_dark_side_of_an_edge_only() -> None:
    fields = flat(90, height=64, width=64)
    fields.y[:, 32:] = 180
    look = Look(smooth=0, lift=1, contrast=0, levels=0, line_opacity=0, edge_darkening=1, edge_width=6)
    y = LookRenderer(look, ColorInfo(), 64, 64)(fields)[0]
    assert (y[:, 32:] == 180).all()
    assert (y[:, :20] == 90).all()
    assert (y[:, 31] < 70).all()
    assert (np.diff(y[10, 20:32].astype(int)) <= 0).all()


@pytest.mark.parametrize(("slope", "soft"), [(0.05, 1.0), (0.2, 0.75), (0.3, 0.5), (0.45, 0.125), (0.8, 0.0)])
@pytest.mark.parametrize("short_side", [360, 720, 1440])
@pytest.mark.parametrize("across", [True, False])
def test_gradients_soften_the_steps_of_slow_ramps_only(
    slope: float, soft: float, short_side: int, across: bool
) -> None:
    look = replace(PLAIN, levels=5, hardness=1.0, gradients=1.0)
    ramp = 60 + np.arange(short_side) * slope * 720 / short_side
    fields = flat(0, height=short_side, width=short_side)
    fields.y[:] = np.rint(np.minimum(ramp, 235))[
        None if across else slice(None), slice(None) if across else None
    ]
    y = LookRenderer(look, ColorInfo(), short_side, short_side)(fields)[0]
    tone = (fields.y - 16.0) / 219
    steps = np.rint(tone * 4) / 4
    drawn, hard = (y - 16.0) / 219, np.abs(tone * 4 % 1 - 0.5) > 0.1  # off the edges between tones
    inside = np.zeros(y.shape, bool)
    inside[short_side // 8 : -short_side // 8, short_side // 8 : -short_side // 8] = True
    inside &= hard & (fields.y < 225)
    wanted = soft * tone + (1 - soft) * steps
    # Steepness is measured on whole codes, so a share of the longest step between tone and plateau is off.
    assert np.abs(drawn - wanted)[inside].mean() < 0.004
    assert np.abs(drawn - wanted)[inside].max() < 0.025


def test_gradients_change_nothing_without_levels() -> None:
    fields = some_fields()
    plain = LookRenderer(PLAIN, ColorInfo(), 64, 96)(fields)
    assert same(LookRenderer(replace(PLAIN, gradients=1.0), ColorInfo(), 64, 96)(fields), plain)


def test_local_lifts_dark_surroundings_and_leaves_light_ones() -> None:
    def drawn(code: int) -> int:
        look = Look(lift=1, contrast=0, levels=0, line_opacity=0, local=0.5)
        fields = flat(code, height=128, width=128)
        return int(LookRenderer(look, ColorInfo(), 128, 128)(fields)[0][64, 64])

    assert abs(drawn(26) - (26 + 0.5 * (125.5 - 26))) <= 1
    assert drawn(200) == 200


def test_lines_grow_by_the_pixels_of_line_width() -> None:
    fields = flat(200, height=720, width=720)
    fields.ink[:, 300:304] = 250
    for width in (0.0, 1.0, 2.0):
        look = Look(line_width=width, line_softness=0.05, line_tint=0, line_color="#000000")
        y = LookRenderer(look, ColorInfo(), 720, 720)(fields)[0]
        assert (y[360] < 60).sum() == 4 + 2 * width


def test_lines_of_enlarged_fields_grow_less() -> None:
    fields = flat(200, height=720, width=720)
    fields.ink[:, 300:304] = 250
    look = Look(line_width=2.0, line_softness=0.05, line_tint=0, line_color="#000000")
    for enlargement, pixels in ((1.0, 8), (5 / 3, 6), (7 / 3, 4), (3.0, 4)):
        y = LookRenderer(look, ColorInfo(), 720, 720, enlargement)(fields)[0]
        assert (y[360] < 60).sum() == pixels


@pytest.mark.parametrize("make", [patterns.dots, patterns.lines])
def test_screens_cover_what_a_tone_lacks(make: object) -> None:
    assert callable(make)
    tile = make(720, 720, 8.0, 30.0)
    for tone in range(20, 240, 20):
        assert np.mean(tile > tone) == pytest.approx(1 - tone / 255, abs=0.02)


def test_hatching_has_more_strokes_the_darker_and_only_between_its_tones() -> None:
    tile = patterns.hatching(720, 960, 5.0, -50.0)
    shares = [np.mean(tile > tone) for tone in (250, 200, 150, 100, 50)]
    assert shares[0] < 0.02
    assert all(b > a + 0.03 for a, b in pairwise(shares))
    for part in np.array_split(tile, 4, axis=1):  # evenly, all over the picture
        assert np.mean(part > 120) == pytest.approx(np.mean(tile > 120), rel=0.15)


@pytest.mark.parametrize("make", [patterns.paper_light, patterns.grain, patterns.wash])
def test_paper_has_no_repetition_and_no_seam(make: object) -> None:
    assert callable(make)
    field = make(720, 1280).astype(np.float64)
    assert field.std() == pytest.approx(1, rel=0.05)
    spectrum = np.abs(np.fft.fft2(field - field.mean())) ** 2
    alike = np.fft.ifft2(spectrum).real / spectrum.sum() * 1.0
    alike /= alike[0, 0]
    alike[:160, :160] = alike[-160:, :160] = alike[:160, -160:] = alike[-160:, -160:] = 0
    assert alike.max() < 0.35  # nothing comes again further off
    for axis in (0, 1):
        steps = np.abs(np.diff(field, axis=axis)).mean(axis=1 - axis)
        assert steps.max() < 1.8 * np.median(steps)


def test_patterns_grow_with_the_picture() -> None:
    def period(height: int) -> float:
        tile = patterns.lines(height, height, 8.0, 0.0)[:, height // 2].astype(np.float64)
        return height / float(np.argmax(np.abs(np.fft.rfft(tile - tile.mean()))))

    assert period(1440) / period(720) == pytest.approx(2, rel=0.03)
    assert patterns.scale_of(1080, 1920) == 1.5
    assert patterns.scale_of(1280, 720) == 1


@pytest.mark.parametrize("file", SHIPPED, ids=[file.parent.name for file in SHIPPED])
@pytest.mark.parametrize("size", [(64, 96), (240, 136)])
def test_shipped_looks_draw_the_same_every_time_and_leave_the_fields_alone(
    file: Path, size: tuple[int, int]
) -> None:
    look = read_look(CardTable(file, read_toml(file)["look"], "look."))
    fields = some_fields(*size)
    for plane in (fields.y, fields.u, fields.v, fields.ink):
        plane.flags.writeable = False
    renderer = LookRenderer(look, ColorInfo(), *size)
    first = renderer(fields)
    kept: Planes = (first[0].copy(), first[1].copy(), first[2].copy())
    other = renderer(some_fields(*size, seed=1))
    assert same(first, kept), "a later picture wrote into an earlier one"
    assert not same(first, other)
    assert [plane.shape for plane in first] == [fields.y.shape, fields.u.shape, fields.v.shape]
    for cached in (patterns.dots, patterns.lines, patterns.hatching, patterns.grain, patterns.wash):
        cached.cache_clear()
    assert same(LookRenderer(look, ColorInfo(), *size)(fields), first)
    for plane, high in zip(first, (235, 240, 240), strict=True):
        assert plane.min() >= 16 - 2
        assert plane.max() <= high + 2


@pytest.mark.parametrize("file", SHIPPED, ids=[file.parent.name for file in SHIPPED])
@pytest.mark.parametrize("size", [(2, 2), (2, 64), (48, 2), (34, 34)])
def test_shipped_looks_draw_tiny_frames(file: Path, size: tuple[int, int]) -> None:
    look = read_look(CardTable(file, read_toml(file)["look"], "look."))
    fields = some_fields(*size)
    y, u, v = LookRenderer(look, ColorInfo(), *size)(fields)
    assert (y.shape, u.shape, v.shape) == (fields.y.shape, fields.u.shape, fields.v.shape)


def test_what_does_not_move_stays_as_it_is_where_something_else_moves() -> None:
    for file in SHIPPED:
        look = read_look(CardTable(file, read_toml(file)["look"], "look."))
        if look.local:
            continue  # depends on wide surroundings, by its meaning
        one = some_fields(128, 256)
        two = FieldPlanes(*(plane.copy() for plane in (one.y, one.u, one.v, one.ink)))
        two.y[:, 192:], two.ink[:, 192:] = 200, 0
        renderer = LookRenderer(look, ColorInfo(), 128, 256)
        for a, b in zip(renderer(one), renderer(two), strict=True):
            half = a.shape[1] // 2
            assert np.array_equal(a[:, :half], b[:, :half])


def test_threads_may_share_a_renderer() -> None:
    look = Look(screen="dots", edge_darkening=1, pigment=0.5, local=0.3, line_width=0.5, paper=0.5, smooth=2)
    renderer = LookRenderer(look, ColorInfo(), 128, 160)
    pictures = [some_fields(128, 160, seed) for seed in range(4)]
    alone = [renderer(fields) for fields in pictures]
    wrong: list[int] = []

    def work(at: int) -> None:
        wrong.extend(at for _ in range(30) if not same(renderer(pictures[at]), alone[at]))

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="even sizes, got 33x32"):
        LookRenderer(Look(), ColorInfo(), 32, 33)
    with pytest.raises(ValueError, match=r"shape \(32, 48\), got \(64, 96\)"):
        LookRenderer(Look(), ColorInfo(), 32, 48)(some_fields())


def test_a_line_is_drawn_where_the_response_says() -> None:
    response = np.zeros((32, 48), np.float32)
    response[:, 20:24] = 1.6
    fields = replace(flat(200), ink=ink_code(response))
    y = LookRenderer(Look(line_color="#000000", line_tint=0), ColorInfo(), 32, 48)(fields)[0]
    assert (y[:, 20:24] == 16).all()
    assert (y[:, :20] > 150).all()
