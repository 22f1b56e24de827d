"""The report of a finished conversion."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from streamtoon.convert.video import Converted
from streamtoon.media import MediaInfo
from streamtoon.media.writer.video_writer import OutputInfo
from streamtoon.reports import Alternative, MediaReport, Report


def report_of(
    source: str | Path,
    target: str | Path,
    done: Converted,
    *,
    seconds: float,
    chosen_fps: Fraction | None,
    size_bytes: int | None,
    alternative: Alternative | None = None,
) -> Report:
    """Return the report of a conversion.

    Args:
        source: The input as the user named it.
        target: The output as the user named it.
        done: What came of the conversion.
        seconds: Seconds that the whole conversion took.
        chosen_fps: The frame rate that was asked for; None for the source's own.
        size_bytes: Bytes of the output; None for standard output.
        alternative: Another quality and its time, where it is known.
    """
    return Report(
        frames_in=done.kept + done.outcome.frames_in,
        frames_out=done.kept + done.outcome.frames_out,
        kept=done.kept,
        reused=done.reused,
        partly_reused=done.partly_reused,
        seconds=round(seconds, 3),
        fps=round(done.outcome.frames_out / seconds, 2),
        stages=done.outcome.stages,
        engine=done.engine,
        input=_media_report(source, done.info, done.info.rate),
        output=_media_report(target, done.written, done.written.rate),
        chosen_fps=None if chosen_fps is None else round(float(chosen_fps), 3),
        size_bytes=size_bytes,
        alternative=alternative,
        warnings=tuple(dict.fromkeys(done.warnings)),
    )


def _media_report(path: str | Path, info: MediaInfo | OutputInfo, rate: Fraction) -> MediaReport:
    return MediaReport(
        path=str(path),
        width=info.width,
        height=info.height,
        duration=None if info.duration is None else round(float(info.duration), 6),
        fps=round(float(rate), 3),
        codecs=(info.video_codec, *info.audio_codecs),
    )
