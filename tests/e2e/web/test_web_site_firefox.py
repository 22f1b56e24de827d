"""The site in Firefox, by WebGL 2 and, where it is switched on, by WebGPU; both on the processor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from firefox_bidi import FIREFOX, firefox
from paths import ROOT
from web_site_browser import served, until_drawn
from web_site_drawing import MEAN, apart, drawn_by, generator, photo
from x_display import x_server

from engines.looks.stills import draw_still
from engines.registry.style import load_style
from streamtoon.web.site.build import build_site
from streamtoon.web.site.contents import site_styles

pytestmark = pytest.mark.skipif(FIREFOX is None, reason="firefox-esr or firefox is missing")
PREFERENCES = {
    "webgl2": {"dom__webgpu__enabled": False},
    "webgpu": {"dom__webgpu__enabled": True, "gfx__webgpu__ignore-blocklist": True},
}
OFFERED = {
    "webgl2": "return !!document.createElement('canvas').getContext('webgl2')",
    "webgpu": "return navigator.gpu?.requestAdapter().then((adapter) => !!adapter) ?? false",
}
"""Whether Firefox offers it: WebGL needs Mesa's EGL, and WebGPU a driver for Vulkan."""
SIZE = (1280, 900)
DRAW_TIMEOUT_S = 900
"""Firefox draws WebGL without a GPU in one thread, which takes minutes on a busy processor."""


@pytest.fixture(scope="module")
def display() -> Iterator[int]:
    with x_server(SIZE) as (number, _):
        yield number


@pytest.mark.parametrize("engine", ["webgl2", "webgpu"])
def test_the_page_draws_a_camera_in_firefox_as_in_python(engine: str, display: int, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    build_site(site_styles(["comic", "ink"]), tmp_path / "site")
    (tmp_path / "site" / "blank.html").write_text("<!doctype html><title>blank</title>")
    (tmp_path / "profile").mkdir()
    with (
        served(tmp_path / "site") as address,
        firefox(tmp_path / "profile", display, **PREFERENCES[engine]) as browser,
    ):
        browser.get(f"{address}blank.html")
        if not browser.execute_script(OFFERED[engine]):
            pytest.skip(f"this Firefox offers no {engine} here")
        browser.get(address)
        until_drawn(browser, "sample comic", DRAW_TIMEOUT_S)
        assert {"webgl2": "WebGL 2", "webgpu": "WebGPU"}[engine] in text(browser, "engine")
        assert "because" in text(browser, "slower") or engine == "webgpu"
        browser.execute_script("document.getElementById('camera').click()")
        until_drawn(browser, "camera comic", DRAW_TIMEOUT_S)
    # Another browser: leaving a page waits for all that it has asked WebGL to draw.
    (tmp_path / "fresh").mkdir()
    with (
        served(tmp_path / "site") as address,
        firefox(tmp_path / "fresh", display, **PREFERENCES[engine]) as browser,
    ):
        browser.get(f"{address}blank.html")
        picture = photo(ROOT / "samples" / "photos" / "otter.jpg", 160, 96)
        for look in ("comic", "ink"):
            wanted = draw_still(generator("lite"), picture, load_style(look).look)
            assert apart(wanted, picture) > 5 * MEAN
            assert apart(drawn_by(browser, engine, "lite", look, picture), wanted) < MEAN


def text(browser: Any, name: str) -> str:
    found: str = browser.execute_script(f"return document.getElementById('{name}').textContent")
    return found
