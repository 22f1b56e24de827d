"""One drawing by the page's engine in a browser, and the same one in Python."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engines_open import render_all
from web_site_browser import TO_PICTURE, Bytes, picture_of, png, run

from engines.engine import Engine
from engines.frame import ColorInfo, Frame
from engines.imaging.color import rgb_to_yuv, yuv_to_rgb
from engines.imaging.working_size import fit
from engines.looks.look import Value
from engines.registry.style import load_style

MEAN = 2.0
"""Code values that drawings may differ by in the mean."""
BT709 = ColorInfo("bt709", full_range=False)
OPEN = {
    "webgpu": "const { openGpu } = await import('/engine/gpu.js'); return openGpu(canvas);",
    "webgl2": "const { openGl } = await import('/engine/gl.js'); return openGl(canvas);",
}
# The engine is opened once per page: to compile its programs in software takes longer than to draw.
DRAW = (
    "async function open(canvas) { %s }"
    "window.opened ??= {};"
    "if (!window.opened[kind]) { const canvas = document.createElement('canvas');"
    " window.opened[kind] = [canvas, await open(canvas)]; }"
    "const [canvas, engine] = window.opened[kind];"
    "const { loadWeights } = await import('/engine/weights.js');"
    "const facts = await (await fetch('/site.json')).json();"
    + TO_PICTURE
    + "if (!engine) throw new Error('no engine');"
    "const style = facts.styles.find((style) => style.name === look), network = `${style.network} ${form}`;"
    "if (!engine.hasNetwork(network)) engine.addNetwork(network, await loadWeights("
    "new URL('/', location.href), facts.networks[style.network][form]));"
    "engine.resize(network, picture.width, picture.height);"
    "await engine.setLook({ ...style.look, ...changes });"
    "engine.draw(picture);"
    "if (again) engine.redraw();"
    "const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, "
    "height: canvas.height });"
    "copy.getContext('2d').drawImage(canvas, 0, 0); await engine.finished(); const address = "
    "copy.toDataURL();"
    "return [engine.kind, address];"
)


def generator(form: str) -> Callable[[Bytes], Bytes]:
    """Return the network on code values, by ONNX Runtime in fp32."""
    onnxruntime = pytest.importorskip("onnxruntime")
    style = load_style("comic") if form == "full" else load_style("comic").lite
    assert style is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(style.network_folder / "generator.onnx"), options)
    name = session.get_inputs()[0].name

    def codes(blocks: Bytes) -> Bytes:
        samples = (blocks.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
        fields = session.run(None, {name: samples})[0][0]
        values = np.clip(np.rint(fields * 127.5 + 127.5), 0, 255)
        return np.ascontiguousarray(values.transpose(1, 2, 0), np.uint8)

    return codes


def in_python(engine: Engine, pictures: Bytes) -> list[Bytes]:
    """The frames of a video, in and out as RGB."""
    height, width = pictures.shape[1:3]
    given = []
    for number, picture in enumerate(pictures):
        y, u, v = rgb_to_yuv(picture, BT709)
        half = height // 2, width // 2
        given.append(Frame(y, fit(u, *half), fit(v, *half), number, Fraction(1, 25), color=BT709))
    with ThreadPoolExecutor(1) as threads:
        drawn = render_all(engine, given, threads)
    return [yuv_to_rgb(f.y, fit(f.u, height, width), fit(f.v, height, width), BT709) for f in drawn]


def photo(path: Path, width: int, height: int) -> Bytes:
    """Read a photograph at a size, RGB."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.ascontiguousarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


def drawn_by(
    browser: Any,
    engine: str,
    form: str,
    look: str,
    picture: Bytes,
    *,
    again: bool = False,
    **changes: Value,
) -> Bytes:
    """Return the drawing of the page's engine `webgpu` or `webgl2`, from a page of the site's server.

    `look` names a style; `changes` are keys of its look. With `again`, the look alone is drawn a second time.
    """
    given = {"png": png(picture), "kind": engine, "form": form, "look": look, "changes": changes}
    kind, address = run(browser, DRAW % OPEN[engine], again=again, **given)
    assert kind == engine
    return picture_of(address)


def apart(one: Bytes, other: Bytes) -> float:
    """Return the mean difference in code values."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(np.float64) - other).mean())
