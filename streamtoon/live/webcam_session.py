"""A webcam session: frames are drawn, shown, sent and recorded, and keys change settings."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engines.engine import PendingFrame
from engines.frame import Frame
from engines.looks.look import look_keys
from engines.registry.style import Style, load_style
from streamtoon.live.camera import ReconnectingCamera
from streamtoon.live.look_controls import counts, has_steps, spoken, stepped
from streamtoon.live.recorder import LiveRecorder
from streamtoon.live.renderer import LiveRenderer
from streamtoon.live.too_slow import SlowWatch, advice
from streamtoon.live.virtual_camera import VirtualCamera
from streamtoon.live.window import Text, Window
from streamtoon.media.writer.recorder import Recording
from streamtoon.pipeline.latency_histogram import LatencyHistogram
from streamtoon.pipeline.run import Progress, run

KEY_POLL_S = 0.02
STRENGTH_STEP = 0.1
"""Per key press."""
STRENGTH = "strength"
"""What keys change until a key of the look is chosen."""
MESSAGE_S = 3.0
"""A message stays for this time."""
VALUE_MESSAGE_S = 2.0
WARNING_MESSAGE_S = 10.0
HELP = """\
n, p: next, previous style
[, ] or up, down: choose strength or a key of the look
-, = or left, right: change it
0: the style's own look
c: compare with the source; the mouse moves the line
f: full screen on, off
m: mirror
s: snapshot
r: recording on, off
i: numbers on, off
h: this help
q: quit"""


@dataclass(frozen=True, slots=True)
class WebcamSummary:
    """Summary of a run."""

    pictures: int
    """Frames shown, or sent if there is no window."""
    dropped: int
    """Frames that were replaced by newer ones."""
    seconds: float
    latency_ms: float | None
    """Median, from a frame's arrival to its display; None without a frame."""
    latency_p95_ms: float | None
    files: tuple[str, ...]
    """Recordings and snapshots."""


class WebcamSession:
    """A session that runs until a file ends, `ended` is set, or the user quits."""

    def __init__(
        self,
        camera: ReconnectingCamera,
        performer: LiveRenderer,
        styles: Mapping[str, str | Style],
        *,
        window: Window | None = None,
        virtual_camera: VirtualCamera | None = None,
        recording: Recording | None = None,
        on_warning: Callable[[str], object] | None = None,
    ) -> None:
        """`styles`: by name, what the performer is told to choose. `on_warning`: called with a sentence."""
        self._camera, self._performer = camera, performer
        self._window, self._virtual_camera = window, virtual_camera
        self._styles, self._style = dict(styles), performer.style
        self._adjusts = STRENGTH
        self._keeper = LiveRecorder(camera.info, recording)
        self._sources: deque[Frame] = deque(maxlen=4)
        self._latest: Frame | None = None
        self._latencies = LatencyHistogram()
        self._compares = self._helps = self._fills_screen = False
        self._slow, self._on_warning = SlowWatch(camera.info.rate), on_warning
        self._counts = True
        self._told, self._told_until = "press h for help", time.monotonic() + MESSAGE_S
        self._quits = False

    def run(
        self, ended: threading.Event, on_progress: Callable[[Progress], object] | None = None
    ) -> WebcamSummary:
        """Run the session. Raises the pipeline's errors; a started recording is kept in any case."""
        began = time.monotonic()
        dropped = 0

        def look(progress: Progress) -> None:
            nonlocal dropped
            dropped = progress.dropped + self._camera.dropped
            if self._window is not None:
                dropped += self._window.skipped
                self._look(self._window, progress.fps, dropped)
            self._watch(progress, dropped)
            if on_progress is not None:
                on_progress(progress)
            if self._quits or ended.is_set():
                self._camera.stop()

        try:
            run(
                self._camera,
                self,
                self._write,
                on_progress=look,
                unblock=self._camera.stop,
                interval=KEY_POLL_S,
                newest=True,
            )
        finally:
            self._keeper.stop()
        latencies = self._latencies
        return WebcamSummary(
            pictures=len(latencies),
            dropped=dropped,
            seconds=round(time.monotonic() - began, 3),
            latency_ms=round(latencies.quantile(0.5), 1) if latencies else None,
            latency_p95_ms=round(latencies.quantile(0.95), 1) if latencies else None,
            files=tuple(self._keeper.files),
        )

    def shown(self, pts: int, at: int) -> None:
        """Note that the frame with this pts was on screen `at` this time.monotonic_ns()."""
        self._latencies.add(self._camera.age(pts, at) / 1000)

    @property
    def latency(self) -> float:
        """Latency in ms, the mean of the latest frames; 0 before the first one."""
        return self._latencies.recent

    # --- in the pipeline's threads ---------------------------------------------------------------

    concurrency = 1

    def submit(self, frame: Frame) -> PendingFrame:
        """Begin to render a frame, and remember it for the comparison."""
        self._sources.append(frame)
        return self._performer.submit(frame)

    def _write(self, picture: Frame) -> None:
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

    def _watch(self, progress: Progress, dropped: int) -> None:
        """Warn once of each style that is too slow for live video."""
        performer = self._performer
        if not progress.frames or self._camera.is_gone or performer.is_choosing:
            self._slow.pause()
            return
        facts = performer.facts
        if self._slow.is_news(facts.style, progress.fps, dropped, time.monotonic()):
            style = self._styles.get(facts.style, facts.style)
            has_lite = (style if isinstance(style, Style) else load_style(style)).lite is not None
            said = (
                f"style {facts.style} reaches {progress.fps:.2g} fps on this machine, too slow for live video"
            )
            way_out = advice(facts.quality, has_lite=has_lite)
            self._tell(f"{said}:\n{way_out}", WARNING_MESSAGE_S)
            if self._on_warning is not None:
                self._on_warning(f"{said}: {way_out}")

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
            return f"loading {self._style}"
        if self._performer.trouble and self._performer.style != self._style:
            return self._performer.trouble
        return self._told if time.monotonic() < self._told_until else ""

    def _press(self, key: str) -> None:
        """Handle a key; ignore unknown ones."""
        actions: dict[str, Callable[[], object]] = {
            "n": lambda: self._choose(1),
            "p": lambda: self._choose(-1),
            "[": lambda: self._select(-1),
            "up": lambda: self._select(-1),
            "]": lambda: self._select(1),
            "down": lambda: self._select(1),
            "+": lambda: self._adjust(1),
            "=": lambda: self._adjust(1),
            "right": lambda: self._adjust(1),
            "-": lambda: self._adjust(-1),
            "left": lambda: self._adjust(-1),
            "0": self._reset,
            "c": self._compare,
            "f": self._full_screen,
            "m": self._mirror,
            "s": self._snapshot,
            "r": self._record,
            "i": self._count,
            "h": self._help,
            "?": self._help,
            "q": self._quit,
            "\x1b": self._escape,
        }
        action = actions.get(key.lower())
        if action is not None:
            action()

    def _quit(self) -> None:
        self._quits = True

    def _escape(self) -> None:
        if self._fills_screen:
            self._full_screen()
        else:
            self._quit()

    def _full_screen(self) -> None:
        self._fills_screen = not self._fills_screen
        if self._window is not None:
            self._window.fill_screen(self._fills_screen)

    def _tell(self, text: str, seconds: float = MESSAGE_S) -> None:
        self._told, self._told_until = text, time.monotonic() + seconds

    def _choose(self, step: int) -> None:
        names = list(self._styles)
        place = names.index(self._style) if self._style in names else -1
        self._style = names[(place + step) % len(names)]
        self._performer.choose(self._styles[self._style])
        self._tell(self._style, VALUE_MESSAGE_S)

    def _select(self, step: int) -> None:
        """Select the next setting that the keys change, of those that have an effect now."""
        look = self._performer.look
        keys = [key.name for key in look_keys() if look and has_steps(key) and counts(look, key.name)]
        names = [STRENGTH, *keys]
        place = names.index(self._adjusts) if self._adjusts in names else 0
        self._adjusts = names[(place + step) % len(names)]
        self._tell_value()

    def _adjust(self, direction: int) -> None:
        look, performer = self._performer.look, self._performer
        if self._adjusts == STRENGTH or look is None:
            self._adjusts = STRENGTH
            performer.strength = min(1.0, max(0.0, round(performer.strength + direction * STRENGTH_STEP, 3)))
        else:
            performer.look = stepped(look, self._adjusts, direction)
        self._tell_value()

    def _tell_value(self) -> None:
        look = self._performer.look
        if self._adjusts == STRENGTH or look is None:
            self._tell(f"strength {self._performer.strength:.0%}", VALUE_MESSAGE_S)
            return
        key = next(each for each in look_keys() if each.name == self._adjusts)
        value, own = getattr(look, key.name), getattr(self._performer.own_look, key.name)
        was = "" if value == own else f" (was {spoken(own)})"
        between = ", ".join(key.choices) or f"{key.low:g} to {key.high:g}"
        self._tell(f"{key.name}  {spoken(value)}{was}\n{key.text}\n{between}", VALUE_MESSAGE_S)

    def _reset(self) -> None:
        own = self._performer.own_look
        if own is None:
            self._tell(f"style {self._performer.style} has no look to change", VALUE_MESSAGE_S)
            return
        self._performer.look = own
        self._tell("the style's own look", VALUE_MESSAGE_S)

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
