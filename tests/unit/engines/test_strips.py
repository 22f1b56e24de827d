"""Strips: which rows changed, how far a generator sees, and which rows a strip takes from which frame."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest

from engines.frame import ColorInfo, Frame, Planes
from engines.frame_dedup import LastFrameCache, PendingDrawing
from engines.generators import FIELD_GENERATORS, REACH_BLOCKS, find
from engines.imaging.field_blocks import FieldPlanes
from engines.imaging.working_size import BlockSize
from engines.strips import Strips, changed_block_rows


class Runner:
    """Passes the samples' own mean, of as many rows as it sees above and below, to 40 channels."""

    device, precision, concurrency = "cpu", "fp32", 1

    def __init__(self, reach: int) -> None:
        self.reach = reach

    def __call__(self, image: np.ndarray) -> np.ndarray:
        rows = len(image)
        first = [max(0, row - self.reach) for row in range(rows)]
        seen = [image[top : row + self.reach + 1] for row, top in enumerate(first)]
        codes = np.array([part.astype(int).sum() % 256 for part in seen], np.uint8)
        return np.broadcast_to(codes[:, None, None], (rows, image.shape[1], 40)).copy()

    def close(self) -> None:
        pass


def frame(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> Frame:
    return Frame(y, u, v, 0, Fraction(1, 25), 1, ColorInfo())


def noise(height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    dice = np.random.default_rng(seed)
    half = (height + 1) // 2, (width + 1) // 2
    return [dice.integers(0, 256, shape, np.uint8) for shape in ((height, width), half, half)]


def with_ink(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> FieldPlanes:
    return FieldPlanes(y, u, v, 255 - y)


def remembering(planes: list[np.ndarray]) -> LastFrameCache[Planes]:
    cache = LastFrameCache[Planes]()
    cache.remember(frame(*planes), PendingDrawing(lambda: (planes[0], planes[1], planes[2])))
    return cache


@pytest.mark.parametrize("height", [1, 2, 31, 32, 33, 64, 75, 131])
def test_changed_rows_are_those_that_a_comparison_row_by_row_finds(height: int) -> None:
    dice = np.random.default_rng(height)
    old = noise(height, 9)
    cache = remembering(old)
    for _ in range(80):
        new = [plane.copy() for plane in old]
        for plane in (new[at] for at in dice.integers(0, 3, dice.integers(0, 3))):
            plane[dice.integers(len(plane)), dice.integers(plane.shape[1])] ^= dice.integers(
                1, 256, dtype=np.uint8
            )
        rows = {row for row in range(height) if (new[0][row] != old[0][row]).any()}
        for at in (1, 2):
            pairs = (row for row in range(len(old[at])) if (new[at][row] != old[at][row]).any())
            rows |= {row for pair in pairs for row in (2 * pair, 2 * pair + 1) if row < height}
        expected = (min(rows), max(rows) + 1) if rows else (0, 0)
        assert cache.changed_rows(frame(*new)) == expected
        assert (cache.drawing_of(frame(*new)) is None) == bool(rows)


def test_frames_of_another_size_or_color_are_not_compared() -> None:
    old = noise(32, 16)
    cache = remembering(old)
    assert cache.changed_rows(frame(*old)) == (0, 0)
    assert cache.changed_rows(frame(*noise(32, 18))) is None
    other = dataclasses.replace(frame(*old), color=ColorInfo(full_range=True))
    assert cache.changed_rows(other) is None
    cache.forget()
    assert cache.changed_rows(frame(*old)) is None


def test_planes_with_room_between_their_rows_are_compared() -> None:
    """As decoders give them; what lies between the rows does not count."""
    wide = noise(64, 48)
    old = [plane[:, : plane.shape[1] * 5 // 6] for plane in wide]
    cache = remembering(old)
    for plane in wide:
        plane[:, -1] ^= 1
    assert cache.changed_rows(frame(*old)) == (0, 0)
    old[0][63, 0] ^= 1
    assert cache.changed_rows(frame(*old)) == (63, 64)


@pytest.mark.parametrize("height, scale, multiple", [
    (64, 1.0, 1), (61, 1.0, 1), (64, 1.0, 2), (60, 1.0, 2),
    (61, 0.5, 1), (97, 0.37, 1), (130, 2 / 3, 2), (30, 0.1, 1), (64, 1.5, 1), (61, 1.5, 2), (97, 1.13, 2),
])  # fmt: skip
def test_rows_of_blocks_contain_every_change_of_the_scaled_planes(
    height: int, scale: float, multiple: int
) -> None:
    from engines.fields_engine import _small

    size = BlockSize.of(height, 24, scale, multiple)
    old = noise(height, 24)
    before = _small((old[0], old[1], old[2]), ColorInfo(), size)
    cache = remembering(old)
    for at, row in [(0, row) for row in range(height)] + [(1, row) for row in range(len(old[1]))]:
        new = [plane.copy() for plane in old]
        new[at][row] = 255 - new[at][row]
        after = _small((new[0], new[1], new[2]), ColorInfo(), size)
        rows = {
            r // (4 if plane == 0 else 2)
            for plane in range(3)
            for r in np.flatnonzero((after[plane] != before[plane]).any(axis=1))
        }
        changed = cache.changed_rows(frame(*new))
        assert changed is not None
        first, end = changed_block_rows(changed, height, size)
        assert 0 <= first < end <= size.given[0]
        assert rows <= set(range(first, end))
        if scale == 1 and multiple == 1:
            assert rows == set(range(first, end))


@pytest.mark.parametrize("name", FIELD_GENERATORS)
def test_a_generator_sees_as_far_as_its_entry_says(name: str) -> None:
    """Changes a single block and looks how far the fields differ, at every place within a stride."""
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")
    torch.manual_seed(0)
    network = find(name)().double().eval()
    with torch.no_grad():
        for weight in network.parameters():  # positive, so that nothing cancels out and no ReLU cuts off
            weight.copy_(torch.rand_like(weight) / weight[0].numel())
        reach, multiple = REACH_BLOCKS[name], int(network.size_multiple)  # type: ignore[arg-type]
        side = -(-(2 * reach + 12) // multiple) * multiple
        samples = torch.rand(1, 24, side, side, dtype=torch.float64)
        before = network(samples)
        furthest = 0
        for at in range(side // 2, side // 2 + multiple):
            changed = samples.clone()
            changed[:, :, at, at] += 1
            rows, columns = (network(changed) != before)[0].any(0).nonzero(as_tuple=True)
            distance = max(int((each - at).abs().max()) for each in (rows, columns))
            furthest = max(furthest, distance)
    assert furthest == reach


@pytest.mark.parametrize(
    "rows, reach, multiple", [(40, 2, 1), (41, 3, 1), (40, 2, 2), (180, 17, 1), (7, 1, 1), (3, 5, 1)]
)
def test_a_strip_gives_every_row_of_the_whole_frame(
    rows: int, reach: int, multiple: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By brute force, over all ranges of rows, with a stand-in for the network that sees `reach` rows."""
    monkeypatch.setattr("engines.strips.OPEN_AFTER", 1)
    size = BlockSize.of(4 * rows, 8, 1.0, multiple)
    opened: list[tuple[int, int]] = []

    def open_at(height: int, columns: int) -> Runner:
        opened.append((height, columns))
        return Runner(reach)

    strips = Strips(open_at, size, reach, multiple)  # type: ignore[arg-type]
    network = Runner(reach)
    dice = np.random.default_rng(0)
    samples = dice.integers(0, 256, (rows, 2, 24), np.uint8)
    fields = network(samples)
    every = [
        pair
        for pair in itertools.combinations(range(rows + 1), 2)
        if (pair[0] * 7 + pair[1]) % 40 == 0 or rows < 50
    ]
    for changed in every:
        if strips.plan(changed) is None and (height := strips.wanted()) is not None:
            strips.start_opening(height, samples, fields)
            assert strips._opener is not None
            strips._opener.join()
    heights = sorted({rows // 2 // multiple * multiple, rows * 3 // 4 // multiple * multiple} - {0, rows})
    needed = {
        changed: (max(0, changed[0] - 2 * reach) // multiple * multiple, min(rows, changed[1] + 2 * reach))
        for changed in every
    }
    assert sorted(opened) == [
        (height, 2)
        for height in heights
        if height in {min((h for h in heights if end - top <= h), default=0) for top, end in needed.values()}
    ]
    for changed in every:
        planned = strips.plan(changed)
        top, end = needed[changed]
        fits = [height for height in heights if end - top <= height]
        if not fits:
            assert planned is None
            continue
        assert planned is not None
        strip, runner = planned
        assert strip.height == fits[0]
        assert strip.top % multiple == 0
        assert 0 <= strip.top <= strip.first < strip.end <= strip.top + strip.height <= rows
        new = samples.copy()
        new[slice(*changed)] = dice.integers(0, 256, new[slice(*changed)].shape, np.uint8)
        part = runner(new[strip.top : strip.top + strip.height])
        made = fields.copy()
        made[strip.first : strip.end] = part[strip.first - strip.top : strip.end - strip.top]
        assert np.array_equal(made, network(new))


def test_a_strip_is_cut_and_inserted_in_every_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.strips.OPEN_AFTER", 1)
    strips = Strips(lambda *_: Runner(1), BlockSize.of(48, 8, 1.0, 1), 1, 1)  # type: ignore[arg-type]
    assert strips.plan((7, 8)) is None
    assert strips.wanted() == 6
    samples = np.zeros((12, 2, 24), np.uint8)
    strips.start_opening(6, samples, Runner(1)(samples))
    assert strips._opener is not None
    strips._opener.join()
    planned = strips.plan((7, 8))
    assert planned is not None
    strip = planned[0]
    assert (strip.top, strip.height, strip.first, strip.end) == (5, 6, 6, 9)
    y, u, v = noise(48, 8)
    cut = strip.of((y, u, v))
    assert np.array_equal(cut[0], y[20:44])
    assert np.array_equal(cut[1], u[10:22])
    assert np.array_equal(cut[2], v[10:22])
    old, new = noise(48, 8, seed=1), noise(24, 8, seed=2)
    joined = strip.inserted(with_ink(*new), with_ink(*old))
    expected = [plane.copy() for plane in old]
    expected[0][24:36] = new[0][4:16]
    for at in (1, 2):
        expected[at][12:18] = new[at][2:8]
    for plane, wanted in zip(
        (joined.y, joined.u, joined.v, joined.ink), (*expected, 255 - expected[0]), strict=True
    ):
        assert np.array_equal(plane, wanted)


def test_a_runner_is_opened_only_after_enough_frames_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.strips.OPEN_AFTER", 3)
    strips = Strips(lambda *_: Runner(1), BlockSize.of(80, 8, 1.0, 1), 1, 1)  # type: ignore[arg-type]
    wanted = []
    for changed in [(5, 6), (5, 6), (0, 20), (5, 6), (5, 16), (5, 6), (5, 6), (5, 6)]:
        assert strips.plan(changed) is None
        wanted.append(strips.wanted())
    # The fifth needs three quarters of the frame. Half of it must wait until they are open.
    assert wanted == [None, None, None, None, None, 15, None, None]


def test_frames_are_drawn_whole_if_there_is_no_memory_for_a_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.strips.OPEN_AFTER", 1)

    def open_at(height: int, columns: int) -> Runner:
        raise MemoryError

    strips = Strips(open_at, BlockSize.of(80, 8, 1.0, 1), 1, 1)  # type: ignore[arg-type]
    samples = np.zeros((20, 2, 24), np.uint8)
    for changed, height in (((5, 6), 10), ((5, 16), 15)):
        assert strips.plan(changed) is None
        assert strips.wanted() == height
        strips.start_opening(height, samples, Runner(1)(samples))
        assert strips._opener is not None
        strips._opener.join()
        assert strips.plan(changed) is None
        assert strips.wanted() is None
    strips.close()
