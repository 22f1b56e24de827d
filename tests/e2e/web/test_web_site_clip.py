"""Frames of a clip, drawn by the page at a working size and by the engine that `streamtoon video` opens."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from engines_open import open_engine
from paths import ROOT
from web_site_browser import CHROMIUM, DRIVER, TO_PICTURE, Bytes, blank_page, picture_of, png, run
from web_site_drawing import MEAN, in_python

from engines.engine import Engine
from engines.registry.style import load_style

pytest.importorskip("selenium.webdriver")
FFMPEG = shutil.which("ffmpeg")
pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing"
    ),
    pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is missing"),
]
PLAIN: dict[str, Any] = {"precision": "fp32", "stabilize": 0.0}
OPEN = (
    "const { openGpu } = await import('/engine/gpu.js'); const { loadWeights } = await "
    "import('/engine/weights.js'); const facts = await (await fetch('/site.json')).json();"
    "window.toon?.close(); window.canvas = document.createElement('canvas');"
    "window.toon = await openGpu(canvas); if (!toon) throw new Error('no WebGPU');"
    "toon.addNetwork('one', await loadWeights(new URL('/', location.href), "
    "facts.networks['paint-and-ink'][form])); toon.resize('one', width, height, share);"
    "await toon.setLook(facts.styles.find((style) => style.name === 'comic').look);"
)
DRAW = (
    TO_PICTURE + "toon.draw(picture); const copy = Object.assign(document.createElement('canvas'), "
    "{ width: canvas.width, height: canvas.height }); copy.getContext('2d').drawImage(canvas, 0, 0);"
    "await toon.finished(); return copy.toDataURL();"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with blank_page(tmp_path_factory.mktemp("site") / "site") as browser:
        yield browser


def frames(width: int, height: int, count: int) -> Bytes:
    """Every fourth frame of the sample clip, RGB, by FFmpeg."""
    choice = f"select='not(mod(n,4))',scale={width}:{height}:flags=area"
    command = [str(FFMPEG), "-v", "error", "-i", str(ROOT / "samples" / "tour.mp4"), "-vf", choice]
    command += ["-vsync", "0", "-frames:v", str(count), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(data, np.uint8).reshape(count, height, width, 3)


def differences(browser: Any, engine: Engine, pictures: Bytes) -> list[float]:
    """Mean difference in code values between both drawings, for every frame."""
    found = []
    for picture, wanted in zip(pictures, in_python(engine, pictures), strict=True):
        assert np.abs(wanted.astype(np.float64) - picture).mean() > 2 * MEAN, "the drawing is not the frame"
        page = picture_of(run(browser, DRAW, png=png(picture)))
        found.append(float(np.abs(page.astype(np.float64) - wanted).mean()))
    return found


def test_frames_of_a_clip_are_those_of_python_in_lite(browser: Any) -> None:
    width, height = 320, 180
    style = load_style("comic")
    assert style.lite is not None
    style = dataclasses.replace(style, lite=dataclasses.replace(style.lite, working_height=height))
    pictures = frames(width, height, 10)
    assert np.abs(np.diff(pictures.astype(np.float64), axis=0)).mean() > 1, "the clip moves"
    run(browser, OPEN, form="lite", width=width, height=height, share=0.75)
    with open_engine(style, width=width, height=height, quality="lite", **PLAIN) as engine:
        assert engine.facts.working_height == 144  # three quarters of 184, in blocks of 8
        found = differences(browser, engine, pictures)
    assert len(found) == 10
    assert max(found) < MEAN, found


def test_fields_of_a_working_size_are_enlarged_as_in_python(browser: Any) -> None:
    width, height, working = 256, 192, 96
    style = dataclasses.replace(load_style("comic"), working_height=working)
    run(browser, OPEN, form="full", width=width, height=height, share=working / height)
    with open_engine(style, width=width, height=height, detail=working / height, **PLAIN) as engine:
        found = differences(browser, engine, frames(width, height, 2))
    assert max(found) < MEAN, found
