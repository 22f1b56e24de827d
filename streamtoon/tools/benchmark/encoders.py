"""Compares encoders on finished cartoons, at equal SSIM."""

from __future__ import annotations

import io
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from engines.errors import StreamtoonError
from engines.frame import Frame
from engines.settings import EngineSettings
from eval.bench.equal_quality import EncodedPoint, at_ssim, bracket
from eval.metrics.ssim import ssim
from streamtoon.convert.renderer import FileRenderer
from streamtoon.engine_holder import EngineHolder
from streamtoon.media import MediaInfo, VideoReader
from streamtoon.media.writer.containers import BY_EXTENSION
from streamtoon.media.writer.encoders import EncoderChoice, choose_encoder
from streamtoon.media.writer.timed_encode import encode_timed

SSIM_EVERY = 3
"""SSIM is computed on every third frame."""
CRFS = range(1, 52)
"""The CRFs to try. 0 is lossless in H.264."""


@dataclass(frozen=True, slots=True)
class EncoderSetting:
    """One encoder and its settings."""

    name: str
    """As asked for."""
    codec: str
    preset: str | None
    """None for the default settings."""
    options: dict[str, str]
    """FFmpeg's options on top."""

    @classmethod
    def parse(cls, text: str) -> EncoderSetting:
        """Parse `CODEC[:PRESET] [OPTION=VALUE ...]`. Raises StreamtoonError if it is something else."""
        first, *rest = text.split() or [""]
        codec, _, preset = first.partition(":")
        pairs = [word.partition("=")[::2] for word in rest]
        if not codec or not all(key and value for key, value in pairs):
            raise StreamtoonError(f"'{text}' is not a setting; expected CODEC[:PRESET] [OPTION=VALUE ...]")
        return cls(text, codec, preset or None, dict(pairs))

    def choice(self, crf: int) -> EncoderChoice:
        """Return the encoder for a CRF. Raises OutputError if it does not work here."""
        choice = choose_encoder(BY_EXTENSION[".mkv"], self.codec, crf, self.preset)
        return replace(choice, options=choice.options | self.options)


@dataclass(frozen=True, slots=True)
class EncoderRow:
    """One setting on one clip, at the SSIM of the first setting."""

    clip: str
    setting: str
    point: EncodedPoint


def compare_encoders(
    path: Path,
    settings: Sequence[EncoderSetting],
    engine: EngineSettings,
    *,
    frames: int,
    rounds: int,
    crf: int,
) -> Iterator[EncoderRow]:
    """Draw the beginning of a clip, encode it with each setting, and yield the results.

    Args:
        path: A video.
        settings: The settings. All others are compared with the first one.
        engine: What draws the frames.
        frames: Number of frames.
        rounds: Number of encodings of each kind, in turns. The CPU time is their median.
        crf: CRF of the first setting.

    Raises:
        StreamtoonError: The clip cannot be read, a setting does not work, or no CRF reaches the SSIM.
    """
    drawn, info = draw(path, engine, frames)
    trials = [_Trial(setting, drawn, info) for setting in settings]
    first = trials[0].encode(crf)
    pairs = [(first, first)]
    pairs += [bracket(trial.encode, first.ssim, crf, CRFS) for trial in trials[1:]]
    for _ in range(rounds - 1):
        for trial in trials:
            trial.repeat()
    for trial, (low, high) in zip(trials, pairs, strict=True):
        found = trial.median(low)
        if high is not low:
            found = at_ssim(found, trial.median(high), first.ssim)
        yield EncoderRow(path.name, trial.setting.name, found)


def draw(path: Path, settings: EngineSettings, count: int) -> tuple[list[Frame], MediaInfo]:
    """Return the cartoons of the first `count` frames of a video, and the facts of the video."""
    with VideoReader(path) as source:
        opened = FileRenderer(EngineHolder(), settings, side_by_side=False).open(source.info, None)
        drawn = []
        for frame in islice(source.frames(), count):
            pending = opened.submit(frame)
            pending.compute()
            drawn.append(pending.result())
        return drawn, source.info


class _Trial:
    """Encodes the frames with one setting at several CRFs."""

    def __init__(
        self,
        setting: EncoderSetting,
        frames: Sequence[Frame],
        info: MediaInfo,
    ) -> None:
        self.setting = setting
        self._frames, self._info = frames, info
        self._cpu_ms: dict[int, list[float]] = {}

    def encode(self, crf: int) -> EncodedPoint:
        done = encode_timed(self._frames, self._info, self.setting.choice(crf))
        cpu_ms = 1000 * done.cpu_s / len(self._frames)
        self._cpu_ms.setdefault(crf, []).append(cpu_ms)
        with VideoReader(io.BytesIO(done.file)) as decoded:
            pairs = zip(self._frames, decoded.frames(), strict=True)
            similar = [ssim(a.y, b.y, data_range=255) for a, b in islice(pairs, 0, None, SSIM_EVERY)]
        return EncodedPoint(crf, float(np.mean(similar)), cpu_ms, done.coded_bytes / 1000 / len(self._frames))

    def repeat(self) -> None:
        """Measure the time of each CRF once more."""
        for crf, times in self._cpu_ms.items():
            done = encode_timed(self._frames, self._info, self.setting.choice(crf))
            times.append(1000 * done.cpu_s / len(self._frames))

    def median(self, point: EncodedPoint) -> EncodedPoint:
        """Return the point with the median of all its times."""
        return replace(point, cpu_ms=statistics.median(self._cpu_ms[int(point.crf)]))
