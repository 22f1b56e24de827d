"""Writing one container: the encoded frames, and a route for every other stream of the source."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import OutputContainer

from engines.frame import Frame
from streamtoon.errors import OutputError, write_error
from streamtoon.media.packets import Passthrough
from streamtoon.media.reader.video_reader import VideoReader
from streamtoon.media.timecode import KEY as TIMECODE
from streamtoon.media.timecode import add_time
from streamtoon.media.writer.coded_frame import CodedFrame
from streamtoon.media.writer.containers import ContainerKind, muxer_options
from streamtoon.media.writer.encoders import EncoderChoice
from streamtoon.media.writer.metadata import Tags, container_tags, needs_free_keys, stream_tags
from streamtoon.media.writer.packet_routes import CopyRoute, Route
from streamtoon.media.writer.stream_routing import Plan, add_route, label_of
from streamtoon.media.writer.verify_output import StreamSpan, differences
from streamtoon.media.writer.video_encoder import VideoEncoder


class RefusedError(OutputError):
    """The muxer rejects its input. The same streams would be rejected again."""


class ContainerWriter:
    """Muxes one video with all streams of its source. Raises OutputError, or RefusedError if the muxer
    refuses.

    Args:
        target: A URL or a binary file object.
        name: The name of the target for messages.
        kind: The container format.
        choice: The video encoder.
        source: The reader whose other streams, metadata and chapters are copied.
        size: Width and height of the frames.
        plan: The handling of streams that the muxer does not accept unchanged.
        rehearses: Whether the target is a trial that is never read.
    """

    def __init__(
        self,
        target: str | BinaryIO,
        name: str,
        kind: ContainerKind,
        choice: EncoderChoice,
        source: VideoReader,
        size: tuple[int, int],
        plan: Plan,
        *,
        rehearses: bool = False,
    ) -> None:
        self.warnings: list[str] = []
        """Warnings for the user. Most exist from the start."""
        self._name, self._kind, self._choice, self._source = name, kind, choice, source
        self.video: VideoEncoder
        """The encoder of the frames."""
        self.routes: dict[int, Route] = {}
        """By the source's stream index."""
        with self._translate_errors():
            self._container = self._open(target, rehearses)
        try:
            with self._translate_errors():
                self._add_streams(size, plan)
        except BaseException:
            # An encoder and its container refer to each other, so both would stay in memory.
            self.abandon()
            raise

    def begin(self) -> None:
        """Write the header and the covers."""
        with self._translate_errors():
            self._container.start_encoding()
            for index, data in self._source.covers.items():
                route = self.routes.get(index)
                if isinstance(route, CopyRoute):
                    route.write_cover(data)

    def write(self, item: Frame | Passthrough) -> None:
        """Write one frame or packet, in the order of the source."""
        with self._translate_errors():
            if isinstance(item, Frame):
                self._container.mux(self.video.encode(item))
            elif item.stream_index in self.routes:
                self.routes[item.stream_index].write(item.packet)

    def write_coded(self, coded: CodedFrame) -> None:
        """Write one frame that was encoded before, in decoding order."""
        with self._translate_errors():
            self._container.mux(self.video.adopt(coded))

    def finish(self) -> tuple[str, ...]:
        """Write all buffered packets and the trailer. Return the codecs of the audio streams."""
        with self._translate_errors():
            if not self.video.has_adopted:
                self._container.mux(self.video.drain())
            self.video.warn_about_rounding()
            for route in self.routes.values():
                route.finish()
            sounds = tuple(s.codec_context.codec.canonical_name for s in self._container.streams.audio)
            self._container.close()
        return sounds

    def differences(self, path: Path) -> list[str]:
        """Return a warning for each difference between the file at `path` and the written streams."""
        times, base = self.video.times, self.video.time_base
        if times is None:
            return []
        streams = self._source.opened.container.streams
        sounds = {
            label_of(streams[index]): route.span
            for index, route in self.routes.items()
            if streams[index].type == "audio" and route.span is not None
        }
        # In a container that counts frames, the first one starts at 0.
        begin = Fraction(0) if self._kind.whole_rate else times.first * base
        pictures = StreamSpan(begin, times.until * base)
        return differences(path, pictures, sounds, has_starts=not self._kind.whole_rate)

    def abandon(self) -> None:
        """Close the container without finishing it."""
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()

    # --- internals ---------------------------------------------------------------------------------

    def _open(self, target: str | BinaryIO, rehearses: bool) -> OutputContainer:
        source, kind = self._source, self._kind
        original = source.opened.container
        bases = [source.info.time_base, *(s.time_base for s in source.copied if s.time_base)]
        sounds = (s.codec_context for s in original.streams.audio)
        bases += [Fraction(1, c.sample_rate) for c in sounds if c and c.sample_rate]
        options = muxer_options(kind, bases)
        tags = container_tags(self._with_moved_code(original.metadata), kind)
        if rehearses:
            options.pop("movflags", None)  # faststart needs to read the file again
        elif needs_free_keys(tags, kind) and not source.covers:
            options["movflags"] += "+use_metadata_tags"
        container = av.open(
            target, "w", format=kind.format, container_options=options, metadata_errors="surrogateescape"
        )
        container.metadata.update(tags)
        chapters = source.chapters()
        if kind.takes_chapters:
            container.set_chapters(chapters)
        elif chapters:
            self.warnings.append(f"{kind.name} does not support chapters: they were left out.")
        return container

    def _add_streams(self, size: tuple[int, int], plan: Plan) -> None:
        """Add one output stream for each stream of the source, in its order."""
        main = self._source.opened.stream
        for stream in self._source.opened.container.streams:
            if stream is main:
                self.video = VideoEncoder(
                    self._container, self._kind, self._choice, self._source.info, size, self.warnings
                )
                tags = {**self._marks_of_frames(), **self._with_moved_code(main.metadata)}
                self.video.stream.metadata.update(stream_tags(tags, self._kind))
                self.video.stream.disposition = main.disposition
            else:
                self.routes[stream.index] = add_route(
                    self._container, self._kind, self._source, stream, self.warnings, plan
                )

    def _marks_of_frames(self) -> Tags:
        """Return tags for metadata in the frames, if the container supports them."""
        info, kind, tags = self._source.info, self._kind, {}
        if info.stereo and kind.takes_stereo and info.stereo != "other":
            tags["stereo_mode"] = info.stereo
        elif info.stereo:
            self.warnings.append(
                f"The video is stereoscopic ({info.stereo.replace('_', ' ')}), which {kind.name} cannot "
                "mark: the output lacks that metadata."
            )
        main, file = self._source.opened.stream, self._source.opened.container
        known = any(key.lower() == TIMECODE for key in (*main.metadata, *file.metadata))
        if info.timecode and not known:
            if kind.takes_timecode and info.rate == self._source.original.rate:
                tags[TIMECODE] = info.timecode
            else:
                self.warnings.append(f"The time code of the frames ({info.timecode}) was left out.")
        return tags

    def _with_moved_code(self, tags: Tags) -> Tags:
        """Return `tags` with the time code of the first frame after a cut."""
        main, source = self._source.opened.stream, self._source
        key = next((each for each in tags if each.lower() == TIMECODE), None)
        same_rate = source.info.rate == source.original.rate
        if key is None or (same_rate and not source.shift):
            return tags
        cut = source.shift - (main.start_time or 0) * (main.time_base or Fraction(0))
        code = add_time(tags[key], cut, source.info.rate) if same_rate else None
        if code is not None:
            return {**tags, key: code}
        said = (
            f"The time code {tags[key]} is not valid at this frame rate and cannot be moved to the start "
            "of the cut: it was left out."
        )
        if not same_rate:
            said = f"The time code {tags[key]} does not match the frame rate of --fps: it was left out."
        if said not in self.warnings:
            self.warnings.append(said)
        return {each: value for each, value in tags.items() if each != key}

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate FFmpeg's errors to OutputError."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            failure = write_error(self._name, error)
            raise (RefusedError(str(failure)) if _is_refusal(error) else failure) from error


def _is_refusal(error: av.FFmpegError | OSError) -> bool:
    """Return True for errors of the muxer, False for errors of the operating system."""
    number = error.errno
    return number in (errno.EINVAL, errno.ERANGE, errno.EDOM) or number not in errno.errorcode
