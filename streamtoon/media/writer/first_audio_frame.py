"""The audio frame in which a cut begins, which lies between two video frames.

Audio frames last 20 to 40 ms in most codecs, about 100 ms in FLAC, ALAC and the longest of Opus, and up to
seconds where a container stores PCM in large pieces. Times before 0 are what the cut removes.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Stream

from streamtoon.media.reader.edit_lists import MAX_ENCODER_DELAY_S
from streamtoon.media.writer.containers import ContainerKind, codec_name

_PLAIN = re.compile(r"pcm_(?:[suf](\d+)(?:le|be)?|alaw|mulaw)")
"""Codecs that can be cut at any sample, with their bits."""
_MIN_REPORTED_GAP_S = Fraction(1, 10)
"""Seconds of missing audio that cause a warning."""


class FirstAudioFrame:
    """Handles the first frame of one copied audio stream for a container of `kind`."""

    def __init__(self, kind: ContainerKind, stream: Stream, label: str, warnings: list[str]) -> None:
        self._kind, self._label, self._warnings = kind, label, warnings
        plain = _PLAIN.fullmatch(codec_name(stream))
        context = stream.codec_context
        self._block = 0
        if plain is not None and isinstance(context, av.AudioCodecContext):
            self._block = int(plain[1] or 8) // 8 * context.layout.nb_channels
            self._rate = context.sample_rate

    def fitted(self, packet: Packet[Any]) -> Packet[Any] | None:
        """Return the part of `packet`, which begins before 0, that is copied; None for none.

        MP4 and QuickTime start within the packet by an edit list. Matroska plays a little of what was before.
        A container that counts samples starts with the nearest frame. Other containers start with the next
        frame.
        """
        assert packet.pts is not None
        early = -packet.pts * packet.time_base
        length = (packet.duration or 0) * packet.time_base
        if self._block:
            return self._cut(packet, round(early * self._rate))
        kind = self._kind
        fits = kind.is_mov or (kind.early_times and early <= MAX_ENCODER_DELAY_S)
        if 2 * early <= length if kind.whole_rate else fits:
            return packet
        lacking = length - early
        if lacking > _MIN_REPORTED_GAP_S:
            self._warnings.append(
                f"{kind.name} cannot start within an audio frame: {self._label} begins {float(lacking):.2f} "
                "s after the start of the cut."
            )
        return None

    def _cut(self, packet: Packet[Any], samples: int) -> Packet[Any] | None:
        data = bytes(packet)[samples * self._block :]
        if not data:
            return None
        rest: Packet[Any] = Packet(data)
        rest.stream, rest.time_base, rest.is_keyframe = packet.stream, packet.time_base, packet.is_keyframe
        rest.pts = rest.dts = 0
        rest.duration = round(Fraction(len(data) // self._block, self._rate) / packet.time_base)
        return rest


def cut_before_zero(frame: AudioFrame) -> AudioFrame | None:
    """Return the part of a decoded frame from time 0 on; None if there is none."""
    base = frame.time_base
    if frame.pts is None or not base or frame.pts >= 0:
        return frame
    samples = round(-frame.pts * base * frame.sample_rate)
    if samples >= frame.samples:
        return None
    step = 1 if frame.format.is_planar else frame.layout.nb_channels
    rest = AudioFrame.from_ndarray(
        frame.to_ndarray()[:, samples * step :].copy(), frame.format.name, frame.layout.name
    )
    rest.sample_rate, rest.time_base, rest.pts = frame.sample_rate, base, 0
    return rest
