"""Rendering live frames: an engine whose style, look and strength may change between two frames."""

from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from engines.engine import Engine, EngineFacts, PendingFrame
from engines.fields_engine import FieldsEngine
from engines.frame import ColorInfo, Frame
from engines.looks.look import Look
from engines.registry.style import Style, load_style
from engines.settings import EngineSettings
from streamtoon.engine_holder import EngineRequest
from streamtoon.errors import StreamtoonError


class LiveRenderer:
    """Renders the frames of one live run. It can change style, look and strength between two frames.

    It opens its engine at once. All methods but `submit` may be called in any thread.

    Args:
        settings: The style to begin with, and how it is rendered.
        width: Of the frames, pixels.
        height: Of the frames, pixels.
        rate: Frames per second; None if unknown.
        color: Of the frames; None if unknown.

    Raises:
        StyleError: The style cannot be rendered.
        EngineError: No engine here can do what the settings ask for.
    """

    concurrency = 1

    def __init__(
        self,
        settings: EngineSettings,
        *,
        width: int,
        height: int,
        rate: Fraction | None,
        color: ColorInfo | None = None,
    ) -> None:
        self._request = EngineRequest(settings, width, height, rate)
        self._color = color
        self._strength = settings.strength
        self._lock = threading.Lock()
        self._wanted: str | Path | Style | None = None
        self._ready: Engine | None = None
        self._opener: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._closed = False
        self._trouble: str | None = None
        self._engine = self._open(settings.style)

    def submit(self, frame: Frame) -> PendingFrame:
        """Begin to render a frame. It is finished before the next one is submitted."""
        before = None
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._ready is not None:
                before, self._engine, self._ready = self._engine, self._ready, None
                self._engine.strength = self._strength
        if before is not None:
            before.close()
        return self._engine.submit(frame)

    def choose(self, style: str | Path | Style) -> None:
        """Draw in another style as soon as it is open; of several choices, the last one counts.

        A style whose network is the one that draws now is there with the next picture.
        """
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
    def look(self) -> Look | None:
        """What makes the drawing now; None for a style that is not a look.

        May be set where it is not None, and counts from the next picture on, until another style draws.
        """
        engine = self._fields_engine
        return None if engine is None else engine.look

    @look.setter
    def look(self, look: Look) -> None:
        engine = self._fields_engine
        if engine is None:
            raise ValueError(f"style {self.style} is not a look")
        engine.look = look

    @property
    def own_look(self) -> Look | None:
        """The look that the style came with."""
        engine = self._fields_engine
        return None if engine is None else engine.own_look

    @property
    def _fields_engine(self) -> FieldsEngine | None:
        return self._engine if isinstance(self._engine, FieldsEngine) else None

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

    def __enter__(self) -> LiveRenderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, style: Style) -> Engine:
        settings = self._request.settings.replace(style=style, strength=self._strength)
        return replace(self._request, settings=settings).open(self._color)

    def _open_wanted(self) -> None:
        while True:
            with self._lock:
                style, self._wanted = self._wanted, None
                if style is None:
                    self._opener = None
                    return
            engine, self._trouble, switched = None, None, False
            try:
                loaded = style if isinstance(style, Style) else load_style(style)
                with self._lock:
                    if self._ready is not None and self._ready.switch(loaded):
                        continue
                    switched = self._engine.switch(loaded)
                engine = None if switched else self._open(loaded)
            except StreamtoonError as error:
                self._trouble = str(error)
            except BaseException as error:
                self._failure = error
            with self._lock:
                older = None
                if engine is not None or switched:
                    older, self._ready = self._ready, engine
            if older is not None:
                older.close()
