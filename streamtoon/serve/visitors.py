"""The visitors of the page, what each of them has here, and the places that are drawn in."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from engines.memory import give_back
from streamtoon.errors import InputError, StreamtoonError
from streamtoon.serve.disk import Disk
from streamtoon.serve.drawing import Look
from streamtoon.serve.metrics import Metrics
from streamtoon.serve.session import Session
from streamtoon.serve.settings import Settings
from streamtoon.serve.upload import Upload, UploadRequest

SILENCE = 900.0
"""Seconds without a word after which a visitor has left: long enough for a locked phone."""
VISITORS = 200
"""Pages that may be open; beyond them, whoever has been silent for longest goes."""
SWEEP = 5.0
"""Seconds between two looks around."""
GOODBYE = 2.0
"""Seconds that everything may take to end when the server does."""


class BusyError(StreamtoonError):
    """Every place is taken."""


class Visitor:
    """One open page."""

    def __init__(self) -> None:
        self.id = secrets.token_urlsafe(16)
        self.heard = time.monotonic()
        self.session: Session | None = None
        self.said: str | None = None
        """Why the latest live session ended, where there is something to say."""
        self.upload: Upload | None = None
        self.job: asyncio.Task[None] | None = None


class Visitors:
    """For one server. `close` ends everything and leaves no file behind."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.cards = settings, settings.styles()
        first = next(iter(self.cards))
        self.styles = {name: settings.style if name == first else name for name in self.cards}
        """What each style's name stands for: itself, or a folder."""
        self.metrics = Metrics()
        self._visitors: dict[str, Visitor] = {}
        self._taken = 0
        self._folder = Path(tempfile.mkdtemp(prefix="streamtoon-serve-"))
        self._disk = Disk(self._folder)
        self._uploads = 0

    @property
    def taken(self) -> int:
        """Places that are drawn in now."""
        return self._taken

    def gauges(self) -> dict[str, tuple[str, float]]:
        """How it stands now, for the metrics."""
        live = sum(visitor.session is not None for visitor in self._visitors.values())
        jobs = sum(visitor.job is not None for visitor in self._visitors.values())
        return {
            "sessions": ("Live sessions.", live),
            "jobs": ("Files that are received or drawn.", jobs),
            "places": ("Live sessions and files that may be drawn at a time.", self.settings.limits.sessions),
            "visitors": ("Pages that are open.", len(self._visitors)),
        }

    # --- visitors --------------------------------------------------------------------------------

    def enter(self) -> Visitor:
        """A new one."""
        if len(self._visitors) >= VISITORS:
            idle = [v for v in self._visitors.values() if v.session is None and v.job is None]
            if not idle:
                raise self._busy()
            self.leave(min(idle, key=lambda visitor: visitor.heard))
        visitor = Visitor()
        self._visitors[visitor.id] = visitor
        return visitor

    def find(self, name: str) -> Visitor | None:
        """Whose name that is, and who is thereby heard of."""
        visitor = self._visitors.get(name)
        if visitor is not None:
            visitor.heard = time.monotonic()
        return visitor

    def leave(self, visitor: Visitor) -> None:
        """Ends what they have here; their files go with them."""
        self._visitors.pop(visitor.id, None)
        if visitor.session is not None:
            visitor.session.end()
        self.discard(visitor)

    async def sweep(self) -> None:
        """For ever: shows out who has left without a word."""
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for visitor in [v for v in self._visitors.values() if now - v.heard > SILENCE]:
                if visitor.session is None:
                    self.leave(visitor)

    def _tidy(self) -> None:
        """Where nobody is drawn for: it would keep the others waiting."""
        if not self._taken:
            give_back()

    async def close(self) -> None:
        """Everything, in about two seconds at most."""
        endings = [v.session.end() for v in self._visitors.values() if v.session is not None]
        jobs = [v.job for v in self._visitors.values() if v.job is not None]
        for visitor in list(self._visitors.values()):
            self.leave(visitor)
        if endings or jobs:
            await asyncio.wait([*endings, *jobs], timeout=GOODBYE)
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- live ------------------------------------------------------------------------------------

    async def answer(self, visitor: Visitor, offer: str, look: Look) -> str:
        """Begins a live session in place of the one before. Raises BusyError and InputError."""
        while visitor.session is not None:  # the next one may have begun meanwhile
            await asyncio.shield(visitor.session.end())
        if visitor.id not in self._visitors:
            raise InputError("This page was closed; load it again.")
        self._take()
        session: Session | None = None

        def ended(said: str | None) -> None:
            self._taken -= 1
            visitor.said = said
            if visitor.session is session:
                visitor.session = None
            asyncio.get_running_loop().call_later(SWEEP, self._tidy)

        session = Session(self.settings, self.styles, look, self.metrics, ended)
        visitor.session, visitor.said = session, None
        try:
            answer = await session.answer(offer)
        except BaseException:
            await asyncio.shield(session.end())
            raise
        self.metrics.count("sessions_total")
        return answer

    # --- files -----------------------------------------------------------------------------------

    async def receive(
        self, visitor: Visitor, request: UploadRequest, chunks: AsyncIterator[bytes], expected: int | None
    ) -> Upload:
        """Takes a visitor's file in place of the one before, and begins to draw it.

        Raises BusyError, InputError and OutputError; nothing is then left of it.
        """
        if visitor.job is not None:
            raise InputError("A file of yours is being drawn: wait for it, or cancel it.")
        self.discard(visitor)
        self._take()
        self._uploads += 1
        folder = self._folder / str(self._uploads)
        upload = Upload(folder, request, self.settings.limits, self.settings.engine, self._disk)
        visitor.upload = upload
        visitor.job = asyncio.current_task()
        try:
            size = await upload.receive(chunks, expected)
        except BaseException:
            self._free(visitor, upload)
            upload.remove()
            raise
        self.metrics.count("upload_bytes_total", size)
        self.metrics.count("jobs_total")
        visitor.job = asyncio.get_running_loop().create_task(self._draw(visitor, upload))
        return upload

    async def _draw(self, visitor: Visitor, upload: Upload) -> None:
        try:
            await upload.draw()
            if upload.state == "failed":
                self.metrics.count("jobs_failed_total")
        finally:
            self._disk.release(upload.folder)
            self._taken -= 1
            visitor.job = None
            if visitor.upload is not upload:  # whose it was has left, or wants it no more
                upload.remove()

    def discard(self, visitor: Visitor) -> None:
        """Takes a visitor's file away, whatever is being done with it."""
        upload, visitor.upload = visitor.upload, None
        if upload is not None:
            upload.remove()
            if visitor.job is not None and upload.state == "receiving":
                visitor.job.cancel()

    def _free(self, visitor: Visitor, upload: Upload) -> None:
        self._disk.release(upload.folder)
        self._taken -= 1
        visitor.job = None
        if visitor.upload is upload:
            visitor.upload = None

    # --- places ----------------------------------------------------------------------------------

    def _take(self) -> None:
        if self._taken >= self.settings.limits.sessions:
            raise self._busy()
        self._taken += 1

    def _busy(self) -> BusyError:
        self.metrics.count("refused_total")
        places = self.settings.limits.sessions
        return BusyError(
            f"This server draws for {places} at a time, and all places are taken; try again in a while."
        )
