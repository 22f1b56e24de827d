"""What is seen in a film's frames: cuts, scenes, bars, faults, likeness."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from film_clips import RATE, blurred, boxed, credit_roll, dissolve, painting, plain, shot, write_film
from numpy.typing import NDArray

from streamtoon.tools.film import Film
from training.curation import shots as cuts
from training.curation.frame_quality import blur, fault
from training.curation.hashing import Seen, perceptual_hash
from training.curation.letterbox import Box, find_bars
from training.curation.scenes import CUT_MARGIN_S, scenes
from training.curation.shots import ShotFrame, Watched, watch


def _frames(pictures: Iterable[NDArray[np.uint8]], rate: float = RATE) -> Iterator[ShotFrame]:
    for n, picture in enumerate(pictures):
        luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        yield ShotFrame(n / rate, luma, partial(np.asarray, picture))


def _starts(pictures: Iterable[NDArray[np.uint8]]) -> list[int]:
    watched = watch(_frames(pictures))
    return [round(seen.frame.time * RATE) for seen in watched if seen.starts_scene]


# --- cuts ---------------------------------------------------------------------------------------------


def test_hard_cuts_are_found_at_their_frame() -> None:
    film = chain(shot(1, 30), shot(2, 11), shot(3, 50), shot(4, 24))
    assert _starts(film) == [0, 30, 41, 91]


def test_cuts_of_an_encoded_film_are_found_at_their_frame(tmp_path: Path) -> None:
    film = Film(write_film(tmp_path / "film.mp4", chain(shot(1, 20), shot(2, 33), shot(3, 20))))
    watched = list(watch(film.frames(film.whole())))
    assert len(watched) == 73
    assert [round(seen.frame.time * RATE) for seen in watched if seen.starts_scene] == [0, 20, 53]


@pytest.mark.skipif("STREAMTOON_DATA" not in os.environ, reason="needs footage: set STREAMTOON_DATA")
def test_cuts_of_real_footage_are_those_that_its_own_chart_shows() -> None:
    # The right half of this clip plots the cuts that its makers' histogram algorithm finds in the left half.
    film = Film(Path(os.environ["STREAMTOON_DATA"]) / "clips" / "scene-cuts-1280x272.mp4")
    watched = watch(film.frames(film.whole()))
    starts = [round(seen.frame.time * 25) for seen in watched if seen.starts_scene]
    assert starts == [0, 30, 76, 137, 187, 242]


def test_a_flash_is_no_cut_and_motion_is_none() -> None:
    assert _starts(chain(shot(1, 24), plain(2, 255), shot(1, 24))) == [0]
    # A camera that follows something across a wide painting, eight pixels a frame.
    wide = painting(5, size=(1600, 180))
    assert _starts(wide[:, 8 * n : 8 * n + 320] for n in range(120)) == [0]


def test_pictures_within_a_dissolve_are_known_and_belong_to_no_scene() -> None:
    film = [*shot(1, 48), *dissolve(1, 2, 16), *shot(2, 48)]
    watched = list(watch(_frames(film)))
    mixed = [n for n, seen in enumerate(watched) if seen.mixed]
    assert mixed
    assert 48 <= mixed[0] <= 51
    assert 60 <= mixed[-1] <= 63
    first, second = scenes(watched, 3, None)
    assert first.end * RATE <= 51
    assert 61 <= round(second.start * RATE) <= 65


def test_what_is_said_of_a_frame_depends_on_its_surroundings_alone() -> None:
    film = list(_frames(chain(shot(1, 40), shot(2, 40), dissolve(2, 3, 20), shot(3, 40), shot(4, 20))))
    whole = list(watch(film))
    margin = round(2 * cuts.WINDOW_S * RATE) + 1
    for begin in (7, 30, 61):
        part = list(watch(film[begin:]))
        facts = [(s.frame.time, s.starts_scene, s.mixed, s.frame.picture is None) for s in part[margin:]]
        assert facts == [
            (s.frame.time, s.starts_scene, s.mixed, s.frame.picture is None) for s in whole[begin + margin :]
        ]


def test_few_whole_pictures_are_held_however_long_the_film() -> None:
    alive = 0

    class Whole:
        def __init__(self) -> None:
            nonlocal alive
            alive += 1

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

        def __call__(self) -> NDArray[np.uint8]:
            raise AssertionError

    def film(count: int) -> Iterator[ShotFrame]:
        luma = np.asarray(cv2.cvtColor(painting(1), cv2.COLOR_RGB2GRAY), np.uint8)
        for n in range(count):
            yield ShotFrame(n / RATE, luma, Whole())

    most = 0

    def counted(watched: Iterable[Watched]) -> Iterator[Watched]:
        nonlocal most
        for seen in watched:
            most = max(most, alive)
            yield seen

    list(scenes(counted(watch(film(1500))), 3, None))
    assert most <= 30


# --- scenes -------------------------------------------------------------------------------------------


def test_pictures_lie_inside_their_scene_and_apart() -> None:
    found = list(scenes(watch(_frames(chain(shot(1, 30), shot(2, 240), shot(3, 4), shot(4, 120)))), 3, None))
    assert [len(scene.taken) for scene in found] == [1, 3, 0, 3]  # 1.25 s, 10 s, a sixth of one, 5 s
    for scene in found:
        times = [frame.time for frame in scene.taken]
        assert all(scene.start + CUT_MARGIN_S <= time <= scene.end - CUT_MARGIN_S for time in times)
        assert all(b - a > (scene.end - scene.start) / 6 for a, b in pairwise(times))


def test_the_sharpest_picture_around_is_taken() -> None:
    film = list(blurred(shot(1, 48), 4))
    film[22:28] = list(shot(1, 48))[22:28]
    (scene,) = scenes(watch(_frames(film)), 1, None)
    assert 22 <= round(scene.taken[0].time * RATE) < 28


def test_every_cuts_a_long_scene_into_even_parts() -> None:
    found = list(scenes(watch(_frames(chain(shot(1, 240), shot(2, 12)))), 3, 2.0))
    assert [len(scene.taken) for scene in found] == [1] * 6
    assert [scene.whole for scene in found] == [False] * 4 + [True, True]
    for n, scene in enumerate(found[:5]):
        assert 2 * n <= scene.taken[0].time < 2 * n + 2


# --- bars ---------------------------------------------------------------------------------------------


def test_a_title_in_the_bars_changes_nothing_and_dark_frames_decide_nothing() -> None:
    lumas = [
        np.asarray(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), np.uint8)
        for p in boxed(chain(shot(1, 6), shot(2, 6), shot(3, 6)), 20)
    ]
    lumas[4][4:14, 100:200] = 255
    night = [np.full_like(lumas[0], 3) for _ in range(20)]
    assert find_bars([*lumas, *night]) == Box(20, 0, 200, 320)
    assert find_bars(night) is None


def test_a_shape_is_cut_from_the_middle() -> None:
    assert Box(10, 0, 190, 320).shaped(1.0) == Box(10, 70, 190, 250)
    assert Box(0, 0, 400, 320).shaped(16 / 9) == Box(110, 0, 290, 320)


# --- faults -------------------------------------------------------------------------------------------


def _luma(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


@pytest.mark.parametrize(
    "picture, expected",
    [
        (painting(1), None),
        (painting(1) // 3, None),
        (painting(1) // 12, "black"),
        (next(plain(1, 0)), "black"),
        (next(plain(1, 128)), "flat"),
        (next(plain(1, 255)), "flat"),
        (next(credit_roll(1)), "credits"),
        (255 - next(credit_roll(1)), "credits"),
        (next(blurred([painting(1)])), "blurred"),
    ],
)
def test_useless_pictures_are_told_by_their_fault(picture: NDArray[np.uint8], expected: str | None) -> None:
    assert fault(_luma(picture)) == expected


def test_a_sharp_figure_before_a_blurred_background_is_no_fault() -> None:
    sharp, soft = painting(3), next(blurred([painting(3)]))
    soft[50:150, 100:220] = sharp[50:150, 100:220]
    assert fault(_luma(soft)) is None


def test_blur_is_the_papers_measure() -> None:
    luma = _luma(painting(3))[:40, :56]
    worst = 0.0
    for picture in (luma.astype(float), luma.astype(float).T):
        height, width = picture.shape
        before = lost = 0.0
        padded = np.pad(picture, ((0, 0), (4, 4)), "symmetric")
        again = np.array([[padded[y, x : x + 9].mean() for x in range(width)] for y in range(height)])
        for y in range(height):
            for x in range(1, width):
                step = abs(picture[y, x] - picture[y, x - 1])
                before += step
                lost += max(0.0, step - abs(again[y, x] - again[y, x - 1]))
        worst = max(worst, (before - lost) / before)
    assert blur(luma) == pytest.approx(worst, abs=1e-4)


def test_blur_orders_pictures_as_scikit_image_does() -> None:
    measure = pytest.importorskip("skimage.measure")
    pictures = [_luma(next(blurred([painting(2)], sigma))) for sigma in (0.3, 0.5, 0.8, 1.2, 1.8)]
    ours, theirs = [blur(p) for p in pictures], [measure.blur_effect(p, h_size=9) for p in pictures]
    assert ours == sorted(ours) and theirs == sorted(theirs)


def test_hashes_bear_resizing_brightness_and_compression_and_tell_pictures_apart() -> None:
    for seed in range(12):
        picture = _luma(painting(seed))
        value = perceptual_hash(picture)
        assert 0 <= value < 2**64
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])
        for other in (
            cv2.resize(picture, (211, 150), interpolation=cv2.INTER_AREA),
            (picture * 0.8 + 10).astype(np.uint8),
            cv2.imdecode(data, cv2.IMREAD_GRAYSCALE),
        ):
            assert (value ^ perceptual_hash(np.asarray(other, np.uint8))).bit_count() <= 4
        assert (value ^ perceptual_hash(_luma(painting(seed + 100)))).bit_count() > 12


def test_the_nearest_hash_is_that_of_a_plain_search() -> None:
    rng = np.random.default_rng(0)
    values = [int(v) for v in rng.integers(0, 2**63, 3000, dtype=np.uint64)]
    seen = Seen()
    for value in values:
        seen.add(value)
    for probe in (values[2999] ^ 0b1011, values[5], int(rng.integers(0, 2**63))):
        distances = [(probe ^ value).bit_count() for value in values]
        best = int(np.argmin(distances))
        assert seen.nearest(probe, 40) == best
        assert seen.nearest(probe, distances[best] - 1) is None
