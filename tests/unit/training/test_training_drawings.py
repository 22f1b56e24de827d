"""Photographs with the abstraction program's drawing of them, as generators of pictures learn from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from film_clips import painting
from torch import Tensor

from engines.common.arrays import Image
from engines.common.image_files import write_image
from engines.frame import ColorInfo
from engines.imaging.color import rgb_to_yuv
from engines.imaging.field_blocks import pack
from engines.imaging.working_size import fit
from engines.looks.look import Look
from engines.looks.stills import finish_still
from training.data.drawings import photo_and_drawing
from training.data.field_pairs import make_pairs, pair_of
from training.data.loader import BatchLoader
from training.loss_terms import TERMS, LossContext
from training.losses.drawing import Drawing, between
from training.losses.fields import shifted
from training.ranks import StepRandom
from training.recipe import Data, FieldSettings, RecipeError
from training.recipe_loader import find_recipe, read_recipe

FLAT = Look(smooth=0, lift=1.0, contrast=0.0, levels=0, saturation=1.0, line_opacity=0.0)
"""A look that changes nothing and draws no lines."""


def made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _photo(seed: int) -> Image:
    return painting(seed, size=(250, 222))


def test_a_look_that_changes_nothing_gives_the_paint_back() -> None:
    pair = pair_of(_photo(1), FieldSettings())
    paint = np.ascontiguousarray(pair[..., 3:6])
    drawing = finish_still(paint, np.ascontiguousarray(pair[..., 6]), FLAT)
    assert drawing.shape == paint.shape, "sides that are no multiple of a block are kept"
    # Colour has half the resolution in 4:2:0: luma is what can be compared pixel by pixel.
    weights = np.array([0.2126, 0.7152, 0.0722])
    assert np.abs((drawing.astype(float) - paint) @ weights).mean() < 1.5


def test_lines_are_where_the_ink_is_beyond_its_threshold() -> None:
    paint = np.full((64, 96, 3), 200, np.uint8)
    ink = np.full((64, 96), 50, np.uint8)
    ink[20:30] = 250
    drawing = finish_still(paint, ink, Look(levels=0, line_density=1.0, line_color="#000000"))
    assert drawing[24:26].max() < 60 < 150 < drawing[50:].min()


def test_crops_show_the_same_part_of_photograph_and_drawing(tmp_path: Path) -> None:
    """With a look that gives the paint back, and hardly any paint, the drawing is the photograph."""
    for seed in range(2):
        write_image(made(tmp_path / "photos") / f"{seed}.png", _photo(seed))
        write_image(made(tmp_path / "drawings") / f"{seed}.png", painting(seed + 5, size=(100, 100)))
    data = Data(str(tmp_path / "photos"), str(tmp_path / "drawings"), crop=64, scales=(1.0,))
    calm = FieldSettings(passes=1, sigma_range=0.5)
    batches = BatchLoader(data, batch=4, seed=3, look=FLAT, settings=calm, cache=made(tmp_path / "cache"))
    assert batches.sources == 2
    batch = batches.at(5)
    assert batch.abstraction is not None and batch.abstraction.shape == batch.source.shape == (4, 3, 64, 64)
    luma = (batch.source - batch.abstraction)[:, 1].abs().mean()
    shifted = (batch.source[..., 4:] - batch.abstraction[..., :-4])[:, 1].abs().mean()
    assert luma < 0.5 * shifted and luma < 0.06
    again = batches.at(5)
    torch.testing.assert_close(again.abstraction, batch.abstraction)


def test_another_look_needs_no_new_fields(tmp_path: Path) -> None:
    write_image(made(tmp_path / "photos") / "a.png", _photo(2))
    (pair,) = make_pairs(tmp_path / "photos", made(tmp_path / "cache"), FieldSettings(), (1.0,))
    stamp = pair.stat().st_mtime_ns
    plain, inked = (photo_and_drawing(pair, look)[1] for look in (FLAT, Look()))
    assert np.abs(plain.astype(int) - inked).mean() > 3
    assert pair.stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("abstraction.levels=99", "abstraction.levels is 99"),
        ("abstraction.color=1", "unknown key abstraction.color;"),
        ("abstraction.line_color=red", "a colour such as"),
        ("data.paired=true", "cannot be combined with weights.abstraction"),
    ],
)
def test_a_look_that_is_not_allowed_is_refused(setting: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        read_recipe(find_recipe("pepper"), settings=[setting])


def test_the_bundled_recipes_learn_from_a_look_of_their_own() -> None:
    recipe = read_recipe(find_recipe("pepper"), settings=["abstraction.levels=3"])
    assert recipe.abstraction.levels == 3 and recipe.learns_from_fields


def _fields_of_pair(seed: int):
    """A pair, its photograph in blocks and its fields, as a generator of fields would be given them."""
    pair = np.ascontiguousarray(pair_of(_photo(seed), FieldSettings())[:216, :200])
    color = ColorInfo("bt709", full_range=False)
    blocks = []
    for rgb in (pair[..., :3], pair[..., 3:6]):
        y, u, v = rgb_to_yuv(np.ascontiguousarray(rgb), color)
        half = y.shape[0] // 2, y.shape[1] // 2
        blocks.append(pack((y, fit(u, *half), fit(v, *half))))
    ink = pair[..., 6].reshape(54, 4, 50, 4).transpose(0, 2, 1, 3).reshape(54, 50, 16)
    change = blocks[1].astype(np.float32) - blocks[0] + 128
    source, fields = (
        torch.from_numpy(codes.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        for codes in (blocks[0], np.dstack([change, ink]))
    )
    return pair, source, fields


LOOKS = {
    "plain": FLAT,
    "comic": Look(smooth=0, line_width=0.0),
    "tinted": Look(smooth=0, line_width=0.0, line_tint=0.3, line_chroma=0.6, line_color="#803010"),
    "palette": Look(smooth=0, line_width=0.0, palette=("#102040", "#d0a060", "#ffffff"), palette_amount=0.5),
}


@pytest.mark.parametrize("name", LOOKS)
def test_the_differentiable_drawing_is_the_renderers(name: str) -> None:
    """The renderer rounds after every step; what is left between them is that rounding."""
    look = LOOKS[name]
    pair, source, fields = _fields_of_pair(3)
    rendered = finish_still(
        np.ascontiguousarray(pair[..., 3:6]), np.ascontiguousarray(pair[..., 6]), look
    ).astype(float)
    drawn = ((Drawing(look)(source, fields)[0] + 1) * 127.5).permute(1, 2, 0).numpy()
    luma = np.abs((drawn - rendered) @ np.array([0.2126, 0.7152, 0.0722]))
    assert luma.mean() < 1.0 and np.quantile(luma, 0.99) < 4
    assert np.abs(drawn - rendered).mean() < 2.5, "colour, enlarged in another way"


def test_the_drawing_has_a_slope_where_tones_and_lines_change() -> None:
    _, source, fields = _fields_of_pair(4)
    fields = fields.requires_grad_()
    Drawing(LOOKS["comic"])(source, fields).square().mean().backward()
    assert fields.grad is not None
    assert fields.grad[:, :16].abs().max() > 0 and fields.grad[:, 24:].abs().max() > 0


def test_between_reads_straight_lines_between_entries() -> None:
    curve = np.arange(256.0) ** 2
    codes = torch.tensor([0.0, 3.5, 254.25, 255.0, 300.0, -4.0])
    expected = np.interp(np.clip(codes.numpy(), 0, 255), np.arange(256), curve)
    np.testing.assert_allclose(between(curve, codes).numpy(), expected, rtol=1e-5)


def test_blocks_are_shifted_by_pixels_and_not_by_blocks() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 255, (48, 64)).astype(np.uint8)
    u, v = (rng.integers(0, 255, (24, 32)).astype(np.uint8) for _ in range(2))
    blocks = torch.from_numpy(pack((y, u, v)).astype(np.float32)).permute(2, 0, 1)[None]
    cut = pack((y[2:34, 6:54], u[1:17, 3:27], v[1:17, 3:27]))
    expected = torch.from_numpy(cut.astype(np.float32)).permute(2, 0, 1)[None]
    torch.testing.assert_close(shifted(blocks, 2, 6, 16), expected)


def test_consistency_of_fields_follows_the_picture() -> None:
    """What each pixel alone decides moves along, up to the noise; what a block's place decides does not."""

    class Pixelwise(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([0.5 * x, x[:, :16]], 1)

    class Blockwise(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            ramp = torch.linspace(-1, 1, 16)[None, :, None, None].expand(len(x), 16, *x.shape[2:])
            return torch.cat([torch.zeros_like(x), ramp], 1)

    def term(generator: torch.nn.Module, seed: int) -> float:
        source = torch.rand(1, 24, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
        draw = StepRandom(0, seed)
        return float(TERMS["consistency"](LossContext(source, source, generator, draw)))

    noise = 0.02 * np.sqrt(2 / np.pi)
    assert term(Pixelwise(), 5) == pytest.approx((1.5 * noise + noise) / 2, rel=0.05)
    assert max(term(Blockwise(), seed) for seed in range(4)) > 0.1
