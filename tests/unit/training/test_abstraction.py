"""The abstraction program's filters against direct loops, and what its fields promise."""

import math

import cv2
import numpy as np
import pytest

from training.abstraction.bilateral import oriented_bilateral
from training.abstraction.fields import MAX_RESPONSE, MIN_RESPONSE, fields_of
from training.abstraction.flow_dog import flow_dog, smoothstep
from training.abstraction.tangent_flow import Flow, edge_tangent_flow
from training.recipe import FieldSettings

DICE = np.random.default_rng(5)


def straight(height, width, angle):
    """A flow whose gradient points the same way everywhere."""
    return Flow(
        np.full((height, width), math.cos(angle), np.float32),
        np.full((height, width), math.sin(angle), np.float32),
    )


def sample(plane, x, y):
    """Bilinear interpolation by the definition."""
    height, width = plane.shape
    total = 0.0
    for row in range(max(0, math.floor(y)), min(height, math.floor(y) + 2)):
        for column in range(max(0, math.floor(x)), min(width, math.floor(x) + 2)):
            total += plane[row, column] * max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
    return total


def steps(angle, reach):
    """Offsets of a line's samples to one side, and their distances."""
    dx, dy = round(math.cos(angle), 12), round(math.sin(angle), 12)  # no -6e-17 that ends a line at a border
    length = 1 / max(abs(dx), abs(dy))
    return [(n * dx * length, n * dy * length, n * length) for n in range(1, int(reach / length) + 1)]


@pytest.mark.parametrize("angle", [0.0, 0.5, math.pi / 2, 2.2])
def test_the_flow_points_across_a_straight_edge(angle):
    rows, columns = np.mgrid[:48, :48].astype(np.float32)
    wave = np.sin(0.35 * (columns * math.cos(angle) + rows * math.sin(angle)))
    flow = edge_tangent_flow(wave[..., None].astype(np.float32), 2.0)
    inside = slice(8, -8), slice(8, -8)
    across = np.abs(flow.x * math.cos(angle) + flow.y * math.sin(angle))[inside]
    assert across.min() > 0.999
    assert np.allclose(flow.x**2 + flow.y**2, 1, atol=1e-5)


def test_the_flow_of_a_flat_picture_is_a_unit_vector_too():
    flow = edge_tangent_flow(np.full((9, 11, 3), 0.5, np.float32), 2.0)
    assert np.all(flow.x == 1) and np.all(flow.y == 0)


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.0])
def test_the_bilateral_filter_is_that_of_a_direct_loop(angle):
    lab = (DICE.random((3, 14, 15)) * 12).astype(np.float32)
    lab[0, :, 8:] += 40  # an edge
    sigma, alike = 1.7, 4.5

    def one_way(planes, angle):
        out = np.empty_like(planes)
        for y in range(14):
            for x in range(15):
                here = planes[:, y, x].astype(float)
                total, weights = here.copy(), 1.0
                for sign in (-1, 1):
                    for dx, dy, away in steps(angle, math.ceil(2 * sigma)):
                        u, v = x + sign * dx, y + sign * dy
                        if u < 0 or v < 0 or u > 14 or v > 13:
                            break
                        value = np.array([sample(plane, u, v) for plane in planes])
                        apart = ((value - here) ** 2).sum()
                        weight = math.exp(-(away**2) / (2 * sigma**2) - apart / (2 * alike**2))
                        total += weight * value
                        weights += weight
                out[:, y, x] = total / weights
        return out

    expected = one_way(one_way(lab, angle), angle + math.pi / 2)
    assert np.allclose(oriented_bilateral(lab, straight(14, 15, angle), sigma, alike), expected, atol=2e-3)


def test_the_bilateral_filter_keeps_an_edge_and_flattens_beside_it():
    lab = np.zeros((3, 40, 40), np.float32)
    lab[0, :, :20], lab[0, :, 20:] = 30, 70
    noisy = lab + DICE.normal(0, 1.5, lab.shape).astype(np.float32)
    flow = edge_tangent_flow(np.ascontiguousarray(noisy.transpose(1, 2, 0)), 2.0)
    out = noisy
    for _ in range(4):
        out = oriented_bilateral(out, flow, 3.5, 4.5)
    assert abs(out[0, :, 21].mean() - out[0, :, 18].mean()) > 38
    assert out[0, 5:-5, 25:35].std() < 0.4 * noisy[0, 5:-5, 25:35].std()


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_the_difference_of_gaussians_is_that_of_a_direct_loop(angle):
    plane = DICE.random((16, 17)).astype(np.float32)
    sigma, along = 0.8, 1.2
    flow = straight(16, 17, angle)
    tangent = flow.along()
    across = np.empty((16, 17))
    for y in range(16):
        for x in range(17):
            sums = []
            for s in (sigma, 1.6 * sigma):
                total, weights = float(plane[y, x]), 1.0
                for dx, dy, away in steps(angle, math.ceil(3 * 1.6 * sigma)):
                    weight = math.exp(-(away**2) / (2 * s**2))
                    for sign in (-1, 1):
                        u = min(max(x + sign * dx, 0), 16)
                        v = min(max(y + sign * dy, 0), 15)
                        total += weight * sample(plane, u, v)
                        weights += weight
                sums.append(total / weights)
            across[y, x] = sums[1] - sums[0]
    expected = np.empty((16, 17))
    for y in range(16):
        for x in range(17):
            total, weights = across[y, x], 1.0
            for sign in (-1, 1):
                u, v = float(x), float(y)
                for n in range(1, math.ceil(2.2 * along) + 1):
                    u, v = u + sign * float(tangent.x[0, 0]), v + sign * float(tangent.y[0, 0])
                    if u < 0 or v < 0 or u >= 16 or v >= 15:
                        break
                    weight = math.exp(-(n**2) / (2 * along**2))
                    total += weight * across[int(v + 0.5), int(u + 0.5)]
                    weights += weight
            expected[y, x] = total / weights
    assert np.allclose(flow_dog(plane, flow, sigma, along), expected, atol=1e-5)


def test_a_dark_line_has_a_response_and_a_bright_one_none():
    plane = np.full((40, 60), 0.6, np.float32)
    plane[:, 20:22], plane[:, 40:42] = 0.2, 0.95
    flow = straight(40, 60, 0.0)
    response = flow_dog(plane, flow, 1.4, 4.5)
    assert response[:, 20].min() > 0.05
    assert response[:, 40].max() < 0


def test_smoothstep_is_the_cubic():
    values = np.array([-1, 0, 0.25, 0.5, 1, 3], np.float32)
    assert np.allclose(smoothstep(values, 0, 1), [0, 0, 0.15625, 0.5, 1, 1])


def _blurred(shape, sigma):
    return np.asarray(cv2.GaussianBlur(DICE.integers(0, 256, shape, np.uint8), (0, 0), sigma), np.uint8)


def test_fields_have_the_photograph_s_size_and_the_ink_its_range():
    photo = _blurred((67, 91, 3), 3)
    fields = fields_of(photo)
    assert fields.paint.shape == photo.shape and fields.paint.dtype == np.uint8
    assert fields.ink.shape == photo.shape[:2]
    assert fields.ink.min() >= MIN_RESPONSE and fields.ink.max() <= MAX_RESPONSE


def test_a_flat_photograph_is_its_own_paint_and_has_no_ink():
    photo = np.full((50, 60, 3), (90, 140, 200), np.uint8)
    fields = fields_of(photo)
    assert np.abs(fields.paint.astype(int) - photo).max() <= 1
    assert fields.ink.max() < 0.1


def test_the_border_of_a_shape_is_inked_and_noise_is_not():
    photo = np.full((120, 160, 3), 200, np.uint8)
    cv2.circle(photo, (80, 60), 35, (60, 90, 160), -1)
    noisy = np.clip(photo + DICE.normal(0, 3, photo.shape), 0, 255).astype(np.uint8)
    ink = fields_of(noisy).ink > 1
    distance = np.abs(np.hypot(*np.meshgrid(np.arange(160) - 80, np.arange(120) - 60)) - 35)
    assert ink[distance > 8].mean() < 0.001
    ring = [ink[int(60 + r * math.sin(t)), int(80 + r * math.cos(t))]
            for t in np.linspace(0, 6.28, 60) for r in (33, 34, 35)]  # fmt: skip
    assert np.mean(np.reshape(ring, (60, 3)).any(1)) > 0.9


def test_more_passes_make_flatter_paint():
    photo = _blurred((80, 80, 3), 1.5)

    def steps_of(passes):
        paint = fields_of(photo, FieldSettings(passes=passes, kept=0)).paint.astype(float)
        return np.abs(np.diff(paint, axis=0)).mean()

    assert steps_of(6) < steps_of(1)
