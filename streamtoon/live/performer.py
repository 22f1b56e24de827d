"""Who draws live pictures: an engine whose style and strength may change between two of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from engines.engine import Engine, EngineFacts
from engines.opening import open_engine
from engines.picture import Colour, Picture
from engines.stabilize import Stabilizer
from streamtoon.errors import StreamtoonError


class Performer:
    """Draws one live run's pictures, for which `width`, `height` and `rate` are what it gets ready for.

    `start` is what `streamtoon.pipeline.run` wants, with `newest`. All else may be called in any thread.
    Opens an engine at once; raises StyleError, EngineError and ValueError as `open_engine` and Stabilizer.
    """

    def __init__(
        self,
        style: str | Path,
        *,
        width: int,
        height: int,
        rate: Fraction | None,
        colour: Colour | None = None,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        quality: str = "auto",
        strength: float = 1.0,
        stabilize: float = 0.0,
    ) -> None:
        self._asked: dict[str, Any] = {
            "width": width,
            "height": height,
            "rate": rate,
            "colour": colour,
            "backend": backend,
            "device": device,
            "precision": precision,
            "quality": quality,
        }
        self._strength = strength
        self._stabilizer = Stabilizer(stabilize)
        self._lock = threading.Lock()
        self._wanted: str | Path | None = None
        self._ready: Engine | None = None
        self._opener: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._closed = False
        self._trouble: str | None = None
        self._engine = self._open(style)

    def start(self, picture: Picture) -> Callable[[], Picture]:
        """The job that draws a picture; it is done before the next one starts."""
        with self._lock:
            ready, self._ready = self._ready, None
            if self._failure is not None:
                raise self._failure
        if ready is not None:
            before, self._engine = self._engine, ready
            ready.strength = self._strength
            self._stabilizer.reset()
            before.close()
        drawn = self._engine.start(picture)
        return lambda: self._stabilizer(picture, drawn())

    def choose(self, style: str | Path) -> None:
        """Draw in another style as soon as it is open; of several choices, the last one counts."""
        with self._lock:
            if self._closed:
                return
            self._wanted = style
            if self._opener is None:
                self._opener = threading.Thread(
                    target=self._open_wanted, name="streamtoon-style", daemon=True
                )
                self._opener.start()

    @property
    def style(self) -> str:
        """The name of the one that draws now."""
        return self._engine.facts.style

    @property
    def is_choosing(self) -> bool:
        """Whether another style is on its way."""
        return self._opener is not None or self._ready is not None

    @property
    def trouble(self) -> str | None:
        """Why the last choice could not be drawn, a sentence; None where it can."""
        return self._trouble

    @property
    def strength(self) -> float:
        """0, the source, to 1, the cartoon. Raises ValueError when set to anything else."""
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        if not 0 <= strength <= 1:
            raise ValueError(f"strength is {strength}, expected 0 to 1")
        self._strength = self._engine.strength = strength

    @property
    def facts(self) -> EngineFacts:
        """What draws now."""
        return self._engine.facts

    def close(self) -> None:
        """Frees the engines; waits for one that is just being opened."""
        with self._lock:
            self._closed, self._wanted = True, None
            opener = self._opener
        if opener is not None:
            opener.join()
        if self._ready is not None:
            self._ready.close()
            self._ready = None
        self._engine.close()

    def __enter__(self) -> Performer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, style: str | Path) -> Engine:
        return open_engine(style, strength=self._strength, throughput=False, **self._asked)

    def _open_wanted(self) -> None:
        while True:
            with self._lock:
                style, self._wanted = self._wanted, None
                if style is None:
                    self._opener = None
                    return
            engine, self._trouble = None, None
            try:
                engine = self._open(style)
            except StreamtoonError as error:
                self._trouble = str(error)
            except BaseException as error:
                self._failure = error
            with self._lock:
                older = None
                if engine is not None:
                    older, self._ready = self._ready, engine
            if older is not None:
                older.close()
