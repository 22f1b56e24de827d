"""Parts come to the disk packet by packet, and count when they are whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from paths import SUPPORT

from streamtoon.errors import OutputError
from streamtoon.media.segments.packet_store import PacketStore, Segment
from streamtoon.media.segments.segments import in_decoding_order
from streamtoon.media.writer.coded_frame import CodedFrame

PART = Segment(2, 24, 5, True, 0, 12, 24)
MEGABYTE = 1 << 20


def _packets(first: int, count: int, size: int = 50) -> Iterator[CodedFrame]:
    for n in range(first, first + count):
        yield CodedFrame(12 * n, 12 * n - 24, 12, n == first, bytes([n % 251]) * size)


def _write(work: PacketStore, packets: Iterator[CodedFrame]) -> None:
    for packet in packets:
        work.write(packet)


def test_what_is_kept_comes_back_in_its_order(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with PacketStore(target) as work:
        work.begin({"engine": "x"})
        for part in range(3):
            _write(work, _packets(2 * part, 2))
            work.keep(PART)
    with PacketStore(target) as work:
        work.load()
        assert work.parts == [PART] * 3
        assert [list(work.packets(part)) for part in range(3)] == [list(_packets(2 * n, 2)) for n in range(3)]
        assert [list(work.times(part)) for part in range(3)] == [[0, 12], [24, 36], [48, 60]]


def test_what_is_not_kept_is_gone(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with PacketStore(target) as work:
        work.begin({"engine": "x"})
        _write(work, _packets(0, 2))
        work.keep(PART)
        _write(work, _packets(2, 9))
        work.note("warnings", "[]")
        work.drop()
        assert work.facts() == {"engine": "x"}
        _write(work, _packets(2, 2))
        work.keep(PART)
        _write(work, _packets(4, 9))
    with PacketStore(target) as work:
        work.load()
        assert [list(work.packets(part)) for part in (0, 1)] == [list(_packets(0, 2)), list(_packets(2, 2))]
        assert list(work.packets(2)) == []


JOB = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_work import MEGABYTE, PART, _packets, _write
from streamtoon.media.segments.segments import in_decoding_order
from streamtoon.media.segments.packet_store import PacketStore

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024

with PacketStore(Path(sys.argv[2])) as work:
    work.begin({"engine": "x"})
    _write(work, _packets(0, 2))
    work.keep(PART)
    before = peak()
    _write(work, _packets(2, 100, MEGABYTE))
    if sys.argv[3] == "kill":
        print("written", flush=True)
        input()
    work.keep(PART)
    print(peak() - before)
    print(sum(len(each.data) for each in in_decoding_order(2, work.times, work.packets)))
    work.load()
    print(peak() - before)
"""


def _job(target: Path, end: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(Path(__file__).parent), str(target), end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SUPPORT)},
    )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process has taken")
def test_a_part_larger_than_memory_may_be(tmp_path: Path) -> None:
    said, _ = _job(tmp_path / "out.mp4", "keep").communicate(timeout=120)
    writing, size, reading = map(int, said.split())
    assert size == 100 * MEGABYTE + 100
    assert writing <= reading < 20, f"{writing} MB taken while writing, {reading} while reading"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_with_most_of_a_part_on_the_disk(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    job = _job(target, "kill")
    assert job.stdout is not None
    assert job.stdout.readline() == "written\n"
    assert PacketStore.place(target).stat().st_size > 90 * MEGABYTE
    job.send_signal(signal.SIGKILL)
    job.communicate()
    with PacketStore(target) as work:
        work.load()
        assert work.parts == [PART]
        assert list(work.packets(0)) == list(_packets(0, 2))
        assert list(work.packets(1)) == []
        assert PacketStore.place(target).stat().st_size < MEGABYTE
        _write(work, _packets(2, 2))
        work.keep(PART)
        joined = list(in_decoding_order(2, work.times, work.packets))
        assert [each.data for each in joined] == [each.data for each in _packets(0, 4)]
        assert all(a.dts < b.dts for a, b in pairwise(joined))
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4.unfinished"]


def test_a_disk_full_within_a_part_is_told_and_the_parts_before_are_kept(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with PacketStore(target) as work:
        work.begin({"engine": "x"})
        _write(work, _packets(0, 2))
        work.keep(PART)
        pages = work._pragma("page_count") + 500
        work._file.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then says what it says of a full disk
        with pytest.raises(OutputError, match=r"The disk is full\. The finished frames are stored in"):
            _write(work, _packets(2, 100, MEGABYTE))
        work.drop()
    with PacketStore(target) as work:
        work.load()
        assert work.parts == [PART]
