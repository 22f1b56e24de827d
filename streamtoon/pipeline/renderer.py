"""What the pipeline asks of whatever renders its frames."""

from __future__ import annotations

from typing import Protocol

from engines.frame import Frame


class PendingFrame(Protocol):
    """A frame on its way."""

    def compute(self) -> None:
        """Do the slow part, in any thread."""

    def result(self) -> Frame:
        """Return the rendered frame. Called once, after `compute`, in the order of the frames."""
        ...


class FrameRenderer(Protocol):
    """Renders frames; `engines.engine.Engine` is one."""

    @property
    def concurrency(self) -> int:
        """Number of pending frames that may compute at the same time."""
        ...

    def submit(self, frame: Frame) -> PendingFrame:
        """Begin to render a frame. Called in one thread, in the order of the frames."""
        ...
