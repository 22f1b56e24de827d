"""Keys that change a look while a camera is drawn: what they change and what is written over the picture."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from renderers import live_renderer

pytest.importorskip("torch", reason="the extra `torch` is not installed")

from fields_styles import LOOK, OTHER_LOOK, save_network
from x_display import until

from engines.looks.look import look_keys
from engines.registry.look_changes import with_look
from engines.registry.style import Style
from streamtoon.live import webcam_session as show_module
from streamtoon.live.camera import ReconnectingCamera
from streamtoon.live.renderer import LiveRenderer
from streamtoon.live.webcam_session import WebcamSession
from streamtoon.live.window_process import _key

SIZE: dict[str, Any] = {"width": 64, "height": 48, "rate": None, "quality": "full"}


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    return save_network(tmp_path_factory.mktemp("styles") / "drawn", look=LOOK)


class Clock:
    """What `time.monotonic` says."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(show_module, "time", clock)
    return clock


def _show(performer: LiveRenderer, **styles: str | Style) -> WebcamSession:
    camera = SimpleNamespace(info=SimpleNamespace(rate=25), is_gone=False, name="camera", dropped=0)
    return WebcamSession(cast(ReconnectingCamera, camera), performer, styles)


def _press(show: WebcamSession, *keys: str) -> str:
    for key in keys:
        show._press(key)
    return show._message()


def test_brackets_choose_a_key_and_signs_change_it(style: Style, clock: Clock) -> None:
    with live_renderer(style, **SIZE) as performer:
        show = _show(performer)
        assert _press(show, "-") == "strength 90%"  # what they change before a key is chosen
        first, *_ = look_keys()
        said = _press(show, "]", "=")
        assert performer.look is not None and performer.strength == 0.9
        assert getattr(performer.look, first.name) == first.default + 1  # type: ignore[operator]
        assert said == f"{first.name}  2 (was 1)\n{first.text}\n0 to 4"
        clock.now += 1.9
        assert show._message() == said
        clock.now += 0.2
        assert show._message() == ""  # after two seconds
        assert _press(show, "left").startswith(f"{first.name}  1\n")
        assert performer.look == style.look
        assert _press(show, "[") == "strength 90%"


def test_every_key_that_counts_comes_once_round_and_choices_go_round(style: Style, clock: Clock) -> None:
    assert style.look is not None
    with live_renderer(style, **SIZE) as performer:
        show, seen = _show(performer), []
        while not (said := _press(show, "down")).startswith("strength"):
            seen.append(said.split()[0])
        assert len(seen) == len(set(seen)) > 15
        assert "levels" in seen and "screen" in seen and "line_width" in seen
        assert not {"screen_size", "palette_amount", "edge_width", "line_color", "palette"} & set(seen)
        while not _press(show, "up").startswith("screen "):
            pass
        assert [_press(show, "right").split()[1] for _ in range(4)] == ["dots", "lines", "hatching", "none"]
        _press(show, "right")
        assert _press(show, "down").startswith("screen_size  7\n")  # which counts now


def test_0_gives_the_styles_own_look_back_with_what_the_command_changed(style: Style, clock: Clock) -> None:
    given = with_look(style, {"levels": 9})
    with live_renderer(given, **SIZE) as performer:
        show = _show(performer)
        _press(show, "]", "=", "]", "=", "=")
        assert performer.look != given.look
        assert _press(show, "0") == "the style's own look"
        assert performer.look == given.look


def test_next_is_there_at_once_and_back_with_what_the_command_changed(style: Style, clock: Clock) -> None:
    given = with_look(style, {"levels": 9})
    other = replace(with_look(style, OTHER_LOOK), name="other")
    with live_renderer(given, **SIZE) as performer:
        engine = performer._engine
        show = _show(performer, **{given.name: given, "other": other})
        assert "other" in _press(show, "n")
        until(lambda: performer.style == "other", "the other style")
        assert (performer._engine, performer.look) == (engine, other.look)
        _press(show, "p")
        until(lambda: performer.style == given.name, "the first style")
        assert (performer._engine, performer.look) == (engine, given.look)


def test_a_style_that_is_not_a_look_has_strength_alone(style_folder: Path, clock: Clock) -> None:
    with live_renderer(style_folder, **SIZE) as performer:
        show = _show(performer)
        assert _press(show, "]") == "strength 100%"
        assert _press(show, "left") == "strength 90%"
        assert _press(show, "0") == "style shaken has no look to change"


@pytest.mark.skipif(sys.platform == "win32", reason="the codes of X11 and macOS")
@pytest.mark.parametrize(
    ("code", "key"),
    [
        (-1, ""),
        (0xFF51, "left"),
        (0x10FF52, "up"),  # with NumLock
        (0xF703, "right"),
        (0xFF54, "down"),
        (ord("["), "["),
        (0x10000 | ord("R"), "R"),  # with Shift
        (27, "\x1b"),
        (0xFF1B, "\x1b"),
        (0xFFAB, "+"),
        (0xFF50, ""),  # Home, whose low byte is that of P
        (0xFFE1, ""),  # Shift alone
    ],
)
def test_a_code_of_the_desktop_is_a_character_or_an_arrow_or_nothing(code: int, key: str) -> None:
    assert _key(code) == key
