"""TensorRT itself, where it and a GPU are: engines built, kept, damaged, verified, and what they draw."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from engines_open import open_engine, render_all
from fields_styles import LOOK, save_network

from engines.backends.selection import load_backend
from engines.backends.tensorrt.engine_cache import PlanCache
from engines.errors import EngineError
from engines.frame import ColorInfo, Frame
from engines.registry.style import LITE, Style, load_style

pytestmark = [pytest.mark.gpu, pytest.mark.tensorrt]


@pytest.fixture(scope="module", autouse=True)
def _tensorrt() -> None:
    try:
        load_backend("tensorrt").devices()
    except EngineError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> PlanCache:
    return PlanCache(tmp_path_factory.mktemp("plans"))


@pytest.fixture(scope="module")
def style(style_folder: Path) -> Style:
    return load_style(style_folder)


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Style:
    """A style that draws by fields, with a lite form."""
    folder = tmp_path_factory.mktemp("styles") / "shaken"
    save_network(folder / LITE, seed=1)
    return save_network(folder, look=LOOK)


def _film() -> list[Frame]:
    dice = np.random.default_rng(0)
    pictures = []
    for n in range(11):
        y = np.add.outer(np.arange(90), np.arange(160)) % 200 + 16 + n
        chroma = dice.integers(100, 156, (45, 80), dtype=np.uint8)
        pictures.append(Frame(y.astype(np.uint8), chroma, chroma, n, Fraction(1, 25)))
    return pictures


@pytest.mark.parametrize("precision", ["fp16", "fp32", "int8"])
def test_an_engine_is_built_once_and_verified(cache: PlanCache, style: Style, precision: str) -> None:
    from engines.backends.tensorrt.engine_spec import spec_for
    from engines.backends.tensorrt.prebuild import prebuild, verify

    wanted = spec_for(style, 320, 180, precision=precision)  # type: ignore[arg-type]
    entry = prebuild(wanted, cache)
    assert entry is not None
    again = prebuild(wanted, cache)
    assert again is not None
    assert again.built == entry.built
    assert verify(entry, cache) >= (35 if precision == "int8" else 45)


@pytest.mark.parametrize("quality", ["full", "lite"])
@pytest.mark.parametrize("precision, least", [("fp16", 45), ("fp32", 50), ("int8", 35)])
def test_an_engine_for_a_look_is_built_once_and_verified(
    cache: PlanCache, looks: Style, quality: str, precision: str, least: float
) -> None:
    from engines.backends.tensorrt.engine_spec import spec_for
    from engines.backends.tensorrt.prebuild import prebuild, verify

    asked = {"quality": quality, "precision": precision}
    entry = prebuild(spec_for(looks, 320, 180, **asked), cache)  # type: ignore[arg-type]
    assert entry is not None
    other = spec_for(looks, 320, 180, color=ColorInfo("bt601", full_range=True), **asked)  # type: ignore[arg-type]
    again = prebuild(other, cache)
    assert again is not None
    assert again.built == entry.built, "one engine for every colour"
    assert verify(entry, cache) >= least


def test_videos_in_a_look_are_drawn_as_the_processor_draws_them(
    looks: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    drawn = {}
    for backend, device, precision in (("tensorrt", "cuda", "fp16"), ("torch", "cpu", "fp32")):
        with open_engine(
            looks, backend=backend, device=device, precision=precision, quality="full",
            width=160, height=90, throughput=True, stabilize=0.0,
        ) as engine, ThreadPoolExecutor(1) as threads:  # fmt: skip
            assert engine.facts.backend == backend
            drawn[backend] = render_all(engine, _film(), threads)
    for ours, theirs in zip(drawn["tensorrt"], drawn["torch"], strict=True):
        assert ours.pts == theirs.pts
        assert np.abs(ours.y.astype(int) - theirs.y).mean() < 1


def test_a_damaged_plan_is_rebuilt(cache: PlanCache, style: Style) -> None:
    from engines.backends.tensorrt.engine_spec import spec_for
    from engines.backends.tensorrt.prebuild import prebuild, verify

    wanted = spec_for(style, 128, 72, live=True)
    entry = prebuild(wanted, cache)
    assert entry is not None
    assert cache.folder is not None
    plan = cache.folder / f"{entry.key.digest}.plan"
    plan.write_bytes(plan.read_bytes()[:-100])
    with pytest.raises(EngineError, match="damaged"):
        verify(entry, cache)
    assert prebuild(wanted, cache) is not None
    assert verify(entry, cache) >= 45


def test_videos_are_drawn_in_order_and_as_the_processor_draws_them(
    style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pictures, drawn = _film(), {}
    for backend, device, precision in (("tensorrt", "cuda", "fp16"), ("torch", "cpu", "fp32")):
        with open_engine(
            style, backend=backend, device=device, precision=precision, quality="full",
            width=160, height=90, throughput=True,
        ) as engine, ThreadPoolExecutor(1) as threads:  # fmt: skip
            drawn[backend] = render_all(engine, pictures, threads)
    for ours, theirs in zip(drawn["tensorrt"], drawn["torch"], strict=True):
        assert ours.pts == theirs.pts
        assert np.abs(ours.y.astype(int) - theirs.y).mean() < 1
