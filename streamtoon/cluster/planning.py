"""How a video is cut, so that its stretches can be drawn independently.

The segments are those of a run on one machine: their boundaries are where `in_segments` puts them. Times and
key frames of the packets say where that will be, without decoding. A worker seeks to its first frame and
draws until its last boundary, so nothing may depend on earlier frames. Where something does, or where the
packets do not tell, the whole file is one task, which is the conversion on one machine.

The plan is a forecast, and the finished segments prove it: each one names the frame that was decoded after
its last one, by time and checksum, and the next one has to begin with exactly that frame.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamtoon.cluster.jobs import SegmentFacts, Stretch, VideoJob
from streamtoon.cluster.segment_folder import SegmentFolder
from streamtoon.cluster.storage import LocalCopies, exists, is_url, state_of
from streamtoon.convert.resume.fingerprint import difference, identity
from streamtoon.convert.resume.resume import JOINED
from streamtoon.convert.video import Conversion, can_be_kept
from streamtoon.engine_holder import EngineHolder
from streamtoon.errors import OutputError
from streamtoon.media.reader.frame_index import index_frames
from streamtoon.media.reader.video_reader import VideoReader
from streamtoon.media.segments import segments
from streamtoon.media.segments.packet_store import PacketStore
from streamtoon.media.writer.containers import BY_EXTENSION
from streamtoon.reports import EngineReport
from streamtoon.wording import counted

SEGMENTS_PER_STRETCH = 4
"""Segments that one task draws at most, 20 to 40 s of film: opening and seeking cost little against it."""
MIN_SEGMENTS = 3
"""A file of fewer segments is one task. Cutting and joining it would cost more than it saves."""
MIN_SEGMENTS_BUSY = 20
"""The same while other files keep all workers busy: the driver then only hands out files."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one video is converted."""

    stretches: tuple[Stretch, ...]
    """What workers draw; empty where one worker converts the whole file."""
    frames: int | None
    """Number of frames; None if the file does not say."""
    size: tuple[int, int] = (0, 0)
    """Width and height that the engine is opened for, pixels."""
    segments: int = 1
    """Number of segments."""
    kept: tuple[SegmentFacts, ...] = ()
    """Segments that an earlier run has finished."""
    engine: EngineReport | None = None
    """The engine that drew these."""
    is_finished: bool = False
    """Whether an earlier run has finished the output, and was killed before it could say so."""


def plan(job: VideoJob, copies: LocalCopies, min_segments: int = MIN_SEGMENTS) -> Plan:
    """Plan a conversion: check the output, find the segments, and what an earlier run has left of them.

    A video of fewer than `min_segments` is not cut.

    Raises InputError, OutputError and StorageError.
    """
    source = copies.path(job.source)
    # Of a URL only the name counts here: its suffix decides the container.
    target = Path(job.target).name if is_url(job.target) else job.target
    conversion = job.conversion(EngineHolder(), source, target)
    with conversion.open_source() as reader:
        folder = SegmentFolder(job.work)
        before = folder.facts()
        if before and not job.resume:
            folder.remove()
            before = {}
        total = reader.expected_frames
        is_short = total is not None and total < min_segments * segments.MIN_SEGMENT_FRAMES
        if not before and (is_short or _needs_one_worker(job, source, target)):
            if not job.writing.overwrite and exists(job.target) and not _is_unfinished(job):
                raise OutputError(f"{job.target} already exists. Use --overwrite to replace it.")
            return Plan((), total)
        facts = _identity(job, source, conversion)
        if not job.writing.overwrite and exists(job.target):
            if JOINED in before and not difference(before, facts):
                folder.remove()
                return Plan((), 0, is_finished=True)
            raise OutputError(f"{job.target} already exists. Use --overwrite to replace it.")
        if before:
            _check_same(folder, before, facts)
        index = index_frames(reader, job.reading.start)
        starts = [] if index is None else boundaries(index)
        if index is None or len(starts) < MIN_SEGMENTS:
            return Plan((), total)
        size = (reader.info.width, reader.info.height)
        _check_output(conversion, reader, job)
    kept: list[SegmentFacts] = []
    engine = None
    if before:
        engine = EngineReport(**json.loads(before["engine"])) if "engine" in before else None
        kept = [fact for number in sorted(folder.numbers()) for fact in folder.known([number])]
        kept = [fact for fact in kept if fact.number < len(starts)]
    else:
        folder.begin(facts)
    return Plan(stretches(starts), len(index), size, len(starts), tuple(kept), engine if kept else None)


def boundaries(index: Sequence[tuple[int, bool]]) -> list[tuple[int, int]]:
    """Return (frames before it, pts) of every segment's first frame, as `in_segments` will decide.

    Args:
        index: (pts, is key frame) of all frames, in order of time.
    """
    starts, length = [(0, index[0][0])], 0
    for number, (pts, is_key) in enumerate(index):
        if length >= segments.MAX_SEGMENT_FRAMES or (length >= segments.MIN_SEGMENT_FRAMES and is_key):
            starts.append((number, pts))
            length = 0
        length += 1
    return starts


def stretches(starts: Sequence[tuple[int, int]]) -> tuple[Stretch, ...]:
    """Group segments, given by their first frames, into stretches.

    Those of the last quarter are short, and those of the quarter before it shorter than at first. So all
    workers end at nearly the same time (guided self-scheduling, Polychronopoulos and Kuck, 1987).
    """
    found, number, total = [], 0, len(starts)
    while number < total:
        left = total - number
        share = 1 if 2 * left > total else 2 if 4 * left > total else 4
        count = min(left, max(1, SEGMENTS_PER_STRETCH // share))
        found.append(Stretch(number, count, *starts[number]))
        number += count
    return tuple(found)


def _is_unfinished(job: VideoJob) -> bool:
    """Return whether a run on one machine has left work."""
    return not is_url(job.target) and PacketStore.place(Path(job.target)).exists()


def _needs_one_worker(job: VideoJob, source: str, target: str) -> bool:
    """Return whether frames of the video depend on those before them."""
    if job.reading.fps is not None or not can_be_kept(source, target):
        return True
    kind = BY_EXTENSION[Path(target).suffix.lower()]
    # Such containers count frames, and the position of one depends on all before it.
    return kind.whole_rate or job.writing.codec in ("mpeg4", "mpeg2video", "mpeg1video")


def _identity(job: VideoJob, source: str, conversion: Conversion) -> dict[str, str]:
    facts = identity(Path(source), conversion.renderer.style, conversion.settings())
    return {**facts, "input": state_of(job.source)} if is_url(job.source) else facts


def _check_output(conversion: Conversion, reader: VideoReader, job: VideoJob) -> None:
    """Check the output before the first frame. Raises OutputError."""
    if is_url(job.target):
        return  # it is made in a folder of the driver, and checked there
    target = Path(job.target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if PacketStore.place(target).exists() and job.resume:
        raise OutputError(
            f"{PacketStore.place(target)} has unfinished work of a run on one machine. Finish it with that "
            "command, or use --no-resume to start over."
        )
    conversion.open_target(reader).abandon()


def _check_same(folder: SegmentFolder, before: dict[str, str], facts: dict[str, str]) -> None:
    """Raise OutputError if an earlier run's segments are of something else."""
    if changed := difference(before, facts):
        raise OutputError(
            f"{folder.path} has {counted(len(folder.numbers()), 'segment')} drawn {changed}. Use the same "
            "settings and input to resume, or --no-resume to discard them and start over."
        )
