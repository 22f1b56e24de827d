"""Looks as data: keys, their ranges, what is refused and in which words, and the tables made of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import engines
from engines.errors import StyleError
from engines.frame import ColorInfo
from engines.looks import tables
from engines.looks.look import Look, apply_changes, look_keys
from engines.registry.card import CardTable, to_toml
from engines.registry.look_table import read_look, to_table
from engines.untrusted.toml_reader import parse_toml, read_toml

SHIPPED = sorted((Path(engines.__file__).parent / "styles").glob("*/card.toml"))
PALETTE = "up to 8 colours such as #1a2b3c, separated by spaces"
EVERYTHING = ColorInfo("bt709", full_range=True)


def shipped(file: Path) -> Look:
    """The look of a file."""
    return read_look(CardTable(file, read_toml(file)["look"], "look."))


def read(**values: object) -> Look:
    """The look of a table with these values."""
    return read_look(CardTable(Path("card.toml"), values, "look."))


def luma_of(look: Look, color: ColorInfo) -> tables.Curve:
    """The luma of every code value of paint, without `gradients`."""
    tones = tables.Tones(look, color)
    return tones.luma(tones.tone())


def test_every_key_has_a_default_in_its_range_and_a_text() -> None:
    look = Look()
    assert len({key.name for key in look_keys()}) == len(look_keys()) > 30
    for key in look_keys():
        assert key.allows(key.default)
        assert key.default == getattr(look, key.name)
        assert key.text[0].islower()
        assert not key.text.endswith(".")
        if key.kind in ("number", "whole"):
            assert key.low < key.high
            assert not key.allows(key.low - 1)
            assert not key.allows(key.high + 1)


def test_a_look_survives_its_own_toml() -> None:
    look = Look(lift=0.5, levels=3, palette=("#000000", "#ff8800"), line_color="#123456", screen="dots")
    table = to_table(look)
    assert set(table) == {"lift", "levels", "palette", "line_color", "screen"}
    text = to_toml({"look": table})
    assert read_look(CardTable(Path("card.toml"), parse_toml(text)["look"], "look.")) == look
    assert to_table(Look()) == {}
    assert read() == Look()


def test_colors_are_read_in_either_case() -> None:
    assert read(line_color="#AABBCC").line_color == "#aabbcc"
    assert read(palette=" #AABBCC  #000000 ").palette == ("#aabbcc", "#000000")
    assert read(palette="").palette == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lift": 9}, "card.toml: look.lift is 9; allowed is a number from 0.3 to 2"),
        ({"lift": True}, "card.toml: look.lift is True; allowed is a number from 0.3 to 2"),
        ({"lift": math.nan}, "card.toml: look.lift is nan; allowed is a number from 0.3 to 2"),
        ({"levels": 2.5}, "card.toml: look.levels is 2.5; allowed is a whole number from 0 to 16"),
        ({"line_color": "red"}, "card.toml: look.line_color is 'red'; allowed is a colour such as #1a2b3c"),
        (
            {"screen": "hatch"},
            "card.toml: look.screen is 'hatch'; allowed is one of none, dots, lines, hatching",
        ),
        ({"palette": "#112233 blue"}, f"card.toml: look.palette is '#112233 blue'; allowed is {PALETTE}"),
    ],
)
def test_a_wrong_value_is_refused_by_what_is_allowed(values: dict[str, object], said: str) -> None:
    with pytest.raises(StyleError) as error:
        read(**values)
    assert str(error.value) == said


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(StyleError, match=r"card\.toml: unknown key look\.width; allowed are smooth, lift"):
        read(width=3)


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("levls", "5", "unknown look key levls; did you mean levels?"),
        ("levels", "many", "look key levels is 'many'; allowed is a whole number from 0 to 16"),
        ("levels", "5.5", "look key levels is '5.5'; allowed is a whole number from 0 to 16"),
        ("lift", "nan", "look key lift is 'nan'; allowed is a number from 0.3 to 2"),
        ("lift", "", "look key lift is ''; allowed is a number from 0.3 to 2"),
        ("line_color", "#12345", "look key line_color is '#12345'; allowed is a colour such as #1a2b3c"),
        ("screen", "Dots", "look key screen is 'Dots'; allowed is one of none, dots, lines, hatching"),
    ],
)
def test_a_wrong_change_is_refused_in_one_sentence(key: str, text: str, said: str) -> None:
    with pytest.raises(StyleError) as error:
        apply_changes(Look(), {key: text})
    assert str(error.value) == said


def test_a_key_like_no_other_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(StyleError, match="unknown look key qqqq; the keys are smooth, lift, "):
        apply_changes(Look(), {"qqqq": "1"})


def test_changes_are_made_on_top_of_a_look() -> None:
    look = apply_changes(Look(lift=0.5), {"levels": " 4", "palette": "#FF0000 #00ff00", "screen": "lines"})
    assert look == Look(lift=0.5, levels=4, palette=("#ff0000", "#00ff00"), screen="lines")
    assert apply_changes(look, {}) == look


def test_a_look_cannot_be_made_of_what_is_not_allowed() -> None:
    with pytest.raises(StyleError, match="look key hardness is 2; allowed is a number from 0 to 1"):
        Look(hardness=2)


def test_shipped_looks_read_and_differ_from_each_other() -> None:
    looks = {file.parent.name: shipped(file) for file in SHIPPED}
    assert set(looks) >= {"comic", "anime", "ink", "pencil", "watercolour", "popart"}
    assert len({str(to_table(look)) for look in looks.values()}) == len(looks)


def test_without_levels_the_curve_is_lift_and_contrast() -> None:
    look = Look(lift=0.5, contrast=0.0, levels=0, black=0.1, white=0.9)
    luma = luma_of(look, EVERYTHING)
    for code, x in ((16, 0.0), (235, 1.0), (125, 109 / 219), (0, 0.0), (255, 1.0)):
        assert luma[code] == pytest.approx(255 * (0.1 + 0.8 * math.sqrt(x)))
    middle = luma_of(Look(lift=1, contrast=1, levels=0), EVERYTHING)
    x = 59 / 219
    assert middle[75] == pytest.approx(255 * (3 * x**2 - 2 * x**3))


@pytest.mark.parametrize("levels", range(17))
@pytest.mark.parametrize("hardness", [0.0, 0.3, 0.8, 1.0])
def test_more_luma_never_becomes_less(levels: int, hardness: float) -> None:
    look = Look(levels=levels, hardness=hardness, contrast=1.0, lift=0.4)
    assert (np.diff(luma_of(look, ColorInfo())) >= -1e-9).all()


def test_hard_levels_are_plateaus_from_black_to_white() -> None:
    values = np.linspace(0, 1, 1001)
    hard = tables.quantized(values, 5, 1.0)
    for plateau in (0, 0.25, 0.5, 0.75, 1):
        near = np.abs(values - plateau) < 0.09
        assert np.abs(hard[near] - plateau).max() < 0.002
    assert hard[0] == pytest.approx(0)
    assert hard[-1] == pytest.approx(1)
    steps = np.array([0.125, 0.375, 0.625, 0.875])
    assert tables.quantized(steps, 5, 0.8) == pytest.approx(steps)
    assert (tables.quantized(values, 1, 0.5) == 1).all()


def test_grey_stays_grey_and_strong_color_never_clips() -> None:
    for look in (Look(saturation=4), Look(saturation=0.3), Look(saturation=2, color_levels=3)):
        for color in (ColorInfo(), EVERYTHING):
            chroma = tables.Tones(look, color).chroma()
            assert chroma[128] == 128
            assert (np.diff(chroma) >= -1e-9).all()
            assert chroma[128 + 40] - 128 == pytest.approx(128 - chroma[128 - 40])
            assert chroma[16:241].min() >= 0.5 - 1e-9
            assert chroma[16:241].max() <= 255.5 + 1e-9
    half = tables.Tones(Look(saturation=0.5), ColorInfo()).chroma()
    assert half == pytest.approx(128 + (np.arange(256) - 128) / 2)
    rich, c = tables.Tones(Look(saturation=2), ColorInfo()).chroma(), 56 / 224
    assert rich[128 + 56] == pytest.approx(128 + 224 * 2 * c / (1 + 2 * c))


def test_ink_begins_where_the_response_reaches_one() -> None:
    look = Look(line_density=1, line_softness=0.2, line_opacity=0.8, line_tint=0.25)
    cover = tables.ink_coverage(look)
    assert cover[: 50 + 80 + 1].max() == 0  # response 0.8
    assert cover[150] == pytest.approx(0.8 * 0.75 / 2)
    assert cover[50 + 120 :] == pytest.approx(0.8 * 0.75)
    x = 0.25  # response 0.9 between 0.8 and 1.2
    assert cover[140] == pytest.approx(0.6 * (3 * x**2 - 2 * x**3))
    twice = tables.ink_coverage(Look(line_density=2, line_softness=0.2, line_opacity=0.8, line_tint=0.25))
    assert twice[100] == pytest.approx(cover[150])  # half the response at twice the density


def test_marks_begin_at_light_tones_and_pigment_has_a_limit() -> None:
    look = Look(screen="dots", screen_light=0.8, screen_dark=0.2, screen_softness=0.2)
    tone = tables.screen_tone(look, np.array([1.0, 0.8, 0.5, 0.2, 0.0]))
    assert tone == pytest.approx([255, 255, 255 - 0.5 * 280.5, -25.5, -25.5])
    loss = tables.edge_loss(Look(edge_darkening=1), 255)
    assert loss[0] == 0
    assert loss[1] == pytest.approx(1, abs=0.02)
    assert loss.max() < 0.22 * 255
