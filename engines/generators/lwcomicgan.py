"""LWComicGAN's generator: a small residual network that chooses between two normalizations.

Yang et al., "LWComicGAN: A Lightweight Method for Realizing Scene Animation". The paper gives a 7x7 first
convolution, 3x3 ones after it, LeakyReLU, four residual blocks with its LIN layer (Eq. 7), upsampling
modules, one last convolution with tanh, and 2,796,416 parameters (Table III). It gives no widths. Two
downsamplings are common in the field (CartoonGAN, AnimeGAN), and widths of 32, 64 and 184 result in 2,778,995
parameters, 0.6 % below the paper's.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

SLOPE = 0.2
EPS = 1e-5


class LIN(nn.Module):
    """The larger of instance and layer normalization (Eq. 7), with gain and bias.

    Every value is standardised twice: by mean and deviation of its own channel (alpha_I) and of all channels
    (alpha_L). The larger result is used. "Larger" is read per element: for a whole layer, instance
    normalization would always win, because a layer's variance is never below the mean of its channels', and
    the network could not tell a dark image from a bright one. Values are divided by the deviation; Eq. 7
    prints the variance instead.

    Maps N x C x H x W, larger than 1 x 1, to the same shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to the same shape."""
        # Graphs need standard operations, GPUs run them well, and fp16 would overflow in the fused kernels.
        plain = torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype == torch.float16
        larger = _larger(x) if plain else cast(Tensor, _FusedLarger.apply(x))  # type: ignore[no-untyped-call]
        return torch.addcmul(_as(self.bias, x), larger, _as(self.weight, x))


def _as(parameter: Tensor, x: Tensor) -> Tensor:
    return parameter[:, None, None].to(x.dtype)


def _larger(x: Tensor) -> Tensor:
    """Return the larger of both standardised values, straight from the definition."""
    return torch.maximum(F.instance_norm(x, eps=EPS), F.group_norm(x, 1, eps=EPS))


class _FusedLarger(torch.autograd.Function):
    """Computes `_larger` on a CPU in training, with a backward pass that halves the time of a step.

    The kernels compute statistics of bf16 maps in fp32 without a copy of the maps.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        """Map N x C x H x W to the same shape."""
        n, c, h, w = x.shape
        ones = torch.ones(c, dtype=torch.promote_types(x.dtype, torch.float32))
        instance, mean_i, rstd_i = torch.native_group_norm(x, ones, None, n, c, h * w, c, EPS)
        layer, mean_l, rstd_l = torch.native_group_norm(x, ones, None, n, c, h * w, 1, EPS)
        chosen = instance >= layer
        ctx.save_for_backward(x, chosen, ones, mean_i, rstd_i, mean_l, rstd_l)
        return torch.where(chosen, instance, layer)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the gradient of the maps; each value's goes through the normalization that it came from."""
        x, chosen, ones, mean_i, rstd_i, mean_l, rstd_l = ctx.saved_tensors
        _, c, h, w = x.shape
        # The kernel of group normalization assumes that the gradient has x's memory layout.
        last = x.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        x, grad = x.contiguous(memory_format=layout), grad.contiguous(memory_format=layout)
        to_instance = grad * chosen
        to_layer = grad - to_instance
        only_x, parts = [True, False, False], []
        for i in range(len(x)):
            at = slice(i, i + 1)
            # For one image, instance normalization equals batch normalization, which has the faster kernel:
            # group normalization with C groups takes forty times as long with channels last.
            by_instance = torch.ops.aten.native_batch_norm_backward(
                to_instance[at], x[at], ones, None, None, mean_i[i], rstd_i[i], True, EPS, only_x
            )
            by_layer = torch.ops.aten.native_group_norm_backward(
                to_layer[at], x[at], mean_l[at], rstd_l[at], ones, 1, c, h * w, 1, only_x
            )
            parts.append(by_instance[0] + by_layer[0])
        return torch.cat(parts)


class LinConvBlock(nn.Sequential):
    """Convolution, LIN, LeakyReLU. The convolution has no bias, because LIN has one."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
            LIN(out_channels),
            nn.LeakyReLU(SLOPE),
        )


class LinResidualBlock(nn.Module):
    """ResNet's block with LIN instead of batch normalization (the paper's Figure 3).

    It starts as the identity: the last gain is 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            LinConvBlock(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            last := LIN(channels),
        )
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map channels x H x W to the same shape."""
        out: Tensor = x + self.body(x)
        return out


class LWComicGAN(nn.Module):
    """Maps N x 3 x H x W RGB in [-1, 1] to the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 4

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 184), blocks: int = 4) -> None:
        super().__init__()
        full, half, quarter = widths
        self.encoder = nn.Sequential(
            LinConvBlock(3, full, 7),
            LinConvBlock(full, half, stride=2),
            LinConvBlock(half, half),
            LinConvBlock(half, quarter, stride=2),
        )
        self.blocks = nn.Sequential(*(LinResidualBlock(quarter) for _ in range(blocks)))
        self.up1 = nn.Sequential(LinConvBlock(quarter, half), LinConvBlock(half, half))
        self.up2 = nn.Sequential(LinConvBlock(half, full), LinConvBlock(full, full))
        self.head = nn.Conv2d(full, 3, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """Map N x 3 x H x W RGB in [-1, 1] to the same."""
        x = self.blocks(self.encoder(picture))
        x = self.up1(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
        x = self.up2(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
        return torch.tanh(self.head(x))
