"""One visitor's file: received, drawn by a process of its own, handed out, removed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from streamtoon import children
from streamtoon.errors import InputError, OutputError
from streamtoon.folder import VIDEO_SUFFIXES
from streamtoon.images import FORMATS
from streamtoon.serve.disk import Disk
from streamtoon.serve.settings import MEGABYTE, Limits

State = Literal["receiving", "drawing", "done", "failed"]
PATIENCE = 30.0
"""Seconds without a byte after which a sender is given up."""
SLOWEST = 50_000
"""Bytes a second that a sender has to keep up over the whole, `PATIENCE` aside: each holds a place."""
ROOM = 4
"""Times the largest upload that a file which is drawn may take, where the disk has so much."""
WORKER = children.command("streamtoon.serve.worker")
"""What draws."""
LONGEST_NAME = 100
TAIL = 4000
"""Bytes of what a worker that failed said last, for the log."""
log = logging.getLogger("streamtoon.serve")
_LINE = 1 << 20
"""Bytes of the longest line that the worker may say."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """How a file shall be drawn."""

    name: str
    """As the visitor calls the file."""
    style: str
    strength: float
    side_by_side: bool

    @property
    def suffix(self) -> str:
        """One that is known, or none: demuxers take it for a hint."""
        suffix = Path(self.name).suffix.lower()
        return suffix if suffix in VIDEO_SUFFIXES or suffix in FORMATS else ""

    @property
    def result(self) -> str:
        """The name of what the visitor gets."""
        stem = Path(self.name).stem or "cartoon"
        return f"{stem}_cartoon{self.suffix if self.suffix in FORMATS else '.mp4'}"

    @property
    def disposition(self) -> str:
        """Of the download, RFC 6266."""
        plain = self.result.encode("ascii", "replace").decode().replace("?", "_")
        plain = "".join("_" if letter in '"\\%' else letter for letter in plain)
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(self.result, safe='')}"


class Upload:
    """A file in `folder`, which is its own."""

    def __init__(
        self, folder: Path, request: UploadRequest, limits: Limits, engine: dict[str, str], disk: Disk
    ) -> None:
        self.request, self.folder = request, folder
        self.state: State = "receiving"
        self._limits, self._engine, self._disk, self._room = limits, engine, disk, 0
        self._removed = False
        self._source = folder / f"upload{request.suffix}"
        self.result = folder / f"cartoon{Path(request.result).suffix}"
        """Where it lies once it is done."""
        self._process: asyncio.subprocess.Process | None = None
        self._facts: dict[str, Any] = {}

    def as_dict(self) -> dict[str, Any]:
        """For the page."""
        return {"state": self.state, "name": self.request.result, **self._facts}

    async def receive(self, chunks: AsyncIterator[bytes], expected: int | None) -> int:
        """Writes what is sent; bytes of it. Raises InputError and OutputError."""
        if expected is not None:
            self._limits.demand_upload(expected)
        largest = self._limits.upload * MEGABYTE
        self._room = self._disk.reserve(self.folder, expected or largest, ROOM * largest)
        size, loop = 0, asyncio.get_running_loop()
        began = loop.time()
        try:
            self.folder.mkdir(mode=0o700)
            with self._source.open("wb") as file:
                while True:
                    async with asyncio.timeout_at(min(loop.time(), began + size / SLOWEST) + PATIENCE):
                        chunk = await anext(chunks, b"")
                    if not chunk:
                        break
                    size += len(chunk)
                    self._limits.demand_upload(size)
                    file.write(chunk)
        except TimeoutError as error:
            raise InputError("The file came too slowly, or stopped half-way; send it again.") from error
        except OSError as error:
            raise OutputError(f"The server cannot keep the file ({error.strerror or error}).") from error
        if not size:
            raise InputError("The file is empty.")
        return size

    async def draw(self) -> None:
        """Until it is done or failed; never raises but when cancelled."""
        self.state = "drawing"
        began = time.monotonic()
        try:
            said = await self._work()
        except OSError as error:
            said = {"error": f"The server could not begin to draw ({error.strerror or error})."}
        except Exception:
            log.exception("a file could not be drawn")
            said = {"error": "The server could not draw the file; what went wrong is in its log."}
        if said.get("done") and self.result.is_file():
            self.state = "done"
            facts = {"seconds": round(time.monotonic() - began, 1), "bytes": self.result.stat().st_size}
            self._facts = {**said, **facts}
        else:
            self.state, self._facts = "failed", {"error": said.get("error") or self._how_it_ended()}
        self._source.unlink(missing_ok=True)

    def stop(self) -> None:
        """Ends the process, and what it may have started, at once."""
        if self._process is None or self._process.returncode is not None:
            return
        if sys.platform == "win32":
            self._process.kill()
        else:  # kill() polls first, and may so take the exit code away from the loop, which waits for it
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def remove(self) -> None:
        """Ends the process and takes everything away."""
        self._removed = True
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _work(self) -> dict[str, Any]:
        """The worker's last word."""
        request = {
            "source": str(self._source),
            "target": str(self.result),
            "limits": asdict(self._limits),
            "room": self._room,
            "engine": {key: value for key, value in self._engine.items() if key != "backend"}
            | {"engine": self._engine.get("backend", "auto")},
            **asdict(self.request),
        }
        with tempfile.TemporaryFile(dir=self.folder) as errors:
            self._process = await asyncio.create_subprocess_exec(
                *WORKER,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=errors, cwd=self.folder, limit=_LINE,
                env=children.environment(), start_new_session=True,
            )  # fmt: skip
            last = await self._heard(self._process, request)
            if not last and not self._removed:
                errors.seek(max(0, errors.seek(0, os.SEEK_END) - TAIL))
                text = errors.read().decode(errors="replace").strip()
                log.error("a worker ended with code %s\n%s", self._process.returncode, text)
        return last

    async def _heard(self, process: asyncio.subprocess.Process, request: dict[str, Any]) -> dict[str, Any]:
        """What a worker says last about a request; nothing where it ends without a word."""
        assert process.stdin is not None and process.stdout is not None, "both are pipes"
        last: dict[str, Any] = {}
        try:
            with suppress(ConnectionError):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
            while line := await process.stdout.readline():
                with suppress(ValueError):  # a library's own words
                    last = json.loads(line)
                    if not ("done" in last or "error" in last):
                        self._facts = last
        finally:
            self.stop()
            process.stdin.close()
            await process.wait()
        return last if "done" in last or "error" in last else {}

    def _how_it_ended(self) -> str:
        code = self._process.returncode if self._process is not None else None
        if sys.platform != "win32" and code == -signal.SIGXCPU:
            return "The file takes more work than a visitor's file may take."
        return "The file cannot be drawn: the program that tried it was ended by it."


def clean_name(name: str) -> str:
    """A file's name without folders and without what cannot be printed."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1].encode("utf-8", "replace").decode()
    clean = "".join(letter for letter in last if letter.isprintable()).strip().strip(".")
    stem, dot, suffix = clean.rpartition(".")
    return f"{stem[:LONGEST_NAME]}.{suffix[:10]}" if dot else clean[:LONGEST_NAME] or "video"
