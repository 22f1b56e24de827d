"""A pool of earlier fakes that discriminators see again, so that they do not forget (Shrivastava et al.
2017).
"""

from __future__ import annotations

import torch
from torch import Tensor


class ImagePool:
    """Stores up to `size` images; 0 stores none."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.pictures: list[Tensor] = []
        """Each is 3 x H x W in 8-bit code values, like real images."""

    def exchange(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """Replace each fake, with a probability of one half, by an older one; N x 3 x H x W in [-1, 1].

        The new fake takes the place of the older one in the pool (CycleGAN).
        """
        shown = []
        for fake in fakes:
            chance, at = torch.rand(2, generator=rng).tolist()
            if len(self.pictures) < self._size:
                self.pictures.append(_code_values(fake))
            elif chance < 0.5:
                place = int(at * self._size)
                older = self.pictures[place]
                self.pictures[place] = _code_values(fake)
                fake = older.to(fakes.device, fakes.dtype) / 127.5 - 1
            shown.append(fake)
        return torch.stack(shown)


def _code_values(image: Tensor) -> Tensor:
    return ((image.clamp(-1, 1) + 1) * 127.5).round().byte().cpu()
