"""Pictures on their way to the network: resized, ahead of it, in batches, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from plain_inception import pictures, random_state
from torch import Tensor

from engines.common.arrays import Image
from engines.errors import StreamtoonError
from eval.features.extract import extract, inception_input, pixels, prefetch
from eval.features.inception import Inception
from eval.features.store import FeatureStore
from eval.features.vectors import FeatureVectors, RowFile


@pytest.fixture(scope="module")
def network() -> Inception:
    return Inception(random_state(), "0" * 64)


def cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -1/2."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def resampling(size: int, target: int) -> NDArray[np.float64]:
    """target x size: each row the kernel, widened by the ratio where it shrinks, inside the picture."""
    ratio = size / target
    width = max(ratio, 1.0)
    centres = (np.arange(target)[:, None] + 0.5) * ratio - 0.5
    weights = cubic((np.arange(size)[None] - centres) / width)
    return np.asarray(weights / weights.sum(1, keepdims=True))


@pytest.mark.parametrize("size", [(720, 50), (150, 400), (299, 299)])
def test_the_resize_is_an_antialiased_bicubic_in_floats(size: tuple[int, int]) -> None:
    (picture,) = pictures(1, 3, *size)
    down, across = resampling(size[0], 299), resampling(size[1], 299)
    values = np.einsum("yh,hwc,xw->cyx", down, picture.astype(np.float64), across, optimize=True)
    expected = (np.clip(values, 0, 255) - 128) / 128
    got = inception_input(picture)
    assert got.dtype == np.float32 and got.min() >= -1 and got.max() <= 127 / 128
    # Pillow cuts the kernel where its centre's pixels end: weights there are next to nothing.
    np.testing.assert_allclose(got, expected, atol=2e-5)
    if size == (299, 299):
        assert np.array_equal(got * 128 + 128, picture.transpose(2, 0, 1))


def test_batches_order_and_store_change_nothing(network: Inception, tmp_path: Path) -> None:
    some = pictures(5)
    ticks: list[int] = []
    with extract(iter(some), network, None, batch=5, probabilities=True) as whole:
        assert whole.values.shape == (5, 2048) and whole.values.dtype == np.float32 and len(whole) == 5
        inputs = torch.from_numpy(np.stack([inception_input(picture) for picture in some]))
        expected = network.features(inputs)
        np.testing.assert_allclose(whole.values, expected.numpy(), rtol=1e-4, atol=1e-4)
        chances = torch.softmax(network.logits(expected).double(), 1).numpy()
        assert whole.probabilities is not None
        np.testing.assert_allclose(whole.probabilities, chances, atol=1e-5)
        with FeatureStore(tmp_path / "s.sqlite") as store:
            with extract(some[1:3], network, store, batch=2) as first:
                np.testing.assert_allclose(first.values, whole.values[1:3], rtol=1e-5, atol=1e-4)
            done = lambda: ticks.append(1)  # noqa: E731
            with extract(some, network, store, batch=2, probabilities=True, tick=done) as mixed:
                np.testing.assert_allclose(mixed.values, whole.values, rtol=1e-5, atol=1e-4)
                assert mixed.probabilities is not None and whole.probabilities is not None
                np.testing.assert_allclose(mixed.probabilities, whole.probabilities, atol=1e-5)
    assert len(ticks) == 5


def test_what_the_store_knows_never_reaches_the_network(
    network: Inception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = pictures(2)
    with FeatureStore(tmp_path / "s.sqlite") as store, extract(some, network, store) as first:
        values = np.array(first.values)
    monkeypatch.setattr(network, "blocks", None)  # a pass through it would now fail
    with FeatureStore(tmp_path / "s.sqlite") as store, extract(some, network, store) as again:
        np.testing.assert_array_equal(again.values, values)
    with FeatureStore(tmp_path / "s.sqlite") as store, pytest.raises(TypeError):
        extract([some[0][:, ::-1]], network, store)


def test_features_that_are_not_numbers_name_the_picture(
    network: Inception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Inception.__new__(Inception)
    torch.nn.Module.__init__(broken)
    broken.weights_sha256, broken.classifier = "0" * 64, None
    seen: list[int] = []

    def features(images: Tensor) -> Tensor:
        rows = torch.zeros(len(images), 2048)
        for index in range(len(images)):
            seen.append(index)
            if len(seen) == 4:
                rows[index, 7] = torch.nan
        return rows

    monkeypatch.setattr(broken, "features", features)
    with (
        FeatureStore(tmp_path / "s.sqlite") as store,
        pytest.raises(StreamtoonError, match=r"features of image 4 are not finite"),
    ):
        extract(pictures(5), broken, store, batch=3)
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_errors_of_the_pictures_come_through_and_no_thread_stays(network: Inception) -> None:
    def bad() -> Iterator[Image]:
        yield from pictures(1)
        raise StreamtoonError("photo.jpg: not a picture")

    with pytest.raises(StreamtoonError, match=r"photo\.jpg"):
        extract(bad(), network, None)
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]
    with extract([], network, None) as none:
        assert none.values.shape == (0, 2048) and len(none) == 0


def test_the_thread_is_ahead_by_so_much_and_no_more() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for n in range(100):
            made.append(n)
            yield n

    items = prefetch(numbers(), 3)
    assert next(items) == 0
    end = time.monotonic() + 60
    while len(made) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]
    items.close()
    assert made[-1] <= 4 and not [thread for thread in threading.enumerate() if thread.name == "ahead"]
    assert list(prefetch(range(50), 4)) == list(range(50))


def test_pixels_are_means_over_areas() -> None:
    some = pictures(2, 5, 12, 24)
    with pixels(some, 4) as small:
        for picture, row in zip(some, small.values, strict=True):
            expected = picture.astype(np.float64).reshape(4, 3, 4, 6, 3).mean((1, 3)) / 255
            np.testing.assert_allclose(row.reshape(4, 4, 3), expected, atol=1e-6)
    with pixels([np.full((5, 7, 3), 255, np.uint8)]) as white:
        assert (
            white.values.shape == (1, 64 * 64 * 3)
            and 1 - 1e-6 < white.values.min() <= white.values.max() <= 1
        )


def test_vectors_are_written_in_any_order_and_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rows = np.random.default_rng(0).random((6, 3), np.float32)
    vectors = RowFile(3)
    vectors.put(4, rows[4:])
    vectors.put(0, rows[:4])
    kept = vectors.rows()
    assert isinstance(kept, np.memmap) and not kept.flags.writeable
    vectors.put(1, rows[1:2])
    np.testing.assert_array_equal(vectors.rows(), rows)
    vectors.close()
    np.testing.assert_array_equal(kept, rows)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(StreamtoonError, match=r"features in .*none .*TMPDIR"):
        FeatureVectors(3)
