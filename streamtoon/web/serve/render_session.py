"""Renders the frames of one live session in the usual pipeline, in threads of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from engines.frame import Frame
from engines.registry.style import Style
from engines.settings import EngineSettings
from streamtoon.errors import StreamtoonError
from streamtoon.live.renderer import LiveRenderer
from streamtoon.pipeline.queues import NewestQueue
from streamtoon.pipeline.run import Progress, run

MAX_FPS = Fraction(30)
"""Frame rate of browsers; quality "auto" aims at it."""
STATUS_INTERVAL_S = 0.5
log = logging.getLogger("streamtoon.web.serve")


@dataclass(slots=True)
class RenderChoice:
    """The style and strength that a client has chosen; may change at any time."""

    style: Style
    """One of the server's styles, with the client's changes to its look."""
    strength: float


@dataclass(frozen=True, slots=True)
class RenderCallbacks:
    """Callbacks of a session, called from its threads."""

    show: Callable[[Frame], object]
    """Called with every cartoon."""
    tell: Callable[[dict[str, Any]], object]
    """Called with the status, twice per second."""
    timed: Callable[[float], object]
    """Called with the latency of a frame, seconds."""
    ended: Callable[[str | None], object]
    """Called once, when everything is freed; with a message after an error, else None."""


class RenderSession:
    """Renders the frames given to `put`; opens its engine with the first one."""

    def __init__(self, settings: EngineSettings, choice: RenderChoice, ends: RenderCallbacks) -> None:
        self._settings = settings
        self._choice, self._ends = choice, ends
        self._arrived = NewestQueue[Frame]()
        self._began = time.monotonic_ns()
        self._performer: LiveRenderer | None = None
        self._times: list[float] = []
        self._thread = threading.Thread(target=self._run, name="streamtoon-session", daemon=True)
        self._thread.start()

    def now(self) -> int:
        """Return the microseconds since the start: the timestamp of an arriving frame."""
        return (time.monotonic_ns() - self._began) // 1000

    def put(self, picture: Frame) -> None:
        """Render this frame, unless a newer one arrives first."""
        self._arrived.put(picture)

    def change(self, style: Style | None, strength: float | None) -> None:
        """Change style or strength, from the next frame on, or once the engine of a new network is open."""
        performer = self._performer
        if strength is not None:
            self._choice.strength = strength
            if performer is not None:
                performer.strength = strength
        if style is not None and style != self._choice.style:
            self._choice.style = style
            if performer is not None:
                performer.choose(style)

    def end(self) -> None:
        """Stop rendering; `ended` is called soon."""
        self._arrived.end()

    @property
    def dropped(self) -> int:
        """Frames that were replaced by newer ones before the pipeline took them."""
        return self._arrived.dropped

    def _run(self) -> None:
        said: str | None = None
        try:
            self._draw()
        except StreamtoonError as error:
            said = str(error)
        except Exception:
            log.exception("a live session failed")
            said = "The session failed because of a server error. See the server log for details."
        self._performer = None
        self._ends.ended(said)

    def _draw(self) -> None:
        pictures = iter(self._arrived)
        first = next(pictures, None)
        if first is None:
            return
        choice = self._choice
        style, strength = choice.style, choice.strength
        with LiveRenderer(
            self._settings.replace(style=style, strength=strength),
            width=first.width,
            height=first.height,
            rate=MAX_FPS,
            color=first.color,
        ) as performer:
            self._performer = performer
            if performer.facts.fallback:
                log.warning(performer.facts.fallback)
            if choice.strength != strength:  # it changed while the engine opened
                performer.strength = choice.strength
            if choice.style != style:
                performer.choose(choice.style)
            del first
            run(
                pictures,
                performer,
                self._write,
                newest=True,
                interval=STATUS_INTERVAL_S,
                on_progress=self._tell,
                unblock=self._arrived.end,
            )

    def _write(self, picture: Frame) -> None:
        self._ends.show(picture)
        seconds = (self.now() - picture.pts) / 1e6
        self._times.append(seconds)
        self._ends.timed(seconds)

    def _tell(self, progress: Progress) -> None:
        performer, times = self._performer, self._times
        if performer is None or not times:
            return
        self._times = []
        facts = performer.facts
        self._ends.tell(
            {
                "fps": round(progress.fps, 1),
                "ms": round(1000 * sum(times) / len(times), 1),
                "dropped": progress.dropped + self.dropped,
                "style": performer.style,
                "opening": performer.is_choosing,
                "trouble": performer.trouble,
                "engine": f"{facts.backend} {facts.precision} on {facts.device}, {facts.quality}",
            }
        )
