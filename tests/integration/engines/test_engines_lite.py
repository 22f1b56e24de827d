"""Quality `lite`: another network at the size of `fast`; and when `auto` takes it."""

from __future__ import annotations

import dataclasses
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from engines_open import open_engine
from lite_styles import add_lite
from numpy.typing import NDArray
from safetensors.torch import load_file
from skimage import data

from engines import auto_quality
from engines import factory as opening
from engines.backends.base import Runner
from engines.errors import EngineError
from engines.generators import create, margin_of
from engines.imaging.working_size import WorkingSize
from engines.registry import style as style_module
from engines.registry.style import Style, load_style

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def style(style_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Style:
    folder = Path(shutil.copytree(style_folder, tmp_path_factory.mktemp("lite") / "mine"))
    return add_lite(folder)


class Timed:
    """A runner that returns what it is given, and would take its style's time."""

    device = "cpu"
    precision = "fp32"
    concurrency = 1

    def __init__(self, style: Style, height: int, width: int) -> None:
        self.generator, self.size, self.closed = style.generator, (height, width), False

    def __call__(self, image: Image) -> Image:
        return image

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Timed]:
    """Engines opened in the test run these, in order, on two cores; the UNet takes 100 ms for 512 x 256."""
    made: list[Timed] = []

    def open_timed(style: Style, **asked: Any) -> tuple[str, Runner]:
        made.append(Timed(style, asked["height"], asked["width"]))
        return "timed", made[-1]  # type: ignore[return-value]

    def measured(runner: Timed, size: WorkingSize) -> float:
        share = {"unet": 1.0, "lite": 0.2}[runner.generator]
        return 0.1 * share * size.padded_height * size.padded_width / (256 * 512)

    monkeypatch.setattr(opening, "open_runner", open_timed)
    monkeypatch.setattr("engines.generators.MARGIN_PIXELS", 0)  # margins have tests of their own
    monkeypatch.setattr(auto_quality, "_seconds_per_frame", measured)
    monkeypatch.setattr(auto_quality, "cores", lambda: 2)
    return made


def test_lite_is_its_own_network_at_half_size(style: Style) -> None:
    assert style.lite is not None
    photo = np.asarray(cv2.resize(data.astronaut(), (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    with open_engine(style, quality="lite", precision="fp32", width=256, height=256) as engine:
        facts = engine.facts
        small = np.asarray(cv2.resize(photo, (128, 128), interpolation=cv2.INTER_AREA), np.uint8)
        (runner,) = engine._runners.values()
        margin = margin_of(style.lite.generator)
        padded = np.pad(small, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
        drawn = runner(padded).astype(float)
        cartoon = engine.rgb(photo)
    assert (facts.quality, facts.generator, facts.style, facts.scale) == ("lite", "lite", "shaken", 0.5)
    assert (facts.working_width, facts.working_height) == (128, 128)
    assert facts.reason == "lite was requested"
    network = create("lite")
    network.load_state_dict(load_file(style.lite.weights))
    with torch.inference_mode():
        values = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 127.5 - 1
        expected = (network.eval()(values)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(drawn - expected.clip(0, 255)).max() <= 0.55
    assert np.abs(drawn - padded).mean() > 1  # it does something
    assert np.abs(cartoon.astype(int) - photo).mean() > 1


def test_its_own_card_rules_the_filter_and_the_sizes(style: Style, opened: list[Timed]) -> None:
    assert style.lite is not None
    other = dataclasses.replace(style.lite, working_height=128, size_multiple=16, radius=8)
    changed = dataclasses.replace(style, lite=other)
    with open_engine(changed, quality="lite", width=300, height=256) as engine:
        assert (engine.facts.scale, engine.facts.working_height) == (0.25, 64)
        assert [each.size for each in opened] == [(64, 80)]
        engine.rgb(np.zeros((600, 512, 3), np.uint8))
    assert [(each.generator, each.size) for each in opened[1:]] == [("lite", (80, 64))]
    assert [each.closed for each in opened] == [True, True]


def test_detail_sets_its_size_too(style: Style, opened: list[Timed]) -> None:
    with open_engine(style, quality="lite", detail=0.75, width=64, height=64) as engine:
        assert (engine.facts.quality, engine.facts.generator) == ("custom", "lite")
    assert [(each.generator, each.size) for each in opened] == [("lite", (48, 48))]
    with open_engine(style, detail=0.75, width=64, height=64) as engine:
        assert (engine.facts.quality, engine.facts.generator) == ("custom", "unet")


def test_a_style_without_is_one_sentence(
    style_folder: Path, style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load_style(style_folder)
    monkeypatch.setattr(style_module, "SHIPPED", style.folder.parent)
    with pytest.raises(EngineError) as caught:
        open_engine(plain, quality="lite", width=64, height=64)
    assert str(caught.value) == (
        "style shaken has no lite network; use a style that has one (mine) or quality fast"
    )
    monkeypatch.setattr(style_module, "SHIPPED", style_folder.parent)
    with pytest.raises(EngineError, match=r"^style shaken has no lite network; use quality fast$"):
        open_engine(plain, quality="lite", detail=0.5, width=64, height=64)


def test_shipped_styles_that_have_one_are_named(style_folder: Path) -> None:
    assert {style.name for style in style_module.available_styles()} >= {"comic", "ink"}
    with pytest.raises(EngineError, match=r"use a style that has one \(.*comic, .*ink.*\) or quality fast$"):
        open_engine(load_style(style_folder), quality="lite", width=64, height=64)


@pytest.mark.parametrize(
    "rate, taken, models, said",
    [
        # At 512 x 256 pixels, all else takes 3.4 ms with full, and 1.5 on two cores with the others.
        (
            9,
            "full",
            ["unet", "unet"],
            "full: 100 ms per frame, which keeps up with 9 fps (at most 102 ms per frame)",
        ),
        (30, "fast", ["unet"], "fast takes 25 ms per frame, which keeps up with 30 fps (at most 30 ms"),
        (
            50,
            "lite",
            ["unet", "lite"],
            "lite takes 5 ms per frame, which keeps up with 50",
        ),
        (200, "lite", ["unet", "lite"], "lite takes 5 ms per frame, still too slow for 200 fps"),
        (1000, "lite", ["unet", "lite"], "but at 1000 fps the work around it leaves no time for it"),
    ],
)
def test_auto_takes_it_last(
    style: Style, opened: list[Timed], rate: int, taken: str, models: list[str], said: str
) -> None:
    with open_engine(style, width=512, height=256, rate=Fraction(rate)) as engine:
        facts = engine.facts
        assert [each.closed for each in opened] == [True] * (len(models) - 1) + [False]
    assert [each.generator for each in opened] == models
    assert (facts.quality, facts.generator) == (taken, models[-1])
    assert facts.reason.startswith(f"{taken}: ")
    assert said in facts.reason


@pytest.mark.parametrize(
    "shares, taken, models",
    [
        # All of them too slow for 200 a second. With what works around them, 26.5, 24 and 103.4 ms.
        ({"unet": 1.0, "lite": 0.9}, "fast", ["unet", "lite", "unet"]),
        # 26.5 ms are more than 1.25 times 20.25 ms.
        ({"unet": 1.0, "lite": 0.75}, "lite", ["unet", "lite"]),
    ],
)
def test_where_nothing_keeps_up_the_best_that_comes_near(
    style: Style,
    opened: list[Timed],
    monkeypatch: pytest.MonkeyPatch,
    shares: dict[str, float],
    taken: str,
    models: list[str],
) -> None:
    def measured(runner: Timed, size: WorkingSize) -> float:
        return 0.1 * shares[runner.generator] * size.padded_height * size.padded_width / (256 * 512)

    monkeypatch.setattr(auto_quality, "_seconds_per_frame", measured)
    with open_engine(style, width=512, height=256, rate=Fraction(200)) as engine:
        assert (engine.facts.quality, engine.facts.too_slow) == (taken, True)
        assert engine.facts.reason.startswith(f"{taken}: full would take 100 ms per frame, ")
        assert [each.closed for each in opened] == [True] * (len(models) - 1) + [False]
    assert [each.generator for each in opened] == models
    with open_engine(style, width=512, height=256, rate=Fraction(1)) as engine:
        assert not engine.facts.too_slow


def test_auto_passes_over_a_network_without_the_arithmetic_asked_for(
    style: Style, opened: list[Timed]
) -> None:
    assert style.lite is not None
    assert style.lite.int8_graph is None
    with open_engine(style, width=512, height=256, rate=Fraction(50), precision="int8") as engine:
        assert engine.facts.quality == "fast"
    assert [each.generator for each in opened] == ["unet"]


@pytest.mark.parametrize(
    "cores, scale, size, rate, milliseconds",
    [
        # By hand: 950 / rate less the longer of a thread's 26 ns for each pixel of the generator's, and of
        # these and 14 ns for each of the picture's, over the cores.
        (2, 0.5, (720, 1280), 30, 31.667 - (5.990 + 12.902) / 2),
        (2, 0.5, (720, 1280), 60, 15.833 - (5.990 + 12.902) / 2),
        (2, 1.0, (720, 1280), 30, 31.667 - 23.962),
        (16, 0.5, (720, 1280), 30, 31.667 - 5.990),
        (1, 1.0, (720, 1280), 10, 95 - 23.962 - 12.902),
        (2, 1 / 6, (2160, 3840), 30, 31.667 - (5.990 + 116.122) / 2),
    ],
)
def test_the_generator_may_take_what_the_rest_leaves(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    scale: float,
    size: tuple[int, int],
    rate: int,
    milliseconds: float,
) -> None:
    monkeypatch.setattr(auto_quality, "cores", lambda: cores)
    left = auto_quality.time_left(Fraction(rate), WorkingSize.of(*size, scale, 4))
    assert 1000 * left == pytest.approx(milliseconds, abs=0.01)
