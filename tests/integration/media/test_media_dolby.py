"""Dolby Vision that only Dolby's decoders show right is refused before anything is done."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import pytest
from ffprobe import streams
from media_clips import make_clip

from streamtoon.errors import InputError
from streamtoon.media import VideoReader, probe

RECORDS = {5: (b"dvcC", 0), 8: (b"dvvC", 1), 7: (b"dvcC", 6), 10: (b"dvvC", 0)}
"""By profile: the box's name and what the base layer is compatible with."""


def with_record(path: Path, profile: int) -> Path:
    """A second of HEVC or AV1 with a Dolby Vision record in the place of its bit rates' box."""
    name, compatible = RECORDS[profile]
    plain = path.with_name("plain.mp4")
    codec = "libsvtav1" if profile == 10 else "libx265"
    data = bytearray(make_clip(plain, codec=codec, audio=None, pts=[512 * n for n in range(10)]).read_bytes())
    at = data.index(b"btrt", data.index(b"stsd"))
    flags = profile << 9 | 1 << 3 | 1 << 2 | 1  # level 1, with metadata and base layer
    data[at : at + 16] = name + bytes([1, 0]) + struct.pack(">HB", flags, compatible << 4) + bytes(7)
    plain.write_bytes(data)
    with av.open(str(plain)) as file, av.open(str(path), "w", container_options={"strict": "-1"}) as out:
        copy = out.add_stream_from_template(file.streams.video[0], opaque=True)
        for packet in file.demux():
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    (video,) = streams(path, "video")
    (record,) = [each for each in video["side_data_list"] if "DOVI" in each["side_data_type"]]
    assert (record["dv_profile"], record["dv_bl_signal_compatibility_id"]) == (profile, compatible)
    return path


@pytest.mark.parametrize(("profile", "ending"), [(5, ".mp4"), (5, ".mkv"), (10, ".mp4"), (10, ".mkv")])
def test_own_colors_are_refused_in_one_sentence(tmp_path: Path, profile: int, ending: str) -> None:
    source = with_record(tmp_path / f"in{ending}", profile)
    for read in (VideoReader, probe):
        with pytest.raises(InputError, match=f"Dolby Vision profile {profile}.*Convert it to HDR10") as told:
            read(source)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("profile", [7, 8])
def test_a_base_that_others_know_is_read(tmp_path: Path, profile: int) -> None:
    with VideoReader(with_record(tmp_path / "in.mp4", profile)) as source:
        assert sum(1 for _ in source.frames()) == 10
