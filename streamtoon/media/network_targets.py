"""Where a stream can go: what each kind of target takes, and how it is opened."""

from __future__ import annotations

import os
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
from streamtoon.media import network_tls
from streamtoon.media.containers import MPEG_TS, ContainerKind, kind_of
from streamtoon.media.files import HiddenFile
from streamtoon.media.network import STALL, Address, is_address, output_error, parse, shown
from streamtoon.media.network_gate import Gate

WAITING: Final = 2
"""Packets that may wait in FFmpeg's own thread: few, so that a connection that hangs is noticed."""
APART: Final = 1.0
"""Seconds that pictures wait for their sound, and sound for its pictures."""
SEGMENTS: Final = 6
"""Of a playlist; older ones are deleted."""
_MICROSECONDS = str(round(STALL * 1e6))


@dataclass(frozen=True, slots=True)
class OutputScheme:
    """How pictures go out by one kind of address."""

    kind: ContainerKind
    options: Mapping[str, str] = field(default_factory=dict)
    """For muxer and protocol."""


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
    "http": OutputScheme(_WHIP, {"handshake_timeout": str(round(STALL * 1000))}),
    "https": OutputScheme(_WHIP, {"handshake_timeout": str(round(STALL * 1000))}),
    "udp": OutputScheme(_TS, {"protocol_whitelist": "udp"}),
    "rtp": OutputScheme(_RTP),
    "srt": OutputScheme(_TS, {"protocol_whitelist": "srt"}),
}
"""By the scheme of an address; HTTP is WHIP."""


class Target:
    """One place to write to, checked. Raises OutputError with one clear sentence."""

    def __init__(self, place: str, *, source: Path | None, overwrite: bool, insecure: bool = False) -> None:
        self.place, self.shown = place, shown(place)
        self.address: Address | None = None
        """None for a file or a playlist."""
        self._gate: Gate | None = None
        self._file: HiddenFile | None = None
        self._options: Mapping[str, str] = {}
        self._folder: TemporaryDirectory[str] | None = None
        if is_address(place):
            self._check_address(insecure)
        elif Path(place).suffix.lower() == ".m3u8":
            self.kind = _HLS
            _check_playlist(Path(place), overwrite=overwrite)
        else:
            self.kind = kind_of(Path(place))
            self._file = HiddenFile(Path(place), source=source, overwrite=overwrite)

    @property
    def is_network(self) -> bool:
        """Whether it can be lost, and come back."""
        return self.address is not None

    def open(self, segment: float) -> OutputContainer:
        """A new output, its streams still to be added; HLS gets a segment every `segment` seconds.

        Raises OutputError, and LookupError, a clause for a sentence, where there is no such host.
        """
        kind, place = self.kind, self.place
        if self.address is not None:
            if self.address.host:
                self.address.find()
            url = _without_token(self.address)
            if self.address.is_checked and kind is _WHIP:
                self._gate = Gate(STALL)
                url = self._gate.address(url)
            return av.open(url, "w", format="fifo", container_options=self._fifo())
        if self._file is not None:
            self._file.create()
            return av.open(
                f"file:{self._file.hidden}", "w", format=kind.format, container_options=kind.options
            )
        path = Path(place)
        options = {
            "hls_time": f"{segment:g}",
            "hls_list_size": str(SEGMENTS),
            "hls_flags": "delete_segments+independent_segments+temp_file",
            "hls_segment_filename": f"file:{path.with_name(path.stem)}-%05d.ts",
        }
        return av.open(f"file:{place}", "w", format="hls", container_options=options)

    def close(self, container: OutputContainer) -> None:
        """What `open` gave, with its trailer."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.close()  # before: PyAV closes with Python's lock held, and no gate answers without it
        container.close()
        if gate is not None:
            gate.leave()

    @property
    def needs_global_header(self) -> bool:
        """Whether the encoder's parameters stand in the container's head."""
        # FFmpeg's own asynchronous muxer does not say what the one behind it wants.
        wanted = cast("int", FormatFlags.global_header.value)  # more than a Flags can hold
        return self.is_network and bool(ContainerFormat(self.kind.format, "w").flags & wanted)

    def publish(self) -> None:
        """After the last packet: a file gets its name."""
        if self._file is not None:
            self._file.publish()
        self._clean_up()

    def discard(self) -> None:
        """Remove a file that is not whole."""
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
            raise OutputError(f"{self.shown} is no address: {error}.") from error
        line = TARGETS.get(self.address.scheme)
        if line is None:
            known = ", ".join(TARGETS)
            raise OutputError(
                f"{self.shown} is not written to: take a file, a playlist (.m3u8), or an address that begins "
                f"with one of {known}."
            )
        self.kind, self._options = line.kind, line.options
        try:
            ContainerFormat(self.kind.format, "w")
        except ValueError as error:
            raise OutputError(
                f"{self.shown} cannot be written: the FFmpeg at hand has no {self.kind.name}."
            ) from error
        if self.address.scheme == "srt":
            _check_srt(self.address)
        if self.address.is_checked and self.kind is not _WHIP:
            self._options = {**line.options, **network_tls.ffmpeg_options()}

    def _identity(self) -> dict[str, str]:
        """Who a WHIP server is told that we are."""
        assert self.address is not None, "WHIP has an address"
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="streamtoon-")
        token = _token(self.address)
        return _make_certificate(Path(self._folder.name)) | ({"authorization": token} if token else {})

    def _fifo(self) -> dict[str, str]:
        """FFmpeg's asynchronous muxer, since PyAV opens outputs with Python's lock held."""
        assert self.address is not None, "only what is far away is written asynchronously"
        options = dict(self._options)
        if self.kind.format == "whip":
            options |= self._identity()
        said = ":".join(f"{key}={_escaped(value)}" for key, value in options.items())
        fifo = {
            "fifo_format": self.kind.format,
            "queue_size": str(WAITING),
            "max_interleave_delta": str(round(APART * 1e6)),
        }
        return {**fifo, "format_opts": said} if said else fifo


def _make_certificate(folder: Path) -> dict[str, str]:
    """What WebRTC's encryption begins with, since OpenSSL refuses what FFmpeg makes by GnuTLS.

    A P-256 key with a certificate signed by itself, as RFC 8827 (section 6.5) wants it. Raises OutputError
    where the package for it is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError as error:
        raise OutputError("WHIP needs more packages: pip install 'streamtoon[live]'.") from error
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


def taking(kind: ContainerKind, extradata: bytes | None, codec: str, channels: int) -> ContainerKind:
    """`kind` without what it cannot take of a sound of these facts."""
    refused = (
        kind.format == "rtsp" and codec == "aac" and not extradata
    )  # its parameters stand in each packet
    refused |= kind.channels is not None and channels != kind.channels
    return replace(kind, codecs=kind.codecs - {codec}) if refused and kind.codecs else kind


def _check_playlist(path: Path, *, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"The folder {path.parent} does not exist; make it first.")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a playlist in it.")
    if "%" in str(path):  # segments are numbered by a pattern, whose %% is not understood everywhere
        raise OutputError(f"{path} has a % in it, which a playlist's segments cannot have: rename it.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; --overwrite replaces it.")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"The folder {path.parent} cannot be written to.")
    if overwrite:
        for old in path.parent.glob(f"{_glob(path.stem)}-[0-9][0-9][0-9][0-9][0-9].ts"):
            old.unlink()


def _glob(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _check_srt(address: Address) -> None:
    """Known only by trying: libavformat's list of protocols cannot be asked for."""
    try:
        av.open("srt://127.0.0.1:1?mode=caller&connect_timeout=1", "r", timeout=1.0).close()
    except av.error.ProtocolNotFoundError as error:
        raise output_error(address.shown, address, error) from error
    except (av.FFmpegError, OSError):
        return


def _token(address: Address) -> str | None:
    """WHIP's bearer token: what stands where names and passwords do."""
    parts = urlsplit(address.text)
    token = parts.password or parts.username
    return unquote(token) if token else None


def _without_token(address: Address) -> str:
    if not address.scheme.startswith("http"):
        return address.text
    parts = urlsplit(address.text)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _escaped(value: str) -> str:
    """For av_dict_parse_string."""
    return "".join(f"\\{character}" if character in "\\':=" else character for character in value)
