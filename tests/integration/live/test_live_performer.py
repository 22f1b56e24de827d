from __future__ import annotations

import dataclasses
import shutil
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from engines_open import open_engine
from fields_styles import LOOK, OTHER_LOOK, save_network
from renderers import live_renderer, render
from x_display import until

from engines.frame import Frame
from engines.imaging.temporal_filter import Stabilizer
from engines.looks.look import Look
from engines.registry.look_changes import with_look
from engines.registry.style import CARD
from streamtoon.errors import EngineError, StyleError

SIZE = {"width": 64, "height": 48, "rate": None, "quality": "full"}


@pytest.fixture(scope="module")
def other_style(style_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network under another name: what draws can be told from it by name alone."""
    folder = tmp_path_factory.mktemp("styles") / "other"
    shutil.copytree(style_folder, folder)
    card = folder / CARD
    card.write_text(card.read_text("utf-8").replace('name = "shaken"', 'name = "other"'), "utf-8")
    return folder


def _picture(number: int) -> Frame:
    dice = np.random.default_rng(number)
    y, u, v = (dice.integers(0, 256, shape, np.uint8) for shape in ((48, 64), (24, 32), (24, 32)))
    return Frame(y, u, v, number, Fraction(1, 1000))


def test_it_draws_what_the_engine_draws(style_folder: Path) -> None:
    with live_renderer(style_folder, **SIZE) as performer:  # type: ignore[arg-type]
        assert performer.style == performer.facts.style == "shaken"
        given = render(performer, _picture(1))
    with open_engine(style_folder, **SIZE) as engine:  # type: ignore[arg-type]
        assert (given.y == engine(_picture(1)).y).all()


def test_strength_changes_between_two_pictures_even_of_one_content(style_folder: Path) -> None:
    with live_renderer(style_folder, stabilize=0, **SIZE) as performer:  # type: ignore[arg-type]
        full = render(performer, _picture(1))
        performer.strength = 0.5
        half = render(performer, _picture(1))
        performer.strength = 0
        none = render(performer, _picture(1))
        performer.strength = 1
        again = render(performer, _picture(1))
    source = _picture(1)
    assert (full.y != source.y).any()
    mixed = (full.y.astype(float) + source.y) / 2
    assert np.abs(half.y - mixed).max() <= 0.5
    assert (none.y == source.y).all()
    assert (again.y == full.y).all()
    with pytest.raises(ValueError, match="0 to 1"):
        performer.strength = 1.1


def test_another_style_draws_when_it_is_open_and_the_old_one_until_then(
    style_folder: Path, other_style: Path
) -> None:
    with live_renderer(style_folder, strength=0.5, **SIZE) as performer:  # type: ignore[arg-type]
        before = render(performer, _picture(1))
        performer.choose(other_style)
        assert performer.is_choosing
        drawn = 0
        while performer.style == "shaken":
            assert (render(performer, _picture(1)).y == before.y).all()
            drawn += 1
        assert drawn > 1
        assert not performer.is_choosing
        assert performer.trouble is None
        assert (render(performer, _picture(1)).y == before.y).all()  # the strength went along


def test_of_several_choices_the_last_one_counts(style_folder: Path, other_style: Path) -> None:
    with live_renderer(style_folder, **SIZE) as performer:  # type: ignore[arg-type]
        for style in (other_style, style_folder, other_style, style_folder, other_style):
            performer.choose(style)

        def settled() -> bool:
            render(performer, _picture(1))
            return not performer.is_choosing

        until(settled, "the choice does not come to an end")
        assert performer.style == "other"


def test_a_choice_that_cannot_be_is_told_and_changes_nothing(style_folder: Path) -> None:
    with live_renderer(style_folder, **SIZE) as performer:  # type: ignore[arg-type]
        performer.choose("no-such-style")
        until(lambda: not performer.is_choosing, "the choice does not come to an end")
        assert performer.trouble
        assert "no-such-style" in performer.trouble
        render(performer, _picture(1))
        assert performer.style == "shaken"


def test_it_is_steady_and_restarts_with_another_style(style_folder: Path, other_style: Path) -> None:
    steady = Stabilizer(1)
    with (
        open_engine(style_folder, **SIZE) as engine,  # type: ignore[arg-type]
        live_renderer(style_folder, stabilize=1, **SIZE) as performer,  # type: ignore[arg-type]
    ):
        for number in (1, 1, 2, 2):
            expected = steady(_picture(number), engine(_picture(number)))
            assert (render(performer, _picture(number)).y == expected.y).all()
        performer.choose(other_style)
        until(lambda: render(performer, _picture(2)) and performer.style == "other", "it does not come")
        assert (render(performer, _picture(2)).y == engine(_picture(2)).y).all()


def test_close_waits_for_what_is_being_opened(style_folder: Path, other_style: Path) -> None:
    performer = live_renderer(style_folder, **SIZE)  # type: ignore[arg-type]
    performer.choose(other_style)
    performer.close()
    assert "streamtoon-style" not in {thread.name for thread in threading.enumerate()}
    performer.choose(other_style)  # too late, and no harm
    assert not performer.is_choosing


def test_what_cannot_draw_is_told_at_once(style_folder: Path) -> None:
    with pytest.raises(StyleError):
        live_renderer("no-such-style", **SIZE)  # type: ignore[arg-type]
    with pytest.raises(EngineError):
        live_renderer(style_folder, backend="no-such", **SIZE)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="0 to 1"):
        live_renderer(style_folder, stabilize=2, **SIZE)  # type: ignore[arg-type]


def test_a_look_changes_between_two_pictures_and_a_style_of_the_same_network_is_there_with_the_next(
    tmp_path: Path,
) -> None:
    style = save_network(tmp_path / "drawn", look=LOOK)
    other = dataclasses.replace(with_look(style, OTHER_LOOK), name="other")
    assert style.look is not None and other.look is not None
    with live_renderer(style, **SIZE) as performer:  # type: ignore[arg-type]
        own = render(performer, _picture(1))
        assert performer.look == performer.own_look == style.look
        performer.look = other.look
        changed = render(performer, _picture(1))
        opened, performer.look = performer._engine, style.look
        assert (render(performer, _picture(1)).y == own.y).all()
        performer.choose(other)
        until(lambda: performer.style == "other", "the other style")
        assert performer._engine is opened, "no engine is opened for a look of the same network"
        switched = render(performer, _picture(1))
        assert performer.look == performer.own_look == other.look
    with open_engine(other, **SIZE) as engine:  # type: ignore[arg-type]
        expected = engine(_picture(1))
    for given in (changed, switched):
        assert all((a == b).all() for a, b in zip(_planes(given), _planes(expected), strict=True))
    assert (own.y != expected.y).mean() > 0.2


def test_a_style_that_is_not_a_look_has_none(style_folder: Path) -> None:
    with live_renderer(style_folder, **SIZE) as performer:  # type: ignore[arg-type]
        assert performer.look is None
        assert performer.own_look is None
        with pytest.raises(ValueError, match="is not a look"):
            performer.look = Look()


def _planes(picture: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return picture.y, picture.u, picture.v
