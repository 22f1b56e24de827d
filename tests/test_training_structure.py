"""The structure of a picture: superpixels, their means, and the abstraction that is painted from them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.structure import abstraction, cache_entry, ink_lines, region_means, superpixels
from training.recipe import Abstraction


def test_region_means_paint_each_region_in_its_mean() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((9, 7, 3)).astype(np.float32)
    labels = rng.integers(0, 4, (9, 7)).astype(np.int64)
    painted = region_means(image, labels)
    for label in range(4):
        np.testing.assert_allclose(
            painted[labels == label],
            np.broadcast_to(image[labels == label].mean(0), (int((labels == label).sum()), 3)),
            rtol=1e-5,
        )


def test_abstraction_flattens_texture_and_inks_the_edge() -> None:
    rng = np.random.default_rng(0)
    photo = np.full((96, 96, 3), 170, np.uint8)
    photo[:, 48:] = (60, 90, 140)
    photo = np.clip(photo + rng.normal(0, 4, photo.shape), 0, 255).astype(np.uint8)
    painted = abstraction(photo)
    assert painted[8:88, 8:38].std(axis=(0, 1)).max() < 0.4 * photo[8:88, 8:38].std(axis=(0, 1)).min()
    luma = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY).astype(float)
    assert luma[20:76, 48:51].min(axis=1).mean() < luma[20:76, 60:80].mean() - 15
    assert ink_lines(photo).shape == (96, 96) and superpixels(photo).max() < 100


@pytest.mark.parametrize("paint", ["regions", "brush"])
def test_greys_become_the_palettes_colours(paint: str) -> None:
    """Even greys, far from any edge: what is left is the palette, straight lines between its colours."""
    palette = ((30, 26, 27), (138, 123, 99), (243, 232, 206))
    how = Abstraction(paint, ink=0.0, lift=1.0, saturation=1.0, palette=palette)  # type: ignore[arg-type]
    for grey in (0, 40, 128, 200, 255):
        painted = abstraction(np.full((64, 64, 3), grey, np.uint8), how)
        for channel in range(3):
            stops = [colour[channel] for colour in palette]
            low, share = (0, grey / 127.5) if grey < 127.5 else (1, grey / 127.5 - 1)
            expected = stops[low] + share * (stops[low + 1] - stops[low])
            assert np.abs(painted[..., channel] - expected).max() <= 1


def test_a_brush_keeps_edges_and_smooths_the_rest() -> None:
    rng = np.random.default_rng(0)
    photo = np.full((96, 96, 3), 190, np.uint8)
    photo[:, 48:] = 60
    noisy = np.clip(photo + rng.normal(0, 5, photo.shape), 0, 255).astype(np.uint8)
    painted = abstraction(noisy, Abstraction("brush", ink=0.0, lift=1.0)).astype(float)
    assert painted[:, :40].std() < 0.5 * noisy[:, :40].std()
    assert painted[:, 44:47].mean() - painted[:, 49:52].mean() > 110, "the step of 130 still stands"


def test_each_way_of_painting_has_its_own_place_in_the_cache(tmp_path: Path) -> None:
    photo = np.zeros((8, 8, 3), np.uint8)
    ways = [
        Abstraction(),
        Abstraction("brush"),
        Abstraction(ink=0.5),
        Abstraction(palette=((0, 0, 0), (9, 9, 9))),
    ]
    assert len({cache_entry(photo, tmp_path, how) for how in ways}) == len(ways)
    assert cache_entry(photo, tmp_path) == cache_entry(photo, tmp_path, Abstraction())
