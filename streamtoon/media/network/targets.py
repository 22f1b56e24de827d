"""Output targets of a stream: what each kind supports and how it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast
from urllib.parse import unquote, urlsplit

import av
from av.container import OutputContainer
from av.format import ContainerFormat
from av.format import Flags as FormatFlags

from streamtoon.errors import OutputError
from streamtoon.media.network import tls
from streamtoon.media.network.hls_playlist import Playlist
from streamtoon.media.network.https_proxy import HttpsProxy
from streamtoon.media.network.urls import SINK_TIMEOUT_S, Address, is_address, output_error, parse, shown
from streamtoon.media.writer.containers import MPEG_TS, ContainerKind, kind_of
from streamtoon.media.writer.output_file import HiddenFile

MUXER_QUEUE_PACKETS: Final = 2
"""Packets that may wait in FFmpeg's own thread: few, so that a hanging connection is noticed."""
MAX_INTERLEAVE_S: Final = 1.0
"""Maximum seconds that video and audio wait for each other."""
_MICROSECONDS = str(round(SINK_TIMEOUT_S * 1e6))


@dataclass(frozen=True, slots=True)
class OutputScheme:
    """How to write to addresses of one scheme."""

    kind: ContainerKind
    options: Mapping[str, str] = field(default_factory=dict)
    """Options for muxer and protocol."""


def _kind(
    form: str, name: str, codecs: Iterable[str], audio: str = "aac", channels: int | None = None
) -> ContainerKind:
    return ContainerKind(
        form,
        name,
        audio=audio,
        codecs=frozenset(codecs),
        turns=False,
        early_times=False,
        pixel_shape=False,
        channels=channels,
    )


_RTMP = ContainerKind("flv", "RTMP", turns=False, early_times=False, pixel_shape=False)
_RTSP = _kind("rtsp", "RTSP", "h264 hevc aac opus mp3 mp2 ac3 pcm_mulaw pcm_alaw".split())
_WHIP = _kind("whip", "WHIP", ("h264", "opus"), "libopus", channels=2)
_TS = _kind("mpegts", "MPEG transport stream", MPEG_TS)
_RTP = _kind("rtp_mpegts", "RTP", MPEG_TS)
_HLS = _kind("hls", "HLS", "h264 hevc aac mp3 ac3 eac3".split())
TARGETS: Final[dict[str, OutputScheme]] = {
    "rtmp": OutputScheme(_RTMP, {"rw_timeout": _MICROSECONDS, "protocol_whitelist": "rtmp,tcp"}),
    "rtmps": OutputScheme(_RTMP, {"rw_timeout": _MICROSECONDS, "protocol_whitelist": "rtmps,tls,tcp"}),
    "rtsp": OutputScheme(_RTSP, {"rtsp_transport": "tcp", "timeout": _MICROSECONDS}),
    "rtsps": OutputScheme(_RTSP, {"rtsp_transport": "tcp", "timeout": _MICROSECONDS}),
    "http": OutputScheme(_WHIP, {"handshake_timeout": str(round(SINK_TIMEOUT_S * 1000))}),
    "https": OutputScheme(_WHIP, {"handshake_timeout": str(round(SINK_TIMEOUT_S * 1000))}),
    "udp": OutputScheme(_TS, {"protocol_whitelist": "udp"}),
    "rtp": OutputScheme(_RTP),
    "srt": OutputScheme(_TS, {"protocol_whitelist": "srt"}),
}
"""By the scheme of an address; HTTP is WHIP."""


class StreamTarget:
    """One validated output target. Raises OutputError if it is not valid."""

    def __init__(self, place: str, *, source: Path | None, overwrite: bool, insecure: bool = False) -> None:
        self.place, self.shown = place, shown(place)
        self.address: Address | None = None
        """None for a file or a playlist."""
        self._gate: HttpsProxy | None = None
        self._file: HiddenFile | None = None
        self._playlist: Playlist | None = None
        self._options: Mapping[str, str] = {}
        self._folder: TemporaryDirectory[str] | None = None
        if is_address(place):
            self._check_address(insecure)
        elif Path(place).suffix.lower() == ".m3u8":
            self.kind = _HLS
            self._playlist = Playlist(Path(place), overwrite=overwrite)
        else:
            self.kind = kind_of(Path(place))
            self._file = HiddenFile(Path(place), source=source, overwrite=overwrite)

    @property
    def is_network(self) -> bool:
        """Whether it can be lost, and come back."""
        return self.address is not None

    def open(self, segment: float) -> OutputContainer:
        """Open a new output without streams. HLS gets a segment every `segment` seconds.

        Raises OutputError, or LookupError if the host does not exist.
        """
        kind = self.kind
        if self.address is not None:
            if self.address.host:
                self.address.find()
            url = _without_token(self.address)
            if self.address.is_checked and kind is _WHIP:
                self._gate = HttpsProxy(SINK_TIMEOUT_S)
                url = self._gate.address(url)
            return av.open(url, "w", format="fifo", container_options=self._fifo())
        if self._file is not None:
            self._file.create()
            return av.open(
                f"file:{self._file.hidden}", "w", format=kind.format, container_options=kind.options
            )
        assert self._playlist is not None, "a target is an address, a file or a playlist"
        options = self._playlist.begin(segment)
        return av.open(self._playlist.url, "w", format="hls", container_options=options)

    def close(self, container: OutputContainer) -> None:
        """Close an output of `open`, with its trailer."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.close()  # first: PyAV closes with Python's lock held, so the proxy could not answer
        container.close()
        if gate is not None:
            gate.leave()

    @property
    def needs_global_header(self) -> bool:
        """Whether the encoder's parameters are in the container's header."""
        # FFmpeg's asynchronous muxer does not report what the muxer behind it needs.
        wanted = cast("int", FormatFlags.global_header.value)  # more than a Flags can hold
        return self.is_network and bool(ContainerFormat(self.kind.format, "w").flags & wanted)

    def publish(self) -> None:
        """Give a file its name, after the last packet."""
        if self._file is not None:
            self._file.publish()
        self._clean_up()

    def discard(self) -> None:
        """Remove an incomplete file."""
        if self._file is not None:
            self._file.discard()
        self._clean_up()

    def _clean_up(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _check_address(self, insecure: bool) -> None:
        try:
            self.address = parse(self.place, insecure=insecure)
        except ValueError as error:
            raise OutputError(f"{self.shown} is not a valid address: {error}.") from error
        line = TARGETS.get(self.address.scheme)
        if line is None:
            known = ", ".join(TARGETS)
            raise OutputError(
                f"cannot write to {self.shown}. Use a file, a playlist (.m3u8), or an address that begins "
                f"with one of {known}."
            )
        self.kind, self._options = line.kind, line.options
        try:
            ContainerFormat(self.kind.format, "w")
        except ValueError as error:
            raise OutputError(
                f"{self.shown} cannot be written: this FFmpeg does not support {self.kind.name}."
            ) from error
        if self.address.scheme == "srt":
            _check_srt(self.address)
        if self.address.is_checked and self.kind is not _WHIP:
            self._options = {**line.options, **tls.ffmpeg_options()}

    def _identity(self) -> dict[str, str]:
        """Return the options that identify us to a WHIP server."""
        assert self.address is not None, "WHIP has an address"
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="streamtoon-")
        token = _token(self.address)
        return _make_certificate(Path(self._folder.name)) | ({"authorization": token} if token else {})

    def _fifo(self) -> dict[str, str]:
        """Return options for FFmpeg's asynchronous muxer, because PyAV opens outputs with
        Python's lock held.
        """
        assert self.address is not None, "only network targets are written asynchronously"
        options = dict(self._options)
        if self.kind.format == "whip":
            options |= self._identity()
        said = ":".join(f"{key}={_escaped(value)}" for key, value in options.items())
        fifo = {
            "fifo_format": self.kind.format,
            "queue_size": str(MUXER_QUEUE_PACKETS),
            "max_interleave_delta": str(round(MAX_INTERLEAVE_S * 1e6)),
        }
        return {**fifo, "format_opts": said} if said else fifo


def _make_certificate(folder: Path) -> dict[str, str]:
    """Create the certificate for WebRTC encryption, because OpenSSL rejects FFmpeg's, which GnuTLS makes.

    It is a self-signed certificate with a P-256 key, as RFC 8827 (section 6.5) requires.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "streamtoon")])
    day, now = timedelta(days=1), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = (
        builder.not_valid_before(now - day).not_valid_after(now + 30 * day).sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    return {"cert_file": str(folder / "certificate.pem"), "key_file": str(folder / "key.pem")}


def supported_kind(kind: ContainerKind, extradata: bytes | None, codec: str, channels: int) -> ContainerKind:
    """Return `kind` without the given audio codec if it does not support this stream."""
    # Without extradata, AAC has its parameters in each packet, which RTSP does not support.
    refused = kind.format == "rtsp" and codec == "aac" and not extradata
    refused |= kind.channels is not None and channels != kind.channels
    return replace(kind, codecs=kind.codecs - {codec}) if refused and kind.codecs else kind


def _check_srt(address: Address) -> None:
    """Raise OutputError if this FFmpeg lacks SRT. Its list of protocols cannot be queried, so try it."""
    try:
        av.open("srt://127.0.0.1:1?mode=caller&connect_timeout=1", "r", timeout=1.0).close()
    except av.error.ProtocolNotFoundError as error:
        raise output_error(address.shown, address, error) from error
    except (av.FFmpegError, OSError):
        return


def _token(address: Address) -> str | None:
    """Return WHIP's bearer token, which is in the place of user name and password."""
    parts = urlsplit(address.text)
    token = parts.password or parts.username
    return unquote(token) if token else None


def _without_token(address: Address) -> str:
    if not address.scheme.startswith("http"):
        return address.text
    parts = urlsplit(address.text)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _escaped(value: str) -> str:
    """Escape a value for av_dict_parse_string."""
    return "".join(f"\\{character}" if character in "\\':=" else character for character in value)
