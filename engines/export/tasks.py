"""Tasks, which describe what a graph computes: frames of one size and colour, or fields of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engines.frame import Matrix
from engines.imaging.field_blocks import BLOCK, FIELDS, SAMPLES
from engines.imaging.working_size import WorkingSize

Shape = tuple[int, ...]
Samples = tuple[NDArray[np.uint8], ...]
"""One input or output of a graph: the arrays of its task, in their order."""


@dataclass(frozen=True, slots=True)
class FrameTask:
    """Everything that a graph from planes to planes depends on, except weights and precision."""

    numbers: ClassVar[tuple[str, ...]] = ("strength",)
    """Further inputs of the graph: one float each, for the whole batch."""
    size: WorkingSize
    height: int
    """Height of luma, pixels; height and width may be odd."""
    width: int
    chroma_height: int
    """Height of both chroma planes: ceil(height / 2) in 4:2:0."""
    chroma_width: int
    matrix: Matrix
    full_range: bool
    radius: int
    """Radius of the guided filter, pixels of the working size."""
    eps: float
    """Regularisation of the guided filter, a fraction of 255 squared."""
    lines: float
    """Share of the detail, 0 to 1, that is put back after the guided filter."""

    @property
    def takes(self) -> dict[str, Shape]:
        """The graph's 8-bit inputs for one frame, without the batch: name -> shape."""
        chroma = (self.chroma_height, self.chroma_width)
        return {"y": (self.height, self.width), "u": chroma, "v": chroma}

    @property
    def gives(self) -> dict[str, Shape]:
        """The graph's 8-bit outputs for one frame, without the batch: name -> shape."""
        return {f"cartoon_{name}": shape for name, shape in self.takes.items()}


@dataclass(frozen=True, slots=True)
class FieldsTask:
    """The same for a graph from blocks to fields. Colour, size and look are left to the CPU."""

    numbers: ClassVar[tuple[str, ...]] = ()
    rows: int
    """Rows of blocks of the working size."""
    columns: int

    @property
    def height(self) -> int:
        """Working height, pixels."""
        return self.rows * BLOCK

    @property
    def width(self) -> int:
        """Working width, pixels."""
        return self.columns * BLOCK

    @property
    def takes(self) -> dict[str, Shape]:
        """The graph's 8-bit inputs; see `FrameTask.takes`."""
        return {"blocks": (self.rows, self.columns, SAMPLES)}

    @property
    def gives(self) -> dict[str, Shape]:
        """The graph's 8-bit outputs; see `FrameTask.gives`."""
        return {"fields": (self.rows, self.columns, FIELDS)}


Task = FrameTask | FieldsTask
