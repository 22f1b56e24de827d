"""The GAN objectives, by name, and what keeps a critic's slope in check.

A discriminator gives one or several maps of scores, higher for real; every loss is the mean over each
map, averaged over the maps, taken in fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.losses.precision import to_fp32

Scores = list[Tensor]
"""Maps of scores, each N x 1 x h x w."""

Label = float | Tensor
"""What a score should say: one number, or N x 1 x 1 x 1, one for each picture."""


@dataclass(frozen=True)
class Objective:
    """What both sides of the game minimise, given as losses of single scores."""

    of_real: Callable[[Tensor, Label], Tensor]
    """The discriminator's loss of every score of a real picture, by its label."""
    of_fake: Callable[[Tensor, Label], Tensor]
    """The discriminator's loss of every score of a fake one, by its label."""
    of_wanted: Callable[[Tensor], Tensor]
    """The generator's loss of every score of its picture."""
    has_labels: bool = False
    """Whether labels mean something here; the other objectives pay them no heed."""

    def discriminator(self, real: Scores, fake: Scores, labels: tuple[Label, Label] = (1.0, 0.0)) -> Tensor:
        """The discriminator's loss; `labels` are the targets of the real and of the fake scores."""
        on_real = _mean(self.of_real(to_fp32(score), _as(labels[0], score)) for score in real)
        return on_real + self.against(fake, labels[1])

    def against(self, fake: Scores, label: Label = 0.0) -> Tensor:
        """The discriminator's loss of fakes alone, which it adds for every further kind of them."""
        return _mean(self.of_fake(to_fp32(score), _as(label, score)) for score in fake)

    def generator(self, fake: Scores) -> Tensor:
        """The generator's loss."""
        return _mean(self.of_wanted(to_fp32(score)) for score in fake)


def _mean(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack([loss.mean() for loss in losses]).mean()


def _as(label: Label, score: Tensor) -> Label:
    return label.to(score.device, to_fp32(score).dtype) if isinstance(label, Tensor) else label


def _cross_entropy(score: Tensor, label: Label) -> Tensor:
    """-label log D - (1 - label) log(1 - D) with D = sigmoid(score)."""
    return F.softplus(score) - label * score


def _square(score: Tensor, label: Label) -> Tensor:
    return (score - label).square() / 2


_wasserstein = Objective(lambda score, _: -score, lambda score, _: score, lambda score: -score)

OBJECTIVES: dict[str, Objective] = {
    "vanilla": Objective(
        _cross_entropy, _cross_entropy, lambda score: _cross_entropy(score, 1.0), has_labels=True
    ),
    "least-squares": Objective(_square, _square, lambda score: _square(score, 1.0), has_labels=True),
    "hinge": Objective(
        lambda score, _: F.relu(1 - score), lambda score, _: F.relu(1 + score), lambda score: -score
    ),
    "wasserstein-clip": _wasserstein,
    "wasserstein-gp": _wasserstein,
}
"""Name -> objective.

- vanilla: Jensen-Shannon, on logits, with the generator's loss that does not saturate (Goodfellow et al.
  2014).
- least-squares: with targets 1 and 0 and the halves of its Eq. 9 (Mao et al. 2017). CycleGAN leaves the
  generator's half out: its weight of 1 is 2 here.
- hinge: Lim and Ye 2017; Miyato et al. 2018.
- wasserstein-clip: Arjovsky et al. 2017; holds with `clip_weights` after every step of the discriminator.
- wasserstein-gp: Gulrajani et al. 2017; holds with `gradient_penalty` added to the discriminator's loss.
"""


def soft_labels(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Targets drawn for every picture: real ones in [0.9, 1], fake ones in [0, 0.1], each N x 1 x 1 x 1.

    From "Cartoon to human recovery with Cycle-GAN" (v5). Where it cites the idea that paper calls the real
    pictures 0 and the generated ones 1; where it describes its own training the real ones are 1, as here.
    """
    real = 1 - 0.1 * torch.rand(count, 1, 1, 1, generator=rng)
    return real, 0.1 * torch.rand(count, 1, 1, 1, generator=rng)


def gradient_penalty(network: nn.Module, real: list[Tensor], fake: list[Tensor], mix: Tensor) -> Tensor:
    """E[(|| gradient of f ||_2 - 1)^2] at mix * real + (1 - mix) * fake (Gulrajani et al. 2017, Eq. 3).

    LWComicGAN's Eq. 2 is this with the square drawn outside of the mean; its lambda is the caller's.
    `real` and `fake` are what the network looks at, one or several tensors of N pictures; `mix` holds N
    numbers in [0, 1]. The norm of a picture is taken over all of its tensors together.

    f is what the Wasserstein losses average, the mean of a picture's scores, so that the slope in check is
    that of the distance being learned. (Implementations for single scores sum the outputs; over a map of
    patches that sum grows with the picture, and its penalty would flatten f the more, the larger it is.)

    Computed in fp32 also under autocast; can be differentiated again, for the network's parameters.
    """
    mixed = []
    for a, b in zip(real, fake, strict=True):
        share = mix.to(a.device, to_fp32(a).dtype).view(-1, *[1] * (a.dim() - 1))
        mixed.append((share * to_fp32(a) + (1 - share) * to_fp32(b)).detach().requires_grad_())
    with torch.autocast(mixed[0].device.type, enabled=False):
        means = [score.flatten(1).mean(1) for score in network(mixed)]
        f = torch.stack(means).mean(0)
        slopes = torch.autograd.grad(f.sum(), mixed, create_graph=True)
        norms = torch.linalg.vector_norm(torch.cat([slope.flatten(1) for slope in slopes], 1), dim=1)
        penalty: Tensor = (norms - 1).square().mean()
        return penalty


@torch.no_grad()
def clip_weights(network: nn.Module, limit: float = 0.01) -> None:
    """Every parameter into [-limit, limit], in place (Arjovsky et al. 2017, Algorithm 1).

    Of a parametrized weight, as a spectrally normalised one, the original is clipped: that is what learns.
    """
    for parameter in network.parameters():
        parameter.clamp_(-limit, limit)


def match(real: Scores, fake: Scores) -> Tensor:
    """Mean |D(x_g) - D(G(x))| ("Cartoon to human recovery with Cycle-GAN", Eq. 6, the generator's side).

    For pairs: `real` are the scores of the pictures that `fake` should have become.
    """
    return _mean((to_fp32(a) - to_fp32(b)).abs() for a, b in zip(real, fake, strict=True))
