"""The pages in docs/ agree with the program: options, examples, folders."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _command_lines(text: str) -> list[list[str]]:
    """The lines that call streamtoon in the shell blocks of a page, as words."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in _joined(block)]
    found = [re.search(r"(?:^|&& )(?:\.venv/bin/)?(streamtoon .*)", line) for line in lines]
    return [shlex.split(each[1], comments=True) for each in found if each]


def _joined(block: str) -> list[str]:
    return block.replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_options_of_every_command_line_exist(page: Path) -> None:
    from typer.main import get_command

    from streamtoon.cli.app import app

    root: Any = get_command(app)
    for words in _command_lines(page.read_text(encoding="utf-8")):
        command = root
        for word in words[1:]:
            command = getattr(command, "commands", {}).get(word, command)
        known = {name for param in [*root.params, *command.params] for name in param.opts}
        given = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
        assert given <= known | {"--help"}, " ".join(words)


def test_command_lines_are_found() -> None:
    block = "a && streamtoon video x \\\n  --fps 3  # --no\n.venv/bin/streamtoon doctor\n"
    text = f"```sh\n{block}```\nstreamtoon no\n"
    assert _command_lines(text) == [["streamtoon", "video", "x", "--fps", "3"], ["streamtoon", "doctor"]]
    assert sum(len(_command_lines(page.read_text(encoding="utf-8"))) for page in PAGES) > 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target


def test_the_folders_of_the_architecture_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+ \| `([\w./]+)` \|$", text, re.MULTILINE)
    assert len(rows) > 12
    for name in rows:
        assert (ROOT / name).exists(), name


def test_the_example_card_is_the_one_of_comic() -> None:
    text = (ROOT / "docs" / "reference" / "card.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    card = (ROOT / "engines" / "styles" / "comic" / "card.toml").read_text(encoding="utf-8")
    assert tomllib.loads(example) == tomllib.loads(card)


def test_the_example_recipe_is_one(tmp_path: Path) -> None:
    from training.recipe_loader import read_recipe

    text = (ROOT / "docs" / "reference" / "recipe.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mine.toml").write_text(example, encoding="utf-8")
    recipe = read_recipe(tmp_path / "mine.toml")
    assert (recipe.name, recipe.steps, recipe.weights.texture.end) == ("mine", 8000, 1)
