"""Votes: pictures made once, orders, and the table through kills."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from small_vote import NAMES, Tinted, make_ballot, make_photos, tinted

from engines.common.image_files import read_image, write_image
from engines.errors import StreamtoonError
from eval.voting.ballot import Ballot, VoteItem
from eval.voting.gallery import choose, prepare
from eval.voting.vote_log import VoteLog, read_votes
from eval.voting.webp_padding import OVERHEAD_BYTES, pad_webp


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def ballot(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Ballot:
    return make_ballot(photos, tmp_path_factory.mktemp("work"))


def test_pictures_are_made_once_and_again_only_for_what_has_changed(photos: Path, tmp_path: Path) -> None:
    first, again, other = tinted(), tinted(), tinted()
    ticks: list[tuple[int, int]] = []
    one = prepare(first, choose(photos, 3, 0)[0], tmp_path, tick=lambda *tick: ticks.append(tick))
    two = prepare(again, choose(photos, 4, 0)[0], tmp_path)
    assert ticks[-1] == (9, 9)
    assert [candidate.asked for candidate in (*first, *again)] == [3, 3, 3, 1, 1, 1]
    assert {item.photo for item in one.items} < {item.photo for item in two.items}
    other[1].facts["color"] = 9
    prepare(other, choose(photos, 4, 0)[0], tmp_path)
    assert [candidate.asked for candidate in other] == [0, 4, 0]


def test_a_result_is_shown_at_its_photos_size_and_of_its_colors(ballot: Ballot) -> None:
    item = ballot.items[0]
    for color, name in enumerate(NAMES):
        picture = read_image(item.results[name])
        assert picture.shape == read_image(item.original).shape
        assert picture[..., color].mean() > 235


def test_photos_that_do_not_serve_are_named_and_too_few_are_one_sentence(
    photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(photos, folder)
    shutil.copy(folder / "0.png", folder / "copy.png")
    (folder / "broken.png").write_bytes(b"no picture")
    chosen, skipped = choose(folder, 6, 0)
    assert len({photo.key for photo in chosen}) == 6
    with pytest.raises(StreamtoonError, match="has 6 photos that can be voted on, but 7 are needed"):
        choose(folder, 7, 0)
    assert {one.path.name for one in skipped} <= {"0.png", "copy.png", "broken.png"}


def test_equal_names_one_candidate_and_other_shapes_are_one_sentence_each(
    photos: Path, tmp_path: Path
) -> None:
    chosen, _ = choose(photos, 2, 0)
    with pytest.raises(StreamtoonError, match="two candidates are called a"):
        prepare([Tinted("a", 0), Tinted("a", 1)], chosen, tmp_path)
    with pytest.raises(StreamtoonError, match="2 to 9 candidates, but there are 1"):
        prepare([Tinted("a", 0)], chosen, tmp_path)
    square = Tinted("square", 0)
    square.pictures = lambda paths: (np.zeros((50, 50, 3), np.uint8) for _ in paths)  # type: ignore[method-assign]
    with pytest.raises(StreamtoonError, match=r"square: its result for .* is 50x50, which is not the shape"):
        prepare([Tinted("a", 0), square], chosen, tmp_path)


@pytest.mark.parametrize("quality", [40, 101])
@pytest.mark.parametrize("room", [OVERHEAD_BYTES, 999, 5000])
def test_a_padded_file_has_the_length_and_the_same_picture(quality: int, room: int, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (33, 45, 3), dtype=np.uint8)
    write_image(tmp_path / "a.webp", picture, quality)
    data = (tmp_path / "a.webp").read_bytes()
    longer = pad_webp(data, len(data) + room)
    assert len(longer) == len(data) + room + room % 2
    with PillowImage.open(io.BytesIO(data)) as before, PillowImage.open(io.BytesIO(longer)) as after:
        assert np.array_equal(np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB")))


# --- orders -------------------------------------------------------------------------------------------


def test_orders_are_kept_for_a_reviewer_and_even_over_many() -> None:
    items = tuple(VoteItem(f"{n}.png", Path("x"), {}) for n in range(50))
    ballot, again = Ballot(("a", "b", "c"), items, 1), Ballot(("c", "a", "b"), items[::-1], 1)
    assert [p.photo for p in ballot.queue("Anna")] == [p.photo for p in again.queue("anna")]
    assert [p.photo for p in ballot.queue("Anna")] != [p.photo for p in ballot.queue("Bob")]
    seen = Counter(ballot.shown(f"{n}", item) for n in range(24) for item in items)
    assert len(seen) == 6
    expected = 24 * 50 / 6
    assert sum((count - expected) ** 2 / expected for count in seen.values()) < 20.5  # chi-square, 5, 0.1 %


# --- the table ----------------------------------------------------------------------------------------


def test_the_table_is_what_was_cast_and_a_spreadsheet_runs_none_of_it(ballot: Ballot, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    with VoteLog(path, ballot) as box:
        item = box.queue("=1+1")[0]
        box.cast("=1+1", item, ballot.shown("=1+1", item).index("=risky"))
        box.cast("'quoted", item, 0)
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    assert rows[0] == ["time", "reviewer", "photo", "pick", "shown 1", "shown 2", "shown 3", "pictures"]
    assert (rows[1][1], rows[1][3], rows[2][1]) == ("'=1+1", "'=risky", "''quoted")
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    first, second = read_votes(path)
    assert (first.reviewer, first.photo, first.pick) == ("=1+1", item.photo, "=risky")
    assert set(first.shown) == set(NAMES) and second.reviewer == "'quoted"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", first.time)


def test_undo_takes_back_the_last_and_shows_it_again(ballot: Ballot, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    with VoteLog(path, ballot) as box:
        assert not box.take_back("Anna")
        first, second = box.queue("Anna")[:2]
        box.cast("Anna", first, 0)
        box.cast("anna", second, 1)
        assert box.take_back("Anna") and box.queue("Anna")[0] is second
        assert box.take_back("Anna") and [*box.queue("Anna")[:2]] == [first, second]
        box.cast("Anna", first, 2)
    with VoteLog(path, ballot) as box:
        assert [vote.pick for vote in box.tally] == [ballot.shown("Anna", first)[2]]
        assert box.queue("ANNA")[0] is second and box.tally.spelling("ANNA") == "Anna"


def test_every_cut_of_the_file_opens_with_all_whole_rows(ballot: Ballot, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    with VoteLog(path, ballot) as box:
        for item in box.queue("Zoë")[:3]:
            box.cast("Zoë", item, 0)
    data = path.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        complete = data[:end].count(b"\n") - 1 + bool(re.search(rb",p[0-9a-f]{11}\r?\Z", data[:end]))
        with VoteLog(path, ballot) as box:
            assert len(box.tally.of("Zoë")) == max(0, complete), data[:end]
            box.cast("Zoë", box.queue("Zoë")[0], 1)
        assert len(read_votes(path)) == max(0, complete) + 1


@pytest.mark.parametrize(
    "data",
    [b"a,b\r\n1,2\r\n", b"\x89PNG\r\n\x1a\n\0\0", b"\xff\xfe\n", b"no line's end", b"time,reviewer\r\n"],
)
def test_a_file_that_is_no_table_of_votes_is_one_sentence_and_stays(
    data: bytes, ballot: Ballot, tmp_path: Path
) -> None:
    path = tmp_path / "votes.csv"
    path.write_bytes(data)
    with pytest.raises(StreamtoonError, match=r"is not a table of votes"):
        VoteLog(path, ballot)
    assert path.read_bytes() == data


def test_another_votes_table_is_one_sentence_and_stays(ballot: Ballot, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    with VoteLog(path, ballot) as box:
        box.cast("Anna", ballot.items[0], 0)
    data = path.read_bytes()
    fewer = Ballot(ballot.candidates[:2], ballot.items, 7)
    with pytest.raises(StreamtoonError, match=r"a vote on other candidates \(=risky, cobalt, third"):
        VoteLog(path, fewer)
    with pytest.raises(StreamtoonError, match="photos that are not in this one"):
        VoteLog(path, Ballot(ballot.candidates, ballot.items[1:], 7))
    first, second = ballot.items[:2]
    swapped = VoteItem(first.photo, first.original, second.results)
    with pytest.raises(StreamtoonError, match="other images with the same names"):
        VoteLog(path, Ballot(ballot.candidates, (swapped, *ballot.items[1:]), 7))
    assert path.read_bytes() == data


def test_a_second_server_on_one_table_is_refused(ballot: Ballot, tmp_path: Path) -> None:
    with (
        VoteLog(tmp_path / "votes.csv", ballot),
        pytest.raises(StreamtoonError, match="is in use by another vote"),
    ):
        VoteLog(tmp_path / "votes.csv", ballot)
    VoteLog(tmp_path / "votes.csv", ballot).close()


def test_a_pick_that_cannot_be_written_leaves_no_half_row(
    ballot: Ballot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VoteLog(tmp_path / "votes.csv", ballot) as box:
        box.cast("Anna", ballot.items[0], 0)
        before, write = box.path.read_bytes(), os.write
        with monkeypatch.context() as full:
            full.setattr(os, "write", lambda file, data: write(file, data[:9]))
            with pytest.raises(StreamtoonError, match="the disk is full"):
                box.cast("Anna", ballot.items[1], 0)
        assert box.path.read_bytes() == before
        assert len(box.tally.of("Anna")) == 1
