"""Pictures that are extended for a network of two sizes, drawn by the page as by the program's engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from engines_open import open_engine
from fields_styles import LOOK, save_network
from paths import ROOT
from web_site_browser import CHROMIUM, DRIVER, blank_page
from web_site_drawing import MEAN, apart, drawn_by, in_python, photo

from engines.registry.style import Style

pytest.importorskip("selenium.webdriver")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing"
)
WIDTH, HEIGHT = 156, 100
"""39 x 25 blocks of 4 x 4 pixels, of which the network takes 40 x 26."""


@pytest.fixture(scope="module")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Style:
    return save_network(tmp_path_factory.mktemp("style") / "shaken-fields", look=LOOK)


@pytest.fixture(scope="module")
def browser(shaken: Style, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with blank_page(tmp_path_factory.mktemp("site") / "site", [shaken]) as browser:
        yield browser


@pytest.mark.parametrize("engine", ["webgpu", "webgl2"])
def test_a_picture_is_extended_as_in_python(engine: str, browser: Any, shaken: Style) -> None:
    picture = photo(ROOT / "samples" / "photos" / "otter.jpg", WIDTH, HEIGHT)
    with open_engine(
        shaken, width=WIDTH, height=HEIGHT, detail=1.0, precision="fp32", stabilize=0.0
    ) as python:
        (wanted,) = in_python(python, picture[np.newaxis])
    assert apart(wanted, picture) > 5 * MEAN
    assert apart(drawn_by(browser, engine, "full", shaken.name, picture), wanted) < MEAN
