"""An open engine that is opened again when another one is asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction

from engines.engine import Engine
from engines.factory import open_engine
from engines.frame import ColorInfo
from engines.settings import EngineSettings


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What an engine was opened for."""

    settings: EngineSettings
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    rate: Fraction | None = None
    """Frames per second that quality `auto` has to keep up with; None for no hurry."""
    throughput: bool = False
    """Whether frames per second count more than the time of one frame."""

    def open(self, color: ColorInfo | None = None) -> Engine:
        """Open a new engine. Raises StyleError and EngineError as `engines.factory.open_engine`."""
        return open_engine(
            self.settings,
            width=self.width,
            height=self.height,
            rate=self.rate,
            throughput=self.throughput,
            color=color,
        )


class EngineHolder:
    """Holds one engine. Not safe to share between threads."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.request: EngineRequest | None = None
        """What the engine is open for."""
        self.opening_s = 0.0
        """Seconds that opening it took."""

    def open(self, request: EngineRequest, color: ColorInfo | None = None) -> Engine:
        """Return the open engine if it fits the request; otherwise replace it by a new one.

        A GPU is prepared for `color`, if it is known. Raises StyleError and EngineError.
        """
        if self.engine is None or self.request != request:
            self.close()
            began = time.perf_counter()
            self.engine = request.open(color)
            self.opening_s = time.perf_counter() - began
            self.request = request
        elif color is not None:
            self.engine.prepare(request.width, request.height, color)
        return self.engine

    def close(self) -> None:
        """Free the engine."""
        if self.engine is not None:
            self.engine.close()
            self.engine = self.request = None
