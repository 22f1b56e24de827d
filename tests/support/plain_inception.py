"""Inception-v3 layer by layer in plain functions, with random weights: what our network is held to."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.common.arrays import Image

State = dict[str, Tensor]


class Plain:
    """Inception in the plain manner: a convolution, its batch norm, ReLU, each layer by its name.

    With `dice` it makes up the weights of whatever it meets; else it takes those of `state`.
    """

    def __init__(self, state: State | None = None) -> None:
        self.invent = state is None
        self.state: State = {} if state is None else state
        self.dice = torch.Generator().manual_seed(0)

    def conv(
        self, x: Tensor, key: str, out: int, kernel: tuple[int, int], stride: int = 1, same: bool = True
    ) -> Tensor:
        if self.invent:
            scale = (2 / (x.shape[1] * kernel[0] * kernel[1])) ** 0.5
            self.state[f"{key}.conv.weight"] = (
                torch.randn(out, x.shape[1], *kernel, generator=self.dice) * scale
            )
            for part in ("weight", "running_var"):
                self.state[f"{key}.bn.{part}"] = torch.rand(out, generator=self.dice) + 0.5
            for part in ("bias", "running_mean"):
                self.state[f"{key}.bn.{part}"] = torch.randn(out, generator=self.dice) * 0.1
        w = {name: value.to(x.dtype) for name, value in self.state.items() if name.startswith(f"{key}.")}
        assert w[f"{key}.conv.weight"].shape == (out, x.shape[1], *kernel)
        padding = (kernel[0] // 2, kernel[1] // 2) if same else (0, 0)
        x = F.conv2d(x, w[f"{key}.conv.weight"], stride=stride, padding=padding)
        mean, variance, weight, bias = (
            w[f"{key}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, weight, bias, eps=1e-3).relu()

    def chain(self, x: Tensor, block: str, *steps: tuple[str, int, tuple[int, int]]) -> Tensor:
        for name, out, kernel in steps:
            x = self.conv(x, f"{block}.{name}", out, kernel)
        return x

    def mean(self, x: Tensor) -> Tensor:
        """Of the pixels that are there: sums over sums."""
        ones = torch.ones_like(x[:1, :1])
        box = torch.ones(1, 1, 3, 3, dtype=x.dtype)
        sums = F.conv2d(x.flatten(0, 1)[:, None], box, padding=1).view_as(x)
        return sums / F.conv2d(ones, box, padding=1)

    def a(self, x: Tensor, b: str, pool: int) -> Tensor:
        return torch.cat((
            self.chain(x, b, ("branch1x1", 64, (1, 1))),
            self.chain(x, b, ("branch5x5_1", 48, (1, 1)), ("branch5x5_2", 64, (5, 5))),
            self.chain(x, b, ("branch3x3dbl_1", 64, (1, 1)), ("branch3x3dbl_2", 96, (3, 3)),
                       ("branch3x3dbl_3", 96, (3, 3))),
            self.chain(self.mean(x), b, ("branch_pool", pool, (1, 1))),
        ), 1)  # fmt: skip

    def c(self, x: Tensor, b: str, n: int) -> Tensor:
        return torch.cat((
            self.chain(x, b, ("branch1x1", 192, (1, 1))),
            self.chain(x, b, ("branch7x7_1", n, (1, 1)), ("branch7x7_2", n, (1, 7)),
                       ("branch7x7_3", 192, (7, 1))),
            self.chain(x, b, ("branch7x7dbl_1", n, (1, 1)), ("branch7x7dbl_2", n, (7, 1)),
                       ("branch7x7dbl_3", n, (1, 7)), ("branch7x7dbl_4", n, (7, 1)),
                       ("branch7x7dbl_5", 192, (1, 7))),
            self.chain(self.mean(x), b, ("branch_pool", 192, (1, 1))),
        ), 1)  # fmt: skip

    def e(self, x: Tensor, b: str, pooled: Tensor) -> Tensor:
        y = self.chain(x, b, ("branch3x3_1", 384, (1, 1)))
        z = self.chain(x, b, ("branch3x3dbl_1", 448, (1, 1)), ("branch3x3dbl_2", 384, (3, 3)))
        return torch.cat((
            self.chain(x, b, ("branch1x1", 320, (1, 1))),
            self.chain(y, b, ("branch3x3_2a", 384, (1, 3))), self.chain(y, b, ("branch3x3_2b", 384, (3, 1))),
            self.chain(z, b, ("branch3x3dbl_3a", 384, (1, 3))),
            self.chain(z, b, ("branch3x3dbl_3b", 384, (3, 1))),
            self.chain(pooled, b, ("branch_pool", 192, (1, 1))),
        ), 1)  # fmt: skip

    def features(self, x: Tensor) -> Tensor:
        x = self.conv(x, "Conv2d_1a_3x3", 32, (3, 3), 2, same=False)
        x = self.conv(x, "Conv2d_2a_3x3", 32, (3, 3), same=False)
        x = F.max_pool2d(self.conv(x, "Conv2d_2b_3x3", 64, (3, 3)), 3, 2)
        x = self.conv(x, "Conv2d_3b_1x1", 80, (1, 1))
        x = F.max_pool2d(self.conv(x, "Conv2d_4a_3x3", 192, (3, 3), same=False), 3, 2)
        for block, pool in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
            x = self.a(x, block, pool)
        y = self.chain(x, "Mixed_6a", ("branch3x3dbl_1", 64, (1, 1)), ("branch3x3dbl_2", 96, (3, 3)))
        y = self.conv(y, "Mixed_6a.branch3x3dbl_3", 96, (3, 3), 2, same=False)
        z = self.conv(x, "Mixed_6a.branch3x3", 384, (3, 3), 2, same=False)
        x = torch.cat((z, y, F.max_pool2d(x, 3, 2)), 1)
        for block, n in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
            x = self.c(x, block, n)
        y = self.chain(x, "Mixed_7a", ("branch3x3_1", 192, (1, 1)))
        y = self.conv(y, "Mixed_7a.branch3x3_2", 320, (3, 3), 2, same=False)
        z = self.chain(x, "Mixed_7a", ("branch7x7x3_1", 192, (1, 1)), ("branch7x7x3_2", 192, (1, 7)),
                       ("branch7x7x3_3", 192, (7, 1)))  # fmt: skip
        z = self.conv(z, "Mixed_7a.branch7x7x3_4", 192, (3, 3), 2, same=False)
        x = torch.cat((y, z, F.max_pool2d(x, 3, 2)), 1)
        x = self.e(x, "Mixed_7b", self.mean(x))
        x = self.e(x, "Mixed_7c", F.max_pool2d(x, 3, 1, 1))
        return x.mean((2, 3))


def random_state() -> State:
    """Random weights under pytorch-fid's key names, classifier and counters included."""
    plain = Plain()
    with torch.no_grad():
        plain.features(torch.zeros(1, 3, 75, 75))
    plain.state["fc.weight"] = torch.randn(1008, 2048, generator=plain.dice) * 0.02
    plain.state["fc.bias"] = torch.randn(1008, generator=plain.dice)
    plain.state["Mixed_5b.branch1x1.bn.num_batches_tracked"] = torch.tensor(7)
    return plain.state


def pictures(count: int, seed: int = 0, height: int = 40, width: int = 50) -> list[Image]:
    """Noise."""
    dice = np.random.default_rng(seed)
    return [dice.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]
