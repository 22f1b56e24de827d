"""Whatever a user gets wrong is one clear sentence, and no half-written file is left."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from media_clips import convert, facts, make_clip, tone
from paths import SUPPORT

from streamtoon.errors import InputError, OutputError, StreamtoonError
from streamtoon.media import VideoReader, VideoWriter, probe


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "in.mp4")


def sentence(error: pytest.ExceptionInfo[StreamtoonError]) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and "Errno" not in text
    return text


def audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("aac", rate=48000)
        tone(out, stream, 0, 0.2)
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


BAD_INPUTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda p: p, "does not exist"),
    "folder": (folder, "is a folder"),
    "empty": (lambda p: written(p, b""), "is empty"),
    "text": (lambda p: written(p, b"a letter to a friend\n" * 50), "not a video in a supported format"),
    "noise": (lambda p: written(p, bytes(range(7, 255)) * 40), "not a video|no video"),
    "sound": (audio_only, "only audio"),
    "nul": (lambda p: Path("a\0b.mp4"), "cannot be opened|does not exist"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_unreadable_inputs_say_why(tmp_path: Path, name: str) -> None:
    make, words = BAD_INPUTS[name]
    path = make(tmp_path / "in.mp4")
    for opener in (VideoReader, probe):
        with pytest.raises(InputError, match=words) as error:
            opener(path)
        sentence(error)


def test_a_text_file_is_no_video_whatever_ffmpeg_draws(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk\n" * 50)
    with pytest.raises(InputError, match="not a video in a supported format"):
        VideoReader(path)


def test_an_mp4_cut_before_its_index_says_so(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:3000])
    with pytest.raises(InputError, match="moov") as error:
        VideoReader(path)
    sentence(error)


def test_a_file_that_ends_early_gives_what_it_holds(tmp_path: Path) -> None:
    whole = make_clip(
        tmp_path / "whole.mp4",
        container_options={"movflags": "+faststart"},
        options={"g": "5", "bf": "0"},
        audio=None,
    )
    path = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    warnings, written = convert(path, tmp_path / "out.mp4")
    assert 3 < written.frames < 25
    assert facts(tmp_path / "out.mp4").times == facts(whole).times[: written.frames]
    assert warnings


def test_damage_in_the_middle_is_survived_and_told(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", options={"g": "5", "bf": "0"}, audio=None)
    data = bytearray(whole.read_bytes())
    start = data.index(b"mdat") + len(data) // 3
    data[start : start + 300] = os.urandom(300)
    (tmp_path / "bad.mp4").write_bytes(data)
    warnings, written = convert(tmp_path / "bad.mp4", tmp_path / "out.mp4")
    assert written.frames >= 15
    assert any("damaged" in w for w in warnings)
    assert set(facts(tmp_path / "out.mp4").times) <= set(facts(whole).times)


def test_encoding_damaged_sound_again_is_reported(tmp_path: Path, clip: Path) -> None:
    with av.open(str(clip)) as whole, av.open(str(tmp_path / "bad.mkv"), "w") as bad:
        streams = [bad.add_stream_from_template(stream) for stream in whole.streams]
        for n, packet in enumerate(packet for packet in whole.demux() if packet.size):
            index = packet.stream_index
            if whole.streams[index].type == "audio" and n % 3 == 0:
                noise = av.Packet(b"\xff" * packet.size)
                noise.pts, noise.dts, noise.time_base = packet.pts, packet.dts, packet.time_base
                packet = noise
            packet.stream = streams[index]
            bad.mux(packet)
    warnings, written = convert(tmp_path / "bad.mkv", tmp_path / "out.webm")
    assert written.audio_codecs == ("opus",)
    assert sum(w.startswith("The sound of stream 1 (aac) is damaged") for w in warnings) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out.xyz", r'".xyz" is not a supported video format.*\.mp4'),
        ("out", "no extension"),
        ("nowhere/out.mp4", "does not exist"),
        ("folder.mp4", "is a folder"),
        ("there.mp4", "--overwrite"),
    ],
)
def test_bad_outputs_are_refused_before_work(tmp_path: Path, clip: Path, name: str, words: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "there.mp4").write_bytes(b"precious")
    with VideoReader(clip) as source, pytest.raises(OutputError, match=words) as error:
        VideoWriter(tmp_path / name, source)
    sentence(error)
    assert (tmp_path / "there.mp4").read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.mp4", "there.mp4"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path, clip: Path) -> None:
    tmp_path.chmod(0o500)
    with VideoReader(clip) as source, pytest.raises(OutputError, match="cannot be written"):
        VideoWriter(tmp_path / "out.mp4", source)


@pytest.mark.parametrize("link", ["same", "symlink", "hardlink"])
def test_the_input_is_never_overwritten(tmp_path: Path, clip: Path, link: str) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(clip.read_bytes())
    target = source if link == "same" else tmp_path / "out.mp4"
    if link == "symlink":
        target.symlink_to(source)
    elif link == "hardlink":
        target.hardlink_to(source)
    with VideoReader(source) as opened, pytest.raises(OutputError, match="is the input file"):
        VideoWriter(target, opened, overwrite=True)
    assert source.read_bytes() == clip.read_bytes()


def test_an_error_leaves_nothing_behind_and_goes_through(tmp_path: Path, clip: Path) -> None:
    def fail_on_the_way() -> None:
        with VideoReader(clip) as source, VideoWriter(tmp_path / "out.mp4", source) as sink:
            for n, item in enumerate(source):
                sink.write(item)
                _ = 1 / (10 - n)

    with pytest.raises(ZeroDivisionError):
        fail_on_the_way()
    assert list(tmp_path.iterdir()) == []


def test_the_output_appears_only_when_whole(tmp_path: Path, clip: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"the old one")
    with VideoReader(clip) as source, VideoWriter(target, source, overwrite=True) as sink:
        for item in source:
            sink.write(item)
            assert target.read_bytes() == b"the old one"
            assert all(p.name.startswith(".") for p in tmp_path.iterdir() if p != target)
    assert len(facts(target).times) == 25
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


class FullDisk(io.RawIOBase):
    """Takes 2000 bytes."""

    left = 2000

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.left -= len(data)
        if self.left < 0:
            raise OSError(28, "No space left on device")
        return len(data)


def test_a_write_error_is_an_output_error(clip: Path) -> None:
    def fill_it() -> None:
        with VideoReader(clip) as source, VideoWriter(FullDisk(), source) as sink:  # type: ignore[arg-type]
            for item in source:
                sink.write(item)

    with pytest.raises(OutputError, match="the disk is full") as error:
        fill_it()
    sentence(error)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_leaves_no_file(tmp_path: Path, clip: Path) -> None:
    script = f"""
import resource, signal, sys
sys.path.insert(0, {str(SUPPORT)!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
from media_clips import convert
from pathlib import Path
from streamtoon.errors import OutputError
try:
    convert(Path({str(clip)!r}), Path({str(tmp_path / "out.mp4")!r}))
except OutputError as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "out.mp4 cannot be written: file too large." in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_streams_go_through_pipes(clip: Path) -> None:
    whole = io.BytesIO()
    with VideoReader(io.BytesIO(clip.read_bytes())) as source, VideoWriter(whole, source) as sink:
        for item in source:
            sink.write(item)
    with av.open(io.BytesIO(whole.getvalue()), "r") as file:
        assert file.format.name == "matroska,webm"
        assert sum(1 for _ in file.decode(video=0)) == 25


@pytest.mark.skipif(sys.platform == "win32", reason="a shell pipe")
def test_standard_input_and_output(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv")
    script = (
        "from streamtoon.media import VideoReader, VideoWriter\n"
        "with VideoReader('-') as source, VideoWriter('-', source) as sink:\n"
        "    for item in source: sink.write(item)\n"
    )
    with clip.open("rb") as stdin, (tmp_path / "out.mkv").open("wb") as stdout:
        subprocess.run([sys.executable, "-c", script], stdin=stdin, stdout=stdout, check=True, timeout=60)
    before, after = facts(clip), facts(tmp_path / "out.mkv")
    assert after.times == before.times
    assert after.others[0].digests == before.others[0].digests


def test_names_that_look_like_protocols_or_patterns_are_files(tmp_path: Path, clip: Path) -> None:
    source = tmp_path / "12:30 %03d 'x'.mp4"
    source.write_bytes(clip.read_bytes())
    convert(source, tmp_path / "a:b %d.mp4")
    assert len(facts(tmp_path / "a:b %d.mp4").times) == 25


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, clip: Path) -> None:
    target = tmp_path / f"{'x' * 251}.mp4"
    convert(clip, target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
