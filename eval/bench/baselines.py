"""Generators of other projects: ONNX graphs that run in ONNX Runtime with its default settings.

Each runs as `InferenceSession(file)` on the CPU. Only the network is timed. Reading an image, converting it
and writing the cartoon are not included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.common.extras import install_line
from engines.errors import StreamtoonError

SIDE_MULTIPLE = 32
"""Width and height are rounded down to a multiple of this number. All such generators accept such sizes, and
a smaller size is never more work than ours.
"""
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


@dataclass(frozen=True, slots=True)
class Layout:
    """The input layout of a graph."""

    order: Literal["NCHW", "NHWC"]
    height: int | None
    """None if the graph accepts any height."""
    width: int | None


class Baseline:
    """One graph in an open session.

    Raises StreamtoonError if ONNX Runtime cannot load the graph, or if it does not map one image to one
    image.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        self.name = path.stem
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            reason = " ".join(str(error).split())[:120]
            raise StreamtoonError(
                f"{path} is not an ONNX graph that ONNX Runtime can load: {reason}"
            ) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in TYPES:
            raise StreamtoonError(f"{path} does not take one image: {_described(inputs)}")
        self._input, self._type = inputs[0].name, TYPES[inputs[0].type]
        self.layout = layout_of(inputs[0].shape, path)

    def size_for(self, width: int, height: int) -> tuple[int, int] | None:
        """Return the (width, height) at which the graph takes images of this size, in pixels.

        Returns None if the graph is fixed to another size.
        """
        fits = tuple(max(SIDE_MULTIPLE, side // SIDE_MULTIPLE * SIDE_MULTIPLE) for side in (width, height))
        fixed = (self.layout.width or fits[0], self.layout.height or fits[1])
        near = all(abs(a - b) < SIDE_MULTIPLE for a, b in zip(fixed, (width, height), strict=True))
        return fixed if near or fixed == fits else None

    def tensor(self, image: Image, size: tuple[int, int]) -> NDArray[Any]:
        """Return an H x W x 3 RGB image as an input tensor of `size` (width, height).

        Values are in [-1, 1], or 0..255 for a graph that takes uint8. Published generators expect different
        ranges; the range changes what they draw, not their speed.
        """
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        values = small if self._type is np.uint8 else (small / np.float32(127.5) - 1).astype(self._type)
        ordered = values if self.layout.order == "NHWC" else values.transpose(2, 0, 1)
        return np.ascontiguousarray(ordered[None])

    def __call__(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """Run the network on a tensor and return its output.

        Raises StreamtoonError if the network fails.
        """
        try:
            result: NDArray[Any] = self._session.run(None, {self._input: tensor})[0]
        except Exception as error:
            reason = " ".join(str(error).split())[:120]
            raise StreamtoonError(
                f"{self.name} does not run on a tensor of shape {tensor.shape}: {reason}"
            ) from error
        return result


def open_baselines(folder: Path) -> tuple[list[Baseline], list[str]]:
    """Open the graphs of a folder in the order of their names.

    Returns the graphs, and one sentence for each file that cannot be used. Raises StreamtoonError if no graph
    can be run or ONNX Runtime is not installed.
    """
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise StreamtoonError(
            f"peers need onnxruntime, which is not installed: {install_line('onnxruntime')}"
        ) from error
    if not folder.is_dir():
        raise StreamtoonError(f"the folder of peers {folder} does not exist")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".onnx")
    if not files:
        raise StreamtoonError(f"{folder} contains no ONNX graph; put files named *.onnx there")
    peers, notes = [], []
    for file in files:
        try:
            peers.append(Baseline(file))
        except StreamtoonError as error:
            notes.append(f"{error}; it is skipped")
    if not peers:
        raise StreamtoonError(f"no graph in {folder} can be run: {notes[0]}")
    return peers, notes


def layout_of(shape: Sequence[object], path: Path) -> Layout:
    """Return the layout for an input shape, whose free dimensions are names or None.

    Raises StreamtoonError for any other shape.
    """
    if len(shape) == 4:
        for order, channels, rows in (("NCHW", 1, 2), ("NHWC", 3, 1)):
            if shape[channels] == 3:
                height, width = shape[rows], shape[rows + 1]
                return Layout(
                    order,  # type: ignore[arg-type]
                    height if isinstance(height, int) else None,
                    width if isinstance(width, int) else None,
                )
    raise StreamtoonError(f"{path} takes the shape {list(shape)}, expected N x 3 x H x W or N x H x W x 3")


def _described(inputs: Sequence[Any]) -> str:
    return ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
