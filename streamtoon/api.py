"""The Python API's one object: holds a style and an open engine, and turns arrays, pictures and files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.common.defaults import STABILIZE
from engines.engine import Engine
from engines.frame import Frame
from engines.registry.look_changes import Changes, with_look
from engines.registry.style import DEFAULT_STYLE, Style, load_style
from engines.settings import EngineSettings
from engines.spec import AskedPrecision, AskedQuality
from streamtoon.engine_holder import EngineHolder, EngineRequest
from streamtoon.pipeline.run import Progress
from streamtoon.reports import EngineReport, ImageReport, Report, engine_report


class Cartoonizer:
    """Turns pictures, photos and videos into cartoons.

    `style` is the name of a shipped style, or a folder or look file with one, or a Style that is loaded;
    `look` changes keys of its look, such as {"levels": 8}. The other settings are the command's options of
    the same names: `detail` (0.25..1, None for the style's own) is the size at which the style
    sees a picture, `strength` (0..1) how much of the cartoon is mixed into the source. `quality` "auto" is
    "full" for files and arrays, which can wait, and in `stream` the best that keeps up with its `rate`.

    An engine is opened for the first picture and again whenever the size of the pictures changes, so
    pictures of one size are best given in a row. Not safe to share between threads. Close it, or use it
    in a `with` block, to free the engine's memory early.

    Raises ValueError for a setting out of range; StyleError for an unknown or damaged style, and for a
    `look` whose key or value is not allowed or whose style is not a look.
    """

    def __init__(
        self,
        style: str | Path | Style = DEFAULT_STYLE,
        *,
        look: Changes | None = None,
        engine: str = "auto",
        device: str = "auto",
        precision: AskedPrecision = "auto",
        quality: AskedQuality = "auto",
        detail: float | None = None,
        strength: float = 1.0,
    ) -> None:
        if detail is not None and not 0.25 <= detail <= 1:
            raise ValueError(f"detail is {detail}, expected 0.25 to 1")
        self.settings = EngineSettings(
            style=with_look(style if isinstance(style, Style) else load_style(style), look or {}),
            backend=engine,
            device=device,
            precision=precision,
            quality=quality,
            detail=detail,
            strength=strength,
            stabilize=0.0,
        )
        self._holder = EngineHolder()

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One picture, RGB uint8 of height x width x 3, as a cartoon of the same shape.

        Raises TypeError when `rgb` is no uint8 array, ValueError for another shape.
        """
        if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
            kind = f"an array of {rgb.dtype}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
            raise TypeError(f"expected an RGB array of uint8, got {kind}")
        if rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
            raise ValueError(f"expected a shape of height x width x 3, got {rgb.shape}")
        return self.open(rgb.shape[1], rgb.shape[0]).rgb(rgb)

    def stream(self, pictures: Iterable[Frame], rate: Fraction | None = None) -> Iterator[Frame]:
        """Each picture as a cartoon, as it comes; `rate` is what `quality="auto"` has to keep up with."""
        for picture in pictures:
            yield self.open(picture.width, picture.height, rate)(picture)

    def video(
        self,
        source: str | Path,
        target: str | Path,
        *,
        start: float | None = None,
        end: float | None = None,
        size: str | None = None,
        fps: float | str | Fraction | None = None,
        side_by_side: bool = False,
        stabilize: float = STABILIZE,
        codec: str | None = None,
        crf: int | None = None,
        preset: str | None = None,
        overwrite: bool = False,
        on_error: Literal["repair", "stop"] = "repair",
        decoder: Literal["cpu", "nvdec"] = "cpu",
        resume: bool = True,
        compare: bool = False,
        stop: threading.Event | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        on_warning: Callable[[str], object] | None = None,
    ) -> Report:
        """Convert a video file: same frames, times and sound, only drawn.

        `source` and `target` are paths, or "-" for standard input and output. `start` and `end` are seconds
        from the beginning of the file. `size` is "1280x720", or "720p", which keeps the shape, and `fps`
        frames a second, each one of the source's own; None for what the source has.
        `stabilize` (0..1) holds the cartoon steady where nothing moves.
        `codec`, `crf` and `preset` are FFmpeg's, None for a good default. `on_error` "stop" ends with an
        InputError at the first damage in the source; "repair" keeps what can be decoded and counts the rest
        in the report's warnings. `decoder` "nvdec" has an NVIDIA GPU decode a file, where it can: the same
        pictures, but it does not tell of all damage, so that "stop" is refused beside it.

        `on_progress` is called about ten times a second in the calling thread; what it raises stops the
        conversion. `on_warning` is called with what should be known before hours
        are spent; the report has these sentences, too.

        `target` appears when it is whole, or not at all. Until then, finished parts are kept in a file beside
        it, and whatever ended this call, the same call goes on from there; `resume` False starts over, and
        throws away what is kept, which is refused otherwise where it is of other settings or another source.
        When `stop` is set, by another thread or a signal's handler, the current part is finished.

        `compare` tries another quality on a few frames at the end, where that costs little beside the whole,
        for the report to say what it would have taken.

        Raises InputError, OutputError and EngineError, each with a sentence for the user, and UnfinishedError
        when it was stopped.
        """
        from streamtoon.convert.alternative import estimate_alternative
        from streamtoon.convert.renderer import FileRenderer
        from streamtoon.convert.reporting import report_of
        from streamtoon.convert.video import Conversion
        from streamtoon.media.reader.frame_rate import parse_rate
        from streamtoon.media.reader.frame_size import FrameSize
        from streamtoon.media.reader.options import ReaderOptions
        from streamtoon.media.writer.options import WriterOptions

        _one_of("on_error", on_error, ("repair", "stop"))
        _one_of("decoder", decoder, ("cpu", "nvdec"))
        began = time.perf_counter()
        conversion = Conversion(
            source,
            target,
            reading=ReaderOptions(
                start=start,
                end=end,
                on_error=on_error,
                decoder=decoder,
                size=None if size is None else FrameSize.parse(size),
                fps=None if fps is None else parse_rate(fps),
            ),
            writing=WriterOptions(codec=codec, crf=crf, preset=preset, overwrite=overwrite),
            renderer=FileRenderer(
                self._holder, self.settings.replace(stabilize=stabilize), side_by_side=side_by_side
            ),
        )
        done = conversion.run(resume=resume, stop=stop, on_progress=on_progress, on_warning=on_warning)
        seconds = time.perf_counter() - began
        return report_of(
            source,
            target,
            done,
            seconds=seconds,
            chosen_fps=conversion.reading.fps,
            size_bytes=None if target == "-" else Path(target).stat().st_size,
            alternative=estimate_alternative(self._holder, seconds, done) if compare else None,
        )

    def image(
        self, source: str | Path, target: str | Path, *, overwrite: bool = False, side_by_side: bool = False
    ) -> ImageReport:
        """Convert a photo or an animated GIF, WebP, AVIF or PNG; `target`'s extension names the format.

        The EXIF orientation is applied; transparency, colour profile, timings, loop count and what the
        metadata says of the photograph are kept. `side_by_side` puts the cartoon to the right of its source.
        Raises InputError and OutputError, each with a sentence for the user.
        """
        from streamtoon.images.convert import convert

        began = time.perf_counter()
        read, written, warnings = convert(
            self, Path(source), Path(target), overwrite=overwrite, side_by_side=side_by_side
        )
        seconds = round(time.perf_counter() - began, 3)
        return ImageReport(seconds, self.facts, read, written, tuple(warnings))

    def open(
        self, width: int, height: int, rate: Fraction | None = None, *, throughput: bool = False
    ) -> Engine:
        """Return the engine for frames of this size, opened in advance, so that the first frame is fast.

        Args:
            width: Width of the frames, pixels.
            height: Height of the frames, pixels.
            rate: Frames per second that quality `auto` must keep up with; None if there is no hurry.
            throughput: Whether frames per second matter more than the time of one frame.

        Raises:
            EngineError: No engine supports the settings, or the style has no lite form.
        """
        return self._holder.open(EngineRequest(self.settings, width, height, rate, throughput))

    @property
    def title(self) -> str:
        """What people call the style."""
        return self.settings.style.title

    @property
    def facts(self) -> EngineReport:
        """What the open engine is. Raises ValueError before the first picture."""
        if self._holder.engine is None:
            raise ValueError("no engine is open yet: convert a frame or call open(width, height) first")
        return engine_report(self._holder.engine.facts)

    def close(self) -> None:
        """Free the engine. The next picture opens it again."""
        self._holder.close()

    def __enter__(self) -> Cartoonizer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.facts().items())
        return f"Cartoonizer({self.settings.style.name!r}, {settings})"


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(allowed)}")
