"""--look: a style's look changed on the command line and in Python, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from fields_styles import LOOK, OTHER_LOOK, save_network
from media_clips import make_clip
from PIL import Image
from typer.testing import CliRunner

from engines.errors import StyleError
from engines.fields_engine import FieldsEngine
from engines.frame import ColorInfo, Planes
from engines.imaging.field_blocks import FieldPlanes
from engines.looks.look import Look, look_keys
from engines.registry.look_changes import as_texts, read_changes, with_look
from engines.registry.style import Style, load_style
from streamtoon.api import Cartoonizer
from streamtoon.cli.app import app
from streamtoon.convert.resume.fingerprint import identity
from streamtoon.live import look_controls
from streamtoon.tools.every_style import in_every_style
from streamtoon.tools.preview import read_frame

EXACT = {"engine": "openvino", "precision": "fp32", "quality": "full"}
FLAGS = ["--engine", "openvino", "--precision", "fp32", "--quality", "full"]


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    pytest.importorskip("torch")
    return save_network(tmp_path_factory.mktemp("styles") / "drawn", look=LOOK)


@pytest.fixture(scope="module")
def photo() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    rows, columns = np.mgrid[0:93, 0:121]
    waves = [127 + 120 * np.sin(rows / a + columns / b) for a, b in ((9, 31), (17, 11), (40, 23))]
    return np.stack(waves, 2).astype(np.uint8)


def _run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


def test_what_python_and_the_command_draw_is_what_a_style_with_that_look_draws(
    style: Style, photo: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]], tmp_path: Path
) -> None:
    assert style.look is not None
    by_hand = dataclasses.replace(style.look, levels=0, saturation=0.0, line_color="#ff0000")
    with Cartoonizer(dataclasses.replace(style, look=by_hand), **EXACT) as cartoonizer:  # type: ignore[arg-type]
        expected = cartoonizer(photo)
    changes = {"levels": 0, "saturation": "0", "line_color": "#FF0000"}
    with Cartoonizer(style.folder, look=changes, **EXACT) as cartoonizer:  # type: ignore[arg-type]
        assert np.array_equal(cartoonizer(photo), expected)
    with Cartoonizer(style.folder, **EXACT) as cartoonizer:  # type: ignore[arg-type]
        assert (cartoonizer(photo) != expected).mean() > 0.2
    source, target = tmp_path / "photo.png", tmp_path / "drawn.png"
    Image.fromarray(photo).save(source)
    looks = [part for key, value in changes.items() for part in ("--look", f"{key}={value}")]
    code, _, said = _run("image", source, target, "--style", style.folder, *looks, *FLAGS)
    assert code == 0, said
    assert np.array_equal(np.asarray(Image.open(target).convert("RGB")), expected)


def test_the_lite_form_has_the_changed_look_too(style: Style) -> None:
    both = dataclasses.replace(style, lite=style)
    changed = with_look(both, {"levels": 3})
    assert changed.lite is not None and changed.lite.look == changed.look
    assert changed.look is not None and changed.look.levels == 3
    assert with_look(both, {}) is both


def test_several_colors_are_a_text_or_a_sequence(style: Style) -> None:
    for palette in ("#000000 #ffffff", ("#000000", "#ffffff"), ["#000000", "#FFFFFF"]):
        look = with_look(style, {"palette": palette}).look
        assert look is not None and look.palette == ("#000000", "#ffffff")
    assert read_changes(["palette=", "levels=2", "levels = 3"]) == {"palette": "", "levels": " 3"}


COMMANDS = [
    ["video", "missing.mp4", "out.mp4"],
    ["image", "missing.png", "out.png"],
    ["preview", "missing.png"],
    ["webcam", "--camera", "missing.mp4"],
    ["stream", "missing.mp4", "out.m3u8"],
    ["serve", "--host", "256.0.0.1"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_wrong_change_is_one_sentence_before_anything_is_read(command: list[str]) -> None:
    code, out, err = _run(*command, "--look", "levls=8")
    assert (code, out, err) == (1, "", "error: unknown look key levls; did you mean levels?")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("xyzzy=1", "unknown look key xyzzy; the keys are smooth, lift"),
        ("levels=99", "look key levels is '99'; allowed is a whole number from 0 to 16."),
        ("levels=2.5", "look key levels is '2.5'; allowed is a whole number from 0 to 16."),
        ("lift=nan", "look key lift is 'nan'; allowed is a number from 0.3 to 2."),
        ("line_color=red", "look key line_color is 'red'; allowed is a colour such as #1a2b3c."),
        ("levels", "look 'levels' has no value; write KEY=VALUE, for example levels=8."),
    ],
)
def test_a_wrong_change_is_refused_by_what_is_allowed(change: str, said: str) -> None:
    code, out, err = _run("image", "missing.png", "out.png", "--look", change)
    assert (code, out) == (1, "")
    assert said in err


@pytest.mark.parametrize("command", ["video", "image", "webcam", "stream", "serve"])
def test_a_style_that_is_not_a_look_says_so(command: str, style_folder: Path) -> None:
    ends = {"webcam": ["--camera", "missing.mp4"], "serve": []}.get(command, ["missing", "out.png"])
    code, _, err = _run(command, *ends, "--style", style_folder, "--look", "levels=8")
    assert code == 1
    assert err.startswith("error: style shaken has no look, so levels cannot be changed")
    assert "streamtoon styles list" in err


def test_python_refuses_what_the_command_refuses(style: Style, style_folder: Path) -> None:
    for look, said in (
        ({"levels": True}, "levels is 'True'"),
        ({"lift": float("inf")}, "allowed is a number from 0.3 to 2"),
        ({"line": 1}, "unknown look key line"),
    ):
        with pytest.raises(StyleError, match=said):
            Cartoonizer(style.folder, look=look)
    with pytest.raises(StyleError, match="has no look"):
        Cartoonizer(style_folder, look={"levels": 8})


def test_a_conversion_with_another_look_is_another_conversion(style: Style, tmp_path: Path) -> None:
    source = tmp_path / "in.bin"
    source.write_bytes(b"1")
    facts = [
        identity(source, with_look(style, look), {}) for look in ({}, {"levels": 8}, {"levels": 5}, LOOK)
    ]
    assert facts[0] == facts[2] == facts[3]  # levels 5 is the style's own
    assert facts[0] != facts[1]


def test_a_video_is_drawn_with_the_changed_look(style: Style, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=[512 * n for n in range(5)], audio=None)
    means = {}
    for name, changes in (("own", []), ("dark", ["--look", "white=0.4", "--look", "saturation=0"])):
        target = tmp_path / f"{name}.mkv"
        code, out, err = _run(
            "video", clip, target, "--style", style.folder, *FLAGS, "--json", "--codec", "ffv1", *changes
        )
        assert code == 0, err
        assert json.loads(out)["frames_out"] == 5
        means[name] = read_frame(target, 0).max()
    assert means["dark"] < 140 < means["own"]


def test_looks_of_one_network_are_drawn_by_one_run_of_it(
    style: Style,
    style_folder: Path,
    photo: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    styles = [style, load_style(style_folder), with_look(style, OTHER_LOOK)]
    expected = []
    for each in styles:
        with Cartoonizer(each, **EXACT) as cartoonizer:  # type: ignore[arg-type]
            expected.append(cartoonizer(photo))
    runs: list[Planes] = []
    fields = FieldsEngine._fields

    def counted(engine: FieldsEngine, planes: Planes, color: ColorInfo) -> FieldPlanes:
        runs.append(planes)
        return fields(engine, planes, color)

    monkeypatch.setattr(FieldsEngine, "_fields", counted)
    drawn = dict(in_every_style(photo, styles, backend="openvino", precision="fp32"))
    assert list(drawn) == [0, 2, 1]
    assert len(runs) == 1
    for place, picture in drawn.items():
        assert np.array_equal(picture, expected[place])


def test_a_preview_changes_every_look_and_leaves_out_what_is_none(
    style: Style,
    style_folder: Path,
    photo: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]],
    tmp_path: Path,
) -> None:
    source = tmp_path / "photo.png"
    Image.fromarray(photo).save(source)
    chosen = ["--style", style.folder, "--style", style_folder, "--look", "levels=3"]
    code, out, err = _run("preview", source, *chosen, "--json")
    assert code == 0
    assert json.loads(out)["styles"] == [str(style.folder)]
    assert "skipped" in err and "style shaken has no look" in err


def test_steps_stay_in_the_range_and_every_key_has_a_group() -> None:
    groups = look_controls.groups()
    assert list(groups) == [key.name for key in look_keys()]
    assert set(groups.values()) == set(look_controls.GROUPS)
    assert groups["levels"] == "Tones" and groups["palette"] == "Colour" and groups["paper"] == "Paper"
    assert groups["line_texture"] == "Lines" and groups["screen_angle"] == "Pattern"
    for key in filter(look_controls.has_steps, look_keys()):
        seen, look = [], Look()
        for _ in range(300):
            look = look_controls.stepped(look, key.name, 1)
            seen.append(getattr(look, key.name))
        if key.kind == "choice":
            assert set(seen) == set(key.choices)
        else:
            assert seen[-1] == key.high and seen == sorted(seen)
            low = Look()
            for _ in range(300):
                low = look_controls.stepped(low, key.name, -1)
            assert getattr(low, key.name) == key.low
            assert (key.high - key.low) / look_controls.step(key) >= 5 or key.kind == "whole"
            assert look_controls.slider_step(key) <= look_controls.step(key)
    with pytest.raises(ValueError, match="no steps"):
        look_controls.stepped(Look(), "line_color", 1)


def test_a_key_counts_only_where_it_changes_something() -> None:
    assert not look_controls.counts(Look(screen="none"), "screen_size")
    assert look_controls.counts(Look(screen="dots"), "screen_size")
    assert look_controls.counts(Look(), "line_color")
    assert not look_controls.counts(Look(line_opacity=0), "line_color")
    assert look_controls.counts(Look(line_opacity=0), "line_opacity")
    assert not look_controls.counts(Look(palette=()), "palette_amount")
    for key in look_keys():
        needed = look_controls.needs(key.name)
        assert not needed or needed in look_controls.groups()


def test_as_texts_needs_no_style() -> None:
    assert as_texts({"levels": 8, "lift": 0.5}) == {"levels": "8", "lift": "0.5"}
