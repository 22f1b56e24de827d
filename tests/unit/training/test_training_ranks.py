"""The shares of several training processes: together they are what one process has."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.data.field_pairs import make_pairs, make_share
from training.ranks import StepRandom
from training.recipe import FieldSettings


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_draw_the_rows_of_one_process(ranks: int) -> None:
    def draw(count: int, dice: torch.Generator) -> torch.Tensor:
        return torch.rand(count, 5, generator=dice)

    alone = StepRandom(7, 11)
    whole = [alone.of_items(draw, 6), torch.rand(2, generator=alone.generator), alone.of_items(draw, 6)]
    for rank in range(ranks):
        one = StepRandom(7, 11, rank, ranks)
        drawn = [one.of_items(draw, 6 // ranks), torch.rand(2, generator=one.generator)]
        drawn.append(one.of_items(draw, 6 // ranks))
        assert torch.equal(drawn[0], whole[0][rank::ranks])
        assert torch.equal(drawn[1], whole[1]), "what all items share is the same everywhere"
        assert torch.equal(drawn[2], whole[2][rank::ranks])
    assert not torch.equal(StepRandom(7, 12).of_items(draw, 6), whole[0])


def test_shares_of_a_cache_have_every_pair_once(tmp_path: Path) -> None:
    photos, dice = tmp_path / "photos", np.random.default_rng(1)
    photos.mkdir()
    for n in range(3):
        rough = dice.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        cv2.imwrite(str(photos / f"{n}.png"), cv2.resize(rough, (200, 200), interpolation=cv2.INTER_CUBIC))
    caches = [tmp_path / name for name in ("first", "second", "whole")]
    for cache in caches:
        cache.mkdir()
    for share, cache in enumerate(caches[:2]):
        make_share(photos, cache, FieldSettings(), (1.0,), (share, 2))
    whole = make_pairs(photos, caches[2], FieldSettings(), workers=1)
    shares = [{file.name for file in cache.iterdir()} for cache in caches[:2]]
    assert [len(share) for share in shares] == [2, 1]
    assert shares[0] | shares[1] == {file.name for file in whole} and not shares[0] & shares[1]
