"""Edge-smoothed copies, collages cut apart, superpixels and their cache."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from film_clips import painting
from numpy.typing import NDArray

from engines.common.image_files import list_images, read_image, write_image
from engines.errors import StreamtoonError
from training.curation.collages import QUARTERS, Quarter, cut_folder, find_seams
from training.curation.smooth import smooth_edges, smooth_folder

Picture = NDArray[np.uint8]


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", painting(1))
    for name in ("._a.png", ".thumbnails/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"a system's own")
    assert list_images(tmp_path) == [tmp_path / "a.png"]


# --- edge smoothing -----------------------------------------------------------------------------------


def test_edges_are_smoothed_and_all_else_keeps_its_pixels() -> None:
    picture = painting(1)
    smooth = smooth_edges(picture)
    edges = cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 100, 200) > 0
    height, width = edges.shape
    padded = np.pad(picture.astype(float), ((2, 2), (2, 2), (0, 0)), "reflect")
    # OpenCV's window for a size of 5 (its documentation of getGaussianKernel gives sigma).
    sigma = 0.3 * ((5 - 1) * 0.5 - 1) + 0.8
    line = np.exp(-(np.arange(-2, 3) ** 2) / (2 * sigma**2))
    window = np.outer(line, line) / line.sum() ** 2
    for y in range(0, height, 3):
        for x in range(0, width, 3):
            if edges[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].any():
                expected = (padded[y : y + 5, x : x + 5] * window[..., None]).sum((0, 1))
                assert np.abs(smooth[y, x] - expected).max() <= 2.5, (y, x)
            else:
                assert (smooth[y, x] == picture[y, x]).all(), (y, x)


def test_copies_have_the_names_of_their_originals_and_are_made_once(tmp_path: Path) -> None:
    here, there = tmp_path / "drawings", tmp_path / "smooth"
    for name in ("a.png", "deep/b.webp", "deep/c.jpg"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(here / name, painting(len(name)))
    (here / "broken.png").write_bytes(b"no")
    done = smooth_folder(here, there)
    assert (done.written, done.present, len(done.failed)) == (3, 0, 1)
    assert "broken.png" in done.failed[0]
    names = [path.relative_to(there).as_posix() for path in list_images(there)]
    assert names == ["a.png", "deep/b.webp", "deep/c.jpg"]
    np.testing.assert_array_equal(
        read_image(there / "deep/b.webp"), smooth_edges(read_image(here / "deep/b.webp"))
    )
    stamps = {path: path.stat().st_mtime_ns for path in list_images(there)}
    (there / "a.png").unlink()
    os.utime(here / "deep/c.jpg", (2e9, 2e9))  # drawn anew since
    done = smooth_folder(here, there)
    assert (done.written, done.present) == (2, 1)
    assert (there / "deep/b.webp").stat().st_mtime_ns == stamps[there / "deep/b.webp"]


def test_copies_among_their_originals_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", painting(1))
    for out in (tmp_path, tmp_path / "smooth", tmp_path.parent):
        with pytest.raises(StreamtoonError, match="inside one another"):
            smooth_folder(tmp_path, out)


def test_copies_of_another_width_and_other_files_are_refused(tmp_path: Path) -> None:
    here, there, mine = (tmp_path / name for name in ("drawings", "smooth", "mine"))
    here.mkdir()
    mine.mkdir()
    write_image(here / "a.png", painting(1))
    write_image(mine / "a.png", painting(2))
    smooth_folder(here, there)
    with pytest.raises(StreamtoonError, match="5 pixels, not 9"):
        smooth_folder(here, there, width=9)
    with pytest.raises(StreamtoonError, match="other files"):
        smooth_folder(here, mine)
    np.testing.assert_array_equal(read_image(mine / "a.png"), painting(2))


def test_copies_that_cannot_be_written_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "drawings" / "deep").mkdir(parents=True)
    write_image(tmp_path / "drawings" / "deep" / "a.png", painting(1))
    smooth_folder(tmp_path / "drawings", tmp_path / "smooth")
    (tmp_path / "smooth" / "deep" / "a.png").unlink()
    (tmp_path / "smooth" / "deep").rmdir()
    (tmp_path / "smooth" / "deep").touch()
    with pytest.raises(StreamtoonError, match="cannot create"):
        smooth_folder(tmp_path / "drawings", tmp_path / "smooth")


# --- collages -----------------------------------------------------------------------------------------


def _collage(parts: list[Picture], gap: int = 0) -> Picture:
    height, width = parts[0].shape[:2]
    whole = np.full((2 * height + gap, 2 * width + gap, 3), 255, np.uint8)
    for n, part in enumerate(parts):
        top, left = n // 2 * (height + gap), n % 2 * (width + gap)
        whole[top : top + height, left : left + width] = part
    return whole


PARTS = [painting(seed, size=(200, 160)) for seed in range(11, 15)]


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("quality", [None, 80])
def test_quarters_are_cut_at_the_seams(gap: int, quality: int | None) -> None:
    collage = _collage(PARTS, gap)
    if quality:
        _, data = cv2.imencode(".jpg", collage, [cv2.IMWRITE_JPEG_QUALITY, quality])
        collage = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    seams = find_seams(collage)
    assert seams
    assert (seams.rows, seams.columns) == ((160, 160 + gap), (200, 200 + gap))
    for quarter, part in zip(QUARTERS, PARTS, strict=True):
        assert np.abs(seams.cut(collage, quarter).astype(int) - part).mean() <= (8 if quality else 0)


def test_a_seam_off_the_middle_gives_quarters_of_one_size() -> None:
    collage = _collage(PARTS)[:, 4:]
    seams = find_seams(collage)
    assert seams
    assert seams.columns == (196, 196)
    assert {seams.cut(collage, quarter).shape for quarter in QUARTERS} == {(160, 196, 3)}
    np.testing.assert_array_equal(seams.cut(collage, "top-right"), PARTS[1][:, :196])


def test_what_is_no_collage_of_four_is_told() -> None:
    assert find_seams(painting(1, size=(400, 300))) is None
    assert find_seams(np.hstack(PARTS[:2])) is None
    assert find_seams(np.vstack(PARTS[:2])) is None
    assert find_seams(_collage(PARTS)[:, 60:]) is None  # seams, but not in the middle
    half = _collage([PARTS[0], PARTS[1], PARTS[2], PARTS[3]])
    half[160:] = painting(20, size=(400, 160))  # two above, one below
    assert find_seams(half) is None
    assert find_seams(np.zeros((8, 8, 3), np.uint8)) is None


@pytest.mark.skipif("STREAMTOON_DATA" not in os.environ, reason="needs photographs: set STREAMTOON_DATA")
def test_photographs_are_no_collages() -> None:
    photos = list_images(Path(os.environ["STREAMTOON_DATA"]) / "photos" / "free" / "heldout")[:150]
    assert [path.name for path in photos if find_seams(read_image(path))] == []


def test_pairs_that_could_overwrite_the_collages_are_refused(tmp_path: Path) -> None:
    here = tmp_path / "pairs" / "real"
    here.mkdir(parents=True)
    write_image(here / "a.png", _collage(PARTS))
    for out in (here, here / "out", tmp_path / "pairs"):
        with pytest.raises(StreamtoonError, match="inside one another"):
            cut_folder(here, out)
    np.testing.assert_array_equal(read_image(here / "a.png"), _collage(PARTS))


@pytest.mark.parametrize("real, cartoon", [("top-left", "top-right"), ("bottom-right", "bottom-left")])
def test_a_folder_of_collages_becomes_pairs(tmp_path: Path, real: Quarter, cartoon: Quarter) -> None:
    here, out = tmp_path / "crawled", tmp_path / "pairs"
    (here / "more").mkdir(parents=True)
    write_image(here / "a.png", _collage(PARTS))
    write_image(here / "more" / "b.png", _collage(PARTS[::-1]))
    write_image(here / "a.webp", _collage(PARTS))
    write_image(here / "single.png", painting(1, size=(400, 300)))
    (here / "broken.png").write_bytes(b"no")
    done = cut_folder(here, out, real=real, cartoon=cartoon)
    assert done.pairs == 3
    assert [line.split(":")[0] for line in done.left_out] == ["broken.png", "single.png"]
    names = [path.relative_to(out / "real").as_posix() for path in list_images(out / "real")]
    assert names == ["a.png.png", "a.webp.png", "more/b.png"]
    parts = dict(zip(QUARTERS, PARTS[::-1], strict=True))
    np.testing.assert_array_equal(read_image(out / "real/more/b.png"), parts[real])
    np.testing.assert_array_equal(read_image(out / "cartoon/more/b.png"), parts[cartoon])


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P"])
def test_what_is_transparent_lies_on_white(tmp_path: Path, suffix: str, kind: str) -> None:
    """Pillow's own composition over white is the reference."""
    values = np.random.default_rng(0).integers(0, 256, (24, 20, 4), dtype=np.uint8)
    values[..., 3] = np.repeat([0, 90, 255, 255], 5)
    given = PIL.Image.fromarray(values, "RGBA").convert(kind)
    if kind == "P":
        given.info["transparency"] = 7
    path = tmp_path / f"drawing{suffix}"
    given.save(path, lossless=True, exact=True) if suffix == ".webp" else given.save(path)
    stored = PIL.Image.open(path).convert("RGBA")
    white = PIL.Image.new("RGBA", stored.size, "white")
    expected = np.asarray(PIL.Image.alpha_composite(white, stored).convert("RGB"), int)
    assert np.abs(read_image(path).astype(int) - expected).max() <= 1
