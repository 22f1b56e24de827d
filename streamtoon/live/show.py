"""One live run: a camera's pictures drawn, shown, sent and recorded, and the keys that change how."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.picture import Picture
from streamtoon.durations import Durations
from streamtoon.live.camera import Camera
from streamtoon.live.keeping import Keeper
from streamtoon.live.performer import Performer
from streamtoon.live.virtual_camera import VirtualCamera
from streamtoon.live.window import Text, Window
from streamtoon.media.recording import Recording
from streamtoon.pipeline import Progress, run

LOOK = 0.02
"""Seconds between two looks at keys."""
STEP = 0.1
"""Of strength, per key."""
TOLD = 3.0
"""Seconds that a message stays."""
HELP = """\
n, p: next, previous style
+, -: strength
c: compare, with the source up to the mouse
m: mirror
s: snapshot
r: record, and stop
i: numbers
h: this help
q: quit"""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did."""

    pictures: int
    """Shown, or sent where there is no window."""
    dropped: int
    """That a newer one took the place of."""
    seconds: float
    latency_ms: float | None
    """Median, from a picture's arrival to its showing; None without a picture."""
    latency_p95_ms: float | None
    files: tuple[str, ...]
    """Recordings and snapshots."""


class Show:
    """Runs until the camera's file ends, `ended` is set, or somebody quits."""

    def __init__(
        self,
        camera: Camera,
        performer: Performer,
        styles: Sequence[str],
        *,
        window: Window | None = None,
        virtual_camera: VirtualCamera | None = None,
        recording: Recording | None = None,
    ) -> None:
        self._camera, self._performer = camera, performer
        self._window, self._virtual_camera = window, virtual_camera
        self._styles, self._style = list(styles), performer.style
        self._keeper = Keeper(camera.info, recording)
        self._sources: deque[Picture] = deque(maxlen=4)
        self._latest: Picture | None = None
        self._latencies = Durations()
        self._compares = self._helps = False
        self._counts = True
        self._told, self._told_until = "press h for help", time.monotonic() + TOLD
        self._quits = False

    def run(self, ended: threading.Event, on_progress: Callable[[Progress], object] | None = None) -> Summary:
        """Raises what the pipeline's parts raise; a recording that has begun is kept in any case."""
        began = time.monotonic()
        dropped = 0

        def look(progress: Progress) -> None:
            nonlocal dropped
            dropped = progress.dropped + self._camera.dropped
            if self._window is not None:
                dropped += self._window.skipped
                self._look(self._window, progress.fps, dropped)
            if on_progress is not None:
                on_progress(progress)
            if self._quits or ended.is_set():
                self._camera.stop()

        try:
            run(
                self._camera,
                self._start,
                self._write,
                on_progress=look,
                unblock=self._camera.stop,
                interval=LOOK,
                newest=True,
            )
        finally:
            self._keeper.stop()
        latencies = self._latencies
        return Summary(
            pictures=len(latencies),
            dropped=dropped,
            seconds=round(time.monotonic() - began, 3),
            latency_ms=round(latencies.quantile(0.5), 1) if latencies else None,
            latency_p95_ms=round(latencies.quantile(0.95), 1) if latencies else None,
            files=tuple(self._keeper.files),
        )

    def shown(self, pts: int, at: int) -> None:
        """A picture is on the screen, at that time.monotonic_ns()."""
        self._latencies.add(self._camera.age(pts, at) / 1000)

    @property
    def latency(self) -> float:
        """Milliseconds, the mean of the latest pictures; 0 before the first."""
        return self._latencies.recent

    # --- in the pipeline's threads ---------------------------------------------------------------

    def _start(self, picture: Picture) -> Callable[[], Picture]:
        self._sources.append(picture)
        return self._performer.start(picture)

    def _write(self, picture: Picture) -> None:
        self._latest = picture
        if self._window is not None:
            source = [each for each in self._sources if each.pts == picture.pts] if self._compares else []
            self._window.show([picture, *source])
        if self._virtual_camera is not None:
            self._virtual_camera.send(picture)
        if self._window is None:
            self.shown(picture.pts, time.monotonic_ns())
        self._keeper.write(picture)

    # --- in the caller's thread ------------------------------------------------------------------

    def _look(self, window: Window, fps: float, dropped: int) -> None:
        for key in window.typed():
            self._press(key)
        window.write(self._texts(fps, dropped))
        self._quits |= not window.is_open

    def _texts(self, fps: float, dropped: int) -> list[Text]:
        texts: list[Text] = []
        if self._counts:
            facts, strength = self._performer.facts, self._performer.strength
            numbers = f"{fps:.0f} fps   {self.latency:.0f} ms   {dropped} dropped"
            mixed = f" {strength:.0%}" if strength < 1 else ""
            texts.append((f"{numbers}\n{facts.style}{mixed}, {facts.quality}", 0, 0))
        if self._keeper.is_recording:
            texts.append(("REC", 1, 0))
        if self._helps:
            texts.append((HELP, 0.5, 0.5))
        if message := self._message():
            texts.append((message, 0.5, 1))
        return texts

    def _message(self) -> str:
        if self._camera.is_gone:
            return f"waiting for {self._camera.name}"
        if self._performer.is_choosing:
            return f"{self._style} is on its way"
        if self._performer.trouble and self._performer.style != self._style:
            return self._performer.trouble
        return self._told if time.monotonic() < self._told_until else ""

    def _press(self, key: str) -> None:
        """Unknown keys do nothing."""
        actions: dict[str, Callable[[], object]] = {
            "n": lambda: self._choose(1),
            "p": lambda: self._choose(-1),
            "+": lambda: self._strengthen(STEP),
            "=": lambda: self._strengthen(STEP),
            "-": lambda: self._strengthen(-STEP),
            "c": self._compare,
            "m": self._mirror,
            "s": self._snapshot,
            "r": self._record,
            "i": self._count,
            "h": self._help,
            "?": self._help,
            "q": self._quit,
            "\x1b": self._quit,
        }
        action = actions.get(key.lower())
        if action is not None:
            action()

    def _quit(self) -> None:
        self._quits = True

    def _tell(self, text: str) -> None:
        self._told, self._told_until = text, time.monotonic() + TOLD

    def _choose(self, step: int) -> None:
        place = self._styles.index(self._style) if self._style in self._styles else -1
        self._style = self._styles[(place + step) % len(self._styles)]
        self._performer.choose(self._style)

    def _strengthen(self, step: float) -> None:
        self._performer.strength = min(1.0, max(0.0, round(self._performer.strength + step, 3)))
        self._tell(f"strength {self._performer.strength:.0%}")

    def _compare(self) -> None:
        self._compares = not self._compares

    def _mirror(self) -> None:
        self._camera.mirror = not self._camera.mirror

    def _count(self) -> None:
        self._counts = not self._counts

    def _help(self) -> None:
        self._helps = not self._helps

    def _snapshot(self) -> None:
        if self._latest is not None:
            self._tell(self._keeper.snapshot(self._latest))

    def _record(self) -> None:
        self._tell(self._keeper.stop() if self._keeper.is_recording else self._keeper.start())
