"""The GAN objectives by name, and the constraints on a critic's slope.

A discriminator returns one or several maps of scores, higher for real images. Every loss is the mean over
each map, averaged over the maps, in fp32.
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
"""The target of a score: one number, or N x 1 x 1 x 1, one for each image."""


@dataclass(frozen=True)
class Objective:
    """What both sides of the game minimise, as losses of single scores."""

    of_real: Callable[[Tensor, Label], Tensor]
    """The discriminator's loss for every score of a real image, by its label."""
    of_fake: Callable[[Tensor, Label], Tensor]
    """The discriminator's loss for every score of a fake image, by its label."""
    of_wanted: Callable[[Tensor], Tensor]
    """The generator's loss for every score of its image."""
    has_labels: bool = False
    """Whether labels have an effect. The other objectives ignore them."""

    def discriminator(self, real: Scores, fake: Scores, labels: tuple[Label, Label] = (1.0, 0.0)) -> Tensor:
        """Return the discriminator's loss; `labels` are the targets of the real and the fake scores."""
        on_real = _mean(self.of_real(to_fp32(score), _as(labels[0], score)) for score in real)
        return on_real + self.against(fake, labels[1])

    def against(self, fake: Scores, label: Label = 0.0) -> Tensor:
        """Return the discriminator's loss for fakes alone, which is added for every additional kind of
        fakes.
        """
        return _mean(self.of_fake(to_fp32(score), _as(label, score)) for score in fake)

    def generator(self, fake: Scores) -> Tensor:
        """Return the generator's loss."""
        return _mean(self.of_wanted(to_fp32(score)) for score in fake)


def _mean(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack([loss.mean() for loss in losses]).mean()


def _as(label: Label, score: Tensor) -> Label:
    return label.to(score.device, to_fp32(score).dtype) if isinstance(label, Tensor) else label


def _cross_entropy(score: Tensor, label: Label) -> Tensor:
    """Return -label log D - (1 - label) log(1 - D) with D = sigmoid(score)."""
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

- vanilla: Jensen-Shannon on logits, with the generator's non-saturating loss (Goodfellow et al. 2014).
- least-squares: targets 1 and 0 with the halves of Eq. 9 (Mao et al. 2017). CycleGAN omits the generator's
half: its weight of 1 is 2 here.
- hinge: Lim and Ye 2017; Miyato et al. 2018.
- wasserstein-clip: Arjovsky et al. 2017; needs `clip_weights` after every step of the discriminator.
- wasserstein-gp: Gulrajani et al. 2017; needs `gradient_penalty` added to the discriminator's loss.
"""


def soft_labels(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return random targets for every image: real in [0.9, 1], fake in [0, 0.1], each N x 1 x 1 x 1.

    From "Cartoon to human recovery with Cycle-GAN" (v5). Where it cites the idea, the paper uses 0 for real
    images and 1 for generated ones; in its own training, real images are 1, as here.
    """
    real = 1 - 0.1 * torch.rand(count, 1, 1, 1, generator=rng)
    return real, 0.1 * torch.rand(count, 1, 1, 1, generator=rng)


def gradient_penalty(network: nn.Module, real: list[Tensor], fake: list[Tensor], mix: Tensor) -> Tensor:
    """Return E[(|| gradient of f ||_2 - 1)^2] at mix * real + (1 - mix) * fake (Gulrajani et al. 2017, Eq.
    3).

    LWComicGAN's Eq. 2 is the same with the square outside of the mean; its lambda is applied by the caller.
    `real` and `fake` are the network's inputs, one or several tensors of N images; `mix` has N numbers in [0,
    1]. The norm of an image covers all of its tensors together.

    f is what the Wasserstein losses average, the mean of an image's scores, so that the constraint applies to
    the slope of the learned distance. (Implementations for single scores sum the outputs. Over a map of
    patches, that sum grows with the image, and the penalty would flatten f more for larger images.)

    It is computed in fp32 also under autocast, and can be differentiated for the network's parameters.
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
    """Clip every parameter to [-limit, limit] in place (Arjovsky et al. 2017, Algorithm 1).

    Of a parametrized weight, such as a spectrally normalised one, the original is clipped, which is what
    learns.
    """
    for parameter in network.parameters():
        parameter.clamp_(-limit, limit)


def match(real: Scores, fake: Scores) -> Tensor:
    """Return mean |D(x_g) - D(G(x))| ("Cartoon to human recovery with Cycle-GAN", Eq. 6, generator's side).

    For pairs: `real` has the scores of the images that `fake` should have become.
    """
    return _mean((to_fp32(a) - to_fp32(b)).abs() for a, b in zip(real, fake, strict=True))
