"""One session's live pictures through the pipeline of all pictures, in threads beside the server's loop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from engines.picture import Picture
from streamtoon.errors import StreamtoonError
from streamtoon.live.performer import Performer
from streamtoon.pipeline import Progress, run
from streamtoon.queues import NewestQueue

RATE = Fraction(30)
"""Pictures a second that browsers send at most, and quality "auto" aims at."""
TOLD = 0.5
"""Seconds between two tellings of how it goes."""
log = logging.getLogger("streamtoon.serve")


@dataclass(slots=True)
class Look:
    """What a visitor wants to see; may change at any time."""

    style: str
    """A name or a folder, of those that the server has."""
    strength: float


@dataclass(frozen=True, slots=True)
class Ends:
    """Whom a drawing calls, from its threads."""

    show: Callable[[Picture], object]
    """With every cartoon."""
    tell: Callable[[dict[str, Any]], object]
    """How it goes, twice a second."""
    timed: Callable[[float], object]
    """Seconds from a picture's arrival to its cartoon."""
    ended: Callable[[str | None], object]
    """Once, when all is freed; with a sentence where it did not end as asked."""


class Drawing:
    """Begins with the first picture that is put in."""

    def __init__(self, engine: dict[str, str], stabilize: float, look: Look, ends: Ends) -> None:
        self._settings: dict[str, Any] = {**engine, "stabilize": stabilize, "rate": RATE}
        self._look, self._ends = look, ends
        self._arrived = NewestQueue[Picture]()
        self._began = time.monotonic_ns()
        self._performer: Performer | None = None
        self._times: list[float] = []
        self._thread = threading.Thread(target=self._run, name="streamtoon-session", daemon=True)
        self._thread.start()

    def now(self) -> int:
        """Microseconds since it began: the time of a picture that arrives."""
        return (time.monotonic_ns() - self._began) // 1000

    def put(self, picture: Picture) -> None:
        """Draw this one, unless a newer one comes first."""
        self._arrived.put(picture)

    def change(self, style: str | None, strength: float | None) -> None:
        """From the next picture on, or, for a style, from when it is open."""
        performer = self._performer
        if strength is not None:
            self._look.strength = strength
            if performer is not None:
                performer.strength = strength
        if style is not None and style != self._look.style:
            self._look.style = style
            if performer is not None:
                performer.choose(style)

    def end(self) -> None:
        """Draw no more; `ended` is called soon."""
        self._arrived.end()

    @property
    def dropped(self) -> int:
        """Pictures that a newer one took the place of before the pipeline saw them."""
        return self._arrived.dropped

    def _run(self) -> None:
        said: str | None = None
        try:
            self._draw()
        except StreamtoonError as error:
            said = str(error)
        except Exception:
            log.exception("a live session failed")
            said = "The server could not go on with this session; what it said is in its log."
        self._performer = None
        self._ends.ended(said)

    def _draw(self) -> None:
        pictures = iter(self._arrived)
        first = next(pictures, None)
        if first is None:
            return
        look = self._look
        style, strength = look.style, look.strength
        with Performer(
            style,
            width=first.width,
            height=first.height,
            colour=first.colour,
            strength=strength,
            **self._settings,
        ) as performer:
            self._performer = performer
            if performer.facts.given_up:
                log.warning(performer.facts.given_up)
            if look.strength != strength:  # while it was being opened
                performer.strength = look.strength
            if look.style != style:
                performer.choose(look.style)
            del first
            run(
                pictures,
                performer.start,
                self._write,
                newest=True,
                interval=TOLD,
                on_progress=self._tell,
                unblock=self._arrived.end,
            )

    def _write(self, picture: Picture) -> None:
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
