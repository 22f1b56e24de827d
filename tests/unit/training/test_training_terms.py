"""Every term of the generators' loss against its value by hand, with a generator that is a formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.adversary import DiscriminatorBatch
from training.data.superpixels import superpixel_abstraction
from training.loss_terms import (
    BORDER_PIXELS,
    MARGIN_PIXELS,
    MAX_SHIFT_PIXELS,
    NOISE_DEVIATION,
    TERMS,
    LossContext,
)
from training.ranks import StepRandom
from training.recipe import FIELD_TERMS, FeatureSettings

Array = NDArray[np.float64]
LUMA = np.array([0.299, 0.587, 0.114])
YUV = np.array([[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])


class Affine(nn.Module):
    """x -> gain x + shift: what it makes of anything is known."""

    def __init__(self, gain: float, shift: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x + self.shift


class Squares(nn.Module):
    """Stands where VGG stands; its one layer squares what it sees and adds the channels up."""

    def forward(self, x: Tensor, layers: tuple[str, ...], activated: bool = True) -> list[Tensor]:
        assert layers == ("conv2_1",) and not activated
        return [torch.cat([x.square(), x.sum(1, keepdim=True)], 1)]


class FakeAdversary:
    """Stands where an adversary stands: scores are means of pictures, the middle layer the picture."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def see(self, real: Tensor, fake: Tensor, rng: StepRandom) -> DiscriminatorBatch:
        return DiscriminatorBatch(lambda picture: picture, [real], [fake], fake.detach())

    def generator_loss(self, batch: DiscriminatorBatch) -> Tensor:
        return -self.factor * batch.fake[0].mean()

    def match(self, batch: DiscriminatorBatch) -> Tensor:
        return (batch.real[0].mean((1, 2, 3)) - batch.fake[0].mean((1, 2, 3))).abs().mean() * self.factor

    def middle_features(self, picture: Tensor) -> Tensor:
        return self.factor * picture


def make_context(**changes: object) -> LossContext:
    rng = torch.Generator().manual_seed(0)
    source, target, flat = (torch.rand(2, 3, 64, 64, generator=rng) * 1.6 - 0.8 for _ in range(3))
    given: dict[str, object] = {
        "backward_generator": Affine(0.5, 0.2),
        "adversaries": {
            "adversarial": FakeAdversary(1.0),
            "surface": FakeAdversary(2.0),
            "texture": FakeAdversary(3.0),
        },
        "source_adversary": FakeAdversary(2.0),
        "vgg": Squares(),
        "features": FeatureSettings(layer="conv2_1"),
        "abstraction": flat,
        "teacher": Affine(1.2, 0.05),
        **changes,
    }
    return LossContext(source, target, Affine(0.7, -0.1), StepRandom(0, 5), **given)  # type: ignore[arg-type]


def generated(x: Array) -> Array:
    return 0.7 * x - 0.1


def teacher_output(x: Array) -> Array:
    return 1.2 * x + 0.05


def vgg_features(x: Array) -> Array:
    return np.concatenate([x**2, x.sum(1, keepdims=True)], 1)


def relative(a: Array, b: Array) -> float:
    return float(np.abs(a - b).mean() / np.abs(b).mean())


def blocks(x: Array, side: int) -> Array:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // side, side, w // side, side).mean((3, 5))


def grey(x: Array) -> Array:
    return np.repeat(np.einsum("nchw,c->nhw", x, LUMA)[:, None], 3, 1)


def grams(x: Array) -> Array:
    flat = vgg_features(grey(x)).reshape(len(x), 4, -1)
    return np.stack([f @ f.T for f in flat]) / flat[0].size


def color(a: Array, b: Array) -> float:
    d = np.abs(np.einsum("dc,nchw->dnhw", YUV, (a - b) / 2))
    huber = np.where(d <= 0.1, d**2 / 2, 0.1 * (d - 0.05)) / 0.1
    return float(d[0].mean() + huber[1].mean() + huber[2].mean())


def neighbours(x: Array) -> float:
    return float(np.abs(np.diff(x, axis=3)).mean() + np.abs(np.diff(x, axis=2)).mean())


def scaled(x: Array, y: Array, a: Array) -> float:
    """paint(half(x)) is half(paint(x)) for a formula without neighbours: nothing is left."""
    return 0.0


BY_HAND: dict[str, Callable[[Array, Array, Array], float]] = {
    "reconstruction": lambda x, y, a: np.abs(generated(x) - x).mean(),
    "adversarial": lambda x, y, a: -generated(x).mean(),
    "surface": lambda x, y, a: -2 * generated(x).mean(),
    "texture": lambda x, y, a: -3 * generated(x).mean(),
    "abstraction": lambda x, y, a: np.abs(generated(x) - a).mean() + neighbours(generated(x) - a),
    "content": lambda x, y, a: relative(vgg_features(generated(x)), vgg_features(x)),
    "gram": lambda x, y, a: relative(grams(generated(x)), grams(y)),
    "color": lambda x, y, a: color(generated(x), a),
    "total_variation": lambda x, y, a: neighbours(generated(x)),
    "scale": scaled,
    "cycle": lambda x, y, a: np.abs(0.5 * generated(x) + 0.2 - x).mean(),
    "cycle_features": lambda x, y, a: 2 * np.abs(0.5 * generated(x) + 0.2 - x).mean(),
    "identity": lambda x, y, a: ((generated(y) - y) ** 2).mean(),
    "paired": lambda x, y, a: ((generated(x) - y) ** 2).mean(),
    "match": lambda x, y, a: np.abs(y.mean((1, 2, 3)) - generated(x).mean((1, 2, 3))).mean(),
    "teacher": lambda x, y, a: (
        np.abs(generated(x) - teacher_output(x)).mean() + neighbours(generated(x) - teacher_output(x))
    ),
}


def test_every_term_is_here_or_below() -> None:
    """Those of fields are held to their definitions in test_field_training.py."""
    assert BY_HAND.keys() | {"structure", "consistency"} | FIELD_TERMS == TERMS.keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_a_term_is_what_it_says(name: str) -> None:
    one = make_context()
    assert one.abstraction is not None
    x, y, a = (picture.double().numpy() for picture in (one.source, one.target, one.abstraction))
    value = TERMS[name](one)
    assert float(value.detach()) == pytest.approx(BY_HAND[name](x, y, a), rel=1e-4, abs=1e-6)
    value.backward()
    slope = one.generator.get_parameter("gain").grad
    assert slope is not None and math.isfinite(float(slope)) and (name == "scale" or float(slope) != 0)


def test_color_and_content_can_be_compared_coarsely() -> None:
    one = make_context(color_blocks=4, abstraction=None, features=FeatureSettings(layer="conv2_1", half=True))
    x = one.source.double().numpy()
    assert float(TERMS["color"](one).detach()) == pytest.approx(
        color(blocks(generated(x), 4), blocks(x, 4)), rel=1e-4
    )
    assert float(TERMS["content"](one).detach()) == pytest.approx(
        relative(vgg_features(blocks(generated(x), 2)), vgg_features(blocks(x, 2))), rel=1e-4
    )


def test_structure_compares_the_output_with_its_own_superpixels() -> None:
    one = make_context()
    painted = superpixel_abstraction(one.output)
    expected = relative(
        vgg_features(one.output.detach().double().numpy()), vgg_features(painted.double().numpy())
    )
    assert float(TERMS["structure"](one).detach()) == pytest.approx(expected, rel=1e-4)


def test_consistency_asks_the_shifted_part_for_the_same_cartoon() -> None:
    """A formula of each pixel alone follows any shift: what is left is the noise, times the gain."""
    noise = float(TERMS["consistency"](make_context()).detach())
    assert noise == pytest.approx(0.7 * NOISE_DEVIATION * math.sqrt(2 / math.pi), rel=0.05)
    one = make_context()
    down, right = torch.randint(
        0, MAX_SHIFT_PIXELS + 1, (2,), generator=torch.Generator().manual_seed(5)
    ).tolist()
    assert (down, right) != (0, 0)

    class Ramp(nn.Module):
        """Paints where it is: column numbers, which do not move with the picture."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.arange(float(x.shape[3])).expand_as(x)

    one.generator = Ramp()
    assert float(TERMS["consistency"](one)) == pytest.approx(right, abs=1e-5)
    assert one.source.shape[3] - MARGIN_PIXELS - 2 * BORDER_PIXELS > 0


def test_what_is_asked_for_first_without_gradients_has_them_all_the_same() -> None:
    one = make_context()
    with torch.no_grad():
        assert one.output.requires_grad and one.cycled.requires_grad
