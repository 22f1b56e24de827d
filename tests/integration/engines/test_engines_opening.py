"""Where `auto` turns to when the first choice cannot draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines_open import open_engine

from engines import factory as opening
from engines.backends import selection
from engines.errors import EngineError, OutOfMemoryError
from engines.export.tasks import FrameTask
from engines.frame import ColorInfo

pytest.importorskip("torch")
SIZE: dict[str, Any] = {"width": 64, "height": 48, "precision": "fp32"}


class Refusing:
    """A backend with a device of its own, which fails where TensorRT does: with the first size."""

    device, precision, concurrency, batched_concurrency = "cuda", "fp32", 1, 1

    def __init__(self, error: EngineError) -> None:
        self.error, self.asked, self.closed = error, [], 0  # type: ignore[var-annotated]

    def open_batches(self, task: FrameTask) -> None:
        self.asked.append(task)
        raise self.error

    def __call__(self, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return image

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    """`auto` takes it for TensorRT; what is asked for by name is opened as ever."""
    runner = Refusing(EngineError("TensorRT cannot build the engine: no kernel"))

    def open_runner(style: Any, *, backend: str, **asked: Any) -> tuple[str, Any]:
        if backend in ("auto", "tensorrt"):
            return "tensorrt", runner
        return selection.open_runner(style, backend=backend, **asked)

    monkeypatch.setattr(opening, "open_runner", open_runner)
    return runner


def test_auto_draws_with_torch_where_tensorrt_cannot_and_says_so(
    refusing: Refusing, style_folder: Path
) -> None:
    color = ColorInfo("bt709", full_range=True)
    with open_engine(style_folder, color=color, **SIZE) as engine:
        assert engine.facts.backend == "torch"
        assert engine.facts.fallback == (
            "TensorRT cannot render this video: TensorRT cannot build the engine: no kernel. "
            "Using PyTorch instead."
        )
        assert engine.rgb(np.zeros((48, 64, 3), np.uint8)).shape == (48, 64, 3)
    (task,) = refusing.asked
    assert (task.width, task.height, task.chroma_width, task.chroma_height) == (64, 48, 32, 24)
    assert (task.matrix, task.full_range) == ("bt709", True)
    assert refusing.closed == 1


def test_what_was_asked_for_by_name_is_not_replaced(refusing: Refusing, style_folder: Path) -> None:
    with pytest.raises(EngineError, match="cannot build the engine"):
        open_engine(style_folder, backend="tensorrt", color=ColorInfo(), **SIZE)
    with pytest.raises(EngineError, match="cannot build the engine"):
        open_engine(style_folder, color=ColorInfo(), **{**SIZE, "precision": "int8"})


def test_too_little_memory_on_the_device_is_done_with_less_and_told(
    refusing: Refusing, style_folder: Path
) -> None:
    refusing.error = OutOfMemoryError("cuda has too little memory")
    with pytest.raises(OutOfMemoryError, match="not enough memory to render 64x48"):
        open_engine(style_folder, color=ColorInfo(), throughput=True, **SIZE)
    assert len(refusing.asked) == 3, "several at a time, one at a time, one in fast"


def test_without_a_color_nothing_is_built(refusing: Refusing, style_folder: Path) -> None:
    with open_engine(style_folder, **SIZE) as engine:
        assert engine.facts.backend == "tensorrt"
    assert not refusing.asked
