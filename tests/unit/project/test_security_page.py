"""docs/security.md: the tests that it names exist, and cards refuse what it says they refuse."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from paths import ROOT

from engines.errors import StyleError
from engines.registry.style import load_style
from streamtoon.errors import StreamtoonError
from training.recipe_loader import BUNDLED, read_recipe

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)", PAGE))
    assert len(named) > 10
    tests = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    assert named <= set(re.findall(r"^def (test_\w+)", tests, re.MULTILINE))
    for file in re.findall(r"`(tests/[\w/]+\.py)`", PAGE):
        assert (ROOT / file).is_file(), file


def test_every_row_of_the_page_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| threat ")]
    assert len(rows) > 10
    for row in rows:
        assert re.search(r"`(tests/[\w/]+/)?test_\w+", row), row


TEXTS = {
    "a number without end": ("radius = 1", "radius = 0x" + "f" * 9000, "radius is too long to show"),
    "a decimal without end": ("radius = 1", "radius = " + "9" * 9000, "is not valid TOML"),
    "tables without a bottom": ("radius = 1", "radius = " + "[" * 9000, "not valid TOML|too deeply"),
    "a long text": ('title = "Shaken"', f'title = "{"a" * 5000}"', "allowed is at most 4,000 characters"),
    "a terminal's escape": ('title = "Shaken"', r'title = "\u001b[2J"', "no control char"),
    "text turned around": ('title = "Shaken"', r'title = "a\u202egnp.exe"', "no control char"),
    "a key with a line end": ("format = 1", 'format = 1\n"a\\nb" = 1', "unknown key a\ufffdb"),
    "a crowd": ("format = 1", "format = 1\n" + "#" * 300_000, "the limit is 262,144"),
    "no text": ("format = 1", "\udcff", "is not valid TOML"),
    "a place elsewhere": ("format = 1", 'format = 1\npreview = ".."', "preview is '..'; allowed is a file"),
    "a file that is no picture": ("format = 1", 'format = 1\npreview = "card.toml"', "allowed is a file"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_a_card_may_not_hold(case: str, style_folder: Path, tmp_path: Path) -> None:
    old, new, said = TEXTS[case]
    folder = Path(shutil.copytree(style_folder, tmp_path / "mine"))
    text = (folder / "card.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "card.toml").write_bytes(text.replace(old, new).encode("utf-8", "surrogateescape"))
    with pytest.raises(StyleError, match=said) as caught:
        load_style(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 600 and sentence.isprintable()


@pytest.mark.parametrize(
    "line",
    [
        "variants = 3",
        "[variants]\na = {like = ['b']}",
        "[variants]\na = {like = 'a'}",
        "[variants]\n" + "\n".join(f"v{at} = {{}}" for at in range(100)),
        "[weights]\ntexture = 0x" + "f" * 9000,
        "[weights]\ntexture = 1" + "0" * 400,
        "seed = [" + "[" * 5000,
        '"\\u001b" = 1',
    ],
)
def test_a_recipe_may_not_hold(line: str, tmp_path: Path) -> None:
    pepper = (BUNDLED / "pepper.toml").read_text(encoding="utf-8")
    text = f"{pepper}\n{line}" if line.startswith("[") else f"{line}\n{pepper}"
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    with pytest.raises(StreamtoonError) as caught:
        read_recipe(tmp_path / "r.toml")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
