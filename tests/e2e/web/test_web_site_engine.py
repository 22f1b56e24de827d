"""The engine in the browser, held to that of Python: tables, patterns and drawings, in software."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from paths import ROOT
from web_site_browser import CHROMIUM, DRIVER, blank_page, run
from web_site_drawing import MEAN, apart, drawn_by, generator, photo

from engines.imaging.field_blocks import FieldPlanes
from engines.looks import patterns, tables
from engines.looks.look import Look, look_keys
from engines.looks.renderer import LookRenderer, _Cover
from engines.looks.stills import COLOR, draw_still
from engines.registry.style import load_style, shipped_names

pytest.importorskip("selenium.webdriver")
pytest.importorskip("onnxruntime")
pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing"
    ),
]
DATA = os.environ.get("STREAMTOON_DATA")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with blank_page(tmp_path_factory.mktemp("site") / "site") as browser:
        yield browser


@pytest.mark.parametrize("engine", ["webgpu", "webgl2"])
@pytest.mark.parametrize("name", shipped_names())
def test_every_look_draws_as_in_python(browser: Any, engine: str, name: str) -> None:
    picture = photo(ROOT / "samples" / "photos" / "otter.jpg", 160, 96)
    look = load_style(name).look
    wanted = draw_still(generator("lite"), picture, look)
    assert apart(wanted, picture) > 5 * MEAN
    assert apart(drawn_by(browser, engine, "lite", name, picture), wanted) < MEAN


def slow_light(height: int, width: int) -> NDArray[np.uint8]:
    """A sky's luma, lighter towards the right, and a dark disc that is steep only at its edge."""
    down, across = np.mgrid[:height, :width]
    luma = 60 + 120 * (across / width) + 20 * (down / height)
    disc = (down - height * 0.6) ** 2 + (across - width * 0.3) ** 2 < (height / 4) ** 2
    return np.rint(np.where(disc, 30 + 60 * down / height, luma)).astype(np.uint8)


GRADIENTS: dict[str, Any] = {"levels": 7, "gradients": 1.0}


@pytest.mark.parametrize("engine", ["webgpu", "webgl2"])
@pytest.mark.parametrize(
    "changes", [{}, {"smooth": 0}, {"local": 0.2}, {"screen": "dots"}, {"edge_darkening": 0.5}]
)
def test_tones_are_soft_where_light_changes_slowly_as_in_python(
    browser: Any, engine: str, changes: dict[str, Any]
) -> None:
    picture = np.repeat(slow_light(96, 160)[..., None], 3, axis=2)
    look = dataclasses.replace(load_style("comic").look or Look(), **GRADIENTS | changes)
    wanted = draw_still(generator("lite"), picture, look)
    assert apart(draw_still(generator("lite"), picture, dataclasses.replace(look, gradients=0.0)), wanted) > 2
    assert apart(drawn_by(browser, engine, "lite", "comic", picture, **GRADIENTS | changes), wanted) < MEAN


@pytest.mark.parametrize("size", [(180, 320), (272, 204), (720, 404), (404, 720)])
def test_soft_tones_of_equal_fields_are_those_of_python(browser: Any, size: tuple[int, int]) -> None:
    look = Look(**GRADIENTS, smooth=1, line_opacity=0.0)
    luma = slow_light(*size)
    grey = np.full((size[0] // 2, size[1] // 2), 128, np.uint8)
    made = run(
        browser,
        "const { CpuLook } = await import('/engine/look_cpu.js'); const none = Uint8Array.from(grey);"
        "const fields = { y: Uint8Array.from(y), u: none, v: none, ink: new Uint8Array(y.length) };"
        "return Array.from(new CpuLook(look, {}, ...size).draw(fields).y);",
        look=dataclasses.asdict(look), size=list(size), y=luma.ravel().tolist(), grey=grey.ravel().tolist(),
    )  # fmt: skip
    wanted = LookRenderer(look, COLOR, *size)(FieldPlanes(luma, grey, grey, np.zeros_like(luma)))[0]
    off = np.abs(np.array(made).reshape(size) - wanted.astype(np.float64))
    assert off.mean() < 0.2 and off.max() < 5


DETAILS: dict[str, Any] = {"line_length": 18.0, "faint_lines": 0.8, "features": 1.0}
NO_DETAILS: dict[str, Any] = dict.fromkeys(DETAILS, 0.0)


@pytest.mark.parametrize("size", [(180, 320), (272, 204), (720, 404), (540, 960)])
def test_details_of_equal_fields_are_those_of_python(browser: Any, size: tuple[int, int]) -> None:
    """Dashes on one side and faint spots on the other, in the colours of sky and of skin, and faint lines."""
    height, width = size
    rng = np.random.default_rng(3)
    look = Look(**DETAILS, smooth=1, line_width=0.0)
    y, ink = slow_light(height, width), np.full(size, 60, np.uint8)
    for _ in range(width * height // 300):
        row, column = int(rng.integers(height - 4)), int(rng.integers(width - 12))
        if column < width // 2:
            ink[row : row + 2, column : column + int(rng.integers(2, 12))] = 190
        else:
            y[row : row + 4, column : column + 6] -= np.uint8(rng.integers(0, 12))
            ink[row : row + 2, column : column + 6] = rng.integers(50, 230)
    ink[:, width // 4 : width // 4 + 3] = 230
    for row in range(10, height - 10, 40):
        ink[row : row + 3] = np.maximum(ink[row : row + 3], np.uint8(rng.integers(90, 150)))
    u, v = (np.full((height // 2, width // 2), code, np.uint8) for code in (150, 110))
    u[:, width // 4 :], v[:, width // 4 :] = 110, 152
    made = run(
        browser,
        "const { CpuLook } = await import('/engine/look_cpu.js');"
        "const bytes = (one) => Uint8Array.from(one);"
        "const fields = { y: bytes(y), u: bytes(u), v: bytes(v), ink: bytes(ink) };"
        "return Array.from(new CpuLook(look, {}, ...size).draw(fields).y);",
        look=dataclasses.asdict(look), size=list(size),
        **{name: plane.ravel().tolist() for name, plane in {"y": y, "u": u, "v": v, "ink": ink}.items()},
    )  # fmt: skip
    fields = FieldPlanes(y, u, v, ink)
    wanted = LookRenderer(look, COLOR, *size)(fields)[0].astype(np.float64)
    without = LookRenderer(dataclasses.replace(look, **NO_DETAILS), COLOR, *size)(fields)[0]
    assert np.abs(without - wanted).mean() > 0.2
    off = np.abs(np.array(made).reshape(size) - wanted)
    assert off.mean() < 0.06 and (off > 8).mean() < 0.001


def dashed(height: int, width: int) -> NDArray[np.uint8]:
    """A crowd of dark dashes on the colour of a sky, and of faint ones on that of skin."""
    rng = np.random.default_rng(3)
    picture = np.full((height, width, 3), (150, 180, 205), np.int16)
    picture[:, width // 2 :] = (205, 150, 125)
    for _ in range(width * height // 120):
        row, column = int(rng.integers(height - 3)), int(rng.integers(width - 7))
        picture[row : row + 3, column : column + 7] -= 90 if column < width // 2 else 14
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("engine", ["webgpu", "webgl2"])
@pytest.mark.parametrize("changes", [{}, {"smooth": 0}, {"local": 0.2}, *({key: 0.0} for key in DETAILS)])
def test_details_are_drawn_as_in_python(browser: Any, engine: str, changes: dict[str, Any]) -> None:
    picture = dashed(192, 320)
    values = DETAILS | {"line_length": 40.0, "line_density": 1.5, "levels": 0, "gradients": 0.0} | changes
    look = dataclasses.replace(load_style("comic").look or Look(), **values)
    wanted = draw_still(generator("lite"), picture, look)
    plain = draw_still(generator("lite"), picture, dataclasses.replace(look, **NO_DETAILS))
    off = apart(drawn_by(browser, engine, "lite", "comic", picture, **values), wanted)
    assert off < MEAN and off < apart(plain, wanted) / 2


@pytest.mark.parametrize("engine", ["webgpu", "webgl2"])
@pytest.mark.parametrize("name", ["anime", "ink", "pencil"])
def test_a_look_is_drawn_again_from_the_same_fields(browser: Any, engine: str, name: str) -> None:
    picture = photo(ROOT / "samples" / "photos" / "otter.jpg", 160, 96)
    first = drawn_by(browser, engine, "lite", name, picture)
    assert apart(drawn_by(browser, engine, "lite", name, picture, again=True), first) == 0


@pytest.mark.skipif(DATA is None, reason="STREAMTOON_DATA names no folder of photographs")
def test_six_photographs_by_the_large_network(browser: Any) -> None:
    every = sorted(Path(str(DATA), "photos", "whole").iterdir())
    photos = [path for path in every if path.suffix in (".webp", ".jpg", ".png")][:: len(every) // 6][:6]
    assert len(photos) == 6
    for path in photos:
        picture = photo(path, 192, 128)
        wanted = draw_still(generator("full"), picture, load_style("comic").look)
        assert apart(drawn_by(browser, "webgpu", "full", "comic", picture), wanted) < MEAN, path.name


def random_look(rng: np.random.Generator) -> Look:
    values: dict[str, Any] = {}
    for key in look_keys():
        colors = [f"#{int(color):06x}" for color in rng.integers(1 << 24, size=int(rng.integers(0, 9)))]
        values[key.name] = {
            "number": float(round(rng.uniform(key.low, key.high), 2)),
            "whole": int(rng.integers(int(key.low), int(key.high) + 1)),
            "color": f"#{int(rng.integers(1 << 24)):06x}",
            "colors": tuple(colors),
            "choice": str(rng.choice(key.choices or ("none",))),
        }[key.kind]
    return Look(**values)


def test_tables_are_equal_value_for_value(browser: Any) -> None:
    rng = np.random.default_rng(20)
    looks = [load_style(name).look or Look() for name in shipped_names()]
    looks += [random_look(rng) for _ in range(100)]
    made = run(
        browser,
        "const { makeTables } = await import('/engine/tables.js'); return looks.map((look) => {"
        " const { tables, covers } = makeTables(look); return { covers, tables: "
        "Object.fromEntries(Object.entries(tables).map(([key, one]) => [key, [...one]])) }; });",
        looks=[dataclasses.asdict(look) for look in looks],
    )
    for look, given in zip(looks, made, strict=True):
        one = LookRenderer(look, COLOR, 16, 16)
        values = {name: np.array(table) for name, table in given["tables"].items()}
        wanted: dict[str, Any] = {"lift": one._lift, "edge": one._edge}
        if one._screen is not None:
            wanted["tone"] = one._screen[1]
            covered(values["screen"], given["covers"]["screen"], tables.CODES, one._screen[2])
        if one._pigment is not None:
            wanted |= {"thin": one._thin, "dense": one._dense, "strongest": one._strongest}
        for name, table in wanted.items():
            assert given["tables"][name] == table.tolist(), (name, look)
        if one._by_steepness is not None:
            soft, hard = values["softTone"], values["hardTone"]
            steep = tables.CODES[:, None] / 255
            rounded(soft + (hard - soft) * steep, one._by_steepness._table.reshape(256, 256))
            assert np.abs(values["seen"] - one._seen).max() < 1e-4
        rounded(values["luma"], one._luma)
        paint = values["luma"] if one._ink_includes_tones else tables.CODES
        covered(values["ink"], given["covers"]["ink"], paint, one._ink_cover)
        for at, name in enumerate(("ofLumaU", "ofLumaV")):
            chroma = values["chroma"][None] + values[name][:, None] - 128
            if one._chroma is not None:
                rounded(chroma, one._chroma[None])
            elif one._chroma_of_luma is not None:
                rounded(chroma, one._chroma_of_luma[at][:, None])
            else:
                assert one._chroma_of_both is not None
                rounded(chroma, one._chroma_of_both[at]._table.reshape(256, 256))


def rounded(values: NDArray[np.float64], table: NDArray[np.uint8]) -> None:
    """Assert that a table holds values rounded and clipped once; a half may go to either side."""
    assert np.abs(np.clip(values, 0, 255) - table).max() <= 0.5 + 1e-6


def covered(
    share: NDArray[np.float64], color: list[float], paint: NDArray[np.float64], cover: _Cover
) -> None:
    """Assert that Python's pairs of codes give the blend of a colour with `paint`."""
    y, u, v, of_chroma = color
    rounded(paint + (y - paint) * share[:, None], cover._luma._table.reshape(256, 256))
    rounded(255 * share, cover._covered)
    taken = np.clip(tables.CODES[:, None] / 255 * of_chroma, 0, 1)
    for code, table in zip((u, v), cover._chroma, strict=True):
        rounded(tables.CODES + (code - tables.CODES) * taken, table._table.reshape(256, 256))


@pytest.mark.parametrize("size", [(180, 320), (272, 204), (720, 404)])
def test_patterns_are_those_of_python(browser: Any, size: tuple[int, int]) -> None:
    made = run(
        browser,
        "const P = await import('/engine/patterns.js'); const { hatching } = await "
        "import('/engine/hatching.js');"
        "const all = { grain: P.grain(...size), wash: P.wash(...size), paperLight: P.paperLight(...size),"
        " frame: P.frame(...size, 14), dots: P.dots(...size, 7, 30), lines: P.lines(...size, 7, 30),"
        " hatching: hatching(...size, 4.6, -52) };"
        "return Object.fromEntries(Object.entries(all).map(([name, one]) => [name, "
        "Array.from(one, (v) => Math.round(v * 1e4))]));",
        size=list(size),
    )
    wanted: dict[str, NDArray[Any]] = {
        "grain": patterns.grain(*size), "wash": patterns.wash(*size),
        "paperLight": patterns.paper_light(*size),
        "frame": patterns.frame(*size, 14), "dots": patterns.dots(*size, 7, 30),
        "lines": patterns.lines(*size, 7, 30), "hatching": patterns.hatching(*size, 4.6, -52),
    }  # fmt: skip
    for name, pattern in wanted.items():
        off = np.abs(np.array(made[name]) / 1e4 - pattern.astype(np.float64).ravel())
        if pattern.dtype == np.float32:
            assert off.max() < 1e-3, name
        else:  # strokes have a formula of their own for soft edges
            assert off.mean() < (4 if name == "hatching" else 0.01), name


def test_random_numbers_are_those_of_numpy(browser: Any) -> None:
    body = (
        "const { Random } = await import('/engine/random.js'); const one = new Random(17);"
        "return [Array.from(new Random(3).normals(600000).slice(513900, 514000)),"
        " Array.from({ length: 50 }, () => one.random()), Array.from({ length: 5000 }, () => one.normal())];"
    )
    floats, uniform, normal = run(browser, body)
    rng = np.random.default_rng(17)
    wanted = np.random.default_rng(3).standard_normal(600_000, np.float32)[513_900:514_000]
    assert np.abs(np.array(floats) - wanted).max() < 1e-6
    assert uniform == rng.random(50).tolist()
    assert np.abs(np.array(normal) - rng.standard_normal(5000)).max() < 1e-9


CHECK = (
    "const { checkFacts } = await import('/facts.js'); const facts = await (await "
    "fetch('/site.json')).json();"
)


def test_the_site_s_own_facts_pass(browser: Any) -> None:
    assert run(browser, CHECK + "return checkFacts(facts).styles.length;") == len(shipped_names())


@pytest.mark.parametrize(
    "damage",
    [
        "facts.styles[0].look.levels = 1e9",
        "facts.styles[0].look.levels = 3.5",
        "facts.styles[0].look.line_color = 'red;x'",
        "facts.styles[0].look.extra = 1",
        "delete facts.styles[0].look.levels",
        "facts.styles[0].look.screen = 'constructor'",
        "facts.styles[0].look.palette = Array(9).fill('#000000')",
        "facts.styles[0].network = 'toString'",
        "facts.styles[0].name = '<img src=x>'",
        "facts.styles[0].thumbnail = 'https://evil.example/a.jpg'",
        "facts.styles[0].thumbnail = '../a.jpg'",
        "facts.networks['paint-and-ink'].full.file = '//evil.example/a.bin'",
        "facts.networks['paint-and-ink'].full.bytes = 1e12",
        "facts.networks['paint-and-ink'].full.sha256 = ''",
        "facts.networks['paint-and-ink'].full.layers[1].dilation = 1e6",
        "facts.networks['paint-and-ink'].full.layers[1].out = '64; }'",
        "facts.networks['paint-and-ink'].full.layers[1].kernel = '3; }'",
        "facts.networks['paint-and-ink'].full.layers[1].size = 1.5",
        "facts.networks['paint-and-ink'].full.layers[1].added = 'nothing'",
        "facts.networks['paint-and-ink'].full.layers[1].weights = 813980",
        "facts.networks['paint-and-ink'].full.layers.pop()",
        "facts.keys[0].low = 'x'",
        "facts.format = 2",
    ],
)
def test_hostile_facts_are_refused(browser: Any, damage: str) -> None:
    body = (
        f"{CHECK} {damage}; try {{ checkFacts(facts); return ''; }} catch (error) {{ return error.message; }}"
    )
    assert run(browser, body).startswith("site.json is not one of this page")


def test_weights_with_another_hash_are_refused(browser: Any) -> None:
    body = (
        "const { loadWeights } = await import('/engine/weights.js');"
        "const facts = (await (await fetch('/site.json')).json()).networks['paint-and-ink'].lite;"
        "const bad = { ...facts, sha256: '0' + facts.sha256.slice(1) === facts.sha256 ? "
        "'1'.repeat(64) : '0'.repeat(64) };"
        "try { await loadWeights(new URL('/', location.href), bad); return ''; } catch (error) { "
        "return error.message; }"
    )
    assert "hash differs" in run(browser, body)
