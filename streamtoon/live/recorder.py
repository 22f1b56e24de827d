"""Recordings and snapshots of a live run."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2

from engines.frame import Frame
from streamtoon.errors import OutputError
from streamtoon.live.overlay import bgr
from streamtoon.media.reader.probe import MediaInfo
from streamtoon.media.writer.recorder import Recording


class LiveRecorder:
    """Records frames and saves snapshots. Unnamed files get the time as their name.

    Call `write` in the thread of the frames, and all other methods in that of the keys.
    """

    def __init__(self, info: MediaInfo, recording: Recording | None) -> None:
        self.files: list[str] = []
        """Finished files."""
        self._info, self._recording = info, recording
        self._folder = Path() if recording is None else recording.path.parent
        self._lock = threading.Lock()

    @property
    def is_recording(self) -> bool:
        """Whether a recording is running."""
        return self._recording is not None

    def write(self, picture: Frame) -> None:
        """Write a frame, if a recording is running. Raises OutputError."""
        with self._lock:
            if self._recording is not None:
                self._recording.write(picture)

    def start(self) -> str:
        """Start to record with the next frame; return a message."""
        try:
            recording = Recording(self._new_file(".mp4"), self._info)
        except OutputError as error:
            return str(error)
        with self._lock:
            self._recording = recording
        return f"recording to {recording.path}"

    def stop(self) -> str:
        """Finish the recording, if any; return a message. Raises OutputError."""
        with self._lock:
            recording, self._recording = self._recording, None
            if recording is None or not recording.finish():
                return ""
        self.files.append(str(recording.path))
        return f"saved {recording.path}"

    def snapshot(self, picture: Frame) -> str:
        """Save a frame as PNG; return a message."""
        path = self._new_file(".png")
        done, data = cv2.imencode(".png", bgr(picture))
        assert done, "any frame can be a PNG"
        try:
            with path.open("xb") as file:
                file.write(data.tobytes())
        except OSError as error:
            return f"{path} cannot be written: {(error.strerror or str(error)).lower()}"
        self.files.append(str(path))
        return f"saved {path}"

    def _new_file(self, suffix: str) -> Path:
        stem = time.strftime("streamtoon-%Y%m%d-%H%M%S")
        path, more = self._folder / (stem + suffix), 1
        while path.exists():
            path, more = self._folder / f"{stem}-{more}{suffix}", more + 1
        return path
