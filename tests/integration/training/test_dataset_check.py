"""Folders cleaned, and brought back as they were."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from film_clips import painting
from numpy.typing import NDArray

from engines.common.image_files import list_images, read_image, write_image
from engines.errors import StreamtoonError
from training.curation import clean as checking
from training.curation.clean import aside_folder, check, is_grey, set_aside, undo
from training.data import parallel as many
from training.data.parallel import parallel_map


def _tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _reduced(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def _save(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, picture)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good pictures, and one of each kind of bad."""
    place = tmp_path / "photos"
    big = [painting(seed, size=(400, 300)) for seed in range(4)]
    _save(place / "a.png", big[0])
    _save(place / "deep/er/b.png", big[1])
    _save(place / "c.jpg", big[2])
    _save(place / "deep/copy-of-a.webp", big[0])
    _save(place / "z-small-copy-of-b.png", _reduced(big[1], 360, 270))
    _save(place / "tiny.png", painting(7, size=(300, 120)))
    _save(place / "grey.jpg", _grey(big[3]))
    whole = (place / "c.jpg").read_bytes()
    (place / "deep/broken-off.jpg").write_bytes(whole[: len(whole) // 2])
    (place / "empty.png").touch()
    (place / "no-picture.png").write_bytes(b"hello")
    (place / "notes.txt").write_text("not looked at")
    return place


EXPECTED = {
    "deep/broken-off.jpg": "unopenable",
    "deep/copy-of-a.webp": "duplicate",
    "empty.png": "unopenable",
    "grey.jpg": "grey",
    "no-picture.png": "unopenable",
    "tiny.png": "tiny",
    "z-small-copy-of-b.png": "near-duplicate",
}


def test_each_bad_picture_is_found_with_its_reason_and_nothing_is_touched(folder: Path) -> None:
    before = _tree(folder)
    found, total = check(folder, smallest=256)
    assert {each.path: each.reason for each in found} == EXPECTED
    assert total == 10
    details = {each.path: each.detail for each in found}
    assert details["deep/copy-of-a.webp"] == "of a.png"
    assert details["z-small-copy-of-b.png"] == "of deep/er/b.png"
    assert details["tiny.png"] == "300x120"
    assert _tree(folder) == before
    assert not aside_folder(folder).exists()


def test_settings_let_pictures_pass(folder: Path) -> None:
    found, _ = check(folder, smallest=100, near=-1, keep_grey=True)
    assert {each.reason for each in found} == {"unopenable", "duplicate"}


def test_set_aside_and_undo_give_back_the_same_tree(folder: Path) -> None:
    before = _tree(folder)
    found, _ = check(folder)
    report = set_aside(folder, found)
    place = aside_folder(folder)
    assert place == folder.with_name("photos.set-aside")
    assert set(_tree(folder)) == set(before) - set(EXPECTED)
    for path, reason in EXPECTED.items():
        assert _tree(place)[f"{reason}/{path}"] == before[path]
    assert report.exists()
    assert check(folder)[0] == []
    assert undo(folder) == (len(EXPECTED), [])
    assert _tree(folder) == before
    assert not place.exists()


def test_two_checks_are_undone_together_and_nothing_is_overwritten(folder: Path) -> None:
    before = _tree(folder)
    set_aside(folder, check(folder)[0])
    (folder / "empty.png").touch()  # the same name again
    (folder / "c.jpg").write_bytes(b"")
    set_aside(folder, check(folder)[0])
    assert (aside_folder(folder) / "unopenable/empty.png").exists()
    assert (aside_folder(folder) / "unopenable/empty.png.2").exists()
    moved, stuck = undo(folder)
    assert stuck == ["empty.png"]
    assert moved == len(EXPECTED) + 1
    after = _tree(folder)
    assert {**after, "c.jpg": before["c.jpg"]} == before
    (folder / "empty.png").unlink()
    assert undo(folder) == (1, [])
    assert not aside_folder(folder).exists()


def test_a_move_that_fails_half_way_can_be_undone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, moves = _tree(folder), 0
    move = checking._move

    def failing(source: Path, target: Path) -> None:
        nonlocal moves
        moves += 1
        if moves == 4:
            raise KeyboardInterrupt
        move(source, target)

    monkeypatch.setattr(checking, "_move", failing)
    found, _ = check(folder)
    with pytest.raises(KeyboardInterrupt):
        set_aside(folder, found)
    assert undo(folder) == (3, [])
    assert _tree(folder) == before
    with pytest.raises(StreamtoonError, match=r"no file of .* was moved"):
        undo(folder)


def test_the_largest_of_like_pictures_is_kept(tmp_path: Path) -> None:
    picture = painting(1, size=(640, 480))
    for name, width in (("a", 400), ("b", 640), ("c", 500)):
        _save(tmp_path / f"{name}.png", _reduced(picture, width, width * 3 // 4))
    found, _ = check(tmp_path)
    assert {each.path: each.detail for each in found} == {"a.png": "of b.png", "c.png": "of b.png"}


def test_of_a_link_and_its_file_the_file_is_kept(tmp_path: Path) -> None:
    _save(tmp_path / "z.png", painting(1, size=(300, 280)))
    try:
        (tmp_path / "a.png").symlink_to("z.png")
    except OSError:
        pytest.skip("this system lets nobody make links")
    assert [(each.path, each.detail) for each in check(tmp_path)[0]] == [("a.png", "of z.png")]


def test_files_that_the_tools_write_beside_a_folder_are_not_part_of_its_parent(tmp_path: Path) -> None:
    for place in ("ep1", "ep1.sheets", "ep1.sheets/rejected", "ep1.set-aside/tiny"):
        _save(tmp_path / place / "a.png", painting(1, size=(64, 48)))
    assert list_images(tmp_path) == [tmp_path / "ep1" / "a.png"]
    assert list_images(tmp_path / "ep1.sheets" / "rejected")  # asked for by name


def test_a_grey_image_may_have_compression_colors_but_a_little_color_is_not_grey() -> None:
    grey = _grey(painting(1))
    _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 50])
    assert is_grey(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8))
    colored = grey.copy()
    colored[:20, :40] = (200, 60, 60)
    assert not is_grey(colored)


def test_a_folder_without_pictures_says_so(tmp_path: Path) -> None:
    with pytest.raises(StreamtoonError, match="contains no images"):
        check(tmp_path)


# --- many files at once -------------------------------------------------------------------------------


def test_processes_give_what_one_loop_gives(tmp_path: Path) -> None:
    for seed in range(many.MAX_JOBS_IN_PROCESS + 4):
        _save(tmp_path / f"{seed:02}.png", painting(seed, size=(80, 60)))
    paths = sorted(tmp_path.iterdir())
    together = dict(parallel_map(checking.measure, paths, workers=2))
    assert together == {path: checking.measure(path) for path in paths}


def test_the_first_results_come_before_the_last_jobs_are_known() -> None:
    jobs = iter(range(1000))
    with closing(parallel_map(abs, jobs, workers=2)) as results:
        assert next(results)[0] in range(100)
        assert next(jobs) < 100


def test_what_a_job_raises_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(StreamtoonError, match="cannot decode"):
        list(parallel_map(read_image, [tmp_path / "none.png"] * (many.MAX_JOBS_IN_PROCESS + 1), workers=2))


def test_a_process_that_is_killed_is_one_sentence() -> None:
    with pytest.raises(StreamtoonError, match="--workers 1"):
        list(parallel_map(os._exit, [1] * (many.MAX_JOBS_IN_PROCESS + 1), workers=2))


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    _save(path, painting(1))
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StreamtoonError, match="No space left"):
        write_image(path, painting(2))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]
