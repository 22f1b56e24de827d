"""The guided filter for training and exported graphs: differentiable, any device, any float type.

The same filter as in `engines.imaging.guided_filter` (He, Sun, Tang, TPAMI 2013, Eqs. 5, 6 and 8), with a
grey guide and a source of one or more channels, each filtered independently.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _means(x: Tensor, radius: int) -> Tensor:
    """Return means over (2 radius + 1)^2 windows cut off at the border, N x C x H x W, in two 1-D passes."""
    size = 2 * radius + 1
    rows = F.avg_pool2d(x, (size, 1), stride=1, padding=(radius, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, size), stride=1, padding=(0, radius), count_include_pad=False)


def coefficients(guide: Tensor, source: Tensor, radius: int, eps: float) -> tuple[Tensor, Tensor]:
    """Return the averaged coefficients (a, b), each N x C x H x W.

    `guide` is N x 1 x H x W, `source` N x C x H x W. `radius` is in pixels, and `eps` in squared units of the
    guide: for a guide in [-1, 1], four times the fraction of the squared range. Both tensors are float32 or
    float64, because variances are differences of large numbers. Raises ValueError for other shapes or types.
    """
    if guide.shape[1] != 1 or guide.shape[0] != source.shape[0] or guide.shape[2:] != source.shape[2:]:
        raise ValueError(f"guide {tuple(guide.shape)} and source {tuple(source.shape)} do not match")
    if torch.float16 in (guide.dtype, source.dtype) or torch.bfloat16 in (guide.dtype, source.dtype):
        raise ValueError(f"expected float32 or float64, got {guide.dtype} and {source.dtype}")
    channels = source.shape[1]
    # One pass over all of them: on a GPU, launching a kernel costs more than these small ones take.
    products = torch.cat((guide, guide * guide, source, guide * source), 1)
    mean_i, mean_ii, mean_p, mean_ip = torch.split(_means(products, radius), [1, 1, channels, channels], 1)
    a = (mean_ip - mean_i * mean_p) / (mean_ii - mean_i * mean_i + eps)
    b = mean_p - a * mean_i
    mean_a, mean_b = torch.split(_means(torch.cat((a, b), 1), radius), channels, 1)
    return mean_a, mean_b


def guided_filter(guide: Tensor, source: Tensor, radius: int, eps: float) -> Tensor:
    """Filter `source` along `guide`. Return N x C x H x W of the source's type; arguments as `coefficients`.

    Half precision is computed in float32.
    """
    half = (torch.float16, torch.bfloat16)
    wide_guide = guide.float() if guide.dtype in half else guide
    wide_source = source.float() if source.dtype in half else source
    a, b = coefficients(wide_guide, wide_source, radius, eps)
    return (a * wide_guide + b).to(source.dtype)
