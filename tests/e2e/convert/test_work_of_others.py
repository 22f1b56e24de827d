"""The command in a folder whose files belong to others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest

from streamtoon.media.segments.packet_store import PacketStore


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="makes files of others")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv here, of util-linux")
def test_work_that_cannot_be_removed_is_a_warning(uneven_clip: Path, tmp_path: Path) -> None:
    """In a folder with the sticky bit, such as /tmp, nobody removes the files of others."""
    target, nobody = tmp_path / "out.mp4", 65534
    place = PacketStore.place(target)
    place.touch()
    for path, mode in ((tmp_path, 0o1777), (place, 0o666)):
        os.chown(path, nobody, nobody)
        path.chmod(mode)
    # Root as it always is, but for the right to do with the files of others what only their owners may.
    command = ["setpriv", "--bounding-set=-fowner", sys.executable, "-m", "streamtoon", "video"]
    command += [str(uneven_clip), str(target), "--quality", "lite"]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2))
    said = " ".join(first.stderr.split())
    assert first.returncode == 0, said
    assert said.count("cannot be removed") == 1
    assert str(place) in said.replace(" ", "")
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 100
    # The next run over it knows that the work is of no use, and cannot remove it either.
    assert second.returncode == 1
    assert "already exists" in " ".join(second.stderr.split())
    assert place.exists()
