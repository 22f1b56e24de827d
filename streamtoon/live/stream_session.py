"""A live stream from a source to a target, drawn on its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from engines.frame import Frame
from streamtoon.errors import InputError
from streamtoon.live.camera import ReconnectingCamera
from streamtoon.live.renderer import LiveRenderer
from streamtoon.media.devices.discovery import CaptureRequest, find_device
from streamtoon.media.network.sink import Coding, LiveOrigin, NetworkSink
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import StreamTarget
from streamtoon.media.network.urls import is_address, shown
from streamtoon.media.packets import Passthrough
from streamtoon.media.reader.opening import OpenedVideo
from streamtoon.media.reader.video_reader import OnError
from streamtoon.pipeline.latency_histogram import LatencyHistogram
from streamtoon.pipeline.run import Progress, run
from streamtoon.reports import EngineReport, engine_report

DEFAULT_LATENCY_S = 0.5
"""Default buffer of an address or a file."""


class LiveSource(LiveOrigin, Protocol):
    """The source of a stream: a NetworkSource or a camera."""

    warnings: list[str]
    reconnects: int

    @property
    def skipped(self) -> int:
        """Frames that came faster than they could be taken."""

    def waited(self, pts: int) -> float | None:
        """Return the seconds since the frame with this pts arrived; None if unknown."""

    def __iter__(self) -> Iterator[Frame | Passthrough]:
        """Yield each item when it is due."""

    def stop(self) -> None:
        """End it. May be called from any thread."""

    def close(self) -> None:
        """Close it."""


class CameraSource:
    """A camera as a LiveSource, without sound. It reconnects if it is unplugged."""

    keeps_times, sound = False, None
    on_error: OnError = "repair"

    def __init__(self, device: str) -> None:
        self.warnings: list[str] = []
        self.reconnects = 0
        self.covers: dict[int, bytes] = {}
        self._camera = ReconnectingCamera(device, CaptureRequest())
        self.info = self._camera.info

    @property
    def opened(self) -> OpenedVideo:
        """Fail: this is only used for sound, and a camera has none."""
        raise AssertionError("a camera has no container")

    @property
    def skipped(self) -> int:
        """Frames that came faster than they could be taken."""
        return self._camera.dropped

    def waited(self, pts: int) -> float | None:
        """Return the seconds since the frame with this pts arrived."""
        return self._camera.age(pts, time.monotonic_ns()) / 1e6

    def __iter__(self) -> Iterator[Frame | Passthrough]:
        yield from self._camera

    def stop(self) -> None:
        """End it. May be called from any thread."""
        self._camera.stop()

    def close(self) -> None:
        """Close it."""
        self._camera.close()


def open_source(
    place: str,
    *,
    latency: float | None,
    loop: bool,
    retry: bool,
    give_up: float | None,
    insecure: bool,
    tell: Callable[[str], object],
) -> LiveSource:
    """Open an address, a file that plays in real time, or a camera.

    Args:
        place: An address, a file, or a camera as for `find_device`.
        latency: Buffer in seconds; None for DEFAULT_LATENCY_S. Not for cameras.
        loop: Play a file again and again.
        retry: Wait for an address that does not answer yet.
        give_up: End after this many seconds without the address; None never ends.
        insecure: Accept any TLS certificate.
        tell: Called with messages about the connection.

    Raises:
        InputError: The source cannot be opened, or an option does not apply to it.
    """
    is_far = is_address(place)
    is_camera = not is_far and find_device(place)[0] is not None
    if loop and (is_far or is_camera):
        raise InputError(f"--loop is for files; {shown(place)} is not a file.")
    if give_up is not None and not is_far:
        raise InputError(f"--give-up is for addresses; {place} is not an address.")
    if is_camera:
        if latency is not None:
            raise InputError(
                f"--latency is for addresses and files; {place} is a camera, which has no buffer."
            )
        return CameraSource(place)
    latency = DEFAULT_LATENCY_S if latency is None else latency
    return NetworkSource(
        place, latency=latency, loop=loop, retry=retry, give_up=give_up, insecure=insecure, tell=tell
    )


@dataclass(frozen=True, slots=True)
class Status:
    """Status of a stream."""

    frames: int
    """Frames written so far."""
    fps: float
    dropped: int
    """Frames that were replaced by newer ones or could not be sent."""
    reconnects: int
    """At both ends."""
    latency_ms: float
    """From a frame's arrival to its sending, mean of the latest frames."""
    is_connected: bool


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """Summary of a stream at its end."""

    source: str
    """Without passwords, like `target`."""
    target: str
    seconds: float
    pictures_in: int
    pictures_out: int
    dropped: int
    """Frames that were replaced by newer ones."""
    skipped: int
    """Frames that came faster than they could be decoded."""
    lost: int
    """Frames that were drawn while the target was disconnected."""
    source_reconnects: int
    target_reconnects: int
    latency_ms: float | None
    """From a frame's arrival to its sending, the median."""
    latency_p95_ms: float | None
    engine: EngineReport
    warnings: tuple[str, ...]


class LiveStream:
    """One run of a stream. A context manager that closes both ends. Raises OutputError for a bad target."""

    def __init__(
        self,
        source: LiveSource,
        place: str,
        target: str,
        coding: Coding,
        *,
        overwrite: bool,
        retry: bool,
        insecure: bool,
        tell: Callable[[str], object],
    ) -> None:
        self._source, self._place, self._retry, self._tell, self._coding = source, place, retry, tell, coding
        path = None if is_address(place) else Path(place)
        self._target = StreamTarget(target, source=path, overwrite=overwrite, insecure=insecure)
        self._sink: NetworkSink | None = None
        self._latencies = LatencyHistogram()

    def run(
        self, performer: LiveRenderer, stop: threading.Event, on_status: Callable[[Status], object] | None
    ) -> StreamSummary:
        """Run until the source ends or `stop` is set. Raises InputError, OutputError and EngineError."""
        source = self._source
        began = time.perf_counter()
        sink = NetworkSink(self._target, source, self._coding, retry=self._retry, tell=self._tell)
        self._sink = sink

        def write(item: Frame | Passthrough) -> None:
            sink.write(item)
            waited = source.waited(item.pts) if isinstance(item, Frame) else None
            if waited is not None:
                self._latencies.add(1000 * waited)

        def watch(progress: Progress) -> None:
            if stop.is_set():
                source.stop()
            if on_status is not None:
                on_status(self._status(progress, sink))

        outcome = run(source, performer, write, on_progress=watch, unblock=source.stop, newest=True)
        sink.close()
        latencies = self._latencies
        return StreamSummary(
            source=shown(self._place),
            target=self._target.shown,
            seconds=round(time.perf_counter() - began, 3),
            pictures_in=outcome.frames_in,
            pictures_out=sink.frames,
            dropped=outcome.dropped,
            skipped=source.skipped,
            lost=sink.lost,
            source_reconnects=source.reconnects,
            target_reconnects=sink.reconnects,
            latency_ms=round(latencies.quantile(0.5), 1) if latencies else None,
            latency_p95_ms=round(latencies.quantile(0.95), 1) if latencies else None,
            engine=engine_report(performer.facts),
            warnings=tuple(dict.fromkeys((*source.warnings, *sink.warnings))),
        )

    def _status(self, progress: Progress, sink: NetworkSink) -> Status:
        return Status(
            frames=sink.frames,
            fps=progress.fps,
            dropped=progress.dropped + self._source.skipped + sink.lost,
            reconnects=self._source.reconnects + sink.reconnects,
            latency_ms=self._latencies.recent,
            is_connected=sink.is_connected,
        )

    def __enter__(self) -> LiveStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._sink is not None:
            self._sink.abandon()
