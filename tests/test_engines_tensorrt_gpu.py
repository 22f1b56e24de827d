"""TensorRT itself, where it and a GPU are: engines built, kept, damaged, verified, and what they draw."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from engines.backends import load_backend
from engines.errors import EngineError
from engines.opening import open_engine
from engines.picture import Picture
from engines.plan_cache import PlanCache
from engines.style import Style, load_style

pytestmark = [pytest.mark.gpu, pytest.mark.tensorrt, pytest.mark.slow]


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


@pytest.mark.parametrize("precision", ["fp16", "fp32", "int8"])
def test_an_engine_is_built_once_and_verified(cache: PlanCache, style: Style, precision: str) -> None:
    from engines.backends.tensorrt.ahead import build_ahead, verify
    from engines.backends.tensorrt.wanted import wanted_for

    wanted = wanted_for(style, 320, 180, precision=precision)  # type: ignore[arg-type]
    entry = build_ahead(wanted, cache)
    assert entry is not None
    again = build_ahead(wanted, cache)
    assert again is not None
    assert again.built == entry.built
    assert verify(entry, cache) >= (35 if precision == "int8" else 45)


def test_a_damaged_plan_is_built_anew(cache: PlanCache, style: Style) -> None:
    from engines.backends.tensorrt.ahead import build_ahead, verify
    from engines.backends.tensorrt.wanted import wanted_for

    wanted = wanted_for(style, 128, 72, live=True)
    entry = build_ahead(wanted, cache)
    assert entry is not None
    assert cache.folder is not None
    plan = cache.folder / f"{entry.key.digest}.plan"
    plan.write_bytes(plan.read_bytes()[:-100])
    with pytest.raises(EngineError, match="damaged"):
        verify(entry, cache)
    assert build_ahead(wanted, cache) is not None
    assert verify(entry, cache) >= 45


def test_videos_are_drawn_in_order_and_as_the_processor_draws_them(
    style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    dice = np.random.default_rng(0)
    pictures = []
    for n in range(11):
        y = np.add.outer(np.arange(90), np.arange(160)) % 200 + 16 + n
        chroma = dice.integers(100, 156, (45, 80), dtype=np.uint8)
        pictures.append(Picture(y.astype(np.uint8), chroma, chroma, n, Fraction(1, 25)))
    drawn = {}
    for backend, device, precision in (("tensorrt", "cuda", "fp16"), ("torch", "cpu", "fp32")):
        with open_engine(
            style, backend=backend, device=device, precision=precision, quality="full",
            width=160, height=90, throughput=True,
        ) as engine:  # fmt: skip
            jobs = [engine.start(picture) for picture in pictures]
            drawn[backend] = [job() for job in jobs]
    for ours, theirs in zip(drawn["tensorrt"], drawn["torch"], strict=True):
        assert ours.pts == theirs.pts
        assert np.abs(ours.y.astype(int) - theirs.y).mean() < 1
