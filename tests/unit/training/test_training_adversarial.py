"""Every GAN objective, and what bounds a critic, against NumPy in float64, closed forms and gradcheck."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from training.losses.adversarial import (
    OBJECTIVES,
    clip_weights,
    gradient_penalty,
    match,
    soft_labels,
)

Array = NDArray[np.float64]


def maps(seed: int, count: int = 3) -> list[torch.Tensor]:
    """Two maps of scores of different sizes, as two heads give them."""
    draw = torch.Generator().manual_seed(seed)
    return [
        torch.randn(count, 1, *size, dtype=torch.float64, generator=draw) * 2 for size in ((4, 5), (2, 3))
    ]


def cross_entropy(score: float, label: float) -> float:
    chance = 1 / (1 + np.exp(-score))
    return float(-label * np.log(chance) - (1 - label) * np.log(1 - chance))


OF_ONE_SCORE: dict[str, tuple[Callable[[float, float], float], Callable[[float, float], float]]] = {
    "vanilla": (cross_entropy, cross_entropy),
    "least-squares": (lambda s, t: (s - t) ** 2 / 2, lambda s, t: (s - t) ** 2 / 2),
    "hinge": (lambda s, _: max(0.0, 1 - s), lambda s, _: max(0.0, 1 + s)),
    "wasserstein-clip": (lambda s, _: -s, lambda s, _: s),
    "wasserstein-gp": (lambda s, _: -s, lambda s, _: s),
}
OF_WANTED: dict[str, Callable[[float], float]] = {
    "vanilla": lambda s: float(-np.log(1 / (1 + np.exp(-s)))),
    "least-squares": lambda s: (s - 1) ** 2 / 2,
    "hinge": lambda s: -s,
    "wasserstein-clip": lambda s: -s,
    "wasserstein-gp": lambda s: -s,
}


def over_maps(scores: list[torch.Tensor], loss: Callable[[float, int], float]) -> float:
    """The mean over each map, score by score, then over the maps; `loss` gets a score and its picture."""
    means = []
    for scored in scores:
        x = scored.numpy()
        means.append(sum(loss(float(s), at[0]) for at, s in np.ndenumerate(x)) / x.size)
    return sum(means) / len(means)


def test_the_table_here_is_the_registry() -> None:
    assert OBJECTIVES.keys() == OF_ONE_SCORE.keys() == OF_WANTED.keys()
    assert [name for name, objective in OBJECTIVES.items() if objective.has_labels] == [
        "vanilla",
        "least-squares",
    ]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_score_by_score(name: str) -> None:
    real, fake, objective = maps(1), maps(2), OBJECTIVES[name]
    of_real, of_fake = OF_ONE_SCORE[name]
    expected = over_maps(real, lambda s, _: of_real(s, 1.0)) + over_maps(fake, lambda s, _: of_fake(s, 0.0))
    # softplus becomes a straight line above 20 and forgets exp(-20) there.
    assert float(objective.discriminator(real, fake)) == pytest.approx(expected, rel=1e-9)
    assert float(objective.against(fake)) == pytest.approx(
        over_maps(fake, lambda s, _: of_fake(s, 0.0)), rel=1e-9
    )
    wanted = over_maps(fake, lambda s, _: OF_WANTED[name](s))
    assert float(objective.generator(fake)) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", ["vanilla", "least-squares"])
@pytest.mark.parametrize("soft", [False, True])
def test_labels_are_the_targets_of_their_own_pictures(name: str, soft: bool) -> None:
    real, fake = maps(1), maps(2)
    labels = soft_labels(3, torch.Generator().manual_seed(5)) if soft else (0.9, 0.2)
    high = [float(x) for x in labels[0].flatten()] if isinstance(labels[0], torch.Tensor) else [0.9] * 3
    low = [float(x) for x in labels[1].flatten()] if isinstance(labels[1], torch.Tensor) else [0.2] * 3
    of_real, of_fake = OF_ONE_SCORE[name]
    expected = over_maps(real, lambda s, n: of_real(s, high[n])) + over_maps(
        fake, lambda s, n: of_fake(s, low[n])
    )
    assert float(OBJECTIVES[name].discriminator(real, fake, labels)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_have_true_gradients(name: str) -> None:
    # None of these scores lies within gradcheck's step of a hinge's corner.
    real, fake = ([x.requires_grad_() for x in maps(seed)] for seed in (1, 2))
    objective = OBJECTIVES[name]
    assert torch.autograd.gradcheck(lambda *x: objective.discriminator(list(x[:2]), list(x[2:])), real + fake)
    assert torch.autograd.gradcheck(lambda *x: objective.generator(list(x)), fake)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_side_of_the_game_pulls_its_own_way(name: str) -> None:
    real, fake = ([x.requires_grad_() for x in maps(seed)] for seed in (1, 2))
    OBJECTIVES[name].discriminator(real, fake).backward()
    down, up = real[0].grad, fake[0].grad
    assert down is not None and up is not None
    below = real[0].detach() < 1  # least squares pulls back what overshoots, hinge lets it be
    assert (down[below] < 0).all() and (up[fake[0].detach() > 0] > 0).all()
    fake[0].grad = None
    OBJECTIVES[name].generator(fake).backward()
    wanted = fake[0].grad
    assert wanted is not None
    assert (wanted[fake[0].detach() < 1] < 0).all()


def test_large_scores_stay_finite_and_half_types_are_widened() -> None:
    far = [torch.tensor([[[[300.0, -300.0]]]], dtype=torch.bfloat16)]
    for objective in OBJECTIVES.values():
        loss = objective.discriminator(far, far) + objective.generator(far)
        assert loss.dtype == torch.float32 and torch.isfinite(loss)
    # -log(1 - D) of logits 300 and -300 is 300 and 0; -log D the other way round.
    assert float(OBJECTIVES["vanilla"].discriminator(far, far)) == pytest.approx(300)


def test_soft_labels_lie_in_their_ranges_and_differ_by_picture() -> None:
    real, fake = soft_labels(400, torch.Generator().manual_seed(0))
    assert real.shape == fake.shape == (400, 1, 1, 1)
    assert 0.9 <= real.min() < 0.905 and 0.995 < real.max() <= 1
    assert 0 <= fake.min() < 0.005 and 0.095 < fake.max() <= 0.1
    assert float(real.mean()) == pytest.approx(0.95, abs=0.005)
    assert float(fake.mean()) == pytest.approx(0.05, abs=0.005)
    again, _ = soft_labels(400, torch.Generator().manual_seed(0))
    assert torch.equal(real, again)


class Linear(nn.Module):
    """D(x) = w . x, one score for a picture, over all tensors that it is shown."""

    def __init__(self, *weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = nn.ParameterList(weights)

    def forward(self, seen: list[torch.Tensor]) -> list[torch.Tensor]:
        total = sum(
            ((x * w).flatten(1).sum(1) for x, w in zip(seen, self.weights, strict=True)), torch.zeros(())
        )
        return [total.view(-1, 1, 1, 1)]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_penalty_of_a_linear_critic_has_a_closed_form() -> None:
    w, mix = noise(3, 6, 6, seed=1), torch.rand(4)
    value = gradient_penalty(Linear(w), [noise(4, 3, 6, 6)], [noise(4, 3, 6, 6, seed=2)], mix)
    assert float(value.detach()) == pytest.approx((np.linalg.norm(w.numpy()) - 1) ** 2, rel=1e-12)


def test_the_penalty_takes_one_norm_over_all_that_is_seen() -> None:
    u, v = noise(3, 6, 6, seed=1), noise(8, 2, 2, seed=3)
    real, fake = ([noise(4, 3, 6, 6, seed=s), noise(4, 8, 2, 2, seed=s + 1)] for s in (4, 6))
    value = float(gradient_penalty(Linear(u, v), real, fake, torch.rand(4)).detach())
    norm = np.sqrt((u.numpy() ** 2).sum() + (v.numpy() ** 2).sum())
    assert value == pytest.approx((norm - 1) ** 2, rel=1e-12)


def test_the_penalty_is_of_the_mean_of_a_map() -> None:
    # A 1x1 convolution: every score's slope is w at its own pixel, the mean's is w / (H W) at each.
    convolution = nn.Conv2d(3, 1, 1).double()
    critic = ListOf(convolution)
    w = convolution.weight.detach().numpy().ravel()
    value = gradient_penalty(critic, [noise(2, 3, 4, 5)], [noise(2, 3, 4, 5, seed=1)], torch.rand(2))
    assert float(value.detach()) == pytest.approx((np.linalg.norm(w) / np.sqrt(20) - 1) ** 2, rel=1e-9)


class ListOf(nn.Module):
    """A network on one tensor, spoken to as a discriminator; its map also at twice its height."""

    def __init__(self, network: nn.Module, twice: bool = False) -> None:
        super().__init__()
        self.network, self.twice = network, twice

    def forward(self, seen: list[torch.Tensor]) -> list[torch.Tensor]:
        scores = self.network(seen[0])
        return [scores, scores.repeat(1, 1, 2, 1)] if self.twice else [scores]


def test_the_penalty_mixes_picture_by_picture() -> None:
    # D(x) = mean x^2 over n pixels has the gradient 2 x / n: the norm tells where between both it was taken.
    class Square(nn.Module):
        def forward(self, seen: list[torch.Tensor]) -> list[torch.Tensor]:
            return [seen[0].square().mean(1, keepdim=True)]

    real, fake, mix = noise(3, 2, 4, 4), noise(3, 2, 4, 4, seed=1), torch.tensor([0.0, 0.25, 1.0])
    expected = 0.0
    for n in range(3):
        between = float(mix[n]) * real[n].numpy() + (1 - float(mix[n])) * fake[n].numpy()
        expected += (float(np.linalg.norm(2 * between / between.size)) - 1) ** 2 / 3
    assert float(gradient_penalty(Square(), [real], [fake], mix).detach()) == pytest.approx(
        expected, rel=1e-12
    )


def test_the_penalty_can_be_differentiated_again() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Tanh(), nn.Conv2d(3, 1, 2)).double()
    critic = ListOf(network, twice=True)
    real, fake, mix = noise(2, 2, 4, 4), noise(2, 2, 4, 4, seed=1), torch.rand(2)

    def penalty(*parameters: torch.Tensor) -> torch.Tensor:
        class At(nn.Module):
            def forward(self, seen: list[torch.Tensor]) -> list[torch.Tensor]:
                named = dict(zip(dict(critic.named_parameters()), parameters, strict=True))
                scores: list[torch.Tensor] = torch.func.functional_call(critic, named, (seen,))
                return scores

        return gradient_penalty(At(), [real], [fake], mix)

    assert torch.autograd.gradcheck(penalty, tuple(critic.parameters()))


def test_the_penalty_stays_in_full_precision_under_autocast() -> None:
    torch.manual_seed(0)
    last = nn.Conv2d(8, 1, 3)
    critic = ListOf(nn.Sequential(nn.Conv2d(3, 8, 3), nn.LeakyReLU(0.2), last))
    with torch.no_grad():
        last.weight.mul_(100)  # a slope of about 5: near 0 the penalty hardly depends on it
    real, fake, mix = noise(2, 3, 9, 9).float(), noise(2, 3, 9, 9, seed=1).float(), torch.rand(2)
    with torch.autocast("cpu", torch.bfloat16):
        assert critic([real])[0].dtype == torch.bfloat16
        value = gradient_penalty(critic, [real], [fake], mix).detach()
    exact = gradient_penalty(critic.double(), [real.double()], [fake.double()], mix).detach()
    assert value.dtype == torch.float32 and float(value) == pytest.approx(float(exact), rel=1e-5)


def test_under_the_penalty_the_critic_learns_the_earth_movers_distance() -> None:
    # Reals are the fakes moved by 0.5: that is their distance. With a slope of n the critic's loss is
    # -0.5 n + 10 (n - 1)^2, smallest at n = 1 + 0.5 / 20.
    fake, move = noise(4, 1, 4, 4), noise(1, 1, 4, 4, seed=1)
    real = fake + 0.5 * move / move.norm()
    critic, draw = Linear(0.1 * noise(1, 4, 4, seed=2)), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(critic.parameters(), 0.02)
    for _ in range(300):
        own = OBJECTIVES["wasserstein-gp"].discriminator(critic([real]), critic([fake]))
        total = own + 10 * gradient_penalty(critic, [real], [fake], torch.rand(4, generator=draw))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert float(own.detach()) == pytest.approx(-0.5 * 1.025, abs=0.005)


def test_clipping_reaches_every_parameter_and_the_originals_of_parametrized_ones() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), spectral_norm(nn.Conv2d(8, 1, 3)))
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    assert "1.parametrizations.weight.original" in before
    assert all((value.abs() > 0.01).any() for value in before.values())
    clip_weights(network, 0.01)
    for name, value in network.named_parameters():
        np.testing.assert_array_equal(value.detach().numpy(), np.clip(before[name].numpy(), -0.01, 0.01))
        assert value.requires_grad and value.is_leaf


def test_match_is_the_mean_distance_of_scores() -> None:
    real, fake = maps(1), maps(2)
    expected = np.mean([np.abs(a.numpy() - b.numpy()).mean() for a, b in zip(real, fake, strict=True)])
    assert float(match(real, fake)) == pytest.approx(float(expected), rel=1e-12)
    assert torch.autograd.gradcheck(lambda *x: match(real, list(x)), [x.requires_grad_() for x in fake])
