"""Whole films taken apart: what is kept, what is left out, and runs that break off."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest
from film_clips import RATE, blurred, boxed, credit_roll, dissolve, painting, plain, shot, write_film
from numpy.typing import NDArray

from engines.common.image_files import list_images, read_image
from engines.errors import StreamtoonError
from streamtoon.tools.extract_frames import ExtractedFrames, take_frames
from streamtoon.tools.film import Film, _full_size
from training.curation.contact_sheet import _drawable
from training.curation.frames import clock
from training.curation.letterbox import Box
from training.curation.manifest import FrameChoice, load_manifest


def _take(film: Path, out: Path, **choice: object) -> ExtractedFrames:
    return take_frames(film, out, FrameChoice(**choice))  # type: ignore[arg-type]


@pytest.mark.parametrize("rows, columns", [(0, 0), (22, 0), (0, 38), (16, 24)])
def test_bars_of_known_size_are_removed_exactly(tmp_path: Path, rows: int, columns: int) -> None:
    dark = ((p // 4) for p in shot(9, 24))
    film = write_film(tmp_path / "film.mp4", boxed(chain(shot(1, 60), dark, shot(2, 60)), rows, columns))
    assert Film(film).picture_box() == Box(rows, columns, rows + 180, columns + 320)
    _take(film, tmp_path / "out")
    for path in list_images(tmp_path / "out"):
        assert read_image(path).shape == (180, 320, 3)


def _mixed_film() -> Iterator[NDArray[np.uint8]]:
    return boxed(
        chain(
            plain(24), shot(1, 60), shot(2, 36), blurred(shot(7, 36)), shot(1, 48), plain(30, 140),
            shot(3, 130), dissolve(3, 4, 20), shot(4, 40), credit_roll(48),
        ),
        rows=30,
    )  # fmt: skip


def test_a_film_gives_good_pictures_once_and_says_what_it_left_out(tmp_path: Path) -> None:
    film, out = write_film(tmp_path / "film.mp4", _mixed_film()), tmp_path / "out"
    taken = _take(film, out)
    manifest = load_manifest(out)
    assert manifest
    assert manifest.done
    files = sorted(path.name for path in out.iterdir())
    assert files == sorted(["frames.json", *(kept.file for kept in manifest.kept)])
    # Every scene begins where it was drawn; within its seconds lies what was kept of it.
    spans = {1: (24, 84), 2: (84, 120), 3: (234, 364), 4: (384, 424)}
    found: dict[int, int] = {}
    for kept in manifest.kept:
        at = kept.time * RATE
        (seed,) = (seed for seed, (first, last) in spans.items() if first <= at < last)
        picture = read_image(out / kept.file)
        drawn = painting(seed, 2.0 * round(at - spans[seed][0]))
        assert picture.shape == drawn.shape
        assert np.abs(picture.astype(int) - drawn).mean() < 5  # 4:2:0 blurs the colours of edges
        found[seed] = found.get(seed, 0) + 1
    assert set(found) == set(spans)
    reasons = {each.reason.split()[0] for each in manifest.rejected}
    assert reasons == {"black", "blurred", "like", "flat", "credits"}
    assert taken.kept == len(manifest.kept)
    assert [Path(sheet).name for sheet in taken.sheets] == ["kept-1.jpg", "rejected-1.jpg"]
    assert read_image(Path(taken.sheets[0])).shape[1] > 600


@pytest.mark.parametrize("every", [None, 0.5])
def test_a_killed_run_goes_on_to_the_pictures_of_an_unbroken_one(tmp_path: Path, every: float | None) -> None:
    film = write_film(
        tmp_path / "film.mp4", chain(_mixed_film(), *(boxed(shot(s, 40), 30) for s in range(20, 32)))
    )
    choice = {} if every is None else {"every": every}
    _take(film, tmp_path / "whole", **choice)
    code = f"""
import time
from pathlib import Path
import streamtoon.tools.film, training.curation.frames as frames
from training.curation.manifest import FrameChoice
from streamtoon.tools.extract_frames import take_frames
frames.SAVE_EVERY_S = 0.0
seen = streamtoon.tools.film._small
def slowly(luma):
    time.sleep(0.004)
    return seen(luma)
streamtoon.tools.film._small = slowly
take_frames(Path({str(film)!r}), Path({str(tmp_path / "broken")!r}), FrameChoice(every={every!r}))
"""
    kept = 0
    for enough in (3, 7):
        process = subprocess.Popen([sys.executable, "-c", code])
        deadline = time.monotonic() + 60
        while kept < enough and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
            state = load_manifest(tmp_path / "broken")
            kept = len(state.kept) if state else 0
        assert process.poll() is None, "it was to be killed before its end"
        process.kill()
        process.wait()
    state = load_manifest(tmp_path / "broken")
    assert state
    assert state.position > 0
    assert not state.done
    _take(film, tmp_path / "broken", **choice)

    def contents(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.rglob("[!.]*")}

    assert contents(tmp_path / "broken").keys() == contents(tmp_path / "whole").keys()
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    sheets = [tmp_path / f"{name}.sheets" / "kept-1.jpg" for name in ("whole", "broken")]
    assert sheets[0].read_bytes() == sheets[1].read_bytes()


def test_an_interrupted_run_leaves_whole_files_and_a_manifest(tmp_path: Path) -> None:
    film, out = write_film(tmp_path / "film.mp4", _mixed_film()), tmp_path / "out"

    def interrupt(done: int, _total: int | None, _remark: str) -> None:
        if done > 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_frames(film, out, FrameChoice(), on_progress=interrupt)
    state = load_manifest(out)
    assert state
    assert not state.done
    assert state.kept
    for kept in state.kept:
        read_image(out / kept.file)
    assert not list(out.rglob(".*"))  # what is being written has such a name


def test_another_film_or_other_settings_are_refused_and_restart_starts_over(tmp_path: Path) -> None:
    first = write_film(tmp_path / "first.mp4", chain(shot(1, 40), shot(2, 40)))
    second = write_film(tmp_path / "second.mp4", shot(3, 40))
    out = tmp_path / "out"
    _take(first, out)
    assert _take(first, out).was_done
    with pytest.raises(StreamtoonError, match=r"another film, first\.mp4.*--restart"):
        _take(second, out)
    with pytest.raises(StreamtoonError, match=r"other settings \(--size not given is now 64\)"):
        _take(first, out, size=64)
    (out / "mine.txt").write_text("kept")
    (out / "00-00-09.000.png").write_bytes(b"of a run that was killed before it could list it")
    taken = take_frames(second, out, FrameChoice(size=64), restart=True)
    assert taken.kept == 1
    assert {path.name for path in out.iterdir()} == {"mine.txt", "frames.json", list_images(out)[0].name}
    assert min(read_image(list_images(out)[0]).shape[:2]) == 64


def test_a_folder_with_other_files_and_a_damaged_manifest_are_refused(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", shot(1, 30))
    out = tmp_path / "out"
    out.mkdir()
    (out / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(StreamtoonError, match="other files"):
        _take(film, out)
    (out / "frames.json").write_text(json.dumps({"version": 1, "film": "x"}))
    with pytest.raises(StreamtoonError, match=r"frames\.json is damaged"):
        _take(film, out)


def test_limit_format_and_shape(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", chain(*(shot(seed, 30) for seed in range(1, 6))))
    taken = _take(film, tmp_path / "out", limit=2, form="webp", crop="1:1")
    assert taken.kept == 2
    assert [path.suffix for path in list_images(tmp_path / "out")] == [".webp"] * 2
    assert read_image(list_images(tmp_path / "out")[0]).shape == (180, 180, 3)


def test_a_turned_film_stands_upright(tmp_path: Path) -> None:
    from media_clips import make_clip

    film = Film(make_clip(tmp_path / "turned.mp4", size=(96, 64), rotation=90, audio=None))
    frame = next(iter(film.frames(film.whole())))
    assert frame.picture
    assert frame.picture().shape == (96, 64, 3)
    # The yellow square lies at the upper left: a player turns it counter-clockwise, to the lower left.
    yellow = np.array([250, 240, 20])
    rows, columns = np.nonzero(np.abs(frame.picture().astype(int) - yellow).max(-1) < 40)
    assert rows.mean() > 80
    assert columns.mean() < 16


def test_colors_are_those_of_the_painting(tmp_path: Path) -> None:
    picture = np.asarray(cv2.GaussianBlur(painting(4), (0, 0), 3), np.uint8)
    film = Film(write_film(tmp_path / "film.mp4", [picture] * 3))
    frame = next(iter(film.frames(film.whole())))
    assert frame.picture
    error = frame.picture().astype(float) - picture
    assert np.abs(error).mean() < 1.5
    assert np.abs(error.mean((0, 1))).max() < 1


@pytest.mark.parametrize("full_range", [False, True])
def test_chroma_samples_lie_where_the_standards_put_them(full_range: bool) -> None:
    # Chroma that rises by 2 a luma column and falls by 1 a luma row, sampled at its own places.
    y, x = np.mgrid[0:20, 0:30]
    left = 0.5 if full_range else 0.0
    plane = np.round(2 * (2 * x + left) - (2 * y + 0.5) + 60).astype(np.uint8)
    full = _full_size(plane, (60, 40), full_range)
    rows, columns = np.mgrid[2:38, 2:58]
    assert np.abs(full[2:38, 2:58] - (2.0 * columns - rows + 60)).max() <= 1.01


def test_a_sheets_title_is_in_letters_that_its_font_has() -> None:
    assert _drawable("Zo\u00eb\n\u6620\u753b.mp4: 3 kept") == "Zoe???.mp4: 3 kept"


@pytest.mark.parametrize(
    "seconds, text", [(0.0, "00:00:00.000"), (3725.0405, "01:02:05.040"), (59.9996, "00:01:00.000")]
)
def test_times_are_written_as_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
