"""What a graph is made for: frames of one size and color, or blocks of fields of one size."""

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
"""A picture as a graph takes or gives it: the arrays that its task names, in that order."""


@dataclass(frozen=True, slots=True)
class FrameTask:
    """All that a graph from planes to planes is made for, but its weights and its precision."""

    numbers: ClassVar[tuple[str, ...]] = ("strength",)
    """What the graph takes beside the picture: one float each, for a whole batch."""
    size: WorkingSize
    height: int
    """Of the picture's luma, pixels; may be odd, as the width may."""
    width: int
    chroma_height: int
    """Of both chroma planes: ceil(height / 2) in 4:2:0."""
    chroma_width: int
    matrix: Matrix
    full_range: bool
    radius: int
    """Of the guided filter, in pixels of the working size."""
    eps: float
    """Of the guided filter, as a fraction of 255 squared."""
    lines: float
    """Share, 0 to 1, that is kept of what the guided filter would smooth away."""

    @property
    def takes(self) -> dict[str, Shape]:
        """The graph's 8-bit inputs for one picture, without the batch."""
        chroma = (self.chroma_height, self.chroma_width)
        return {"y": (self.height, self.width), "u": chroma, "v": chroma}

    @property
    def gives(self) -> dict[str, Shape]:
        """Its 8-bit outputs."""
        return {f"cartoon_{name}": shape for name, shape in self.takes.items()}


@dataclass(frozen=True, slots=True)
class FieldsTask:
    """The same of a graph from blocks of samples to fields: colour, size and look are the host's."""

    numbers: ClassVar[tuple[str, ...]] = ()
    rows: int
    """Blocks of the working size."""
    columns: int

    @property
    def height(self) -> int:
        """Of the working size, pixels."""
        return self.rows * BLOCK

    @property
    def width(self) -> int:
        """Of the working size, pixels."""
        return self.columns * BLOCK

    @property
    def takes(self) -> dict[str, Shape]:
        """As of FrameTask."""
        return {"blocks": (self.rows, self.columns, SAMPLES)}

    @property
    def gives(self) -> dict[str, Shape]:
        """As of FrameTask."""
        return {"fields": (self.rows, self.columns, FIELDS)}


Task = FrameTask | FieldsTask
