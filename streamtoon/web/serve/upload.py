"""One uploaded file: received, drawn by a process of its own, sent back and removed."""

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
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from streamtoon import subprocesses
from streamtoon.convert.batch import VIDEO_SUFFIXES
from streamtoon.errors import InputError, OutputError
from streamtoon.images.formats import FALLBACK_SUFFIX, FORMATS, READ_SUFFIXES
from streamtoon.web.serve.quota import DiskQuota
from streamtoon.web.serve.settings import MEGABYTE, Limits

State = Literal["receiving", "drawing", "done", "failed"]
UPLOAD_TIMEOUT_S = 30.0
"""An upload fails after this time without data."""
MIN_UPLOAD_BYTES_S = 50_000
"""Minimum average speed of an upload, after the first `UPLOAD_TIMEOUT_S` seconds: each holds a slot."""
MAX_GROWTH = 4
"""Limit of a result's size, in multiples of the largest upload."""
WORKER = subprocesses.command("streamtoon.web.serve.worker")
"""Command line of the process that draws."""
MAX_NAME_CHARACTERS = 100
LOG_TAIL_BYTES = 4000
"""How much of a failed worker's output is logged."""
log = logging.getLogger("streamtoon.web.serve")
_MAX_LINE_BYTES = 1 << 20
"""Longest line of the worker's output."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """How to draw a file."""

    name: str
    """Name of the file at the client."""
    style: str
    strength: float
    quality: str = "full"
    side_by_side: bool = False
    """For videos: original and cartoon side by side."""
    start: float | None = None
    """Start in a video, seconds; None starts at the beginning."""
    end: float | None = None
    size: str | None = None
    """Frame size of a video, as `FrameSize.parse` reads it; None keeps the original size."""
    look: dict[str, str] = field(default_factory=dict)
    """Changes to the style's look."""

    @property
    def suffix(self) -> str:
        """The extension if it is a known one, as demuxers use it as a hint; else empty."""
        suffix = Path(self.name).suffix.lower()
        return suffix if suffix in VIDEO_SUFFIXES or suffix in READ_SUFFIXES else ""

    @property
    def result(self) -> str:
        """The file name of the result."""
        stem = Path(self.name).stem or "cartoon"
        suffix = self.suffix
        if suffix not in FORMATS:
            suffix = FALLBACK_SUFFIX if suffix in READ_SUFFIXES else ".mp4"
        return f"{stem}_cartoon{suffix}"

    @property
    def disposition(self) -> str:
        """The Content-Disposition header of the download (RFC 6266)."""
        plain = self.result.encode("ascii", "replace").decode().replace("?", "_")
        plain = "".join("_" if letter in '"\\%' else letter for letter in plain)
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(self.result, safe='')}"


class Upload:
    """An uploaded file in a `folder` of its own, whose name is the file's number."""

    def __init__(
        self,
        folder: Path,
        request: UploadRequest,
        limits: Limits,
        engine: Mapping[str, str | float],
        disk: DiskQuota,
    ) -> None:
        self.request, self.folder, self.number = request, folder, folder.name
        self.state: State = "receiving"
        self._limits, self._engine, self._disk, self._room = limits, engine, disk, 0
        self._removed = False
        self.is_downloaded = False
        """Whether the whole result was sent once."""
        self._source = folder / f"upload{request.suffix}"
        self.result = folder / f"cartoon{Path(request.result).suffix}"
        """Path of the finished file."""
        self._process: asyncio.subprocess.Process | None = None
        self._facts: dict[str, Any] = {}

    def as_dict(self) -> dict[str, Any]:
        """Return the state, for the page."""
        return {"id": self.number, "state": self.state, "name": self.request.result, **self._facts}

    @property
    def is_busy(self) -> bool:
        """Whether the file is being received or drawn."""
        return self.state in ("receiving", "drawing")

    @property
    def is_wanted(self) -> bool:
        """Whether the file is not finished, or its result was not downloaded yet."""
        return self.is_busy or (self.state == "done" and not self.is_downloaded)

    @property
    def size(self) -> int:
        """Bytes of the finished file; 0 before."""
        return int(self._facts.get("bytes", 0)) if self.state == "done" else 0

    async def receive(self, chunks: AsyncIterator[bytes], expected: int | None) -> int:
        """Write the upload to disk and return its size in bytes. Raises InputError and OutputError."""
        if expected is not None:
            self._limits.require_upload(expected)
        largest = self._limits.upload * MEGABYTE
        self._room = self._disk.reserve(self.folder, expected or largest, MAX_GROWTH * largest)
        size, loop = 0, asyncio.get_running_loop()
        began = loop.time()
        try:
            self.folder.mkdir(mode=0o700)
            with self._source.open("wb") as file:
                while True:
                    due = min(loop.time(), began + size / MIN_UPLOAD_BYTES_S) + UPLOAD_TIMEOUT_S
                    async with asyncio.timeout_at(due):
                        chunk = await anext(chunks, b"")
                    if not chunk:
                        break
                    size += len(chunk)
                    self._limits.require_upload(size)
                    file.write(chunk)
        except TimeoutError as error:
            raise InputError("The upload was too slow or stopped. Send the file again.") from error
        except OSError as error:
            raise OutputError(f"The server cannot store the file ({error.strerror or error}).") from error
        if not size:
            raise InputError("The file is empty.")
        return size

    async def draw(self) -> None:
        """Draw the file; sets `state` to done or failed and raises only if cancelled."""
        self.state = "drawing"
        began = time.monotonic()
        try:
            said = await self._work()
        except OSError as error:
            said = {"error": f"The server could not start to draw ({error.strerror or error})."}
        except Exception:
            log.exception("drawing a file failed")
            said = {"error": "Drawing failed because of a server error. See the server log for details."}
        if said.get("done") and self.result.is_file():
            self.state = "done"
            facts = {"seconds": round(time.monotonic() - began, 1), "bytes": self.result.stat().st_size}
            self._facts = {**said, **facts}
        else:
            self.state, self._facts = "failed", {"error": said.get("error") or self._how_it_ended()}
        self._source.unlink(missing_ok=True)

    def stop(self) -> None:
        """Kill the process and its children."""
        if self._process is None or self._process.returncode is not None:
            return
        if sys.platform == "win32":
            self._process.kill()
        else:  # kill() polls first, and could take the exit code that the event loop waits for
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def remove(self) -> None:
        """Kill the process and remove all files."""
        self._removed = True
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _work(self) -> dict[str, Any]:
        """Run the worker and return its last message."""
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
                stderr=errors, cwd=self.folder, limit=_MAX_LINE_BYTES,
                env=subprocesses.environment(), start_new_session=True,
            )  # fmt: skip
            last = await self._last_message(self._process, request)
            if not last and not self._removed:
                errors.seek(max(0, errors.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
                text = errors.read().decode(errors="replace").strip()
                log.error("a worker exited with code %s\n%s", self._process.returncode, text)
        return last

    async def _last_message(
        self, process: asyncio.subprocess.Process, request: dict[str, Any]
    ) -> dict[str, Any]:
        """Send a request to the worker; return its last message, empty if there is none."""
        assert process.stdin is not None and process.stdout is not None, "both are pipes"
        last: dict[str, Any] = {}
        try:
            with suppress(ConnectionError):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
            while line := await process.stdout.readline():
                with suppress(ValueError):  # a line printed by a library
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
            return "The file takes more computing time than this server allows."
        return "The file cannot be drawn: it crashed the program that opened it."


def clean_name(name: str) -> str:
    """Return a file name without folders and unprintable characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1].encode("utf-8", "replace").decode()
    clean = "".join(letter for letter in last if letter.isprintable()).strip().strip(".")
    stem, dot, suffix = clean.rpartition(".")
    return f"{stem[:MAX_NAME_CHARACTERS]}.{suffix[:10]}" if dot else clean[:MAX_NAME_CHARACTERS] or "video"
