"""The guided filter that gives back what was drawn: chosen on a network that draws flat patches."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch
from fields_styles import LOOK, save_network

from engines.errors import StyleError
from engines.export.onnx_graph import export_onnx, write_filter
from engines.imaging.guided_filter import FilterSettings
from engines.registry.card import to_toml
from engines.registry.style import CARD, GRAPH, Style, load_style
from engines.untrusted.folder_validator import file_sha256
from eval.metrics.sharpness import sharpness
from eval.scoring.filter_choice import choose_filter, score_filters


class Posterizer(torch.nn.Module):
    """A blur, then three levels of every channel: what is drawn has no texture."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = torch.nn.Conv2d(3, 3, 7, padding=3, padding_mode="reflect", groups=3, bias=False)
        with torch.no_grad():
            self.blur.weight.fill_(1 / 49)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return torch.round(self.blur(picture))


def style_of(network: torch.nn.Module, folder: Path, settings: FilterSettings) -> Style:
    folder.mkdir()
    export_onnx(network, folder / GRAPH)
    card = {
        "format": 1, "name": "posterized", "title": "Posterized", "description": "", "generator": "onnx",
        "working_height": 256, "licence": "CC0-1.0", "attribution": "", "recipe": "none",
        "size_multiple": 1, "parameters": 147, "guided_filter": dataclasses.asdict(settings),
        "data": [{"name": "none", "licence": "CC0-1.0", "source": ""}],
        "sha256": {GRAPH: file_sha256(folder / GRAPH)},
    }  # fmt: skip
    (folder / CARD).write_text(to_toml(card), encoding="utf-8")
    return load_style(folder)


def textured() -> list[NDArray[np.uint8]]:
    """Photographs under grain that a drawing has not."""
    found = []
    for at, name in enumerate(("astronaut", "coffee")):
        photo = cv2.resize(np.asarray(getattr(data, name)()), (320, 256), interpolation=cv2.INTER_AREA)
        grain = np.random.default_rng(at).normal(0, 8, (256, 320, 1))
        found.append(np.clip(photo + grain, 0, 255).astype(np.uint8))
    return found


SMALL = FilterSettings(radius=2, eps=1e-4, lines=0.0)


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    return style_of(Posterizer(), tmp_path_factory.mktemp("posterized") / "style", SMALL)


def test_a_large_eps_gives_back_more_of_what_was_drawn(style: Style) -> None:
    filters = [FilterSettings(2, eps, 0.8) for eps in (1e-4, 1e-3, 1e-2)]
    scores = score_filters(style, textured(), filters)
    assert [score.settings for score in scores] == filters
    distances = [score.distance for score in scores]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 2 * distances[-1]
    assert len({score.flat_drawn for score in scores}) == 1, "the drawing is the same for all"
    assert scores[0].flat_given < scores[-1].flat_given <= scores[0].flat_drawn + 0.1


def test_a_large_eps_wins_over_a_small_one_at_equal_sharpness(style: Style) -> None:
    chosen = choose_filter(style, textured())
    assert chosen.eps > SMALL.eps
    before, after = score_filters(style, textured(), [SMALL, chosen])
    assert after.distance < before.distance - 0.1
    assert after.sharpness >= 0.98 * before.sharpness


def test_the_card_gets_the_numbers(style: Style, tmp_path: Path) -> None:
    other = style_of(Posterizer(), tmp_path / "style", SMALL)
    written = write_filter(other, FilterSettings(4, 0.01, 0.8))
    assert (written.radius, written.eps, written.lines) == (4, 0.01, 0.8)
    card = tomllib.loads((other.folder / CARD).read_text(encoding="utf-8"))
    assert card["guided_filter"] == {"radius": 4, "eps": 0.01, "lines": 0.8}
    assert dataclasses.replace(written, radius=2, eps=1e-4, lines=0.0) == other


def test_a_finished_training_has_what_was_chosen(
    picture_folders: Path, vgg_files: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("lightning_fabric", reason="the extra `train` is not installed")
    from tiny_recipes import tiny

    from training.export_style import finish
    from training.setup import open_fabric
    from training.trainer import Trainer

    recipe = tiny("fpt-unet", "", picture_folders)
    trainer = Trainer(recipe, tmp_path / "run", open_fabric(recipe, "cpu"), vgg_files)
    shown: list[tuple[Style, int]] = []

    def choose(style: Style, photos: Sequence[NDArray[np.uint8]]) -> FilterSettings:
        shown.append((style, len(photos)))
        return FilterSettings(3, 0.02, 0.6)

    style = finish(trainer, tmp_path / "style", choose)
    ((measured, photos),) = shown
    assert (measured.radius, measured.eps, measured.lines) != (3, 0.02, 0.6)
    assert photos == 3
    read = load_style(style.folder)
    assert (read.radius, read.eps, read.lines) == (3, 0.02, 0.6)


def test_where_nothing_is_better_the_styles_own_numbers_stay(style: Style) -> None:
    """With all lines and a large eps the drawing itself comes back."""
    own = FilterSettings(radius=2, eps=0.1, lines=1.0)
    (score,) = score_filters(style, textured(), [own])
    assert score.distance < 0.01
    assert choose_filter(dataclasses.replace(style, **dataclasses.asdict(own)), textured()) == own


def test_what_cannot_be_measured_is_one_sentence(style: Style, tmp_path: Path) -> None:
    with pytest.raises(StyleError, match="at least 64 pixels"):
        choose_filter(style, [np.zeros((63, 200, 3), np.uint8)])
    fields = save_network(tmp_path / "fields", look=LOOK)
    with pytest.raises(StyleError, match="no guided filter"):
        choose_filter(fields, textured())


def test_sharpness_of_some_places_by_hand() -> None:
    luma = np.zeros((6, 8), np.float32)
    luma[:, 4:] = 8  # Sobel gives 4 in the two columns beside the step
    where = np.zeros(luma.shape, bool)
    where[2:4, 3:5] = True
    assert sharpness(luma, where) == pytest.approx(4)
    where[2:4, 1] = True
    assert sharpness(luma, where) == pytest.approx(4 * 4 / 6)
    assert sharpness(luma, np.zeros(luma.shape, bool)) == sharpness(luma) == pytest.approx(4 * 2 / 6)
