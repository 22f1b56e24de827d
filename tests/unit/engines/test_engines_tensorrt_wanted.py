"""Which plan is wanted, what it is tried on, and whether a wrong one is found out."""

from __future__ import annotations

import dataclasses
import json
import shutil
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pairs import pairwise_cases

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from engines_open import open_engine  # noqa: E402
from lite_styles import add_lite  # noqa: E402

from engines.backends.frame_runner import DeviceRunners  # noqa: E402
from engines.backends.tensorrt import engine_spec  # noqa: E402
from engines.backends.tensorrt.engine_cache import PlanEntry, PlanKey  # noqa: E402
from engines.errors import EngineError  # noqa: E402
from engines.export.calibration_images import calibration_images, to_samples  # noqa: E402
from engines.export.parity import check_parity, psnr, reference  # noqa: E402
from engines.export.tasks import Samples  # noqa: E402
from engines.frame import (  # noqa: E402
    ColorInfo,
    Frame,
)
from engines.registry.style import Style, load_style  # noqa: E402


@pytest.fixture(scope="module")
def style(style_folder: Path) -> Style:
    return load_style(style_folder)


def _grey(width: int, height: int, color: ColorInfo) -> Frame:
    chroma = np.full((-(-height // 2), -(-width // 2)), 128, np.uint8)
    return Frame(np.full((height, width), 128, np.uint8), chroma, chroma, 0, Fraction(1, 25), color=color)


@pytest.mark.parametrize(
    ("size", "quality", "color"),
    pairwise_cases(
        [(640, 360), (321, 179), (90, 700)],
        ["full", "fast"],
        [ColorInfo(), ColorInfo("bt601", full_range=True)],
    ),
)
def test_what_is_built_ahead_is_what_the_engine_asks_for(
    style: Style, quality: str, size: tuple[int, int], color: ColorInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = size
    asked = []
    monkeypatch.setattr(DeviceRunners, "start", lambda self, picture, task, strength: asked.append(task))
    with open_engine(
        style, backend="torch", device="cpu", precision="fp32", quality=quality, width=width, height=height
    ) as engine:
        engine._device = DeviceRunners.__new__(DeviceRunners)
        engine._job(_grey(width, height, color), 1.0)
        engine._device = None
    built = engine_spec.spec_for(style, width, height, quality=quality, color=color)  # type: ignore[arg-type]
    assert built.task == asked[0]


def test_pictures_a_batch_are_fewer_where_they_are_large(style: Style) -> None:
    sizes = {(640, 360): 4, (1280, 720): 4, (1920, 1080): 1, (3840, 2160): 1, (1280, 1440): 2}
    for (width, height), batch in sizes.items():
        assert engine_spec.spec_for(style, width, height).batch == batch
        assert engine_spec.spec_for(style, width, height, live=True).batch == 1


def test_a_style_without_lite_cannot_be_built_in_lite(style: Style) -> None:
    with pytest.raises(EngineError, match="no lite network; use --quality full or fast"):
        engine_spec.spec_for(style, 64, 64, quality="lite")


def test_the_graphs_fingerprint_hangs_on_all_that_makes_it(style: Style) -> None:
    first = engine_spec.spec_for(style, 64, 64)
    prints = {engine_spec.graph_digest(first)}
    assert prints == {engine_spec.graph_digest(engine_spec.spec_for(style, 64, 64))}
    others = [
        engine_spec.spec_for(style, 64, 66),
        engine_spec.spec_for(style, 64, 64, live=True),
        engine_spec.spec_for(style, 64, 64, color=ColorInfo("bt2020")),
        engine_spec.spec_for(style, 64, 64, quality="fast"),
        dataclasses.replace(
            first, style=dataclasses.replace(style, sha256=style.sha256 | {"weights.safetensors": "0"})
        ),
    ]
    prints |= {engine_spec.graph_digest(other) for other in others}
    assert len(prints) == 1 + len(others)


def _entry(facts: dict[str, str | int | float], precision: str = "fp16") -> PlanEntry:
    key = PlanKey("0", "0", precision, "onnx", "0", "11.0", "12.8", "G", "9.0", "575")
    return PlanEntry(key, facts, 1, "0", datetime.now(UTC), datetime.now(UTC))


def test_a_kept_plan_tells_what_it_draws(style: Style, tmp_path: Path) -> None:
    built = engine_spec.spec_for(style, 65, 33)
    facts: dict[str, str | int | float] = {
        "folder": str(style.folder),
        "task": json.dumps(dataclasses.asdict(built.task)),
        "batch": built.batch,
        "level": 3,
        "workspace": 4096,
    }
    assert engine_spec.spec_from_entry(_entry(facts), 0) == built
    whole = add_lite(Path(shutil.copytree(style.folder, tmp_path / "whole")))
    lite = facts | {"folder": str(whole.folder / "lite")}
    assert engine_spec.spec_from_entry(_entry(lite), 0).style == whole.lite
    for wrong in ({"task": "{}"}, {"task": "["}, {"folder": "nowhere"}, {"batch": "x"}, {"level": 9}):
        with pytest.raises(EngineError, match=r"is unreadable|level must be 0 to 5, not 9"):
            engine_spec.spec_from_entry(_entry({**facts, **wrong}), 0)
    with pytest.raises(EngineError, match="is unreadable"):
        engine_spec.spec_from_entry(_entry(facts, "fp4"), 0)


def test_photographs_are_there_and_are_no_drawings() -> None:
    found = calibration_images()
    assert len(found) == 6
    for image in found:
        assert image.dtype == np.uint8
        assert image.shape[1] / image.shape[0] == pytest.approx(16 / 9, rel=0.01)
        assert image.std() > 25
    assert len({image.tobytes() for image in found}) == 6


def test_psnr_by_hand() -> None:
    dice = np.random.default_rng(0)
    ours, theirs = (
        [dice.integers(0, 256, shape).astype(np.uint8) for shape in ((8, 6), (4, 3), (4, 3))] for _ in "ab"
    )
    a, b = (np.concatenate([plane.ravel() for plane in planes]).astype(float) for planes in (ours, theirs))
    expected = 10 * np.log10(255**2 / ((a - b) ** 2).mean())
    assert psnr(tuple(ours), tuple(theirs)) == pytest.approx(expected)
    assert psnr(tuple(ours), tuple(ours)) == float("inf")


def test_an_engine_that_draws_otherwise_is_found_out(style: Style) -> None:
    task = engine_spec.spec_for(style, 96, 54).task

    def right(pictures: list[Samples]) -> list[Samples]:
        return reference(style, task, pictures)

    def swapped(pictures: list[Samples]) -> list[Samples]:
        return right(pictures)[::-1]

    def no_filter(pictures: list[Samples]) -> list[Samples]:
        return pictures

    def cropped(pictures: list[Samples]) -> list[Samples]:
        return [(y[:-1], u, v) for y, u, v in pictures]

    assert check_parity(right, style, task, 4, "fp16") == float("inf")
    for wrong in (swapped, no_filter):
        with pytest.raises(EngineError, match=r"style shaken .*\(PSNR .* dB, minimum 45 dB\)"):
            check_parity(wrong, style, task, 4, "fp16")
    with pytest.raises(EngineError, match="wrong size"):
        check_parity(cropped, style, task, 1, "fp16")


def test_a_photograph_as_planes_has_the_tasks_shapes(style: Style) -> None:
    task = engine_spec.spec_for(style, 65, 33).task
    y, u, v = to_samples(calibration_images()[0], task)
    assert (y.shape, u.shape, v.shape) == ((33, 65), (17, 33), (17, 33))
    assert 16 <= y.min() < y.max() <= 235
