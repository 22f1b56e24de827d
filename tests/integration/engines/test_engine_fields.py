"""Drawing by fields and a look: parity with the network by hand, sizes, colours, looks that change."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fields_styles import LOOK, OTHER_LOOK, fields_by_hand, save_look, save_network
from numpy.typing import NDArray
from skimage import data

pytest.importorskip("torch", reason="the extra `torch` is not installed")

from engines_open import open_engine

from engines import factory as opening
from engines.backends.selection import load_backend
from engines.errors import StyleError
from engines.fields_engine import FieldsEngine
from engines.frame import ColorInfo, Frame
from engines.imaging.color import rgb_to_yuv
from engines.imaging.field_blocks import FieldPlanes
from engines.imaging.local_contrast import with_local_contrast
from engines.looks.look import Look
from engines.looks.renderer import LookRenderer
from engines.quantization.nncf_ptq import quantize_style
from engines.registry.style import LITE, Style, load_style

Bytes = NDArray[np.uint8]
COLORS = [
    ColorInfo("bt709"),
    ColorInfo("bt601", full_range=True),
    ColorInfo("bt2020", primaries=9, transfer=14),
]


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    """With its own network, an int8 graph and a lite form."""
    folder = tmp_path_factory.mktemp("styles") / "shaken"
    save_network(folder / LITE, seed=1)
    whole = save_network(folder, look=LOOK)
    photos = [np.asarray(getattr(data, name)()) for name in ("astronaut", "coffee", "chelsea", "rocket")]
    return quantize_style(whole, photos)


def picture(photo: Bytes, color: ColorInfo = COLORS[0], pts: int = 7) -> Frame:
    """A photograph as 4:2:0."""
    height, width = photo.shape[:2]
    y, u, v = rgb_to_yuv(np.ascontiguousarray(photo), color)
    half = ((width + 1) // 2, (height + 1) // 2)
    u, v = (np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8) for plane in (u, v))
    return Frame(y, u, v, pts, Fraction(1, 30000), 1001, color)


def same(left: Frame, right: Frame) -> bool:
    return all(np.array_equal(getattr(left, plane), getattr(right, plane)) for plane in "yuv")


def opened(style: Style | Path, width: int, height: int, **settings: Any) -> FieldsEngine:
    asked: dict[str, Any] = {"width": width, "height": height} | settings
    if "quality" not in settings:
        asked = {"detail": 1.0} | asked
    engine = open_engine(style, **asked)
    assert isinstance(engine, FieldsEngine)
    return engine


ENGINES = [
    ("openvino", "fp32", 0.0, 1),
    ("openvino", "bf16", 1.0, 16),
    ("openvino", "int8", 2.0, 255),
    ("onnxruntime", "fp32", 0.0, 1),
    ("onnxruntime", "int8", 2.0, 255),
    ("torch", "fp32", 0.0, 1),
    ("torch", "bf16", 1.0, 16),
]


@pytest.mark.parametrize("backend, precision, mean, most", ENGINES)
def test_every_backend_gives_the_networks_fields(
    style: Style, backend: str, precision: str, mean: float, most: int
) -> None:
    if precision not in load_backend(backend).devices()["cpu"].precisions:
        pytest.skip(f"{backend} does not compute in {precision} here")
    source = picture(np.asarray(data.astronaut()[100:228, 60:220]))
    expected = fields_by_hand(style, source.y, source.u, source.v)
    with opened(style, 160, 128, backend=backend, precision=precision, device="cpu") as engine:
        assert engine.facts.precision == precision
        given = engine._fields((source.y, source.u, source.v), source.color)
    for plane, wanted in zip((given.y, given.u, given.v, given.ink), expected, strict=True):
        difference = np.abs(plane - wanted)
        assert plane.shape == wanted.shape
        assert difference.mean() <= mean + 0.002  # what is exactly between two codes may be either
        assert difference.max() <= most


def test_the_network_changes_the_picture(style: Style) -> None:
    """Or parity would say little."""
    source = picture(np.asarray(data.astronaut()[100:228, 60:220]))
    *paint, ink = fields_by_hand(style, source.y, source.u, source.v)
    for plane, own in zip(paint, (source.y, source.u, source.v), strict=True):
        assert np.abs(plane - own).mean() > 1
    assert ink.std() > 1


@pytest.mark.parametrize("color", COLORS, ids=str)
def test_the_cartoon_is_the_look_of_the_fields(style: Style, color: ColorInfo) -> None:
    source = picture(np.asarray(data.coffee()[40:168, 60:220]), color)
    planes = [source.y, source.u, source.v]
    if color.full_range:
        spans = ((16, 0, 219), (128, 128, 224), (128, 128, 224))
        planes = [
            np.rint(zero + (plane.astype(float) - black) * span / 255).astype(np.uint8)
            for plane, (zero, black, span) in zip(planes, spans, strict=True)
        ]
    by_hand = [plane.astype(np.uint8) for plane in fields_by_hand(style, *planes)]
    look = style.look
    assert look is not None
    expected = LookRenderer(look, color, 128, 160)(FieldPlanes(*by_hand))
    with opened(style, 160, 128, precision="fp32") as engine:
        given = engine(source)
    for plane, wanted in zip((given.y, given.u, given.v), expected, strict=True):
        assert (plane != wanted).mean() < 0.003


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (37, 53), (64, 48), (255, 130), (30, 600)])
@pytest.mark.parametrize("choice", [{}, {"quality": "fast"}, {"quality": "lite"}, {"detail": 0.3}], ids=str)
def test_size_time_and_color_stay(style: Style, size: tuple[int, int], choice: dict[str, Any]) -> None:
    height, width = size
    photo = cv2.resize(data.chelsea(), (width, height)).reshape(height, width, 3)
    with opened(style, width, height, **choice) as engine:
        for color in COLORS:
            cartoon = engine(picture(photo, color))
            assert (cartoon.pts, cartoon.time_base, cartoon.duration) == (7, Fraction(1, 30000), 1001)
            assert cartoon.color is color
            assert cartoon.y.shape == (height, width)
            assert cartoon.u.shape == cartoon.v.shape == ((height + 1) // 2, (width + 1) // 2)


def test_what_is_no_whole_block_is_extended_by_its_edge(style: Style) -> None:
    source = picture(np.asarray(data.coffee()[40:103, 60:141]))  # 63 x 81, chroma 32 x 41
    planes = [
        np.pad(plane, ((0, rows - plane.shape[0]), (0, columns - plane.shape[1])), mode="edge")
        for plane, (rows, columns) in (
            (source.y, (64, 88)), (source.u, (32, 44)), (source.v, (32, 44)),
        )
    ]  # fmt: skip
    expected = fields_by_hand(style, *planes)
    with opened(style, 81, 63, precision="fp32") as engine:
        given = engine.fields(source)
    for plane, whole in zip((given.y, given.u, given.v, given.ink), expected, strict=True):
        wanted = whole[: plane.shape[0], : plane.shape[1]]
        assert np.abs(plane - wanted).max() <= 1
    assert (given.y.shape, given.u.shape) == ((64, 82), (32, 41))


@pytest.mark.parametrize(
    ("choice", "enlargement"),
    [({"quality": "lite"}, 4 / 3), ({"detail": 0.5}, 2.0), ({"quality": "fast"}, 1.0)],
)
def test_lines_of_fields_below_full_quality_are_widened_less(
    style: Style, choice: dict[str, Any], enlargement: float
) -> None:
    look = Look(line_width=3.0)
    source = picture(np.asarray(data.coffee()[40:168, 60:220]))
    with opened(style, 160, 128, precision="fp32", **choice) as engine:
        engine.look = look
        given, fields = engine(source), engine.fields(source)
    expected = LookRenderer(look, source.color, 128, 160, enlargement)(fields)
    for plane, wanted in zip((given.y, given.u, given.v), expected, strict=True):
        assert np.array_equal(plane, wanted)


def test_a_large_picture_has_its_fields_at_working_size_and_its_look_at_full(style: Style) -> None:
    half = dataclasses.replace(style, working_height=64)
    source = picture(np.asarray(data.coffee()[40:168, 60:220]))
    small = [
        np.asarray(cv2.resize(p, (p.shape[1] // 2, p.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8)
        for p in (source.y, source.u, source.v)
    ]
    large = [
        np.asarray(cv2.resize(plane.astype(np.uint8), (plane.shape[1] * 2, plane.shape[0] * 2)), np.uint8)
        for plane in fields_by_hand(style, *small)
    ]
    look = style.look
    assert look is not None
    expected = LookRenderer(look, source.color, 128, 160)(FieldPlanes(*large))
    with opened(half, 160, 128, precision="fp32", detail=0.5) as engine:
        assert (engine.facts.working_width, engine.facts.working_height) == (80, 64)
        given = engine(source)
    for plane, wanted in zip((given.y, given.u, given.v), expected, strict=True):
        assert (plane != wanted).mean() < 0.003


def test_both_ranges_are_drawn_alike(style: Style) -> None:
    photo = np.asarray(data.astronaut()[:128, 100:260])
    drawn = []
    for full_range in (False, True):
        smooth = dataclasses.replace(style, look=Look(levels=0, contrast=0.0, lift=1.0, line_opacity=0.0))
        with opened(smooth, 160, 128, precision="fp32") as engine:
            luma = engine(picture(photo, ColorInfo("bt709", full_range))).y.astype(float)
        drawn.append(luma if full_range else (luma - 16) * 255 / 219)
    assert np.abs(drawn[0] - drawn[1]).mean() < 1


def test_strength_zero_is_the_source_and_between_it_mixes(style: Style) -> None:
    source = picture(np.asarray(data.astronaut()[:64, :64]))
    with opened(style, 64, 64, precision="fp32") as engine:
        whole = engine(source)
        engine.strength = 0.25
        quarter = engine(source)
        engine.strength = 0
        assert engine(source) is source
    for plane in "yuv":
        mix = 0.25 * getattr(whole, plane) + 0.75 * getattr(source, plane)
        assert np.abs(getattr(quarter, plane) - mix).max() <= 0.51


@pytest.mark.parametrize("stabilize", [0.0, 0.5])
def test_an_equal_picture_is_not_drawn_again(style: Style, stabilize: float) -> None:
    clip = [picture(np.asarray(data.astronaut()[at : at + 64, :64]), pts=at) for at in (0, 0, 1, 1, 1, 0)]
    with opened(style, 64, 64, stabilize=stabilize) as engine:
        cartoons = [engine(each) for each in clip]
        assert engine.reused == 3
    assert [cartoon.pts for cartoon in cartoons] == [0, 0, 1, 1, 1, 0]
    assert same(cartoons[0], cartoons[1])
    with opened(style, 64, 64) as engine:
        if not stabilize:
            assert same(engine(clip[2]), cartoons[2])


@pytest.mark.parametrize("stabilize", [0.0, 0.5])
def test_a_look_changes_between_two_pictures_even_of_one_content(style: Style, stabilize: float) -> None:
    source = picture(np.asarray(data.astronaut()[:64, :64]))
    other = Look(**OTHER_LOOK)  # type: ignore[arg-type]
    with opened(style, 64, 64, stabilize=stabilize) as engine:
        before = engine(source)
        own, engine.look = engine.look, other
        changed = engine(source)
        engine.look = own
        assert same(engine(source), before)
    with opened(dataclasses.replace(style, look=other), 64, 64) as engine:
        assert same(changed, engine(source))
    assert not same(changed, before)


def test_a_photograph_is_drawn_as_its_video_is(style: Style) -> None:
    photo = np.asarray(data.coffee()[40:169, 60:221])  # odd in both ways
    with opened(style, 161, 129, precision="fp32") as engine:
        drawn = engine.rgb(photo)
        video = engine(picture(photo, ColorInfo("bt601", full_range=True)))
        engine.strength = 0
        assert np.array_equal(engine.rgb(photo), photo)
    assert drawn.shape == photo.shape
    luma = rgb_to_yuv(np.ascontiguousarray(drawn), ColorInfo("bt601", full_range=True))[0]
    # What colour the sRGB cube has no room for is clipped there.
    assert np.abs(luma.astype(int) - video.y).mean() < 3


@pytest.mark.parametrize("color", COLORS, ids=lambda color: color.matrix)
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_the_network_alone_sees_more_local_contrast(style: Style, color: ColorInfo, strength: float) -> None:
    source = picture(np.asarray(data.coffee()[40:168, 60:220]), color)
    luma = source.y
    if color.full_range:
        luma = np.rint(16 + luma * (219 / 255)).astype(np.uint8)
    luma = with_local_contrast(luma, 0.6, full_range=False)
    if color.full_range:
        luma = np.clip(np.rint((luma - 16.0) * (255 / 219)), 0, 255).astype(np.uint8)
    with opened(style, 160, 128, precision="fp32") as engine:
        wanted = engine(dataclasses.replace(source, y=luma))
    with opened(style, 160, 128, precision="fp32", clarity=0.6, strength=strength) as engine:
        drawn = engine(source)
    for plane in "yuv":
        mix = strength * getattr(wanted, plane) + (1 - strength) * getattr(source, plane)
        off = np.abs(getattr(drawn, plane) - mix)
        assert off.max() <= 0.51 if not color.full_range else off.mean() < 0.6  # codes of both ranges differ


def test_jobs_of_several_threads_come_back_in_order(style: Style) -> None:
    clip = [picture(np.asarray(data.astronaut()[at : at + 64, :64]), pts=at) for at in range(6)]
    with opened(style, 64, 64, stabilize=0.8) as one, opened(style, 64, 64, stabilize=0.8) as two:
        expected = [one(each) for each in clip]
        pending = [two.submit(each) for each in clip]
        for each in reversed(pending):
            each.compute()
        assert all(same(each.result(), wanted) for each, wanted in zip(pending, expected, strict=True))


def test_styles_of_one_network_switch_without_opening_it_again(
    style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style_folder: Path
) -> None:
    monkeypatch.setattr("engines.registry.style.NETWORKS", tmp_path / "networks")
    save_network(tmp_path / "networks" / "one")
    save_network(tmp_path / "networks" / "one" / LITE, seed=1)
    first, second = (
        save_look(tmp_path / name, "one", look) for name, look in (("a", LOOK), ("b", OTHER_LOOK))
    )
    source = picture(np.asarray(data.astronaut()[:64, :64]))
    for quality in ("full", "lite"):
        with opened(second, 64, 64, quality=quality) as engine:
            expected = engine(source)
        with opened(first, 64, 64, quality=quality) as engine:
            engine(source)
            with monkeypatch.context() as patch:
                patch.setattr(opening, "open_runner", lambda *_, **__: pytest.fail("opened again"))
                assert engine.switch(second)
                assert engine.facts.style == "b"
                assert same(engine(source), expected)
            assert not engine.switch(style)  # of another network
            assert not engine.switch(load_style(style_folder))
            assert engine.facts.style == "b"
    with open_engine(style_folder, width=64, height=64, quality="full") as rgb:
        assert not rgb.switch(first)


def test_a_network_alone_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(StyleError, match="is a network without a look"):
        open_engine(save_network(tmp_path / "net"), width=64, height=64)


def moving(number: int) -> Frame:
    """A camera that stands still: noise everywhere, and a square that wanders over the left half."""
    dice = np.random.default_rng(number)
    still = cv2.resize(np.asarray(data.astronaut()[:256, :256]), (160, 128)).astype(float)
    still[40:72, 8 + 4 * number : 24 + 4 * number] = 255 * (number % 2)
    noisy = np.clip(still + dice.normal(0, 3, still.shape[:2])[:, :, None], 0, 255).astype(np.uint8)
    return picture(noisy, pts=number)


def test_fields_are_held_steady_where_nothing_moves_and_nowhere_else(style: Style) -> None:
    clip = [moving(number) for number in range(12)]
    with opened(style, 160, 128) as loose, opened(style, 160, 128, stabilize=1.0) as steady:
        plain, held = [[engine(each).y.astype(int) for each in clip] for engine in (loose, steady)]
    still = (slice(0, 128), slice(104, 160))
    before, after = (
        np.mean([np.abs(two[still] - one[still]).mean() for one, two in itertools.pairwise(luma[4:])])
        for luma in (plain, held)
    )
    assert after < before / 2
    at = 8 + 4 * 11
    moved = (slice(48, 64), slice(at + 2, at + 14))
    assert np.array_equal(plain[11][moved], held[11][moved])
