"""Memory that runs out in the middle of a conversion ends it with a sentence, and what is drawn is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from killed_job import LONGEST, QUALITY, SHORTEST, contents
from media_clips import make_clip
from paths import ROOT
from stopped_runs import convert

from streamtoon.media.segments.packet_store import PacketStore

pytestmark = [
    pytest.mark.usefixtures("short_parts"),
    pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux"),
]

JOB = """
import resource, sys
from streamtoon.cli.app import main
from streamtoon.media.segments import segments as parts
from streamtoon.media.segments.packet_store import PacketStore

parts.MIN_SEGMENT_FRAMES, parts.MAX_SEGMENT_FRAMES = int(sys.argv.pop(1)), int(sys.argv.pop(1))
keep = PacketStore.keep

def and_limit(self, part):
    keep(self, part)
    if len(self.parts) == 2:
        status = open("/proc/self/status").read()
        limit = (int(status.split("VmSize:")[1].split()[0]) << 10) - (50 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

PacketStore.keep = and_limit
main()
"""
# What is freed goes back to the system at once, and every thread takes it from there.
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def test_memory_runs_out_on_the_way(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", size=(640, 360), pts=[512 * n for n in range(80)])
    target, whole = tmp_path / "out.mp4", tmp_path / "whole.mp4"
    command = [sys.executable, "-c", JOB, str(SHORTEST), str(LONGEST), "video", str(clip), str(target)]
    environment = {**os.environ, **ALLOCATOR, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--quality", QUALITY], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: not enough memory")
    assert last.endswith(f"are finished and stored in {target}.unfinished; run the same command to resume.")
    assert not target.exists()
    with PacketStore(target) as work:
        work.load()
        assert len(work.parts) >= 2
        kept = work.frames
    assert convert(clip, target, style="comic").kept == kept < 80
    convert(clip, whole)
    assert contents(target) == contents(whole)
