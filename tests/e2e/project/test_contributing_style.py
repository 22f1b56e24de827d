"""The steps to a style in CONTRIBUTING.md make one."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from paths import ROOT

from engines.registry.style import load_style


def test_the_steps_to_a_style_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add a style\n")[2]
    block = re.search(r"```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    assert block
    monkeypatch.chdir(tmp_path)
    exec(textwrap.dedent(block[1]), {})
    style = load_style(tmp_path / "engines" / "styles" / "mine")
    assert (style.name, style.generator, style.parameters) == ("mine", "unet", 1_467_075)
    assert style.data[0].licence == "CC-BY-4.0"
