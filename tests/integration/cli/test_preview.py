"""`streamtoon preview`: the sheet of one frame in every style."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from media_clips import make_clip
from PIL import Image
from typer.testing import CliRunner

from streamtoon.cli.app import app
from streamtoon.errors import InputError, OutputError, StyleError
from streamtoon.tools.preview import GAP_PIXELS, LABEL_PIXELS, preview, read_frame


def _photo(path: Path, size: tuple[int, int] = (320, 180)) -> Path:
    ramp = np.linspace(0, 255, size[0], dtype=np.uint8)
    Image.fromarray(np.broadcast_to(ramp[None, :, None], (size[1], size[0], 3)).copy()).save(path)
    return path


def test_a_sheet_holds_the_source_and_each_style(style_folder: Path, tmp_path: Path) -> None:
    photo = _photo(tmp_path / "photo.png")
    done = preview(photo, tmp_path / "sheet.png", [str(style_folder)])
    assert done.styles == (str(style_folder),)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (done.width, done.height)
        pixels = np.asarray(sheet)
    source = pixels[GAP_PIXELS : GAP_PIXELS + 180, GAP_PIXELS : GAP_PIXELS + 320]
    assert np.array_equal(source, np.asarray(Image.open(photo)))
    columns, rows = (
        (done.width - GAP_PIXELS) // (320 + GAP_PIXELS),
        (done.height - GAP_PIXELS) // (180 + LABEL_PIXELS + GAP_PIXELS),
    )
    assert columns * rows >= 2


def test_the_command_writes_beside_the_source_and_tells_it(style_folder: Path, tmp_path: Path) -> None:
    photo = _photo(tmp_path / "photo.png")
    done = CliRunner().invoke(app, ["preview", str(photo), "--style", str(style_folder), "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["output"] == str(tmp_path / "photo_styles.png")
    assert Path(facts["output"]).is_file()
    again = CliRunner().invoke(app, ["preview", str(photo), "--style", str(style_folder)])
    assert again.exit_code == 1 and "already exists" in again.stderr


def test_a_frame_is_that_of_its_time(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=[512 * n for n in range(50)])
    assert read_frame(clip, 0.5).shape == read_frame(clip).shape
    with pytest.raises(InputError, match="it has no frame at"):
        read_frame(clip, 1e4)


def test_a_style_that_cannot_draw_is_left_out_and_named(style_folder: Path, tmp_path: Path) -> None:
    photo = _photo(tmp_path / "photo.png")
    done = preview(photo, tmp_path / "sheet.png", [str(style_folder), "missing"])
    assert done.styles == (str(style_folder),)
    assert "unknown style" in done.skipped["missing"]
    with pytest.raises(StyleError, match="unknown style"):
        preview(photo, tmp_path / "other.png", ["missing"])
    assert not (tmp_path / "other.png").exists()


@pytest.mark.parametrize(
    ("source", "target", "at", "error", "said"),
    [
        ("photo.png", "sheet.mp4", None, OutputError, "image extension"),
        ("photo.png", "sheet.png", 1.0, InputError, "--at is for videos"),
        ("absent.png", "sheet.png", None, InputError, "does not exist"),
        ("words.txt", "sheet.png", None, InputError, "words.txt"),
    ],
)
def test_bad_input_gets_a_sentence(
    source: str, target: str, at: float | None, error: type[Exception], said: str, tmp_path: Path
) -> None:
    _photo(tmp_path / "photo.png")
    (tmp_path / "words.txt").write_text("no film")
    with pytest.raises(error, match=said):
        preview(tmp_path / source, tmp_path / target, ["comic"], at=at)
    assert not (tmp_path / target).exists()
