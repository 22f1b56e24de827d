"""What tests of graphs from planes to planes share: pictures, tasks, a runner that draws on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data

from engines.backends.batcher import Batcher, BufferPool, byte_count, views_of
from engines.backends.torch_runner import TorchRunner
from engines.common.image_files import read_image
from engines.export.tasks import FrameTask, Samples, Task
from engines.export.typed_onnx import Network, task_network
from engines.frame import ColorInfo, Frame, Planes
from engines.generators import margin_of
from engines.imaging.color import rgb_to_yuv
from engines.imaging.working_size import WorkingSize
from engines.registry.style import Style

Bytes = NDArray[np.uint8]
LIMITED = ColorInfo("bt709")


def photographs(height: int, width: int) -> dict[str, Bytes]:
    """Name -> H x W x 3 RGB: scikit-image's, and some of STREAMTOON_DATA where that is set."""
    found = {name: np.asarray(getattr(data, name)()) for name in ("astronaut", "coffee", "chelsea", "rocket")}
    if "STREAMTOON_DATA" in os.environ:
        files = sorted((Path(os.environ["STREAMTOON_DATA"]) / "photos" / "free" / "heldout").glob("*.webp"))
        assert files
        for file in files[:: max(1, len(files) // 4)][:4]:
            found[file.stem] = read_image(file)
    size = (width, height)
    return {
        name: np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
        for name, photo in found.items()
    }


def extremes(height: int, width: int) -> dict[str, Planes]:
    """What no camera gives: every code value allowed in a file, also those outside the limited range."""
    dice = np.random.default_rng(0)
    chroma = (-(-height // 2), -(-width // 2))

    def flat(y: int, u: int, v: int) -> Planes:
        return (
            np.full((height, width), y, np.uint8),
            np.full(chroma, u, np.uint8),
            np.full(chroma, v, np.uint8),
        )

    def noise(*values: int) -> Planes:
        of = np.array(values, np.uint8)
        return dice.choice(of, (height, width)), dice.choice(of, chroma), dice.choice(of, chroma)

    board = (np.indices((height, width)).sum(0) % 2 * 255).astype(np.uint8)
    return {
        "black": flat(16, 128, 128),
        "white": flat(235, 128, 128),
        "below black": flat(0, 0, 0),
        "above white": flat(255, 255, 255),
        "red": flat(63, 102, 240),
        "blue": flat(32, 240, 118),
        "magenta, saturated": flat(78, 255, 255),
        "noise": noise(*range(256)),
        "noise of extremes": noise(0, 255),
        "checkerboard": (board, *flat(0, 0, 255)[1:]),
    }


def picture(photo: Bytes, color: ColorInfo = LIMITED, pts: int = 0) -> Frame:
    """A photograph as 4:2:0."""
    y, u, v = rgb_to_yuv(photo, color)
    half = ((photo.shape[1] + 1) // 2, (photo.shape[0] + 1) // 2)
    u, v = (np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8) for plane in (u, v))
    return Frame(y, u, v, pts, Fraction(1, 30), 1, color)


def task_for(style: Style, height: int, width: int, scale: float = 1.0, **other: Any) -> FrameTask:
    """4:2:0 in limited range, the filter as the style has it."""
    facts: dict[str, Any] = {
        "size": WorkingSize.of(height, width, scale, style.size_multiple, margin_of(style.generator)),
        "height": height,
        "width": width,
        "chroma_height": -(-height // 2),
        "chroma_width": -(-width // 2),
        "matrix": "bt709",
        "full_range": False,
        "radius": style.radius,
        "eps": style.eps * (219 / 255) ** 2,
        "lines": style.lines,
    }
    return FrameTask(**(facts | other))


def tensors(*pictures: Samples) -> list[torch.Tensor]:
    """N x what one is, each."""
    return [torch.from_numpy(np.stack(parts)) for parts in zip(*pictures, strict=True)]


def drawn(network: Network, *pictures: Samples, strength: float = 1.0) -> list[Bytes]:
    """What is made of all of them, N x what it is of one, by torch on the CPU."""
    numbers = [torch.full((1,), strength) for _ in network.task.numbers]
    with torch.inference_mode():
        made = network(*tensors(*pictures), *numbers)
    return [part.numpy() for part in made]


def psnr(left: Any, right: Any) -> float:
    """Decibels, of three planes taken together; infinite where they are the same."""
    squares = [(np.asarray(a, float) - np.asarray(b, float)) ** 2 for a, b in zip(left, right, strict=True)]
    error = np.concatenate([square.ravel() for square in squares]).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


class CpuLane:
    """A batch's way through a network on the CPU, computed when it is launched."""

    def __init__(self, network: Network, batch: int, pool: BufferPool) -> None:
        self.network, self.batch, self.pool = network, batch, pool
        self.source = np.full(batch * byte_count(network.task.takes.values()), 128, np.uint8)
        self.launched: list[float] = []
        self.result: Bytes | None = None

    def launch(self, strength: float) -> None:
        self.launched.append(strength)
        task = self.network.task
        given = views_of(torch.from_numpy(self.source), task.takes.values(), self.batch)
        with torch.inference_mode():
            made = self.network(*given, *(torch.full((1,), strength) for _ in task.numbers))
        self.result = np.concatenate([part.numpy().ravel() for part in made])

    def wait(self) -> Bytes:
        assert self.result is not None
        block = self.pool.take()
        block[:] = self.result
        return block


class CpuBatches:
    """A batch runner without a device: the same batches, drawn by torch on the CPU."""

    device, precision = "cpu", "fp32"

    def __init__(self, style: Style, task: Task, batch: int) -> None:
        network = task_network(style, task, half=False)
        self.concurrency = 2 * batch
        self.pool = BufferPool(
            batch * byte_count(task.gives.values()), 6, lambda size: np.empty(size, np.uint8)
        )
        self.lanes = [CpuLane(network, batch, self.pool) for _ in range(3)]
        self._batches = Batcher(self.lanes, task, batch)
        self.closed = False

    def start(self, source: Samples, strength: float) -> Callable[[], Samples]:
        return self._batches.start(source, strength)

    def close(self) -> None:
        self._batches.close()
        self.closed = True


class CpuBatchesRunner(TorchRunner):
    """torch on the CPU, with a batch runner."""

    def __init__(self, style: Style, height: int, width: int, batch: int) -> None:
        super().__init__(style, "cpu", "fp32", height, width)
        self.style, self.batch, self.batched_concurrency = style, batch, 2 * batch
        self.opened: list[CpuBatches] = []

    def open_batches(self, task: Task) -> CpuBatches:
        self.opened.append(CpuBatches(self.style, task, self.batch))
        return self.opened[-1]
