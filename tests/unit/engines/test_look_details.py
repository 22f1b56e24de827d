"""Lines that are left out or drawn, and features that are deepened: by length, strength, number, colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.morphology import opening

from engines.frame import ColorInfo, Plane
from engines.imaging.field_blocks import FieldPlanes
from engines.looks import details
from engines.looks.details import Details
from engines.looks.look import Look
from engines.looks.renderer import LookRenderer

GREY, SKIN, SKY = (128, 128), (110, 152), (150, 110)
"""Cb and Cr."""
LINES = Look(line_length=18.0)
FEATURES = Look(features=1.0, line_opacity=0.0)


def fields_of(y: Plane, ink: Plane, chroma: tuple[int, int] = GREY) -> FieldPlanes:
    half = y.shape[0] // 2, y.shape[1] // 2
    u, v = (np.full(half, code, np.uint8) for code in chroma)
    return FieldPlanes(y, u, v, ink)


def changed(look: Look, fields: FieldPlanes) -> tuple[Plane, Plane]:
    """The paint's luma and the ink, in planes of their own."""
    rooms = [np.empty_like(fields.y) for _ in range(3)]
    return Details(look, *fields.y.shape)(fields, fields.y, *rooms)


def flat(height: int = 720, width: int = 720, code: int = 120) -> Plane:
    return np.full((height, width), code, np.uint8)


def dashes(every: int, scale: float = 1.0, height: int = 720, width: int = 720, code: int = 180) -> Plane:
    """Strokes of 8 x 3 pixels, one in every square of `every` pixels."""
    ink = flat(height, width, 50)
    tall, long, step = round(3 * scale), round(8 * scale), round(every * scale)
    for top in range(step // 2, height - tall, step):
        for left in range(step // 2, width - long, step):
            ink[top : top + tall, left : left + long] = code
    return ink


@pytest.mark.parametrize(("height", "width"), [(360, 640), (720, 720), (1440, 1440), (2160, 1200)])
def test_a_crowd_of_dashes_goes_and_a_long_line_through_it_stays(height: int, width: int) -> None:
    scale = min(height, width) / 720
    ink = dashes(18, scale, height, width)
    thick = max(2, round(3 * scale))
    ink[height // 2 : height // 2 + thick] = 220
    ink[:, width // 2 : width // 2 + thick] = 220
    kept = changed(LINES, fields_of(flat(height, width), ink))[1]
    lines = np.zeros(ink.shape, bool)
    lines[height // 2 : height // 2 + thick] = lines[:, width // 2 : width // 2 + thick] = True
    assert (kept[lines] > 150).mean() > 0.98
    near = np.zeros(ink.shape, bool)  # a dash that touches a line is a part of it
    reach = round(24 * scale)
    near[height // 2 - reach : height // 2 + reach] = near[:, width // 2 - reach : width // 2 + reach] = True
    near[:reach] = near[-reach:] = near[:, :reach] = near[:, -reach:] = True  # or of one beyond the border
    assert (ink[~near] > 150).sum() > 1000
    assert (kept[~near] > 150).mean() < 0.002


def test_the_strongest_of_a_crowd_stay() -> None:
    weak, strong = dashes(18), dashes(18, code=250)
    ink = np.where(np.arange(720)[:, None] // 18 % 3 == 0, strong, weak)
    kept = changed(LINES, fields_of(flat(), ink))[1][120:600, 120:600]
    ink = ink[120:600, 120:600]
    assert (kept[ink == 250] > 180).all()
    assert (kept[ink == 180] < 150).all()


def test_few_dashes_stay_as_they_are() -> None:
    ink = dashes(120)
    assert (ink > 150).sum() > 500
    assert np.array_equal(changed(LINES, fields_of(flat(), ink))[1], ink)


@pytest.mark.parametrize("angle", range(0, 180, 10))
def test_lines_of_any_direction_are_long(angle: int) -> None:
    rows, columns = np.mgrid[:720, :720] - 360.0
    turn = np.radians(angle)
    along, across = columns * np.cos(turn) + rows * np.sin(turn), rows * np.cos(turn) - columns * np.sin(turn)
    line = (np.abs(across) <= 1.7) & (np.abs(along) < 200)
    kept = changed(LINES, fields_of(flat(), np.maximum(dashes(18), line * np.uint8(220))))[1]
    assert (kept[line & (np.abs(along) < 190)] > 150).mean() > 0.95


def ring(radius: float, center: tuple[int, int] = (360, 360)) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:720, :720]
    return np.asarray(np.abs(np.hypot(rows - center[0], columns - center[1]) - radius) < 1.3)


@pytest.mark.parametrize(
    ("around", "light", "chroma", "stays"),
    [(60, 200, SKY, False), (60, 60, SKY, True), (140, 200, SKY, True), (60, 130, SKIN, True)],
)
def test_the_ring_around_a_light_in_the_dark_goes(
    around: int, light: int, chroma: tuple[int, int], stays: bool
) -> None:
    y, ink = flat(code=around), flat(code=50)
    y[358:363, 358:363] = light
    ink[ring(6)] = 250
    kept = changed(LINES, fields_of(y, ink, chroma))[1]
    assert bool((kept[ring(6)] > 150).mean() > 0.9) == stays
    assert stays or (kept > 150).sum() == 0


@pytest.mark.parametrize(
    ("code", "chroma", "features", "stays"),
    [(200, SKIN, 1.0, False), (200, SKIN, 0.0, True), (120, SKIN, 1.0, True), (200, GREY, 1.0, True)],
)
def test_the_ring_around_a_light_on_skin_goes_and_that_of_an_eye_stays(
    code: int, chroma: tuple[int, int], features: float, stays: bool
) -> None:
    y, ink = flat(code=150), flat(code=50)
    y[355:366, 355:366] = code
    ink[ring(5)] = 220
    kept = changed(replace(LINES, features=features), fields_of(y, ink, chroma))[1]
    assert bool((kept[ring(5)] > 150).mean() > 0.9) == stays
    assert stays or (kept > 150).sum() == 0


def test_a_bright_stroke_is_no_light() -> None:
    y, ink = flat(code=60), flat(code=50)
    y[300:420, 358:362] = 220  # and a dash next to it
    ink[350:358, 365:368] = 220
    assert (changed(LINES, fields_of(y, ink))[1][350:358, 365:368] > 200).all()


@pytest.mark.parametrize(
    ("code", "share", "drawn"),
    [(90, 1.0, 90), (109, 1.0, 133), (130, 1.0, 170), (130, 0.5, 150), (150, 1.0, 170), (200, 1.0, 200)],
)
def test_a_faint_line_gains_the_ink_that_it_lacks(code: int, share: float, drawn: int) -> None:
    ink = flat(code=50)
    ink[300:304, 100:600] = code
    gained = changed(replace(LINES, faint_lines=share), fields_of(flat(), ink))[1]
    assert (gained[301:303, 120:580] == drawn).all()
    assert (gained[ink == 50] < 150).all() and (gained[320:] == 50).all()
    assert np.array_equal(changed(LINES, fields_of(flat(), ink))[1], ink)


def test_a_faint_line_gains_ink_if_it_is_as_long_as_the_look_says() -> None:
    ink = flat(code=50)
    ink[200:204, 100:112] = ink[400:404, 100:160] = 130
    for length, short in ((18.0, 130), (0.0, 170)):
        gained = changed(Look(line_length=length, faint_lines=1.0), fields_of(flat(), ink))[1]
        assert (gained[201:203, 102:110] == short).all() and (gained[401:403, 105:155] == 170).all()


def test_a_strong_line_does_not_become_wider() -> None:
    rows = np.abs(np.arange(720) - 360)[:, None]
    ink = np.broadcast_to(np.clip(240 - 24 * rows, 50, 240), (720, 720)).astype(np.uint8)
    assert ((ink > 95) & (ink < 150)).any()
    gained = changed(replace(LINES, faint_lines=1.0), fields_of(flat(), ink))[1]
    assert np.array_equal(gained > 150, ink > 150)


def test_lines_are_opened_as_scikit_image_opens() -> None:
    plane = np.random.default_rng(1).integers(0, 256, (60, 90), np.uint8)
    for directions in (4, 8):
        strokes = [details._stroke(4, turn / directions) for turn in range(directions)]
        assert all(stroke.sum() >= 7 and np.array_equal(stroke, stroke[::-1, ::-1]) for stroke in strokes)
        out, spare = np.empty_like(plane), np.empty_like(plane)
        details._open(plane, strokes, out, spare)
        wanted = np.max([opening(plane, stroke, mode="ignore") for stroke in strokes], axis=0)
        assert np.array_equal(out, wanted)


@pytest.mark.parametrize("depth", [1, 3, 5, 10, 15, 40])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_features_deepen_and_gain_ink_by_their_own_depth(depth: int, share: float) -> None:
    y = flat()
    y[300:308, 300:320] = 120 - depth
    amount = round(2 * share) * min(max(depth - 3, 0), 12)
    darker, inked = changed(replace(FEATURES, features=share), fields_of(y, flat(code=100), SKIN))
    assert (darker[303:305, 305:315] == 120 - depth - amount).all()
    assert (inked[303:305, 305:315] == 100 + 2 * amount).all()
    outside = np.ones(y.shape, bool)
    outside[298:310, 298:322] = False
    assert (darker[outside] == 120).all() and (inked[outside] == 100).all()


def test_ink_of_features_has_a_most() -> None:
    y = flat()
    y[300:308, 300:320] = 100
    inked = changed(FEATURES, fields_of(y, flat(code=230), SKIN))[1]
    assert (inked[303:305, 305:315] == 255).all()


def test_a_feature_that_is_almost_a_line_becomes_one_and_a_crowd_of_lines_still_goes() -> None:
    y, ink = flat(), np.where(np.arange(720) < 360, dashes(18), 50).astype(np.uint8)
    y[300:308, 500:520], ink[300:308, 500:520] = 110, 130
    kept = changed(replace(LINES, features=1.0), fields_of(y, ink, SKIN))[1]
    assert (kept[302:306, 504:516] > 150).all()
    assert (ink[120:600, 120:300] > 150).sum() > 1000
    assert (kept[120:600, 120:300] > 150).sum() == 0


@pytest.mark.parametrize(
    ("chroma", "amount"),
    [(SKIN, 14), ((118, 140), 14), ((100, 170), 14), (GREY, 0), (SKY, 0), ((100, 110), 0)],
)
def test_features_are_those_of_skin(chroma: tuple[int, int], amount: int) -> None:
    y = flat()
    y[300:308, 300:320] = 110
    assert (changed(FEATURES, fields_of(y, flat(code=50), chroma))[0][304, 305:315] == 110 - amount).all()


def test_wide_shadows_and_light_features_are_left() -> None:
    y = flat()
    y[200:300, 200:300] = 100
    y[400:408, 400:420] = 140
    assert np.array_equal(changed(FEATURES, fields_of(y, flat(code=50), SKIN))[0], y)


@pytest.mark.parametrize(("every", "deeper"), [(120, True), (15, False)])
def test_a_crowd_of_features_is_texture(every: int, deeper: bool) -> None:
    y = flat()
    for top in range(every // 2, 712, every):
        for left in range(every // 2, 706, every):
            y[top : top + 8, left : left + 14] = 105
    middle = changed(FEATURES, fields_of(y, flat(code=50), SKIN))[0][240:480, 240:480]
    assert middle.min() == 81 if deeper else middle.min() > 100


def test_the_renderer_draws_what_was_left() -> None:
    y, ink = flat(), dashes(18)
    y[300:308, 300:320] = 110
    look = Look(
        smooth=0, lift=1, contrast=0, levels=0, saturation=1, line_width=0, line_tint=0, line_color="#000000"
    )
    both = replace(look, line_length=18.0, features=1.0)
    fields = fields_of(y, ink, SKIN)
    darker, fewer = changed(both, fields)
    wanted = LookRenderer(look, ColorInfo(), 720, 720)(fields_of(darker, fewer, SKIN))
    before = y.copy(), ink.copy()
    drawn = LookRenderer(both, ColorInfo(), 720, 720)(fields)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, wanted, strict=True))
    assert np.array_equal(fields.y, before[0]) and np.array_equal(fields.ink, before[1])
    assert not np.array_equal(drawn[0], LookRenderer(look, ColorInfo(), 720, 720)(fields)[0])


@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 900), (900, 4), (6, 10), (46, 82)])
def test_frames_of_any_size_are_drawn(height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    y, ink = (rng.integers(0, 256, (height, width), np.uint8) for _ in range(2))
    look = Look(line_length=40.0, features=1.0)
    drawn = LookRenderer(look, ColorInfo(), height, width)(fields_of(y, ink, SKIN))
    assert drawn[0].shape == (height, width)
