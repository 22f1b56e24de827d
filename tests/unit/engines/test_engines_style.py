"""Styles: what is read, what is refused and how it is said; and that a written folder reads back."""

from __future__ import annotations

import re
import shutil
import stat
import sys
import tomllib
from pathlib import Path

import pytest
from lite_styles import add_lite

from engines.common.dirs import cache_folder
from engines.errors import StyleError
from engines.registry import style as style_module
from engines.registry.card import to_toml
from engines.registry.style import DataSource, Scores, available_styles, load_style, names_with_lite


@pytest.fixture
def folder(style_folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(style_folder, tmp_path / "mine"))


@pytest.fixture(scope="module")
def style_with_lite(style_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(style_folder, tmp_path_factory.mktemp("two") / "mine"))
    add_lite(folder)
    return folder


def edit(folder: Path, old: str, new: str) -> None:
    card = folder / "card.toml"
    text = card.read_text(encoding="utf-8")
    assert old in text
    card.write_text(text.replace(old, new), encoding="utf-8")


def test_a_folder_is_read_as_its_card_says(style_folder: Path) -> None:
    style = load_style(style_folder)
    assert (style.name, style.title, style.generator) == ("shaken", "Shaken", "unet")
    assert (style.parameters, style.size_multiple, style.working_height) == (1_467_075, 4, 256)
    assert (style.radius, style.eps, style.lines) == (1, 3e-4, 0.0)
    assert style.data == (DataSource("nothing", "CC0-1.0", ""),)
    assert style.graph == style_folder / "generator.onnx"
    assert style.weights == style_folder / "weights.safetensors"
    assert style.int8_graph is None
    assert style.preview is None
    assert load_style(str(style_folder)) == style


def test_a_card_may_hold_scores(style_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scored"
    shutil.copytree(style_folder, folder)
    card = (folder / "card.toml").read_text(encoding="utf-8")
    scores = '[scores]\npictures = "9 photographs"\nkid = 0.25\nms-ssim = 1\n\n'
    (folder / "card.toml").write_text(card.replace("[sha256]", f"{scores}[sha256]"), encoding="utf-8")
    assert load_style(folder).scores == Scores("9 photographs", {"kid": 0.25, "ms-ssim": 1.0})
    assert load_style(style_folder).scores is None
    (folder / "card.toml").write_text((folder / "card.toml").read_text().replace("0.25", "nan"))
    with pytest.raises(StyleError, match=r"scores\.kid is nan; allowed is a number"):
        load_style(folder)


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ('name = "shaken"', 'name = "Shaken!"', "name is 'Shaken!'; allowed is lower-case letters"),
        ('title = "Shaken"', 'title = ""', "title is ''; allowed is a text that is not empty"),
        ('title = "Shaken"', "", "title is missing"),
        ('generator = "unet"', 'generator = "vnet"', "generator is 'vnet'; allowed is one of animegan"),
        (
            "working_height = 256",
            "working_height = 8",
            "working_height is 8; allowed is a whole number from 16",
        ),
        (
            "working_height = 256",
            "working_height = 256.0",
            "working_height is 256.0; allowed is a whole number",
        ),
        (
            "working_height = 256",
            "working_height = true",
            "working_height is True; allowed is a whole number",
        ),
        ("radius = 1", "radius = 65", "guided_filter.radius is 65; allowed is a whole number from 0 to 64"),
        (
            "eps = 0.0003",
            'eps = "small"',
            "guided_filter.eps is 'small'; allowed is a number from 1e-07 to 1",
        ),
        ("eps = 0.0003", "eps = nan", "guided_filter.eps is nan; allowed is a number"),
        ("eps = 0.0003", "eps = 0.1\nlines = 2", "guided_filter.lines is 2; allowed is a number from 0 to 1"),
        (
            "eps = 0.0003",
            "eps = 0.1\nepsilon = 1",
            "unknown key guided_filter.epsilon; allowed are radius, eps",
        ),
        ("[guided_filter]", "[guide]", "guided_filter is missing; allowed is a table"),
        ("[[data]]", "[data]", "data is {.*}; allowed is a list of tables"),
        ('licence = "CC0-1.0"', "licence = 0", r"data\[0\].licence is 0; allowed is a text"),
        ("format = 1", "format = 2", "format is 2; allowed is a whole number from 1 to 1"),
        ("format = 1", "format = 1\ncolor = 'red'", "unknown key color; allowed are format, "),
        ("format = 1", "format = 1\npreview = '../p.webp'", "preview is '../p.webp'; allowed is a file name"),
        ('"generator.onnx" = "', '"generator.onnx" = "x', "sha256.generator.onnx is .*64 hexadecimal digits"),
        ("format = 1", "format : 1", "is not valid TOML"),
    ],
)
def test_a_wrong_card_names_file_key_value_and_what_is_allowed(
    folder: Path, old: str, new: str, sentence: str
) -> None:
    edit(folder, old, new)
    with pytest.raises(StyleError, match=sentence) as caught:
        load_style(folder)
    assert str(caught.value).startswith(str(folder / "card.toml"))
    assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_known(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(style_module, "SHIPPED", folder.parent)
    with pytest.raises(
        StyleError, match=r"unknown style 'oil'. Known are mine, or the path of a style's folder"
    ):
        load_style("oil")
    assert load_style("mine").folder == folder
    assert [style.name for style in available_styles()] == ["shaken"]


def test_a_folder_that_is_no_style_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StyleError, match=r"is not a style: it has no card\.toml"):
        load_style(tmp_path)
    with pytest.raises(StyleError, match="is not a style: there is no such folder"):
        load_style(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["weights.safetensors", "generator.onnx"])
def test_a_missing_or_damaged_file_is_named(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(StyleError, match=f"{re.escape(str(folder / name))} is damaged"):
        load_style(folder)
    (folder / name).unlink()
    with pytest.raises(StyleError, match=f"is incomplete: it has no {re.escape(name)}"):
        load_style(folder)


def test_a_style_brings_its_lite_network(style_with_lite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style = load_style(style_with_lite)
    assert (style.name, style.generator) == ("shaken", "unet")
    assert style.lite == load_style(style_with_lite / "lite")
    assert style.lite is not None
    assert (style.lite.generator, style.lite.folder, style.lite.lite) == (
        "lite",
        style_with_lite / "lite",
        None,
    )
    assert style.lite.parameters < style.parameters
    monkeypatch.setattr(style_module, "SHIPPED", style_with_lite.parent)
    assert [style.name for style in available_styles()] == ["shaken"]
    assert names_with_lite() == ["mine"]
    with pytest.raises(StyleError, match="unknown style 'lite'"):
        load_style("lite")


def test_a_style_without_has_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_style(folder).lite is None
    monkeypatch.setattr(style_module, "SHIPPED", folder.parent)
    assert names_with_lite() == []


@pytest.mark.parametrize("name", ["weights.safetensors", "generator.onnx", "card.toml"])
def test_a_damaged_lite_network_is_named(style_with_lite: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(style_with_lite, tmp_path / "spoilt"))
    file = folder / "lite" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2] = b"\xff\xff"
    file.write_bytes(data)
    said = "is not valid TOML" if name == "card.toml" else "is damaged"
    with pytest.raises(StyleError, match=f"{re.escape(str(file))} {said}"):
        load_style(folder)
    file.unlink()
    with pytest.raises(StyleError, match=f"{re.escape(str(file.parent))} is .*: it has no {re.escape(name)}"):
        load_style(folder)


def test_written_toml_reads_back() -> None:
    values = {
        "text": 'quote " backslash \\ newline \n tab \t delete \x7f bell \a umlaut ä snowman ☃',
        "whole": -3,
        "number": 3e-4,
        "truth": True,
        "table": {"generator.onnx": "x", "inner": {"deep": 1}},
        "rows": [{"a": 1}, {"a": 2, "b": {"c": 3}}],
    }
    assert tomllib.loads(to_toml(values)) == values


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's")
def test_the_cache_is_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder("openvino")
    assert folder == tmp_path / "streamtoon" / "openvino"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    assert cache_folder("openvino") is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert cache_folder("openvino") is None
