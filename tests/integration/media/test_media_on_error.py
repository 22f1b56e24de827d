"""`--on-error`: damage is repaired and counted, or ends the run with one sentence that says where it lies."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import corpus
import pytest
from lavfi_clips import make_clip
from media_clips import facts
from typer.testing import CliRunner

from streamtoon import Cartoonizer
from streamtoon.cli.app import app
from streamtoon.errors import InputError
from streamtoon.media import VideoReader

QUICK = ["--strength", "0", "--quality", "lite"]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds; what lies between 2 and 3 s is noise."""
    folder = tmp_path_factory.mktemp("damaged")
    whole = make_clip(folder / "whole.mkv", frames=100, sound=False)
    data = bytearray(whole.read_bytes())
    at = len(data) * 5 // 8
    data[at : at + 400] = random.Random(3).randbytes(400)
    (folder / "bad.mkv").write_bytes(data)
    return folder / "bad.mkv"


def test_repair_is_the_default_and_counts(damaged: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["video", str(damaged), str(tmp_path / "out.mkv"), "--json", "-q", *QUICK])
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert any(re.match(r"The video is damaged in \d+ places?: ", each) for each in report["warnings"])
    whole, out = facts(damaged.with_name("whole.mkv")).times, facts(tmp_path / "out.mkv").times
    assert 50 < len(out) <= 100
    assert set(out) <= set(whole)
    assert out[-1] == whole[-1]


def test_stop_says_where_and_leaves_nothing(damaged: Path, tmp_path: Path) -> None:
    arguments = ["video", str(damaged), str(tmp_path / "out.mkv"), "--on-error", "stop", *QUICK]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    found = re.fullmatch(
        r"error: .*bad\.mkv is damaged at 0:00:0(\d\.\d{3})\. Use --on-error repair .*\.\n",
        done.stderr,
    )
    assert found, done.stderr
    assert 1.0 < float(found[1]) < 4
    assert list(tmp_path.iterdir()) == []


def test_damage_outside_of_the_cut_is_no_matter(damaged: Path) -> None:
    with VideoReader(damaged, end=0.5, on_error="stop") as source:
        assert sum(1 for _ in source.frames()) == 13
    with VideoReader(damaged, start=3.5, on_error="stop") as source:
        assert sum(1 for _ in source.frames()) > 5


def test_a_file_that_ends_early_stops_too(tmp_path: Path) -> None:
    path = list(corpus.cut(tmp_path, ".mp4", container_options={"movflags": "+faststart"}))[11]
    with pytest.raises(InputError, match=r"ends early: it declares 25 frames|is damaged at"):
        Cartoonizer(strength=0, quality="lite").video(path, tmp_path / "out.mkv", on_error="stop")
    assert not (tmp_path / "out.mkv").exists()


def test_a_matroska_that_ends_early_is_told(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "whole.mkv", frames=100, sound=False).read_bytes()
    (tmp_path / "in.mkv").write_bytes(data[: len(data) // 2])
    with VideoReader(tmp_path / "in.mkv") as source:
        list(source)
        assert any(each.startswith("The file ends early: it declares 4.0 s") for each in source.warnings)


def test_anything_else_is_wrong_usage(damaged: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["video", str(damaged), str(tmp_path / "out.mkv"), "--on-error", "pray"])
    assert done.exit_code == 2
    with pytest.raises(ValueError, match="expected one of repair, stop"):
        Cartoonizer().video(damaged, tmp_path / "out.mkv", on_error="pray")  # type: ignore[arg-type]
