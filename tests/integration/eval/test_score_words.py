"""What scoring says before and beside its figures: missing weights, few pictures, lengths, costs, marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lavfi_clips import make_clip

from engines.errors import StreamtoonError
from engines.pretrained import downloads
from eval.metrics.kid import kid
from eval.report.summary import small_set_warning
from eval.scoring.image_set import find_images
from eval.scoring.results import Images, Score
from eval.scoring.scorer import Scorer
from eval.scoring.selection import select_metrics
from streamtoon.cli.tables.score import score_table
from streamtoon.errors import InputError
from streamtoon.tools import score_video as scoring


def test_engines_are_timed_only_when_cost_is_asked_for(picture_folders: Path) -> None:
    photos = find_images(picture_folders / "photos")
    assert not select_metrics(None, photos, photos, lambda: True).cost
    assert not select_metrics(["ssim"], photos, photos, lambda: True).cost
    assert select_metrics(["ssim", "cost"], photos, photos, lambda: True).cost


def test_all_missing_weights_are_named_at_once_before_any_work(
    picture_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, target: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(downloads, "cache_folder", lambda name: tmp_path)
    monkeypatch.setattr(downloads, "_download", refuse)
    photos, cartoons = (find_images(picture_folders / name) for name in ("photos", "cartoons"))
    with pytest.raises(StreamtoonError) as error:
        Scorer(photos=photos, cartoons=cartoons)
    assert "--inception" in str(error.value) and "--vgg16" in str(error.value)
    with pytest.raises(StreamtoonError) as error:
        Scorer(photos=photos, cartoons=cartoons, metrics=["kid"])
    assert "--inception" in str(error.value) and "--vgg16" not in str(error.value)
    Scorer(photos=photos, cartoons=cartoons, metrics=["ssim"]).__exit__(None, None, None)


def test_kid_of_whole_sets_has_no_deviation_and_of_subsets_has() -> None:
    dice = np.random.default_rng(0)
    real, fake = dice.normal(0, 1, (20, 64)), dice.normal(0.3, 1, (20, 64))
    whole = kid(real, fake, seed=0)
    assert whole.std == 0
    # The unbiased estimate, written out: Gretton et al., "A kernel two-sample test", Eq. 3.
    x, y, z = ((a @ b.T / 64 + 1) ** 3 for a, b in ((real, real), (fake, fake), (real, fake)))
    pairs = [(k.sum() - np.trace(k)) / (20 * 19) for k in (x, y)]
    assert whole.mean == pytest.approx(sum(pairs) - 2 * z.mean())
    assert kid(real, fake[:12], seed=0).std > 1e-6


def _score(photos: int, cartoons: int, **metrics: float) -> Score:
    return Score("mine", {**metrics}, {}, Images(photos, cartoons))


def test_fid_of_few_pictures_is_marked() -> None:
    assert "20 images" in small_set_warning([_score(20, 3000, fid=100.0)])
    assert "2,048 images" in small_set_warning([_score(2048, 3000, artfid=100.0)])
    assert small_set_warning([_score(2049, 3000, fid=100.0)]) == ""
    assert small_set_warning([_score(20, 20, kid=0.1)]) == ""


def test_the_star_is_explained_where_there_is_one_to_compare() -> None:
    one, other = _score(20, 20, ssim=0.8), Score("other", {"ssim": 0.7}, {}, Images(20, 20))
    assert str(score_table([one, other], {}).caption).startswith("*")
    assert score_table([one], {}).caption is None


def test_films_of_plainly_different_length_are_refused_before_any_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = make_clip(tmp_path / "long.mp4", frames=50)
    short = make_clip(tmp_path / "short.mp4", frames=25)

    def look(path: Path) -> None:
        raise AssertionError("no picture is to be read")

    monkeypatch.setattr(scoring, "_upright", look)
    with pytest.raises(InputError, match="about 50 frames and the result about 25"):
        scoring.score_video(long, fake=short)
