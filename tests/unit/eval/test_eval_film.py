"""A film's score: what flicker, blur, cuts and misfits do to it."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from engines.errors import StreamtoonError
from eval.scoring.video import score_film

Image = NDArray[np.uint8]
HEIGHT, WIDTH = 120, 160


def _pan(pictures: int, photo: Image | None = None, step: int = 2) -> Iterator[Image]:
    """A camera that moves over a photograph by whole pixels; half as bright, so that there is room."""
    wide = (skimage.data.astronaut() if photo is None else photo) // 2 + 40
    for n in range(pictures):
        yield wide[30 : 30 + HEIGHT, 40 + step * n : 40 + step * n + WIDTH]


def _flickering(pictures: int, sigma: float, seed: int = 0) -> Iterator[Image]:
    dice = np.random.default_rng(seed)
    for picture in _pan(pictures):
        yield np.clip(picture.astype(int) + round(dice.normal(0, sigma)), 0, 255).astype(np.uint8)


def test_a_film_against_itself() -> None:
    score = score_film(_pan(6), _pan(6))
    assert (score.frames, score.pairs, score.cuts) == (6, 5, 0)
    assert score.metrics["ssim"] == 1
    assert score.metrics["ewarp-ratio"] == score.metrics["sharpness-ratio"] == 1
    assert score.metrics["ewarp"] == score.metrics["ewarp-source"] < 1e-4
    assert set(score.metrics) == {
        *("ewarp", "ewarp-source", "ewarp-ratio"),
        *("sharpness", "sharpness-source", "sharpness-ratio", "ssim"),
    }
    assert score.protocol["size"] == "160x120"
    assert score.protocol["compared"] > 0.9


def test_flicker_is_worth_its_variance() -> None:
    sigma, seed = 6.0, 5
    score = score_film(_pan(30), _flickering(30, sigma, seed))
    dice = np.random.default_rng(seed)
    levels = np.array([round(dice.normal(0, sigma)) for _ in range(30)])
    expected = float(np.mean(np.diff(levels) ** 2)) / 255**2
    assert score.metrics["ewarp"] - score.metrics["ewarp-source"] == pytest.approx(expected, rel=0.05)
    assert score.metrics["ewarp-ratio"] > 20
    assert score.metrics["sharpness-ratio"] == pytest.approx(1, abs=1e-3)


def test_blur_buys_steadiness_with_sharpness() -> None:
    grain = np.random.default_rng(0)
    film = [np.clip(p + grain.normal(0, 6, p.shape), 0, 255).astype(np.uint8) for p in _pan(6)]
    blurred = [np.asarray(cv2.GaussianBlur(picture, (0, 0), 2), np.uint8) for picture in film]
    score = score_film(film, blurred)
    assert score.metrics["ewarp-ratio"] < 0.5
    assert score.metrics["sharpness-ratio"] < 0.5


def test_a_cut_makes_no_pair() -> None:
    film = [*_pan(4), *_pan(4, skimage.data.coffee())]
    drawn = [picture + np.uint8(n % 2) for n, picture in enumerate(film)]
    score = score_film(film, drawn)
    assert (score.frames, score.pairs, score.cuts) == (8, 6, 1)
    parts = [score_film(film[part], drawn[part]) for part in (slice(4), slice(4, 8))]
    for name in ("ewarp", "ewarp-source"):
        assert score.metrics[name] == pytest.approx(np.mean([part.metrics[name] for part in parts]))


@pytest.mark.parametrize("level", [0, 255])
def test_cuts_to_plain_pictures_and_between_them_make_no_pair(level: int) -> None:
    plain = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
    film = [*_pan(3), plain, plain, 255 - plain, 255 - plain]
    score = score_film(film, film)
    assert (score.pairs, score.cuts) == (4, 2)


def test_a_letterboxed_cut_is_one() -> None:
    film = [*_pan(3), *_pan(3, skimage.data.coffee())]
    film = [np.pad(picture, ((70, 70), (0, 0), (0, 0))) for picture in film]
    assert score_film(film, film).cuts == 1


def test_a_fast_pan_is_none() -> None:
    assert score_film(_pan(6, step=12), _pan(6, step=12)).cuts == 0


def test_a_still_has_no_ratio_of_flicker() -> None:
    still = [next(_pan(1))] * 3
    score = score_film(still, still)
    assert score.metrics["ewarp"] == score.metrics["ewarp-source"] == 0
    assert "ewarp-ratio" not in score.metrics
    assert score.metrics["sharpness-ratio"] == 1


def test_pictures_that_share_a_buffer_are_told_apart() -> None:
    def reused() -> Iterator[Image]:
        buffer = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        for picture in _pan(4):
            buffer[:] = picture
            yield buffer

    # Not to the last bit: optical flow is computed by several threads.
    expected = score_film(_pan(4), _pan(4)).metrics
    assert score_film(reused(), reused()).metrics == pytest.approx(expected, rel=1e-4)


def test_it_holds_two_pictures_of_each_and_ticks() -> None:
    import weakref

    alive: list[weakref.ref[Image]] = []
    most = 0

    def watched() -> Iterator[Image]:
        nonlocal most
        for picture in _pan(8):
            copy = picture.copy()
            alive.append(weakref.ref(copy))
            most = max(most, sum(ref() is not None for ref in alive))
            yield copy
            del copy

    ticks: list[int] = []
    score_film(watched(), _pan(8), tick=lambda: ticks.append(1))
    assert len(ticks) == 8
    assert most <= 2


@pytest.mark.parametrize(("ours", "theirs"), [(5, 3), (3, 5), (4, 0), (0, 4)])
def test_films_of_different_length_are_refused_with_both(ours: int, theirs: int) -> None:
    with pytest.raises(StreamtoonError, match=f"source has {ours} frames, but the result has {theirs};"):
        score_film(_pan(ours), _pan(theirs))


def test_films_of_different_size_are_refused_with_both() -> None:
    small = [np.asarray(cv2.resize(frame, (80, 60)), np.uint8) for frame in _pan(3)]
    with pytest.raises(StreamtoonError, match="160x120 in the source and 80x60 in the result"):
        score_film(_pan(3), small)
    first = next(_pan(1))
    with pytest.raises(StreamtoonError, match="frame 2 is 80x60, but the one before it is 160x120"):
        score_film([first, small[0]], [first, small[0]])
    tiny = [picture[:20] for picture in small]
    with pytest.raises(StreamtoonError, match="80x20, but both sides must have at least 32"):
        score_film(tiny, tiny)


@pytest.mark.parametrize("count", [0, 1])
def test_less_than_two_pictures_are_no_film(count: int) -> None:
    with pytest.raises(StreamtoonError, match=f"at least 2 frames, but there are {count}"):
        score_film(_pan(count), _pan(count))


def test_a_film_of_nothing_but_cuts_is_refused() -> None:
    film = [next(_pan(1)), next(_pan(1, skimage.data.coffee()))]
    with pytest.raises(StreamtoonError, match="none of the 2 frames follows"):
        score_film(film, film)
