"""Other people's generators: ONNX graphs, each through ONNX Runtime as anybody gets it.

That is `InferenceSession(file)` on the CPU with its own threads and settings. Only the network is timed;
reading a picture, converting it and writing the cartoon come on top for whoever uses it.
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
"""Sides are brought down to a multiple of this, which all such generators take: never more work than ours."""
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a graph takes."""

    order: Literal["NCHW", "NHWC"]
    height: int | None
    """None: any."""
    width: int | None


class Baseline:
    """One graph in an open session.

    Raises StreamtoonError: not a graph that ONNX Runtime loads, or not one from one picture to one.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        self.name = path.stem
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            reason = " ".join(str(error).split())[:120]
            raise StreamtoonError(f"{path} is not a graph that ONNX Runtime loads: {reason}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in TYPES:
            raise StreamtoonError(f"{path} does not take one picture: {_described(inputs)}")
        self._input, self._type = inputs[0].name, TYPES[inputs[0].type]
        self.layout = layout_of(inputs[0].shape, path)

    def size_for(self, width: int, height: int) -> tuple[int, int] | None:
        """Width and height at which it sees such pictures; None where its graph is fixed to another size."""
        fits = tuple(max(SIDE_MULTIPLE, side // SIDE_MULTIPLE * SIDE_MULTIPLE) for side in (width, height))
        fixed = (self.layout.width or fits[0], self.layout.height or fits[1])
        near = all(abs(a - b) < SIDE_MULTIPLE for a, b in zip(fixed, (width, height), strict=True))
        return fixed if near or fixed == fits else None

    def tensor(self, picture: Image, size: tuple[int, int]) -> NDArray[Any]:
        """H x W x 3 RGB as the graph takes it, at `size` (width, height): in [-1, 1], or 0..255 for uint8.

        Published generators differ in the range they want; it changes what they draw and not how long.
        """
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        values = small if self._type is np.uint8 else (small / np.float32(127.5) - 1).astype(self._type)
        ordered = values if self.layout.order == "NHWC" else values.transpose(2, 0, 1)
        return np.ascontiguousarray(ordered[None])

    def __call__(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """What the network makes of a tensor. Raises StreamtoonError where it fails."""
        try:
            result: NDArray[Any] = self._session.run(None, {self._input: tensor})[0]
        except Exception as error:
            reason = " ".join(str(error).split())[:120]
            raise StreamtoonError(f"{self.name} does not run on {tensor.shape}: {reason}") from error
        return result


def open_baselines(folder: Path) -> tuple[list[Baseline], list[str]]:
    """The graphs in a folder, by name, and a sentence for each file that is none.

    Raises StreamtoonError when no graph is there that can be run, or ONNX Runtime is missing.
    """
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise StreamtoonError(
            f"peers run in onnxruntime, not installed here: {install_line('onnxruntime')}"
        ) from error
    if not folder.is_dir():
        raise StreamtoonError(f"there is no folder {folder} with peers")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".onnx")
    if not files:
        raise StreamtoonError(f"{folder} holds no peer: put ONNX graphs there, named .onnx")
    peers, notes = [], []
    for file in files:
        try:
            peers.append(Baseline(file))
        except StreamtoonError as error:
            notes.append(f"{error}; it is left out")
    if not peers:
        raise StreamtoonError(f"{folder} holds no peer that runs: {notes[0]}")
    return peers, notes


def layout_of(shape: Sequence[object], path: Path) -> Layout:
    """Of an input's shape, whose free dimensions are names or None. Raises StreamtoonError."""
    if len(shape) == 4:
        for order, channels, rows in (("NCHW", 1, 2), ("NHWC", 3, 1)):
            if shape[channels] == 3:
                height, width = shape[rows], shape[rows + 1]
                return Layout(
                    order,  # type: ignore[arg-type]
                    height if isinstance(height, int) else None,
                    width if isinstance(width, int) else None,
                )
    raise StreamtoonError(f"{path} takes {list(shape)}, expected N x 3 x H x W or N x H x W x 3")


def _described(inputs: Sequence[Any]) -> str:
    return ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
