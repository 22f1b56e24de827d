"""The codecs written into each container: those that players of five years ago read, by its specification.

Muxers accept more: codecs that were specified recently or that no other program reads. Audio that is not
listed is re-encoded and other streams are left out, each with a warning. Video is encoded as requested, with
a warning. The table is also in docs/reference/files.md; a test compares the two. The reference is FFmpeg's
reader of 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


@dataclass(frozen=True, slots=True)
class CodecSupport:
    """The codecs of a container, by FFmpeg's names."""

    name: str
    """The container's name for messages."""
    source: str
    """Where its codecs are specified."""
    video: frozenset[str]
    """Video codecs, of those that can be encoded here."""
    sounds: frozenset[str] = frozenset()
    subtitles: frozenset[str] = frozenset()
    but: str = ""
    """What is left out although the muxer accepts it, and why."""

    @property
    def codecs(self) -> frozenset[str]:
        """All listed codecs."""
        return self.video | self.sounds | self.subtitles


SUPPORTED_CODECS: Final = {
    "mp4": CodecSupport(
        "MP4",
        "ISO/IEC 14496-12, -14, -15; sample entries and object types of mp4ra.org; 3GPP TS 26.245",
        _names("h264 hevc av1 vp9 mpeg4 mpeg2video mpeg1video mjpeg"),
        _names("aac mp3 mp2 mp1 ac3 eac3 ac4 dts alac flac opus amr_nb amr_wb vorbis"),
        _names("mov_text dvd_subtitle"),
        "PCM (ISO/IEC 23003-5): before 2023 FFmpeg plays 24 bits as 16; TrueHD: experimental; FFV1, VVC",
    ),
    "mov": CodecSupport(
        "QuickTime",
        "Apple's QuickTime File Format Specification; Apple's ProRes white paper",
        _names("h264 hevc prores mpeg4 mpeg2video mpeg1video mjpeg"),
        _names(
            "aac mp3 mp2 alac ac3 eac3 amr_nb amr_wb adpcm_ima_qt mace3 mace6 qdm2 qcelp gsm pcm_u8 pcm_s8 "
            "pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be pcm_f64le "
            "pcm_f64be pcm_alaw pcm_mulaw"
        ),
        _names("mov_text eia_608"),
        "AV1, VP9, VP8, FFV1, DTS: QuickTime plays none of them; Opus and FLAC: the muxer refuses",
    ),
    "matroska": CodecSupport(
        "Matroska",
        "RFC 9559; the IETF's Matroska Codec draft (draft-ietf-cellar-codec)",
        _names("h264 hevc av1 vp9 vp8 mpeg4 mpeg2video mpeg1video mjpeg prores ffv1"),
        _names(
            "aac mp3 mp2 mp1 ac3 eac3 dts truehd mlp alac flac opus vorbis tta wavpack cook sipr ra_144 "
            "ra_288 qdm2 qdmc pcm_u8 "
            "pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f64le"
        ),
        _names("subrip text ass ssa webvtt dvd_subtitle dvb_subtitle hdmv_pgs_subtitle hdmv_text_subtitle"),
        "VVC, ATRAC, ARIB captions: too new",
    ),
    "webm": CodecSupport(
        "WebM",
        "WebM Container Guidelines (webmproject.org)",
        _names("vp8 vp9 av1"),
        _names("vorbis opus"),
        _names("webvtt"),
    ),
    "avi": CodecSupport(
        "AVI",
        "Microsoft's AVI RIFF File Reference; OpenDML; RFC 2361 (sounds by number)",
        _names("mpeg4 mjpeg mpeg2video mpeg1video ffv1"),
        _names("mp3 mp2 ac3 dts aac pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_alaw pcm_mulaw"),
        _names("xsub"),
        "H.264, HEVC, AV1, VP9: no place for the order of frames; ADPCM and its like: play at a wrong speed",
    ),
    "mpegts": CodecSupport(
        "MPEG transport stream",
        "ISO/IEC 13818-1; ETSI EN 300 468 and TS 101 154 (DVB); ATSC A/53; SMPTE ST 302",
        _names("h264 hevc mpeg4 mpeg2video mpeg1video"),
        _names("aac aac_latm mp3 mp2 ac3 eac3 dts opus s302m"),
        _names("dvb_subtitle dvb_teletext"),
        "PGS and TrueHD: only Blu-ray's own streams tell readers what they are",
    ),
    "flv": CodecSupport(
        "Flash Video",
        "Adobe's Video File Format Specification 10.1, annex E",
        _names("h264"),
        _names("aac mp3 nellymoser speex pcm_u8 pcm_s16le pcm_alaw pcm_mulaw adpcm_swf"),
        but="HEVC, AV1, VP9, Opus, FLAC, AC-3, further tracks (Enhanced RTMP): read since FFmpeg 6.1 and 7.1",
    ),
    "gif": CodecSupport("GIF", "GIF89a", _names("gif")),
}
"""By FFmpeg's name of the muxer."""

TS_DATA: Final = _names("klv timed_id3")
"""Data codecs for transport streams: SMPTE RP 217 and Apple's Timed Metadata for HTTP Live Streaming."""
