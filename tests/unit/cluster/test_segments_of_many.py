"""How a video is cut for many workers, and the file of a segment."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamtoon.cluster import planning
from streamtoon.media import VideoReader
from streamtoon.media.reader.frame_index import index_frames
from streamtoon.media.segments.packet_store import Segment
from streamtoon.media.segments.segment_file import DamagedSegmentError, DrawnSegment, SegmentEnds
from streamtoon.media.segments.segments import SegmentBoundary, in_segments
from streamtoon.media.writer.coded_frame import CodedFrame


@pytest.mark.usefixtures("short_parts")
@pytest.mark.parametrize("cut", [(None, None), (1.0, None), (0.7, 3.1)])
def test_packets_tell_where_a_decoder_puts_the_segments(
    uneven_clip: Path, cut: tuple[float | None, float | None]
) -> None:
    start, end = cut
    with VideoReader(uneven_clip, start=start, end=end) as source:
        index = index_frames(source, start)
        assert index is not None
        decoded = list(in_segments(source, lambda: False))
    frames = [item for item in decoded if not isinstance(item, SegmentBoundary)]
    assert index == [(frame.pts, frame.is_key) for frame in frames]
    seams = [item.pts for item in decoded if isinstance(item, SegmentBoundary)]
    assert [pts for _, pts in planning.boundaries(index)] == [frames[0].pts, *seams]
    assert len(seams) > 2


def test_a_raw_stream_without_times_is_not_cut(uneven_clip: Path, tmp_path: Path) -> None:
    import av

    raw = tmp_path / "raw.h264"
    with av.open(str(uneven_clip)) as source, av.open(str(raw), "w", format="h264") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
    with VideoReader(raw) as source:
        assert index_frames(source, None) is None


def test_stretches_hold_every_segment_once() -> None:
    for total in (1, 2, 3, 9, 64, 1001):
        starts = [(200 * n, 1000 * n) for n in range(total)]
        found = planning.stretches(starts)
        assert all(starts[each.number] == (each.frames_before, each.pts) for each in found)
        covered = [n for each in found for n in range(each.number, each.number + each.count)]
        assert covered == list(range(total))


@pytest.mark.parametrize("workers", [1, 7, 64])
def test_all_workers_end_at_nearly_the_same_time(workers: int) -> None:
    found = planning.stretches([(n, n) for n in range(900)])
    busy = [
        0
    ] * workers  # segments that each worker has drawn, when the next one goes to the first that is idle
    for stretch in found:
        busy[busy.index(min(busy))] += stretch.count
    assert sum(busy) == 900
    assert max(busy) <= 900 / workers + 1


def _segment(data: tuple[bytes, ...]) -> DrawnSegment:
    packets = tuple(CodedFrame(n, n - 1, 1, n == 0, each) for n, each in enumerate(data))
    ends = SegmentEnds(7, 123, Segment(len(data), 99, 5, True, 0, len(data) - 1, len(data)))
    return DrawnSegment(ends, {"warnings": '["a"]'}, packets)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5), st.data())
def test_a_segment_comes_back_whole_or_not_at_all(data: list[bytes], dice: st.DataObject) -> None:
    segment = _segment(tuple(data))
    packed = segment.pack()
    assert DrawnSegment.unpack(packed) == segment
    place = dice.draw(st.integers(0, len(packed) - 1))
    hurt = bytearray(packed)
    hurt[place] ^= dice.draw(st.integers(1, 255))
    for damaged in (bytes(hurt), packed[:place], packed + b"\0"):
        with pytest.raises(DamagedSegmentError):
            DrawnSegment.unpack(damaged)


def test_a_segment_leads_only_to_the_frame_that_was_read_after_it() -> None:
    def ends(first: int, check: int, following: int | None, **changes: object) -> SegmentEnds:
        facts = {"can_seek": True, "first": first, "last": first + 4, **changes}
        check_after = None if following is None else following + 1
        return SegmentEnds(first, check, Segment(5, following, check_after, until=first + 5, **facts))  # type: ignore[arg-type]

    one, two = ends(0, 1, 5), ends(5, 6, None)
    assert one.leads_to(two)
    assert two.leads_to(None)
    assert not one.leads_to(None)
    assert not two.leads_to(one)
    assert not one.leads_to(ends(5, 7, None)), "another frame"
    assert not one.leads_to(ends(6, 6, None)), "another time"
    assert not ends(0, 1, 5, can_seek=False).leads_to(two), "damage"
    assert not ends(0, 1, 5, last=5).leads_to(two), "times that rounding made equal"
