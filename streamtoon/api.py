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
from engines.spec import MAX_DETAIL, MIN_DETAIL, AskedPrecision, AskedQuality
from streamtoon.engine_holder import EngineHolder, EngineRequest
from streamtoon.pipeline.run import Progress
from streamtoon.reports import EngineReport, ImageReport, Report, engine_report


class Cartoonizer:
    """Turns images, photos and videos into cartoons.

    An engine is opened for the first image, and again when the size of the images changes. So convert images
    of one size together. It must not be shared between threads. Close it, or use it in a `with` block, to
    free the engine's memory early.

    Args:
        style: Name of a style, a folder or look file with one, or a loaded Style.
        look: Changes to keys of its look, such as {"levels": 8}.
        engine: "auto" or a name of `engines.backends.registry.BACKENDS`.
        device: "auto" or a device in the engine's own words, such as "cpu" or "cuda:0".
        precision: "auto" or one of `engines.spec.PRECISIONS`.
        quality: One of `engines.spec.QUALITIES`. "auto" is "full" for files and arrays, which can wait. In
            `stream`, it is the best that keeps up with the rate.
        detail: Size at which the style sees an image, as a share of the image's size, 0.25 to 2; None for
            the quality's own.
        clarity: Local contrast that is added before drawing, 0 to 1, for dim or hazy sources.
        strength: Share of the cartoon in the result, 0 (the source) to 1.

    Raises:
        ValueError: A setting is out of range.
        StyleError: The style is unknown or damaged, it has no look to change, or a change is not allowed.
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
        clarity: float = 0.0,
        strength: float = 1.0,
    ) -> None:
        if detail is not None and not MIN_DETAIL <= detail <= MAX_DETAIL:
            raise ValueError(f"detail is {detail}, expected {MIN_DETAIL:g} to {MAX_DETAIL:g}")
        self.settings = EngineSettings(
            style=with_look(style if isinstance(style, Style) else load_style(style), look or {}),
            backend=engine,
            device=device,
            precision=precision,
            quality=quality,
            detail=detail,
            clarity=clarity,
            strength=strength,
            stabilize=0.0,
        )
        self._holder = EngineHolder()

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Convert one RGB image, uint8 of height x width x 3, to a cartoon of the same shape.

        Raises TypeError if `rgb` is not a uint8 array, ValueError for another shape.
        """
        if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
            kind = f"an array of {rgb.dtype}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
            raise TypeError(f"expected an RGB array of uint8, got {kind}")
        if rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
            raise ValueError(f"expected a shape of height x width x 3, got {rgb.shape}")
        return self.open(rgb.shape[1], rgb.shape[0]).rgb(rgb)

    def stream(self, pictures: Iterable[Frame], rate: Fraction | None = None) -> Iterator[Frame]:
        """Yield the cartoon of each frame as it arrives.

        `rate` is the frames per second that quality "auto" must keep up with; None if there is no hurry.
        """
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
        """Convert a video file. The output has the same frames, times and sound as the source.

        `target` appears only when it is complete. Until then, finished segments are kept in a file next to
        it. After an interruption, the same call resumes.

        Args:
            source: A path, or "-" for standard input.
            target: A path, or "-" for standard output. Its extension names the format.
            start: Start of the converted part, seconds from the beginning of the file.
            end: End of the converted part, seconds from the beginning of the file.
            size: Frame size of the output: "1280x720", or "720p", which keeps the shape; None for the
                source's.
            fps: Frames per second of the output, chosen from the source's frames; None for all of them.
            side_by_side: Whether the output shows the source next to the cartoon.
            stabilize: How steady the cartoon is where nothing moves, 0 to 1.
            codec: FFmpeg's name of an encoder; None for the format's default.
            crf: The encoder's constant quality; None for its default.
            preset: The encoder's preset; None for its default.
            overwrite: Whether an existing `target` is replaced.
            on_error: "stop" raises InputError at the first damage in the source. "repair" keeps what can be
                decoded, and counts the rest in the report's warnings.
            decoder: "nvdec" decodes on an NVIDIA GPU where possible. It does not report all damage, so it
                cannot be combined with "stop".
            resume: Whether an interrupted conversion resumes. False starts over and discards finished
                segments. Without it, segments of other settings or another source are an error.
            compare: Whether a few frames are rendered in another quality at the end, if that is cheap, so
                that the report can say how long it would have taken.
            stop: If it is set, by another thread or a signal handler, the conversion ends with the current
                segment.
            on_progress: Called about ten times per second in the calling thread. What it raises stops the
                conversion.
            on_warning: Called with warnings as they occur. The report contains them, too.

        Returns:
            The report that `--json` prints.

        Raises:
            InputError: The source cannot be read.
            OutputError: The target cannot be written.
            EngineError: No engine supports the settings.
            UnfinishedError: The conversion was stopped.
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
        """Convert a photo, or an animated GIF, WebP, AVIF or PNG. The extension of `target` names the format.

        The EXIF orientation is applied. Transparency, colour profile, frame times, loop count and metadata
        about the photograph are kept. `side_by_side` puts the cartoon to the right of its source. Raises
        InputError if the source cannot be read, OutputError if the target cannot be written.
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
        """Title of the style, for people."""
        return self.settings.style.title

    @property
    def facts(self) -> EngineReport:
        """Properties of the open engine. Raises ValueError before the first image."""
        if self._holder.engine is None:
            raise ValueError("no engine is open yet: convert a frame or call open(width, height) first")
        return engine_report(self._holder.engine.facts)

    def close(self) -> None:
        """Free the engine. The next image opens it again."""
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
