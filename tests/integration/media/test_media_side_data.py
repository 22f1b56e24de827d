"""Side data and tags: each is decided on, in the code, in the docs and in the files that are written."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.packet
import pytest
from av.filter import Graph
from av.sidedata.sidedata import Type
from ffprobe import ffprobe, streams
from media_clips import convert, make_clip, scene
from paths import ROOT, SUPPORT
from side_data_clips import (
    CAPTIONS,
    FRAMES,
    MISB,
    of_photographs,
    spherical,
    time_code,
    with_messages,
)

from streamtoon.media.side_data import FRAMES as OF_FRAMES
from streamtoon.media.side_data import PACKETS, Decision
from streamtoon.media.writer.metadata import TAGS, decision_of

DOCS = ROOT / "docs" / "reference" / "files.md"


def kinds(path: Path) -> set[str]:
    """The side data of the video and its frames, as ffprobe names them."""
    found = ffprobe(path, "-select_streams", "v:0", "-show_streams", "-show_frames")
    lists = [each.get("side_data_list", []) for each in (*found["streams"], *found["frames"])]
    return {each["side_data_type"] for side_data in lists for each in side_data}


# --- the list ------------------------------------------------------------------------------------------


def test_every_kind_of_side_data_is_decided_on() -> None:
    """PyAV's names are FFmpeg's; its own filter knows some, and must be answered for all of them."""
    of_frames = [name for each in OF_FRAMES for name in each.names]
    assert len(of_frames) == len(set(of_frames))
    assert {each.name for each in Type} <= set(of_frames)
    graph = Graph()
    for name in ("A53_CC", "S12M_TIMECOD", "SPHERICAL"):
        graph.add("sidedata", mode="delete", type=name)
    of_packets = [name for each in PACKETS for name in each.names]
    assert sorted(of_packets) == sorted(set(of_packets))
    stub = Path(av.packet.__file__).with_name("packet.pyi").read_text()
    names = re.search(r"PktSideDataT = Literal\[(.*?)\]", stub, re.DOTALL)
    assert names is not None
    assert set(re.findall(r'"(\w+)"', names[1])) <= set(of_packets)


@pytest.mark.parametrize(
    ("heading", "decisions"),
    [("Side data of frames", OF_FRAMES), ("Side data of packets and streams", PACKETS), ("Tags", TAGS)],
)
def test_the_docs_have_the_same_list(heading: str, decisions: tuple[Decision, ...]) -> None:
    section = DOCS.read_text(encoding="utf-8").split(f"### {heading}\n")[1].split("\n#")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| {', '.join(f'`{name}`' for name in each.names)} | {each.fate} | {each.why} |"
        for each in decisions
    ]


def test_what_is_left_out_with_a_word_has_one() -> None:
    assert all(bool(each.said) == (each.fate == "left out, said") for each in OF_FRAMES)


@pytest.mark.parametrize(
    ("key", "fate"),
    [
        ("creation_time", "kept"),
        ("location-eng", "kept"),
        ("com.apple.quicktime.software", "kept"),
        ("my own key", "kept"),
        ("timecode", "moved with a cut"),
        ("number_of_frames-eng", "left out"),
        ("_statistics_tags", "left out"),
        ("hasvideo", "left out"),
        ("canseektoend", "left out"),
        ("has been seen", "kept"),
        ("encoded_by", "kept"),
        ("encoder_options", "left out"),
    ],
)
def test_a_key_is_decided_by_its_row(key: str, fate: str) -> None:
    assert decision_of(key).fate == fate


# --- files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (
            lambda path: with_messages(path, [CAPTIONS] * FRAMES),
            "ATSC A53 Part 4 Closed Captions",
            "captions",
        ),
        (lambda path: with_messages(path, [MISB] * FRAMES), "User Data Unregistered", "MISB"),
        (spherical, "Spherical Mapping", "spherical"),
        (
            lambda path: of_photographs(path.with_suffix(".mkv"), "JPEG", profile=True),
            "ICC profile",
            "profile",
        ),
    ],
)
def test_what_the_user_loses_is_said(
    tmp_path: Path, make: Callable[[Path], Path], kind: str, said: str
) -> None:
    source = make(tmp_path / "in.mp4")
    before = kinds(source)
    assert any(re.search(kind, each) for each in before), before
    warnings, written = convert(source, tmp_path / "out.mp4")
    assert written.frames == FRAMES
    assert len([each for each in warnings if said in each]) == 1
    if "Unregistered" not in kind:  # where x264 puts its settings
        assert not any(re.search(kind, each) for each in kinds(tmp_path / "out.mp4"))


def test_captions_that_begin_later_are_said_too(tmp_path: Path) -> None:
    source = with_messages(tmp_path / "in.mp4", [(5, bytes(range(1, 17)))] * 3 + [CAPTIONS] * 3)
    warnings, _ = convert(source, tmp_path / "out.mp4")
    assert any("captions" in each for each in warnings)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".avi"])
@pytest.mark.parametrize(("start", "code"), [(None, "10:20:30:05"), (0.08, "10:20:30:07")])
def test_a_time_code_within_the_frames_becomes_the_containers(
    tmp_path: Path, ending: str, start: float | None, code: str
) -> None:
    messages = [time_code(10, 20, 30, 5 + n) for n in range(FRAMES)]
    source = with_messages(tmp_path / "in.mkv", messages, "libx265")
    assert "SMPTE 12-1 timecode" in kinds(source)
    settings: dict[str, Any] = {} if start is None else {"start": start}
    warnings, _ = convert(source, tmp_path / f"out{ending}", **settings)
    (video,) = streams(tmp_path / f"out{ending}", "video")
    found = {key.lower(): value for key, value in video.get("tags", {}).items()}
    assert found.get("timecode") == (None if ending == ".avi" else code)
    assert any(code in each and "left out" in each for each in warnings) == (ending == ".avi")


@pytest.mark.parametrize("ending", [".mkv", ".webm", ".mp4"])
def test_two_views_in_a_frame_are_marked_or_said(tmp_path: Path, ending: str) -> None:
    options = {"x264-params": "frame-packing=3"}
    source = make_clip(tmp_path / "in.mp4", audio=None, options=options, pts=[512 * n for n in range(FRAMES)])
    assert "Stereo 3D" in kinds(source)
    warnings, _ = convert(source, tmp_path / f"out{ending}")
    assert any("stereoscopic" in each for each in warnings) == (ending == ".mp4")
    (video,) = streams(tmp_path / f"out{ending}", "video")
    views = [each["type"] for each in video.get("side_data_list", []) if "type" in each]
    assert views == ([] if ending == ".mp4" else ["side by side"])


def test_photographs_turned_by_their_exif_are_read(tmp_path: Path) -> None:
    """PyAV has no name for the kind of their EXIF: the orientation beside it is found all the same."""
    source = of_photographs(tmp_path / "in.mkv", "JPEG", profile=False)
    warnings, written = convert(source, tmp_path / "out.mp4")
    assert (warnings, written.frames) == ([], FRAMES)
    (video,) = streams(tmp_path / "out.mp4", "video")
    turned = [each["rotation"] for each in video["side_data_list"] if "rotation" in each]
    assert turned == [-90]


def test_named_profiles_of_png_do_not_end_the_process(tmp_path: Path) -> None:
    """In a process of its own: what PyAV frees twice ends it later, anywhere."""
    source = of_photographs(tmp_path / "in.mov", "PNG", profile=True)
    job = (
        "import ast, gc, sys; from pathlib import Path; from streamtoon.media import VideoReader\n"
        "with VideoReader(sys.argv[1]) as source: count = sum(1 for _ in source.frames())\n"
        "gc.collect(); [ast.parse(path.read_text()) for path in Path(sys.argv[2]).glob('*.py')]; print(count)"
    )
    command = [sys.executable, "-c", job, str(source), str(SUPPORT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{FRAMES}\n"), done.stderr


TAGGED = {
    "creation_time": "2024-05-06T07:08:09.000000Z",
    "LOCATION": "+47.3769+008.5417/",
    "COMPANY_NAME": "Old Encoders",
    "ENCODER_SETTINGS": "slow",
    "MAJOR_BRAND": "isom",
    "my own key": "kept",
}
OF_STREAM = {
    "BPS-eng": "12345",
    "NUMBER_OF_FRAMES": "999",
    "_STATISTICS_TAGS": "BPS",
    "ROTATE": "90",
    "title": "Ours",
}


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_tags_stay_where_they_are_true(tmp_path: Path, ending: str) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        out.metadata.update(TAGGED)
        video.metadata.update(OF_STREAM)
        frame = av.VideoFrame.from_ndarray(scene(64, 48, 0), "rgb24")
        frame.pts = 0
        out.mux(video.encode(frame))
        out.mux(video.encode(None))
    before = ffprobe(source)
    convert(source, tmp_path / f"out{ending}")
    after = ffprobe(tmp_path / f"out{ending}")

    def tags(found: dict[str, Any]) -> dict[str, str]:
        known = {**found["streams"][0].get("tags", {}), **found["format"]["tags"]}
        return {key.lower(): value for key, value in known.items()}

    assert {"company_name", "number_of_frames", "rotate", "bps-eng"} <= set(tags(before))
    stale = {"company_name", "encoder_settings", "bps-eng", "number_of_frames", "_statistics_tags", "rotate"}
    assert not stale & set(tags(after))
    kept = {key: tags(after).get(key) for key in ("creation_time", "location")}
    assert kept == {"creation_time": TAGGED["creation_time"], "location": TAGGED["LOCATION"]}
    assert "kept" in tags(after).values()
    assert ending == ".mp4" or tags(after)["title"] == "Ours"
