"""The documentation site builds without a warning, asks no other server for anything, and is complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

pytest.importorskip("material", reason="mkdocs-material is not installed")
pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")

LOADED = {
    ("audio", "src"),
    ("iframe", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("link", "href"),
    ("script", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("video", "src"),
}
"""What a browser fetches by itself; an `<a>` waits for a click."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CONTRIBUTING.md says, with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class _Page(HTMLParser):
    """The addresses that a page loads, and the ids of its elements."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.classes: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if (tag, name) in LOADED:
                self.loads.append(value or "")
            elif name == "id":
                self.ids.add(value or "")
            elif name == "class":
                self.classes.update((value or "").split())


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for file in pages:
        page = _Page(file)
        assert page.loads, file
        for address in page.loads:
            assert not re.match(r"(\w+:)?//", address), f"{file}: {address}"
        assert "mermaid" not in page.classes, "the theme draws diagrams with a script from another server"
    for file in site.rglob("*.css"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(url\(\s*['\"]?|@import\s+['\"]?)(\w+:)?//", text), file
    for file in site.rglob("*.svg"):
        assert not re.search(r"(href|src)=['\"]https?:", file.read_text(encoding="utf-8")), file


def _commands(group: Any, path: str = "streamtoon") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if not command.hidden:
            yield f"{path} {name}", command
            if hasattr(command, "commands"):
                yield from _commands(command, f"{path} {name}")


def test_the_page_of_commands_has_every_command_and_every_option(site: Path) -> None:
    from typer.main import get_command

    from streamtoon.cli.app import app

    file = site / "reference" / "cli.html"
    ids, text = _Page(file).ids, file.read_text(encoding="utf-8")
    commands = dict(_commands(get_command(app)))
    assert "streamtoon video" in commands and "streamtoon styles add" in commands
    for path, command in commands.items():
        assert path.replace(" ", "-") in ids, path
        section = text.split(f'id="{path.replace(" ", "-")}"')[1].split("<h2")[0].split("<h3")[0]
        for param in command.params:
            if not param.hidden:
                for name in (name for name in param.opts if name.startswith("--") and name != "--help"):
                    assert re.search(rf"<code>{name}[ <]", section), f"{path} {name}"


def test_the_page_of_recipes_has_every_key(site: Path) -> None:
    from training.recipe_keys import recipe_keys

    text = (site / "reference" / "recipe.html").read_text(encoding="utf-8")
    for key in recipe_keys():
        assert f"<code>{key.name.rpartition('.')[2]}</code>" in text, key.name


def test_the_page_of_the_api_has_every_public_name(site: Path) -> None:
    import streamtoon

    ids = _Page(site / "reference" / "python.html").ids
    for name in streamtoon.__all__:
        thing = getattr(streamtoon, name)
        if isinstance(thing, type) and not issubclass(thing, Exception):
            assert f"streamtoon.{name}" in ids, name
    assert {"streamtoon.Cartoonizer.video", "streamtoon.errors"} <= ids


def test_nothing_generated_is_missing_and_hooks_are_no_pages(site: Path) -> None:
    for file in site.rglob("*.html"):
        assert "generated:" not in file.read_text(encoding="utf-8"), file
    assert not list(site.rglob("*.py"))
