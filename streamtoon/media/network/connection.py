"""Opening one connection to a source."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from time import monotonic
from typing import Final

import av
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import InputContainer
from av.stream import Stream

from streamtoon.errors import InputError
from streamtoon.media.network import tls
from streamtoon.media.network.hls_discontinuities import has_discontinuity
from streamtoon.media.network.https_proxy import HttpsProxy
from streamtoon.media.network.urls import PROXY_PROTOCOLS, SOURCE_TIMEOUT_S, Address, InputScheme, input_error
from streamtoon.media.packets import add_copy
from streamtoon.media.reader.decoder import VideoDecoder
from streamtoon.media.reader.opening import MAX_FRAME_PIXELS, OpenedVideo, main_video, open_video

PROBE_S: Final = 2.0
"""Seconds of a stream that FFmpeg examines to find out what it contains."""
SEGMENT_TIMEOUT_S: Final = 30.0
"""Timeout for the next segment of a playlist, or the next bytes of a web server."""
_END_TOLERANCE_S = 2
"""Seconds by which servers miss the duration that they declare."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open source: its video stream and its first audio stream."""

    opened: OpenedVideo
    decoder: VideoDecoder
    sound: Stream | None
    length: Fraction | None
    """Duration in seconds if the source ends; zero if it ends where its data ends, like a file."""
    claimed: Fraction | None
    """Duration in seconds that a possibly live publisher declares. It is real if the stream ends there."""
    has_discontinuity: Callable[[], bool] | None
    """Asks the playlist whether it contains discontinuities; None if there is no playlist."""
    patience: float | None = None
    """Seconds without a packet after which the connection counts as lost; None if it never pauses."""

    def ends_at(self, position: Fraction | None, *, is_silent: bool) -> bool:
        """Return whether a connection that is over, and was read up to `position` seconds, had reached its
        end.

        `is_silent` means that it is over because no data arrived in time.
        """
        if self.claimed is not None and position is not None and not is_silent:
            return abs(position - self.claimed) <= _END_TOLERANCE_S
        return self.length is not None and position is not None and position > self.length - _END_TOLERANCE_S


def connect(address: Address, way: InputScheme, latency: float, gate: HttpsProxy | None) -> Connection:
    """Connect to an address.

    Args:
        address: The address.
        way: How to open its scheme.
        latency: Seconds of data that FFmpeg may buffer.
        gate: The proxy for HTTPS; None for none.

    Raises:
        InputError: The connection failed. This takes at most twice SOURCE_TIMEOUT_S.
        ConnectionLostError: There is no answer, or the connection broke.
    """
    options = {
        "max_pixels": str(MAX_FRAME_PIXELS),
        "protocol_whitelist": way.protocols if gate is None else PROXY_PROTOCOLS,
        "format_whitelist": ",".join(way.formats),
        "analyzeduration": str(round(PROBE_S * 1e6)),
        "max_delay": str(round(latency * 1e6)),
        **way.options,
    }
    if gate is not None:
        options["http_proxy"] = "none"  # the proxy is on this computer
    elif address.is_checked:
        options |= tls.ffmpeg_options()
    patience = SEGMENT_TIMEOUT_S if way.is_paced else SOURCE_TIMEOUT_S
    began = monotonic()
    try:
        address.find()
        container = av.open(
            address.text if gate is None else gate.address(address.text),
            "r",
            format=way.format,
            options=options,
            metadata_errors="surrogateescape",
            timeout=(SOURCE_TIMEOUT_S, patience),
        )
    except (av.FFmpegError, LookupError, ValueError, OSError) as error:
        is_late = monotonic() - began >= SOURCE_TIMEOUT_S  # whatever error FFmpeg makes of it
        raise input_error(address, TimeoutError() if is_late else error) from error
    try:
        stream = main_video(container, address.shown, is_joined=True)
        if not way.is_paced:
            # Decoders with several frame threads delay by as many frames.
            stream.thread_type = "SLICE"
            stream.codec_context.flags |= Flags.low_delay
            stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
            stream.codec_context.open()
    except (av.FFmpegError, InputError) as error:
        container.close()
        raise error if isinstance(error, InputError) else input_error(address, error) from error
    is_list = container.format.name == "hls"
    return _connection(
        OpenedVideo(container, stream, address.shown, None),
        *_length(container),
        partial(has_discontinuity, container.name, insecure=not address.is_checked) if is_list else None,
        patience,
    )


def open_file(path: str) -> Connection:
    """Open a file as a source. Raises InputError."""
    return _connection(open_video(path), Fraction(0), None, None, None)


def _length(container: InputContainer) -> tuple[Fraction | None, Fraction | None]:
    """Return the duration that a server declares, and that which only a publisher declares, in seconds.

    FLV passes on the declaration of its publisher, which may still be live: always with RTMP, and with HTTP
    if the server does not send a content length.
    """
    said = Fraction(container.duration, 1_000_000) if container.duration else None
    is_live_flv = container.format.name == "flv" and container.size <= 0
    return (None, said) if is_live_flv else (said, None)


def _connection(
    opened: OpenedVideo,
    length: Fraction | None,
    claimed: Fraction | None,
    cuts: Callable[[], bool] | None,
    patience: float | None,
) -> Connection:
    sounds = [s for s in opened.container.streams.audio if s.codec_context is not None]
    sound = sounds[0] if sounds else None
    return Connection(
        opened, VideoDecoder(opened.stream, opened.name), sound, length, claimed, cuts, patience
    )


def detached_stream(sound: Stream) -> Stream:
    """Copy a stream's facts so that they outlive its connection. Raises ValueError or an FFmpeg error."""
    # FFmpeg lists no codecs for MPEG-TS, so PyAV accepts all. In Matroska, it rejects G.711 and ADPCM.
    return add_copy(av.open(io.BytesIO(), "w", format="mpegts"), sound)


def audio_format(sound: Stream | None) -> tuple[object, ...]:
    """Return what two audio streams must have in common to continue each other; empty for none."""
    context = sound.codec_context if isinstance(sound, AudioStream) else None
    if context is None:
        return ()
    return context.codec.canonical_name, context.sample_rate, context.layout.name, context.extradata
