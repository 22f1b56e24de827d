"""What stays of a live run: recordings and snapshots."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2

from engines.picture import Picture
from streamtoon.errors import OutputError
from streamtoon.live.overlay import bgr
from streamtoon.media.probe import MediaInfo
from streamtoon.media.recording import Recording


class Keeper:
    """Records and saves pictures of `info`. One that has no name gets one of the time, in `folder`.

    `write` is for the thread of the pictures, the rest for that of the keys.
    """

    def __init__(self, info: MediaInfo, recording: Recording | None) -> None:
        self.files: list[str] = []
        """What is there, whole."""
        self._info, self._recording = info, recording
        self._folder = Path() if recording is None else recording.path.parent
        self._lock = threading.Lock()

    @property
    def is_recording(self) -> bool:
        """Whether pictures are being written."""
        return self._recording is not None

    def write(self, picture: Picture) -> None:
        """Take one picture, where somebody records. Raises OutputError."""
        with self._lock:
            if self._recording is not None:
                self._recording.write(picture)

    def start(self) -> str:
        """Record from the next picture on; what a person is told."""
        try:
            recording = Recording(self._new_file(".mp4"), self._info)
        except OutputError as error:
            return str(error)
        with self._lock:
            self._recording = recording
        return f"recording {recording.path}"

    def stop(self) -> str:
        """Make the recording whole, where there is one; what a person is told. Raises OutputError."""
        with self._lock:
            recording, self._recording = self._recording, None
            if recording is None or not recording.finish():
                return ""
        self.files.append(str(recording.path))
        return f"{recording.path} is saved"

    def snapshot(self, picture: Picture) -> str:
        """Save one picture as a PNG; what a person is told."""
        path = self._new_file(".png")
        done, data = cv2.imencode(".png", bgr(picture))
        assert done, "any picture is a PNG"
        try:
            with path.open("xb") as file:
                file.write(data.tobytes())
        except OSError as error:
            return f"{path} cannot be written: {(error.strerror or str(error)).lower()}"
        self.files.append(str(path))
        return f"{path} is saved"

    def _new_file(self, suffix: str) -> Path:
        stem = time.strftime("streamtoon-%Y%m%d-%H%M%S")
        path, more = self._folder / (stem + suffix), 1
        while path.exists():
            path, more = self._folder / f"{stem}-{more}{suffix}", more + 1
        return path
