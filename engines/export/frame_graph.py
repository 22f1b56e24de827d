"""Rendering a whole frame on a device as one graph, from 8-bit planes to 8-bit planes.

The same as `engines.rgb_engine` does on the CPU around a runner, as one torch module of fixed shapes: colour,
working size, margins, generator, guided filter and strength. torch runs it on GPUs, and
`engines.export.typed_onnx` exports it. Intermediate results are not rounded to code values, which the CPU
does four times: on photographs, the mean difference of the planes is below half a code value.

The generator may be in fp16 (`to_half`). Everything else is fp32, because statistics, variances and divisions
lose too much in less.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.export.fields_graph import FieldsNetwork
from engines.export.tasks import FrameTask, Task
from engines.generators.lwcomicgan import LIN
from engines.imaging.color import rgb_to_yuv_matrix, yuv_to_rgb_matrix
from engines.imaging.guided_filter_torch import coefficients
from engines.imaging.working_size import WorkingSize

Size = tuple[int, int]
"""Height and width in pixels."""
STATISTICS = (nn.InstanceNorm2d, LIN)
"""Modules that compute means and variances of a whole image."""


class FrameNetwork(nn.Module):
    """A generator and all processing around it, for one task."""

    def __init__(self, generator: nn.Module, task: FrameTask) -> None:
        """Wrap `generator`, which has one float type, apart from its statistics, and is not copied."""
        super().__init__()
        self.task = task
        self.generator = generator
        size, chroma = task.size, (task.chroma_height, task.chroma_width)
        full, small = (size.height, size.width), (size.working_height, size.working_width)
        self.shrink = Fit(full, small)
        self.to_small = Fit(chroma, small)
        self.to_chroma = Fit(small, chroma)
        # As in `engines.imaging.guided_filter.fast_coefficients`, an even radius is fitted at half size.
        halves = task.radius >= 2 and task.radius % 2 == 0 and min(small) >= 2
        fitted = (small[0] // 2, small[1] // 2) if halves else small
        self.radius = task.radius // 2 if halves else task.radius
        self.to_fitted, self.from_fitted = Fit(small, fitted), Fit(fitted, small)
        self.enlarge = Fit(small, full)
        self.mirror = Mirror(size)
        # The generator's range -1..1 is 0..255 / 127.5 - 1, which is part of both matrices.
        to_rgb = yuv_to_rgb_matrix(task.matrix, task.full_range) / 127.5
        to_rgb[:, 3] -= 1
        to_yuv = rgb_to_yuv_matrix(task.matrix, task.full_range).copy()
        to_yuv[:, 3] += 127.5 * to_yuv[:, :3].sum(1)
        to_yuv[:, :3] *= 127.5
        self._to_rgb: list[list[float]] = to_rgb.tolist()
        self._to_yuv: list[list[float]] = to_yuv.tolist()

    def forward(self, y: Tensor, u: Tensor, v: Tensor, strength: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the planes of N cartoons, uint8 in the shapes of the inputs.

        `y` is N x height x width, `u` and `v` are N x chroma height x chroma width, all uint8. `strength` is
        one float32 from 0, the source, to 1, the cartoon.
        """
        task, size = self.task, self.task.size
        source_y, source_u, source_v = (plane.float().unsqueeze(1) for plane in (y, u, v))
        luma = _extend(source_y, size.height, size.width)
        guide = self.shrink(luma)
        rgb = _transformed(self._to_rgb, (guide, self.to_small(source_u), self.to_small(source_v)))
        drawing = self.crop(self._generate(self.mirror(torch.cat(rgb, 1).clamp(-1, 1))))
        drawn_y, drawn_u, drawn_v = _transformed(self._to_yuv, drawing.clamp(-1, 1).chunk(3, 1))
        a, b = coefficients(self.to_fitted(guide), self.to_fitted(drawn_y), self.radius, task.eps * 255**2)
        a, b = self.from_fitted(a), self.from_fitted(b)
        if task.lines:
            b = b + task.lines * (drawn_y - (a * guide + b))
        cartoon_y = (self.enlarge(a) * luma + self.enlarge(b))[:, :, : task.height, : task.width]
        return (
            _mixed(source_y, cartoon_y, strength),
            _mixed(source_u, self.to_chroma(drawn_u), strength),
            _mixed(source_v, self.to_chroma(drawn_v), strength),
        )

    def crop(self, drawing: Tensor) -> Tensor:
        """Remove the margins."""
        size = self.task.size
        top = left = size.margin
        return drawing[:, :, top : top + size.working_height, left : left + size.working_width]

    def _generate(self, picture: Tensor) -> Tensor:
        """Run the generator on N x 3 x padded height x padded width in [-1, 1], fp32 in and out."""
        weight = next(self.generator.parameters(), None)
        cartoon: Tensor = self.generator(picture if weight is None else picture.to(weight.dtype))
        return cartoon.float()


def network_for(generator: nn.Module, task: Task) -> FrameNetwork | FieldsNetwork:
    """Return the generator, which is not copied, with the processing of its task around it."""
    if isinstance(task, FrameTask):
        return FrameNetwork(generator, task)
    return FieldsNetwork(generator, task)


class Fit(nn.Module):
    """`engines.imaging.working_size.fit` for a fixed pair of sizes: area averages down, bilinear up."""

    def __init__(self, given: Size, wanted: Size) -> None:
        super().__init__()
        self.given, self.wanted = given, wanted
        self.shrinks = given[0] >= wanted[0] and given[1] >= wanted[1]
        self.whole = self.shrinks and not (given[0] % wanted[0] or given[1] % wanted[1])
        if self.shrinks and not self.whole:
            self.register_buffer("rows", _area(given[0], wanted[0]), persistent=False)
            self.register_buffer("columns", _area(given[1], wanted[1]).T.contiguous(), persistent=False)

    def forward(self, plane: Tensor) -> Tensor:
        """Scale N x C x given size to N x C x wanted size, float."""
        if self.given == self.wanted:
            return plane
        if self.whole:
            return F.avg_pool2d(plane, (self.given[0] // self.wanted[0], self.given[1] // self.wanted[1]))
        if self.shrinks:
            rows, columns = self.get_buffer("rows"), self.get_buffer("columns")
            return torch.matmul(torch.matmul(rows, plane), columns)
        return F.interpolate(plane, self.wanted, mode="bilinear", align_corners=False)


class Mirror(nn.Module):
    """`engines.imaging.working_size.WorkingSize.pad`, by selecting rows and columns."""

    def __init__(self, size: WorkingSize) -> None:
        super().__init__()
        right, below = size.beyond
        self.register_buffer("rows", _mirrored(size.working_height, size.margin, below), persistent=False)
        self.register_buffer("columns", _mirrored(size.working_width, size.margin, right), persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """Pad N x C x small size to N x C x padded size."""
        rows = picture.index_select(2, self.get_buffer("rows"))
        return rows.index_select(3, self.get_buffer("columns"))


class Fp32Module(nn.Module):
    """A module that computes in fp32 between values of a smaller type."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Apply the module in fp32 and return the input's type."""
        out: Tensor = self.inner(x.float())
        return out.to(x.dtype)


def to_half(generator: nn.Module, dtype: torch.dtype = torch.float16) -> nn.Module:
    """Return a copy in fp16 or bf16 that computes statistics in fp32, with casts in its graph."""
    twin = copy.deepcopy(generator).to(dtype)
    for name, module in generator.named_modules():
        if isinstance(module, STATISTICS):
            twin.set_submodule(name, Fp32Module(copy.deepcopy(module).float()))
    return twin


def _area(given: int, wanted: int) -> Tensor:
    """Return a wanted x given matrix: the share of each input sample in each output sample, by area."""
    edges = np.arange(wanted + 1) * (given / wanted)
    starts = np.arange(given)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return torch.from_numpy((overlap.clip(0) * (wanted / given)).astype(np.float32))


def _mirrored(size: int, before: int, after: int) -> Tensor:
    """Return the source index of each position from `before` ahead of the first to `after` behind the last.

    The border itself is not repeated.
    """
    period = max(1, 2 * (size - 1))
    at = torch.arange(-before, size + after).remainder(period)
    return torch.minimum(at, period - at)


def _extend(planes: Tensor, height: int, width: int) -> Tensor:
    """Extend to height x width by repeating the last row and column."""
    below, right = height - planes.shape[2], width - planes.shape[3]
    return F.pad(planes, (0, right, 0, below), mode="replicate") if below or right else planes


def _transformed(matrix: list[list[float]], planes: tuple[Tensor, ...]) -> list[Tensor]:
    """Multiply three planes by a 3 x 4 matrix, pointwise: a convolution might be computed in TF32."""
    one, two, three = planes
    return [row[0] * one + row[1] * two + row[2] * three + row[3] for row in matrix]


def _mixed(source: Tensor, cartoon: Tensor, strength: Tensor) -> Tensor:
    """Mix planes of N x 1 x H x W. Return code values of N x H x W, rounded and clipped."""
    mixed = source + strength * (cartoon.clamp(0, 255) - source)
    return mixed.round().clamp(0, 255).squeeze(1).to(torch.uint8)
