"""Outputs that are symbolic links: written through, as FFmpeg's own command writes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ffprobe import ffprobe
from media_clips import convert, make_clip

from streamtoon.errors import OutputError
from streamtoon.media import VideoReader, VideoWriter
from streamtoon.media.segments.packet_store import PacketStore
from streamtoon.media.writer.output_file import HiddenFile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights on Windows")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mp4", pts=[512 * n for n in range(6)], audio=None)


@pytest.fixture
def linked(tmp_path: Path) -> tuple[Path, Path]:
    """A link in one folder to a file in another, by a second link."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    target = tmp_path / "there" / "real.mp4"
    middle, link = tmp_path / "here" / "middle.mp4", tmp_path / "here" / "link.mp4"
    middle.symlink_to(Path("..") / "there" / "real.mp4")
    link.symlink_to("middle.mp4")
    return link, target


def frames(path: Path) -> int:
    asked = "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets"
    return int(ffprobe(path, *asked)["streams"][0]["nb_read_packets"])


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_what_it_names_is_written(
    clip: Path, linked: tuple[Path, Path], exists: bool
) -> None:
    link, target = linked
    if exists:
        target.write_bytes(b"old")
        with pytest.raises(OutputError, match=r"link\.mp4 already exists\. Use --overwrite"):
            convert(clip, link)
    convert(clip, link, overwrite=exists)
    assert link.is_symlink()
    assert link.readlink() == Path("middle.mp4")
    assert not target.is_symlink()
    assert frames(target) == 6
    assert sorted(path.name for path in target.parent.iterdir()) == ["real.mp4"]
    assert sorted(path.name for path in link.parent.iterdir()) == ["link.mp4", "middle.mp4"]


def test_ffmpeg_writes_the_same_file(clip: Path, linked: tuple[Path, Path], tmp_path: Path) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed")
    link, target = linked
    subprocess.run([program, "-v", "error", "-i", str(clip), "-c", "copy", str(link)], check=True)
    assert (link.is_symlink(), target.is_file()) == (True, True)


def test_unfinished_work_lies_beside_what_is_written(linked: tuple[Path, Path]) -> None:
    link, target = linked
    assert PacketStore.place(link) == PacketStore.place(target) == target.with_name("real.mp4.unfinished")


def test_links_that_cannot_be_written_through_are_said_before_the_work(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").symlink_to(tmp_path)
    (tmp_path / "nowhere.mp4").symlink_to(tmp_path / "missing" / "out.mp4")
    (tmp_path / "circle.mp4").symlink_to(tmp_path / "circle.mp4")
    (tmp_path / "itself.mp4").symlink_to(clip)
    words = {
        "folder.mp4": "is a folder",
        "nowhere.mp4": "missing does not exist",
        "circle.mp4": "symbolic link to itself",
        "itself.mp4": "is the input file",
    }
    before = sorted(tmp_path.iterdir())
    for name, said in words.items():
        with VideoReader(clip) as source, pytest.raises(OutputError, match=said):
            VideoWriter(tmp_path / name, source, overwrite=True)
    assert sorted(tmp_path.iterdir()) == before


def test_a_pipe_is_not_replaced_by_a_file(clip: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "out.mp4"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="a device or a pipe"):
        HiddenFile(pipe, source=None, overwrite=True)
    assert pipe.is_fifo()
