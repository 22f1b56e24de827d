"""The network in WGSL, before any look, held to ONNX Runtime's WebAssembly in the same browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fields_styles import LOOK, save_network
from ort_web import FILES, ort_web
from paths import ROOT, SUPPORT
from web_site_browser import CHROMIUM, DRIVER, TO_PICTURE, blank_page, png, run
from web_site_drawing import photo

from engines.registry.style import load_style

pytest.importorskip("selenium.webdriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing"
)
COMPARE = (
    TO_PICTURE + "const { compare } = await import('/ort/network_reference.js');"
    "return compare(picture, network, form);"
)


@pytest.mark.parametrize(
    ("network", "form"), [("paint-and-ink", "full"), ("paint-and-ink", "lite"), ("shaken-fields", "full")]
)
def test_the_networks_fields_are_those_of_onnxruntime_web(network: str, form: str, tmp_path: Path) -> None:
    reference = ort_web()
    first = load_style("comic")
    if network == "shaken-fields":
        first = save_network(tmp_path / network, look=LOOK)
    style = first if form == "full" else first.lite
    assert style is not None
    folder = tmp_path / "site"
    picture = photo(ROOT / "samples" / "photos" / "otter.jpg", 160, 96)
    # WebAssembly needs `wasm-unsafe-eval`, which the site's policy refuses.
    with blank_page(folder, [first], policy=False) as browser:
        (folder / "ort").mkdir()
        parts = [*(reference / name for name in FILES), style.network_folder / "generator.onnx"]
        for part in (*parts, SUPPORT / "network_reference.js"):
            shutil.copy(part, folder / "ort")
        found = run(browser, COMPARE, png=png(picture), network=network, form=form)
    samples, fields, wanted = (np.array(found[name]) for name in ("samples", "fields", "wanted"))
    assert samples.std() > 0.2 and wanted.std() > 0.1, "the network sees a picture and draws fields"
    off = np.abs(fields - wanted) * 127.5  # in code values; weights are of 16 bits here and of 32 there
    assert off.mean() < 0.1 and off.max() < 2
