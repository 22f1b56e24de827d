"""A stream from wherever it comes to wherever it is wanted, drawn on its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from engines.picture import Picture
from streamtoon.durations import Durations
from streamtoon.errors import InputError
from streamtoon.live.camera import Camera
from streamtoon.live.performer import Performer
from streamtoon.media.devices import CaptureRequest, find_device
from streamtoon.media.network import is_address, shown
from streamtoon.media.network_sink import Coding, LiveOrigin, NetworkSink
from streamtoon.media.network_source import NetworkSource
from streamtoon.media.network_targets import Target
from streamtoon.media.opening import OpenedVideo
from streamtoon.media.packets import Passthrough
from streamtoon.media.source import OnError
from streamtoon.pipeline import Progress, run
from streamtoon.report import EngineReport, engine_report

LATENCY = 0.5
"""Seconds of an address or a file that may be held back, where nobody says."""


class LiveSource(LiveOrigin, Protocol):
    """Where a stream comes from: a NetworkSource, or a camera."""

    warnings: list[str]
    reconnects: int

    @property
    def skipped(self) -> int:
        """Pictures that came faster than they could be taken."""

    def waited(self, pts: int) -> float | None:
        """Seconds since the picture of that time came."""

    def __iter__(self) -> Iterator[Picture | Passthrough]:
        """Each when it is due."""

    def stop(self) -> None:
        """End it. May be called from any thread."""

    def close(self) -> None:
        """Give it back."""


class CameraSource:
    """A camera as a LiveSource; without sound. One that is pulled out is waited for."""

    keeps_times, sound = False, None
    on_error: OnError = "repair"

    def __init__(self, device: str) -> None:
        self.warnings: list[str] = []
        self.reconnects = 0
        self.covers: dict[int, bytes] = {}
        self._camera = Camera(device, CaptureRequest())
        self.info = self._camera.info

    @property
    def opened(self) -> OpenedVideo:
        """Asked for by routes of sound, of which there is none."""
        raise AssertionError("a camera has no container")

    @property
    def skipped(self) -> int:
        """Pictures that came faster than they could be taken."""
        return self._camera.dropped

    def waited(self, pts: int) -> float | None:
        """Seconds since the picture of that time came."""
        return self._camera.age(pts, time.monotonic_ns()) / 1e6

    def __iter__(self) -> Iterator[Picture | Passthrough]:
        yield from self._camera

    def stop(self) -> None:
        """End it. May be called from any thread."""
        self._camera.stop()

    def close(self) -> None:
        """Give it back."""
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
    """An address, a file that plays in its own time, or a camera. `latency`: None for LATENCY.

    Raises InputError, also for what such a source has no use for; see NetworkSource.
    """
    is_far = is_address(place)
    is_camera = not is_far and find_device(place)[0] is not None
    if loop and (is_far or is_camera):
        raise InputError(f"--loop is for files, which have an end; {shown(place)} is none.")
    if give_up is not None and not is_far:
        raise InputError(f"--give-up is for addresses, which may be away; {place} is none.")
    if is_camera:
        if latency is not None:
            raise InputError(f"--latency is for addresses and files; {place} is a camera, never held back.")
        return CameraSource(place)
    latency = LATENCY if latency is None else latency
    return NetworkSource(
        place, latency=latency, loop=loop, retry=retry, give_up=give_up, insecure=insecure, tell=tell
    )


@dataclass(frozen=True, slots=True)
class Status:
    """How a stream stands."""

    frames: int
    """Pictures written so far."""
    fps: float
    dropped: int
    """Pictures that a newer one took the place of, or that nobody could take."""
    reconnects: int
    """On both ends."""
    latency_ms: float
    """From a picture's arrival to its sending, over the latest."""
    is_connected: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """What a stream was, at its end."""

    source: str
    """Without passwords, as `target`."""
    target: str
    seconds: float
    pictures_in: int
    pictures_out: int
    dropped: int
    """Pictures that a newer one took the place of."""
    skipped: int
    """Pictures that came faster than they could be decoded."""
    lost: int
    """Pictures that were drawn while the target was away."""
    source_reconnects: int
    target_reconnects: int
    latency_ms: float | None
    """From a picture's arrival to its sending, the median."""
    latency_p95_ms: float | None
    engine: EngineReport
    warnings: tuple[str, ...]


class LiveStream:
    """One run. A context manager that gives both ends back. Raises OutputError for the target."""

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
        self._target = Target(target, source=path, overwrite=overwrite, insecure=insecure)
        self._sink: NetworkSink | None = None
        self._latencies = Durations()

    def run(
        self, performer: Performer, stop: threading.Event, on_status: Callable[[Status], object] | None
    ) -> Summary:
        """Until the source ends or `stop` is set. Raises InputError, OutputError and EngineError."""
        source = self._source
        began = time.perf_counter()
        sink = NetworkSink(self._target, source, self._coding, retry=self._retry, tell=self._tell)
        self._sink = sink

        def write(item: Picture | Passthrough) -> None:
            sink.write(item)
            waited = source.waited(item.pts) if isinstance(item, Picture) else None
            if waited is not None:
                self._latencies.add(1000 * waited)

        def watch(progress: Progress) -> None:
            if stop.is_set():
                source.stop()
            if on_status is not None:
                on_status(self._status(progress, sink))

        outcome = run(source, performer.start, write, on_progress=watch, unblock=source.stop, newest=True)
        sink.close()
        latencies = self._latencies
        return Summary(
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
