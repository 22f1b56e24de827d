"""The clients: open pages, with their sessions and files, and the slots that limit them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

from engines.common.memory import release_memory
from streamtoon.errors import InputError, StreamtoonError
from streamtoon.web.serve.metrics import Metrics
from streamtoon.web.serve.quota import DiskQuota
from streamtoon.web.serve.render_session import RenderChoice
from streamtoon.web.serve.session import ServeSession
from streamtoon.web.serve.settings import MEGABYTE, ServeSettings
from streamtoon.web.serve.temporary import TemporaryFolder
from streamtoon.web.serve.upload import MAX_GROWTH, Upload, UploadRequest

CLIENT_TIMEOUT_S = 900.0
"""A client is removed after this silence; long enough for a locked phone."""
MAX_CLIENTS = 200
"""Open pages; beyond that, the client that was silent for longest and has no files is removed."""
MAX_FINISHED_FILES = 20
"""Finished files per client; their total size is limited to that of one file."""
SWEEP_INTERVAL_S = 5.0
"""Between two checks for silent clients and free memory."""
GALLERY_INTERVAL_S = 2.0
"""Minimum time between two galleries of one client's own image."""
CLOSE_TIMEOUT_S = 2.0
"""For sessions and files to end when the server stops."""


DRAIN_INTERVAL_S = 0.2
"""Between two looks at what a server that is about to stop still has to do."""
MOVED = "This server is about to stop. Start again to continue on another one."
DRAINING = "This server is about to stop and takes nothing new. Download your finished files, then try again."


class BusyError(StreamtoonError):
    """All slots are taken."""


class Client:
    """One open page. Its id begins with the name of the replica, if there is one."""

    def __init__(self, replica: str = "") -> None:
        self.id = f"{replica}.{secrets.token_urlsafe(16)}" if replica else secrets.token_urlsafe(16)
        self.heard = time.monotonic()
        self.session: ServeSession | None = None
        self.pictured = -GALLERY_INTERVAL_S
        """When the gallery was last drawn from this client's image, seconds of time.monotonic()."""
        self.said: str | None = None
        """Why the last live session ended, if there is something to say."""
        self.files: dict[str, Upload] = {}
        """By number, in order of arrival; one at a time is received or drawn."""
        self.job: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a file of this client is being received or drawn."""
        return any(file.is_busy for file in self.files.values())

    @property
    def has_nothing(self) -> bool:
        """Whether the client has no session, job or file."""
        return self.session is None and self.job is None and not self.files

    @property
    def is_served(self) -> bool:
        """Whether the client has no session and no job, and has downloaded every finished file."""
        return self.session is None and self.job is None and not any(f.is_wanted for f in self.files.values())


class Clients:
    """The clients of one server. `close` ends all sessions and removes all files."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings, self.cards = settings, settings.styles()
        first = next(iter(self.cards))
        self.styles = {name: settings.style if name == first else name for name in self.cards}
        """The name or folder of each style, by name."""
        self.metrics = Metrics()
        self._visitors: dict[str, Client] = {}
        self._taken = 0
        self._holds_memory = False
        self._temporary = TemporaryFolder()
        self._folder = self._temporary.path
        self._disk = DiskQuota(self._folder)
        self._uploads = 0
        self.is_draining = False
        """Whether the server is about to stop and takes nothing new."""

    def own_look(self, name: str) -> dict[str, str]:
        """Return the server's own changes to the look of a style."""
        return self.settings.look if name == next(iter(self.cards)) else {}

    @property
    def taken(self) -> int:
        """Number of slots in use."""
        return self._taken

    def gauges(self) -> dict[str, tuple[str, float]]:
        """Return the current gauges for the metrics."""
        live = sum(visitor.session is not None for visitor in self._visitors.values())
        jobs = sum(visitor.job is not None for visitor in self._visitors.values())
        return {
            "sessions": ("Live sessions.", live),
            "jobs": ("Files being received or drawn.", jobs),
            "places": ("Maximum number of live sessions and files at a time.", self.settings.limits.sessions),
            "visitors": ("Open pages.", len(self._visitors)),
            "draining": ("1 if the server is about to stop and takes nothing new.", self.is_draining),
        }

    # --- visitors --------------------------------------------------------------------------------

    def enter(self) -> Client:
        """Add a new client. Raises BusyError."""
        self._require_open()
        if len(self._visitors) >= MAX_CLIENTS:
            idle = [v for v in self._visitors.values() if v.has_nothing]
            if not idle:  # clients with finished files may still download them
                raise self._busy()
            self.leave(min(idle, key=lambda visitor: visitor.heard))
        visitor = Client(self.settings.replica)
        self._visitors[visitor.id] = visitor
        return visitor

    def find(self, name: str) -> Client | None:
        """Return the client with this id, and note that it is alive; None if unknown."""
        visitor = self._visitors.get(name)
        if visitor is not None:
            visitor.heard = time.monotonic()
        return visitor

    def leave(self, visitor: Client) -> None:
        """Remove a client with its session and files."""
        self._visitors.pop(visitor.id, None)
        if visitor.session is not None:
            visitor.session.end()
        for number in list(visitor.files):
            self.discard(visitor, number)

    async def sweep(self) -> None:
        """Remove silent clients, and the memory of ended sessions while no slot is in use, for ever."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            now = time.monotonic()
            for visitor in [v for v in self._visitors.values() if now - v.heard > CLIENT_TIMEOUT_S]:
                if visitor.session is None:
                    self.leave(visitor)
            if self._holds_memory and not self._taken:
                self._holds_memory = False
                release_memory()  # takes 50 ms or more, so not after every session

    async def drain(self, timeout_s: float) -> None:
        """Take nothing new, end live sessions, and wait until all files are drawn and downloaded.

        Pages that have nothing left here are dropped at once, so that they move to another server.
        """
        self.is_draining = True
        for visitor in self._visitors.values():
            if visitor.session is not None:
                visitor.session.end(MOVED)
        end = time.monotonic() + timeout_s
        while self._visitors and time.monotonic() < end:
            for visitor in [v for v in self._visitors.values() if v.is_served]:
                self.leave(visitor)
            await asyncio.sleep(DRAIN_INTERVAL_S)

    async def close(self) -> None:
        """End everything, in about two seconds at most."""
        endings = [v.session.end() for v in self._visitors.values() if v.session is not None]
        jobs = [v.job for v in self._visitors.values() if v.job is not None]
        for visitor in list(self._visitors.values()):
            self.leave(visitor)
        if endings or jobs:
            await asyncio.wait([*endings, *jobs], timeout=CLOSE_TIMEOUT_S)
        self._temporary.remove()

    # --- live ------------------------------------------------------------------------------------

    async def answer(self, visitor: Client, offer: str, choice: RenderChoice) -> str:
        """Start a live session in place of the previous one. Raises BusyError and InputError."""
        self._require_open()
        while visitor.session is not None:  # the next one may have begun meanwhile
            await asyncio.shield(visitor.session.end())
        if visitor.id not in self._visitors:
            raise InputError("This page was closed. Reload it.")
        self._take()
        session: ServeSession | None = None

        def ended(said: str | None) -> None:
            self._taken -= 1
            visitor.said = said
            if visitor.session is session:
                visitor.session = None
            self._holds_memory = True

        session = ServeSession(self.settings, self.cards, choice, self.metrics, ended)
        visitor.session, visitor.said = session, None
        try:
            answer = await session.answer(offer)
        except BaseException:
            await asyncio.shield(session.end())
            raise
        self.metrics.count("sessions_total")
        return answer

    def require_gallery_interval(self, visitor: Client) -> None:
        """Raise BusyError if the gallery was drawn for this client a moment ago."""
        now = time.monotonic()
        if now - visitor.pictured < GALLERY_INTERVAL_S:
            raise BusyError("The gallery was drawn from your image just now. Try again in a moment.")
        visitor.pictured = now

    # --- files -----------------------------------------------------------------------------------

    async def receive(
        self, visitor: Client, request: UploadRequest, chunks: AsyncIterator[bytes], expected: int | None
    ) -> Upload:
        """Receive a file and start to draw it; finished files are kept.

        Raises BusyError, InputError and OutputError; the file is then removed.
        """
        self._require_open()
        if visitor.job is not None and not visitor.is_busy:  # it was cancelled and is about to end
            await asyncio.wait({visitor.job}, timeout=CLOSE_TIMEOUT_S)
        if visitor.job is not None:
            raise InputError("Another of your files is being drawn. Wait for it, or cancel it.")
        for number in [number for number, file in visitor.files.items() if file.state == "failed"]:
            self.discard(visitor, number)
        self._require_room(visitor)
        self._take()
        self._uploads += 1
        folder = self._folder / str(self._uploads)
        engine = self.settings.engine | {"clarity": self.settings.clarity}
        upload = Upload(folder, request, self.settings.limits, engine, self._disk)
        visitor.files[upload.number] = upload
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

    async def _draw(self, visitor: Client, upload: Upload) -> None:
        try:
            await upload.draw()
            if upload.state == "failed":
                self.metrics.count("jobs_failed_total")
        finally:
            self._disk.release(upload.folder)
            self._taken -= 1
            visitor.job = None
            if upload.number not in visitor.files:  # the client has left or cancelled it
                upload.remove()

    def discard(self, visitor: Client, number: str) -> None:
        """Remove a file of a client in any state; an unknown number is fine."""
        upload = visitor.files.pop(number, None)
        if upload is not None:
            upload.remove()
            if visitor.job is not None and upload.state == "receiving":
                visitor.job.cancel()

    def cancel(self, visitor: Client) -> None:
        """Remove the file that is being received or drawn, if any."""
        for number in [number for number, file in visitor.files.items() if file.is_busy]:
            self.discard(visitor, number)

    def _require_room(self, visitor: Client) -> None:
        """Raise InputError if the client has too many finished files."""
        together = sum(file.size for file in visitor.files.values())
        if (
            len(visitor.files) >= MAX_FINISHED_FILES
            or together >= MAX_GROWTH * self.settings.limits.upload * MEGABYTE
        ):
            raise InputError("You have too many finished files here. Download some, then remove them.")

    def _free(self, visitor: Client, upload: Upload) -> None:
        self._disk.release(upload.folder)
        self._taken -= 1
        visitor.job = None
        visitor.files.pop(upload.number, None)

    # --- slots -----------------------------------------------------------------------------------

    def _require_open(self) -> None:
        if self.is_draining:
            self.metrics.count("refused_total")
            raise BusyError(DRAINING)

    def _take(self) -> None:
        if self._taken >= self.settings.limits.sessions:
            raise self._busy()
        self._taken += 1

    def _busy(self) -> BusyError:
        self.metrics.count("refused_total")
        places = self.settings.limits.sessions
        return BusyError(f"The server is busy: {places} of {places} slots are in use. Try again later.")
