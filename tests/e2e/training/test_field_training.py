"""Training of fields: pairs, batches, losses against direct computations, and a run that learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engines.common.image_files import read_image, write_image
from engines.errors import StreamtoonError
from engines.generators import FIELD_GENERATORS, create
from engines.imaging.field_blocks import INK_SCALE, INK_ZERO, ink_code, pack
from training.abstraction.fields import fields_of
from training.data.field_batches import FieldBatches
from training.data.field_pairs import MIN_SIDE_PIXELS, make_pairs
from training.data.loader import Batch
from training.losses.fields import face_distance, ink_distance, line_distance, paint_distance
from training.recipe import Data, FieldSettings, RecipeError
from training.recipe_loader import find_recipe, read_recipe

DICE = np.random.default_rng(3)
SETTINGS = FieldSettings()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for n in range(3):
        blurred = cv2.GaussianBlur(DICE.integers(0, 256, (208, 240, 3), np.uint8), (0, 0), 4).astype(float)
        low, high = blurred.min(), blurred.max()
        photo = np.rint((blurred - low) * 255 / (high - low)).astype(np.uint8)
        cv2.circle(photo, (90 + 20 * n, 100), 40, (200, 60, 40), -1)
        write_image(folder / f"{n}.png", photo)
    return folder


@pytest.fixture(scope="module")
def pairs(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    make_pairs(photos, folder, SETTINGS, workers=1)
    return folder


def _batches(photos: Path, pairs: Path, **changes: float) -> FieldBatches:
    data = replace(Data(source=str(photos), crop=64, scales=(1.0,)), **changes)  # type: ignore[arg-type]
    return FieldBatches(data, batch=4, seed=1, settings=SETTINGS, folder=pairs)


def test_a_pair_is_the_photograph_with_its_fields(photos: Path, tmp_path: Path) -> None:
    files = make_pairs(photos, tmp_path, SETTINGS, workers=1)
    assert len(files) == 3
    stored = [np.load(file) for file in files]
    photo = read_image(photos / "0.png")
    (pair,) = (each for each in stored if np.array_equal(each[..., :3], photo))
    fields = fields_of(photo)
    assert np.array_equal(pair[..., 3:6], fields.paint)
    assert (
        np.abs((pair[..., 6].astype(float) - INK_ZERO) / INK_SCALE - fields.ink).max()
        <= 0.5 / INK_SCALE + 1e-6
    )


def test_pairs_are_computed_once(photos: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.field_pairs.fields_of", lambda *_: pytest.fail("computed again"))
    assert len(make_pairs(photos, pairs, SETTINGS, workers=1)) == 3


def test_other_settings_are_other_pairs(photos: Path, pairs: Path) -> None:
    before = set(pairs.iterdir())
    other = make_pairs(photos, pairs, replace(SETTINGS, passes=1), workers=1)
    assert not before & set(other)


def test_photographs_too_small_for_any_scale_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(StreamtoonError, match=str(MIN_SIDE_PIXELS)):
        make_pairs(photos, tmp_path, SETTINGS, (0.5,), workers=1)


def test_a_batch_is_a_function_of_its_step(photos: Path, pairs: Path) -> None:
    one, two = _batches(photos, pairs), _batches(photos, pairs)
    stream = two.from_step(5)
    first = next(stream)
    stream.close()
    assert torch.equal(one.at(5).source, first.source) and torch.equal(one.at(5).target, first.target)
    assert not torch.equal(one.at(6).source, first.source)


def test_blocks_are_in_the_order_in_which_the_engine_packs_them(photos: Path, pairs: Path) -> None:
    batch = _batches(photos, pairs, noise=0.0).at(0)
    codes = ((batch.source + 1) * 127.5).round().to(torch.uint8)[0]
    luma = torch.nn.functional.pixel_shuffle(codes[None, :16].float(), 4)[0, 0].numpy().astype(np.uint8)
    u, v = (
        torch.nn.functional.pixel_shuffle(codes[None, at : at + 4].float(), 2)[0, 0].numpy().astype(np.uint8)
        for at in (16, 20)
    )
    assert np.array_equal(pack((luma, u, v)), codes.permute(1, 2, 0).numpy())
    assert luma.min() >= 16 and luma.max() <= 235


def test_noise_is_in_the_source_and_not_in_the_paint(photos: Path, pairs: Path) -> None:
    quiet, noisy = _batches(photos, pairs, noise=0.0).at(2), _batches(photos, pairs, noise=40.0).at(2)

    def paint(batch: Batch) -> torch.Tensor:
        return (batch.source + 1) * 127.5 + batch.target[:, :24] * 127.5 - 0.5

    assert (quiet.source - noisy.source).abs().max() > 0.05
    assert (paint(quiet) - paint(noisy)).abs().max() < 0.01
    assert torch.equal(quiet.target[:, 24:], noisy.target[:, 24:])


def _shuffled(blocks: NDArray[Any], side: int) -> NDArray[np.float64]:
    """C x H x W to C/side^2 x side H x side W by the definition."""
    channels, height, width = blocks.shape
    out = np.empty((channels // side**2, height * side, width * side))
    for c in range(channels):
        plane, place = divmod(c, side**2)
        row, column = divmod(place, side)
        out[plane, row::side, column::side] = blocks[c]
    return out


def _steps(difference: NDArray[Any]) -> float:
    return float(np.abs(np.diff(difference, axis=-1)).mean() + np.abs(np.diff(difference, axis=-2)).mean())


def test_paint_distance_is_its_definition() -> None:
    output, target = DICE.uniform(-1, 1, (2, 1, 24, 5, 6))
    luma = _shuffled((output - target)[0, :16], 4)
    chroma = _shuffled((output - target)[0, 16:], 2)
    expected = np.abs(luma).mean() + _steps(luma) + np.abs(chroma).mean() + 0.5 * _steps(chroma)
    assert float(paint_distance(torch.tensor(output), torch.tensor(target))) == pytest.approx(
        expected, rel=1e-5
    )


def test_ink_and_line_distances_are_their_definitions() -> None:
    output, target = DICE.uniform(-1, 1, (2, 1, 16, 5, 6))
    response, wanted = (_shuffled(((x[0] + 1) * 127.5 - 50) / 100, 4) for x in (output, target))
    weighted = (np.abs(response - wanted) * (1 + 3 * np.clip(wanted, 0, 1.3))).mean()
    expected = weighted + 0.5 * _steps(response - wanted)
    assert float(ink_distance(torch.tensor(output), torch.tensor(target))) == pytest.approx(
        expected, rel=1e-5
    )

    def cover(r: NDArray[Any]) -> NDArray[Any]:
        t = np.clip((r - 0.65) / 0.7, 0, 1)
        return t * t * (3 - 2 * t)

    lines = np.abs(cover(response) - cover(wanted)).mean()
    assert float(line_distance(torch.tensor(output), torch.tensor(target))) == pytest.approx(lines, rel=1e-5)
    where = DICE.integers(0, 2, target.shape).astype(float)
    here = _shuffled(where[0], 4)
    far = np.abs(response - wanted) * (1 + 3 * np.clip(wanted, 0, 1.3)) + np.abs(
        cover(response) - cover(wanted)
    )
    given = face_distance(torch.tensor(output), torch.tensor(target), torch.tensor(where))
    assert float(given) == pytest.approx((far * here).mean(), rel=1e-5)


@pytest.mark.parametrize("name", FIELD_GENERATORS)
def test_a_fresh_generator_gives_the_picture_itself_and_no_ink(name: str) -> None:
    generator = create(name)
    with torch.inference_mode():
        out = generator(torch.rand(1, 24, 10, 8) * 2 - 1)
    codes = ((out + 1) * 127.5).round()
    assert out.shape == (1, 40, 10, 8)
    assert torch.all(codes[:, :24] == 128)
    assert codes[:, 24:].max() < 60


def test_parameters_are_those_of_the_card() -> None:
    counts = {name: sum(p.numel() for p in create(name).parameters()) for name in FIELD_GENERATORS}
    # Weights and biases, 3 x 3; the small one has 64 channels at half the size, and a layer of 1 x 1 back.
    large = (24 * 64 + 10 * 64 * 64 + 64 * 40) * 9 + 11 * 64 + 40
    fine = (24 * 32 + 32 * 32 + 32 * 40) * 9 + 2 * 32 + 40
    coarse = (32 * 64 + 4 * 64 * 64) * 9 + 5 * 64 + 64 * 32 + 32
    assert counts == {"fields": large, "fields-lite": fine + coarse}


def test_a_few_steps_learn_the_fields_of_three_photographs(photos: Path, pairs: Path) -> None:
    torch.manual_seed(0)
    batches, generator = _batches(photos, pairs), create("fields-lite")
    optimizer = torch.optim.Adam(generator.parameters(), 2e-3)

    def loss_of(step: int) -> torch.Tensor:
        batch = batches.at(step)
        out = generator(batch.source)
        paint = paint_distance(out[:, :24], batch.target[:, :24])
        return 4 * paint + ink_distance(out[:, 24:], batch.target[:, 24:])

    @torch.no_grad()
    def others() -> float:
        """The loss of crops that are not learned from."""
        return float(np.mean([loss_of(step).item() for step in range(1000, 1010)]))

    before = others()
    for step in range(100):
        optimizer.zero_grad()
        loss_of(step).backward()
        torch.nn.utils.clip_grad_norm_(generator.parameters(), 1.0)  # as the recipe does
        optimizer.step()
    assert others() < 0.9 * before


def test_ink_codes_round_and_clip() -> None:
    assert ink_code(np.array([-0.5, 0, 1, 2, 9, -9], np.float32)).tolist() == [0, 50, 150, 250, 255, 0]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("weights.texture=1.0", "not with other weights"),
        ('generator="unet"', "does not fit the weights"),
        ("data.crop=104", None),
        ("fields.passes=0", "fields.passes"),
        ("weights.faces=1.0", "weights.faces is above 0, but fields.faces is false"),
    ],
)
def test_what_does_not_fit_fields_is_refused(setting: str, said: str | None) -> None:
    recipe = find_recipe("paint-and-ink")
    if said is None:
        assert read_recipe(recipe, "", [setting]).makes_fields
        return
    with pytest.raises(RecipeError, match=said):
        read_recipe(recipe, "", [setting])


def test_drawings_are_still_asked_for_where_they_are_learned_from() -> None:
    with pytest.raises(RecipeError, match=r"data\.target is empty"):
        read_recipe(find_recipe("fpt-unet"), "", ['data.target=""'])
