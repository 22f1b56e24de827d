"""The pages on looks say what the code does: keys, shipped looks, the example of a file, window keys."""

from __future__ import annotations

import re
from pathlib import Path

from paths import ROOT

from engines.looks.look import LookKey, look_keys
from engines.registry.style import available_styles, load_style
from streamtoon.cli.styles import key_range
from streamtoon.live.look_controls import groups, spoken
from streamtoon.live.webcam_session import HELP

DOCS = ROOT / "docs"
PAGE = "\n".join(
    (DOCS / name).read_text(encoding="utf-8")
    for name in ("gallery.md", "guides/styles.md", "reference/look.md")
)


def _row(key: LookKey) -> str:
    return f"| `{key.name}` | {spoken(key.default)} | {key_range(key)} | {key.text} |"


def _table() -> str:
    """The page's tables of keys, as they have to be."""
    lines: list[str] = []
    last = ""
    for key in look_keys():
        if groups()[key.name] != last:
            last = groups()[key.name]
            lines += ["", f"## {last}", "", "| key | default | range | what it does |", "|---|---|---|---|"]
        lines.append(_row(key))
    return "\n".join(lines).strip()


def test_the_tables_of_keys_are_those_of_the_code() -> None:
    assert _table() in PAGE, f"docs/reference/look.md has other tables; they have to be:\n\n{_table()}"


def test_every_shipped_look_is_described() -> None:
    for style in available_styles():
        if style.look is not None:
            assert re.search(rf"^- \*\*`{style.name}`\*\*: .+\.$", PAGE, re.MULTILINE), style.name


def test_the_example_is_a_look_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "my-look.toml").write_text(example, encoding="utf-8")
    style = load_style(tmp_path / "my-look.toml")
    comic = load_style("comic")
    assert style.look is not None and comic.look is not None
    for line in example.partition("[look]")[2].strip().splitlines():
        name, _, value = line.partition("#")[0].partition("=") if '"' not in line else line.partition("=")
        key = next(each for each in look_keys() if each.name == name.strip())
        assert getattr(style.look, key.name) == key.parsed(value.strip().strip('"'))
    assert style.look.saturation == comic.look.saturation


def test_the_keys_of_the_window_are_those_of_its_help() -> None:
    for line in HELP.splitlines():
        names, _, what = line.partition(": ")
        if "look" in what or "style" in what:
            assert what in PAGE, what
            assert all(f"`{name}`" in PAGE for name in re.findall(r"[^ ,]+", names) if name != "or")
