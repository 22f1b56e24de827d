"""The guided filter for training and exported graphs: differentiable, any device, any float type.

The same mathematics as `engines.guided_filter` (He, Sun, Tang, TPAMI 2013, Eqs. 5, 6 and 8), with a grey
guide and a source of one or several channels, each filtered by itself.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _window_sums(x: Tensor, radius: int) -> Tensor:
    """Sums over (2 radius + 1)^2 windows cut at the border, N x C x H x W, as two one-dimensional sums."""
    size = 2 * radius + 1
    # divisor_override=1 makes a sum of the average; padding adds zeros, which a sum does not notice.
    rows = F.avg_pool2d(x, (size, 1), stride=1, padding=(radius, 0), divisor_override=1)
    return F.avg_pool2d(rows, (1, size), stride=1, padding=(0, radius), divisor_override=1)


def coefficients(guide: Tensor, source: Tensor, radius: int, eps: float) -> tuple[Tensor, Tensor]:
    """The averaged lines (a, b), each N x C x H x W.

    `guide` is N x 1 x H x W, `source` N x C x H x W; `radius` in pixels; `eps` in squared units of the
    guide (for a guide in [-1, 1], four times the fraction of the range squared). Both are float32 or
    float64: variances are differences of large numbers, which half precision does not hold.
    Raises ValueError when shapes or types do not fit.
    """
    if guide.shape[1] != 1 or guide.shape[0] != source.shape[0] or guide.shape[2:] != source.shape[2:]:
        raise ValueError(f"guide {tuple(guide.shape)} and source {tuple(source.shape)} do not fit")
    if torch.float16 in (guide.dtype, source.dtype) or torch.bfloat16 in (guide.dtype, source.dtype):
        raise ValueError(f"expected float32 or float64, got {guide.dtype} and {source.dtype}")
    counts = _window_sums(torch.ones_like(guide[:1]), radius)

    def mean(x: Tensor) -> Tensor:
        return _window_sums(x, radius) / counts

    mean_i, mean_p = mean(guide), mean(source)
    covariance = mean(guide * source) - mean_i * mean_p
    variance = mean(guide * guide) - mean_i * mean_i
    a = covariance / (variance + eps)
    b = mean_p - a * mean_i
    return mean(a), mean(b)


def guided_filter(guide: Tensor, source: Tensor, radius: int, eps: float) -> Tensor:
    """`source` smoothed along `guide`, N x C x H x W of the source's type; arguments as `coefficients`.

    Half precision is taken, computed in float32 and given back as it came.
    """
    half = (torch.float16, torch.bfloat16)
    wide_guide = guide.float() if guide.dtype in half else guide
    wide_source = source.float() if source.dtype in half else source
    a, b = coefficients(wide_guide, wide_source, radius, eps)
    return (a * wide_guide + b).to(source.dtype)
