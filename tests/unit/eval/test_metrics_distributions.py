"""FID, KID, IS, MMD and ArtFID against closed forms, plain loops, scipy and torchmetrics; bad sets."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist

import eval.metrics.kid
from engines.errors import StreamtoonError
from eval.metrics.artfid import artfid
from eval.metrics.fid import Moments, fid
from eval.metrics.inception_score import inception_score
from eval.metrics.kid import kid
from eval.metrics.mmd import median_distance, mmd
from eval.metrics.one_nn import one_nn

Array = NDArray[np.float64]
BUFFERS = pytest.mark.filterwarnings("ignore:Metric .* will save all extracted features:UserWarning")


def draw(count: int, width: int = 6, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> Array:
    return np.random.default_rng(seed).normal(shift, scale, (count, width))


def exactly(mean: Array, covariance: Array, count: int, seed: int) -> Array:
    """Pictures whose sample moments are the given ones to the last digits."""
    x = draw(count, len(mean), seed)
    x -= x.mean(0)
    x = np.linalg.solve(np.linalg.cholesky(np.cov(x.T)), x.T).T
    return x @ np.linalg.cholesky(covariance).T + mean


def usual_fid(a: Array, b: Array) -> float:
    root = np.real(scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)))
    traces = np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    return float(np.square(a.mean(0) - b.mean(0)).sum() + traces)


def both(a: Array, b: Array) -> float:
    return fid(Moments.of(a), Moments.of(b))


class FeaturesAsPictures(torch.nn.Module):
    """Lets torchmetrics take feature vectors for pictures: it knows a network by what it gives."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def pictures(features: Array) -> torch.Tensor:
    return torch.from_numpy(features)[:, :, None, None]


def test_fid_of_diagonal_gaussians_is_known() -> None:
    a, b = np.array([1.0, 2.0, 0.5, 3.0]), np.array([2.0, 2.0, 0.1, 0.0001])
    means = np.array([1.0, -2.0, 0, 5.0]), np.array([0.0, -2.0, 3.0, 5.5])
    x, y = (exactly(m, np.diag(s**2), 50, n) for n, (m, s) in enumerate(zip(means, (a, b), strict=True)))
    expected = np.square(means[0] - means[1]).sum() + np.square(a - b).sum()
    assert both(x, y) == pytest.approx(expected, rel=1e-11)
    turn = np.linalg.qr(draw(4, 4, 9))[0]
    assert both(x @ turn, y @ turn) == pytest.approx(expected, rel=1e-11)


def test_fid_of_gaussians_turned_against_each_other_is_known() -> None:
    angle = 0.7
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    a, b = np.diag([9.0, 0.25]), turn @ np.diag([4.0, 1.0]) @ turn.T
    # Of a 2 x 2 matrix M with eigenvalues p, q: sqrt p + sqrt q = sqrt(tr M + 2 sqrt det M).
    root = math.sqrt(np.trace(a @ b) + 2 * math.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a + b) - 2 * root
    x, y = exactly(np.zeros(2), a, 30, 0), exactly(np.zeros(2), b, 40, 1)
    assert both(x, y) == pytest.approx(expected, rel=1e-10)


def test_fid_agrees_with_scipys_matrix_root_and_with_torchmetrics() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    a, b = draw(300, 20, 1) @ draw(20, 20, 2), draw(200, 20, 3, 0.4) @ draw(20, 20, 4)
    assert both(a, b) == pytest.approx(usual_fid(a, b), rel=1e-9)
    theirs = FrechetInceptionDistance(FeaturesAsPictures(20), input_img_size=(20, 1, 1))
    theirs.set_dtype(torch.float64)
    theirs.update(pictures(a), real=True)
    theirs.update(pictures(b), real=False)
    assert both(a, b) == pytest.approx(float(theirs.compute()), rel=1e-9)


@pytest.mark.parametrize("counts", [(12, 9), (30, 9), (2, 2)])
def test_fid_of_fewer_pictures_than_features_is_exact(counts: tuple[int, int]) -> None:
    a, b = draw(counts[0], 64, 1) + 5, draw(counts[1], 64, 2, 1.0) + 5
    # The same in the pictures' own space, where every covariance has full rank.
    x, y = a - a.mean(0), b - b.mean(0)
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum() / math.sqrt((len(a) - 1) * (len(b) - 1))
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.var(a, 0, ddof=1).sum()
    expected += np.var(b, 0, ddof=1).sum() - 2 * root
    assert both(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("count", "width"), [(500, 16), (20, 128), (2, 5)])
def test_fid_of_a_set_against_itself_is_zero(count: int, width: int) -> None:
    # Deviations from 1e-6 to 1e2 beside means of 3: what rounded eigenvalues' roots are worst at.
    a = draw(count, width) * np.geomspace(1e-6, 1e2, width) + 3
    assert 0 <= both(a, a.copy()) < 1e-9 * np.var(a, 0).sum()
    assert both(np.zeros((3, 4)), np.zeros((5, 4))) == 0


@pytest.mark.parametrize(("count", "width"), [(700, 40), (30, 96)])
def test_fid_does_not_know_the_order_or_the_batches(count: int, width: int) -> None:
    a = np.abs(draw(count, width, 1)).astype(np.float32)
    b = Moments.of(np.abs(draw(count, width, 2, 0.2)))
    expected = fid(Moments.of(a), b)
    shuffled = a[np.random.default_rng(3).permutation(count)]
    for batch in (1, 7, count):
        moments = Moments(width)
        for start in range(0, count, batch):
            moments.add(shuffled[start : start + batch])
        assert moments.count == count
        assert fid(moments, b) == pytest.approx(expected, abs=1e-6)


def test_fid_from_a_mapped_file_takes_little_memory(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "features", np.float32, "w+", shape=(100_000, 16))
    for start in range(0, len(mapped), 10_000):
        mapped[start : start + 10_000] = draw(10_000, 16, start)
    tracemalloc.start()
    moments = Moments.of(mapped)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < mapped.nbytes / 4
    np.testing.assert_allclose(moments.covariance, np.cov(mapped.astype(np.float64).T), atol=1e-12)


def kid_by_loops(a: Array, b: Array) -> float:
    def k(x: Array, y: Array) -> float:
        return float((sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3)

    return by_loops(a, b, k)


def by_loops(a: Array, b: Array, k: Callable[[Array, Array], float]) -> float:
    n, m = len(a), len(b)
    within_a = sum(k(a[i], a[j]) for i, j in product(range(n), range(n)) if i != j) / (n * (n - 1))
    within_b = sum(k(b[i], b[j]) for i, j in product(range(m), range(m)) if i != j) / (m * (m - 1))
    return within_a + within_b - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


@BUFFERS
def test_kid_of_whole_sets_is_the_double_loop_and_torchmetrics() -> None:
    from torchmetrics.image.kid import KernelInceptionDistance

    a, b = draw(14, 6, 1), draw(14, 6, 2, 0.5)
    ours = kid(a, b, subsets=3, seed=0)
    assert ours.mean == pytest.approx(kid_by_loops(a, b), rel=1e-10)
    assert ours.std == pytest.approx(0, abs=1e-12)
    theirs = KernelInceptionDistance(FeaturesAsPictures(6), subsets=2, subset_size=14)
    theirs.set_dtype(torch.float64)
    theirs.update(pictures(a), real=True)
    theirs.update(pictures(b), real=False)
    assert ours.mean == pytest.approx(float(theirs.compute()[0]), rel=1e-10)


def test_kids_subsets_have_the_whole_sets_for_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = draw(40, 5, 1), draw(30, 5, 2, 0.3)
    ours = kid(a, b, subsets=400, subset_size=10, seed=1)
    whole = kid_by_loops(a, b)
    assert abs(ours.mean - whole) < 4 * ours.std / math.sqrt(400)
    assert ours == kid(a, b, subsets=400, subset_size=10, seed=1)
    assert ours.mean != kid(a, b, subsets=400, subset_size=10, seed=2).mean
    monkeypatch.setattr(eval.metrics.kid, "MAX_CACHED_IMAGES", 0)
    assert kid(a, b, subsets=400, subset_size=10, seed=1) == pytest.approx(ours, rel=1e-9)


def test_kid_shrinks_its_subsets_to_the_smaller_set() -> None:
    a, b = draw(40, 5, 1), draw(9, 5, 2)
    assert kid(a, b, seed=3) == kid(a, b, subset_size=9, seed=3)
    assert kid(a, b, seed=3).std > 0


def test_kid_of_a_set_against_itself_is_what_the_loops_say_and_below_zero() -> None:
    a = draw(20, 4, 1)
    assert kid(a, a, seed=0).mean == pytest.approx(kid_by_loops(a, a), rel=1e-9)
    assert kid(a, a, seed=0).mean < 0


def test_kid_has_no_bias() -> None:
    # One feature x ~ N(mu, s^2): E (x y + 1)^3 is a sum of products of the moments up to the third.
    def moments(mu: float, s: float) -> Array:
        return np.array([1, mu, mu**2 + s**2, mu**3 + 3 * mu * s**2])

    truth = float(np.array([1, 3, 3, 1]) @ np.square(moments(0.2, 0.5) - moments(0.4, 0.6)))
    values = [
        kid(draw(6, 1, n, 0.2, 0.5), draw(6, 1, 10_000 + n, 0.4, 0.6), subsets=1, seed=0).mean
        for n in range(2000)
    ]
    assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(2000)


@BUFFERS
@pytest.mark.filterwarnings("ignore:std..:UserWarning")  # its deviation of one split
def test_inception_score_agrees_with_torchmetrics_and_with_loops() -> None:
    from torchmetrics.image.inception import InceptionScore

    logits = draw(45, 7, 1, scale=2)
    p = scipy.special.softmax(logits, axis=1)
    theirs = InceptionScore(FeaturesAsPictures(7), splits=1)
    theirs.set_dtype(torch.float64)
    theirs.update(pictures(logits))
    assert inception_score(p, splits=1, seed=5).mean == pytest.approx(float(theirs.compute()[0]), rel=1e-6)
    shuffled = p[np.random.default_rng(5).permutation(45)]
    scores = []
    for split in (shuffled[:12], shuffled[12:23], shuffled[23:34], shuffled[34:]):
        marginal = split.mean(0)
        terms = [
            sum(q * (math.log(q) - math.log(r)) for q, r in zip(row, marginal, strict=True)) for row in split
        ]
        scores.append(math.exp(sum(terms) / len(terms)))
    ours = inception_score(p, splits=4, seed=5)
    assert ours == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-10)


def test_inception_score_lies_between_one_and_the_classes() -> None:
    sure = np.eye(5, dtype=np.float32).repeat(6, 0)
    assert inception_score(sure, splits=1, seed=0).mean == pytest.approx(5)
    alike = np.tile(np.array([0.5, 0.25, 0.25, 0.0]), (30, 1))
    assert inception_score(alike, seed=0) == pytest.approx((1, 0), abs=1e-12)
    with pytest.raises(ValueError, match="distributions"):
        inception_score(alike * 2, seed=0)


def gaussian_kernel(sigma: float) -> Callable[[Array, Array], float]:
    return lambda x, y: math.exp(-sum((p - q) ** 2 for p, q in zip(x, y, strict=True)) / (2 * sigma**2))


def test_mmd_is_the_double_loop() -> None:
    a, b = draw(13, 4, 1), draw(17, 4, 2, 0.5)
    for sigma in (0.3, 2.0):
        assert mmd(a, b, sigma=sigma) == pytest.approx(by_loops(a, b, gaussian_kernel(sigma)), rel=1e-10)
    assert mmd(a, a, sigma=1) == pytest.approx(by_loops(a, a, gaussian_kernel(1)), rel=1e-10)
    assert mmd(a, a, sigma=1) < 0


def test_mmd_over_many_blocks_agrees_with_scipy() -> None:
    a, b = draw(1500, 3, 1) + 50, draw(1100, 3, 2, 0.1) + 50
    whole = [np.exp(-cdist(x, y, "sqeuclidean") / 8) for x, y in ((a, a), (b, b), (a, b))]
    n, m = len(a), len(b)
    expected = (whole[0].sum() - n) / (n * (n - 1)) + (whole[1].sum() - m) / (m * (m - 1))
    expected -= 2 * whole[2].mean()
    assert mmd(a, b, sigma=2) == pytest.approx(expected, rel=1e-8)
    order = np.random.default_rng(0).permutation(n)
    assert mmd(a[order], b, sigma=2) == pytest.approx(expected, rel=1e-8)


def test_mmd_has_no_bias() -> None:
    def expected_kernel(shift: float, variance: float, sigma: float = 1.5, width: int = 3) -> float:
        spread = sigma**2 + variance
        return (sigma**2 / spread) ** (width / 2) * math.exp(-width * shift**2 / (2 * spread))

    truth = expected_kernel(0, 2) + expected_kernel(0, 2 * 0.49) - 2 * expected_kernel(0.5, 1.49)
    values = [mmd(draw(8, 3, n), draw(7, 3, 9999 + n, 0.5, 0.7), sigma=1.5) for n in range(1500)]
    assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(1500)


def test_median_distance_is_that_of_all_pairs_of_the_first_set() -> None:
    a = draw(31, 5, 1) + 1000
    assert median_distance(a, seed=0) == pytest.approx(np.median(pdist(a)), rel=1e-9)
    many = draw(1500, 2, 2)
    assert median_distance(many, seed=0) == median_distance(many, seed=0)
    assert median_distance(many, seed=0) == pytest.approx(np.median(pdist(many)), rel=0.05)


def test_drawings_without_any_difference_have_no_scale() -> None:
    same = np.tile(draw(1, 8), (10, 1))
    with pytest.raises(StreamtoonError, match="the same image"):
        median_distance(same, seed=0)
    with pytest.raises(ValueError, match="sigma"):
        mmd(same, same, sigma=0)


def test_artfid_is_the_product() -> None:
    assert artfid(0, 0) == 1
    assert artfid(0.5, 20.0) == 31.5
    with pytest.raises(ValueError, match="LPIPS"):
        artfid(float("nan"), 20)


METRICS: dict[str, Callable[[Any, Any], object]] = {
    "FID": lambda a, b: fid(Moments.of(a), Moments.of(b)),
    "KID": lambda a, b: kid(a, b, seed=0),
    "MMD": lambda a, b: mmd(a, b, sigma=1),
    "1-NN": lambda a, b: one_nn(a, b, seed=0),
}


@pytest.mark.parametrize("name", METRICS)
def test_too_few_pictures_are_a_sentence_with_numbers(name: str) -> None:
    for few in (0, 1):
        expected = f"{name} needs at least 2 images in each set, but one has {few}"
        with pytest.raises(StreamtoonError, match=expected):
            METRICS[name](draw(5), draw(few))
        with pytest.raises(StreamtoonError, match=expected):
            METRICS[name](draw(few), draw(5))
    METRICS[name](draw(2), draw(2))


def test_the_inception_score_says_how_many_it_needs() -> None:
    with pytest.raises(
        StreamtoonError, match="in 10 splits needs at least 20 images in each set, but one has 19"
    ):
        inception_score(np.full((19, 4), 0.25), seed=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", METRICS)
def test_features_that_are_not_finite_are_a_sentence(name: str, value: float) -> None:
    bad = draw(1100)
    bad[1050, 2] = value
    with pytest.raises(StreamtoonError, match="image 1051 are not finite"):
        METRICS[name](draw(5), bad)


def test_moments_that_refuse_a_block_are_as_before() -> None:
    moments = Moments.of(draw(5))
    bad = draw(3)
    bad[1, 1] = np.nan
    with pytest.raises(StreamtoonError, match="image 7 "):
        moments.add(bad)
    assert fid(moments, Moments.of(draw(5))) == 0
    with pytest.raises(ValueError, match="expected"):
        moments.add(draw(3, 5))


@pytest.mark.parametrize("name", METRICS)
def test_sets_of_different_features_are_a_bug(name: str) -> None:
    with pytest.raises(ValueError, match=r"5 and 6 features|6 and 5 features"):
        METRICS[name](draw(4, 5), draw(4, 6))
