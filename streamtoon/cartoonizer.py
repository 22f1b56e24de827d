"""The Python API's one object: holds a style and an open engine, and turns arrays, pictures and files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine
from engines.opening import open_engine
from engines.picture import Colour, Picture
from engines.style import DEFAULT_STYLE, load_style
from streamtoon.pipeline import Progress
from streamtoon.report import EngineReport, ImageReport, MediaReport, Report, engine_report

if TYPE_CHECKING:
    from streamtoon.media import MediaInfo
    from streamtoon.media.sink import Written

EngineName = Literal["auto", "openvino", "onnxruntime", "torch", "tensorrt"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8", "fp8"]
Quality = Literal["auto", "full", "fast", "lite"]


class Cartoonizer:
    """Turns pictures, photos and videos into cartoons.

    `style` is the name of a shipped style or a folder with one; the other settings are the command's
    options of the same names: `detail` (0.25..1, None for the style's own) is the size at which the style
    sees a picture, `strength` (0..1) how much of the cartoon is mixed into the source.

    An engine is opened for the first picture and again whenever the size of the pictures changes, so
    pictures of one size are best given in a row. Not safe to share between threads. Close it, or use it
    in a `with` block, to free the engine's memory early.

    Raises ValueError for a setting out of range, StyleError for an unknown or damaged style.
    """

    def __init__(
        self,
        style: str | Path = DEFAULT_STYLE,
        *,
        engine: EngineName = "auto",
        device: str = "auto",
        precision: Precision = "auto",
        quality: Quality = "auto",
        detail: float | None = None,
        strength: float = 1.0,
    ) -> None:
        _one_of("engine", engine, get_args(EngineName))
        _one_of("precision", precision, get_args(Precision))
        _one_of("quality", quality, get_args(Quality))
        if detail is not None and not 0.25 <= detail <= 1:
            raise ValueError(f"detail is {detail}, expected 0.25 to 1")
        if not 0 <= strength <= 1:
            raise ValueError(f"strength is {strength}, expected 0 to 1")
        self._style = load_style(style)
        self._settings: dict[str, Any] = {
            "backend": engine,
            "device": device,
            "precision": precision,
            "quality": quality,
            "detail": detail,
            "strength": strength,
        }
        self._engine: Engine | None = None
        self._opened_for: tuple[object, ...] | None = None

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

    def stream(self, pictures: Iterable[Picture], rate: Fraction | None = None) -> Iterator[Picture]:
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
        side_by_side: bool = False,
        stabilize: float = 0.0,
        codec: str | None = None,
        crf: int | None = None,
        preset: str | None = None,
        overwrite: bool = False,
        on_error: Literal["repair", "stop"] = "repair",
        decoder: Literal["cpu", "nvdec"] = "cpu",
        resume: bool = True,
        stop: threading.Event | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        on_warning: Callable[[str], object] | None = None,
    ) -> Report:
        """Convert a video file: same frames, times and sound, only drawn.

        `source` and `target` are paths, or "-" for standard input and output. `start` and `end` are seconds
        from the beginning of the file. `stabilize` (0..1) holds the cartoon steady where nothing moves.
        `codec`, `crf` and `preset` are FFmpeg's, None for a good default. `on_error` "stop" ends with an
        InputError at the first damage in the source; "repair" keeps what can be decoded and counts the rest
        in the report's warnings. `decoder` "nvdec" has an NVIDIA GPU decode a file, where it can: the same
        pictures, but it does not tell of all damage, so that "stop" is refused beside it.

        `on_progress` is called about ten times a second in the calling thread; what it raises stops the
        conversion. `on_warning` is called with what should be known before hours
        are spent; the report has these sentences, too.

        `target` appears when it is whole, or not at all. Until then, finished parts are kept in a file beside
        it, and whatever ended this call, the same call goes on from there; `resume` False begins afresh. When
        `stop` is set, by another thread or a signal's handler, the part at hand is finished.

        Raises InputError, OutputError and EngineError, each with a sentence for the user, and UnfinishedError
        when it was stopped.
        """
        from streamtoon.artist import Artist
        from streamtoon.conversion import Conversion

        _one_of("on_error", on_error, ("repair", "stop"))
        _one_of("decoder", decoder, ("cpu", "nvdec"))
        if not 0 <= stabilize <= 1:
            raise ValueError(f"stabilize is {stabilize}, expected 0 to 1")
        began = time.perf_counter()
        conversion = Conversion(
            source,
            target,
            reading={"start": start, "end": end, "on_error": on_error, "decoder": decoder},
            writing={"codec": codec, "crf": crf, "preset": preset, "overwrite": overwrite},
            artist=Artist(self._open, self._style, self._settings, side_by_side, stabilize),
        )
        done = conversion.run(resume=resume, stop=stop, on_progress=on_progress, on_warning=on_warning)
        seconds = time.perf_counter() - began
        return Report(
            frames_in=done.kept + done.outcome.frames_in,
            frames_out=done.kept + done.outcome.frames_out,
            kept=done.kept,
            reused=done.reused,
            seconds=round(seconds, 3),
            fps=round(done.outcome.frames_out / seconds, 2),
            stages=done.outcome.stages,
            engine=done.engine,
            input=_media_report(source, done.info),
            output=_media_report(target, done.written),
            warnings=tuple(dict.fromkeys(done.warnings)),
        )

    def image(self, source: str | Path, target: str | Path, *, overwrite: bool = False) -> ImageReport:
        """Convert a photo or an animated GIF, WebP or PNG; `target`'s extension names the format.

        The EXIF orientation is applied, transparency, colour profile, timings and loop count are kept.
        Raises InputError and OutputError, each with a sentence for the user.
        """
        from streamtoon.images import convert

        began = time.perf_counter()
        read, written, warnings = convert(self, Path(source), Path(target), overwrite=overwrite)
        seconds = round(time.perf_counter() - began, 3)
        return ImageReport(seconds, self.facts, read, written, tuple(warnings))

    def open(
        self, width: int, height: int, rate: Fraction | None = None, *, throughput: bool = False
    ) -> Engine:
        """The engine for pictures of this size, opened now if it is not yet: the first picture is then fast.

        `throughput` opens one for which pictures a second count, and not how long one picture takes.

        Raises EngineError when no engine can do what the settings ask for, or the style has no lite form.
        """
        return self._open(width, height, rate, throughput, self._settings)

    def _open(
        self,
        width: int,
        height: int,
        rate: Fraction | None,
        throughput: bool,
        settings: dict[str, Any],
        colour: Colour | None = None,
    ) -> Engine:
        asked = (width, height, rate, throughput, settings)
        if self._engine is None or self._opened_for != asked:
            self.close()
            self._engine = open_engine(
                self._style,
                width=width,
                height=height,
                rate=rate,
                throughput=throughput,
                colour=colour,
                **settings,
            )
            self._opened_for = asked
        elif colour is not None:
            self._engine.prepare(width, height, colour)
        return self._engine

    @property
    def facts(self) -> EngineReport:
        """What the open engine is. Raises ValueError before the first picture."""
        if self._engine is None:
            raise ValueError("no engine is open yet: convert a picture or call open(width, height) first")
        return engine_report(self._engine.facts)

    def close(self) -> None:
        """Free the engine. The next picture opens it again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = self._opened_for = None

    def __enter__(self) -> Cartoonizer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"Cartoonizer({self._style.name!r}, {settings})"


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(allowed)}")


def _media_report(path: str | Path, info: MediaInfo | Written) -> MediaReport:
    return MediaReport(
        path=str(path),
        width=info.width,
        height=info.height,
        duration=None if info.duration is None else round(float(info.duration), 6),
        codecs=(info.video_codec, *info.audio_codecs),
    )
