from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from streamtoon.cli.app import app


def _photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)).save(path)
    return path


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_one_photo_and_one_line(style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jpg"
    done = CliRunner().invoke(
        app, ["image", str(_photo(tmp_path / "in.png")), str(target), "--style", str(style_folder)]
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{target}: 32x24 in ")
    assert done.stdout.count("\n") == 1
    with Image.open(target) as image:
        assert (image.format, image.size) == ("JPEG", (32, 24))


def test_one_photo_into_a_folder_that_is_there(style_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    source = _photo(tmp_path / "in.png")
    done = CliRunner().invoke(
        app, ["image", str(source), str(tmp_path / "out"), "--style", str(style_folder), "--json"]
    )
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert report["output"]["path"] == str(tmp_path / "out" / "in.png")
    assert report["engine"]["style"] == "shaken"


def test_several_photos_one_of_them_broken(style_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    sources = [_photo(tmp_path / "a.png"), tmp_path / "broken.png", _photo(tmp_path / "b.jpg")]
    arguments = ["image", *map(str, sources), str(tmp_path / "out"), "--style", str(style_folder), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert _files(tmp_path / "out") == ["a.png", "b.jpg"]
    files = json.loads(done.stdout)["files"]
    assert ["error" in each for each in files] == [False, True, False]
    assert done.stderr.splitlines()[-1].endswith(f"could not be converted: {sources[1]}.")


def test_a_folder_keeps_its_shape(style_folder: Path, tmp_path: Path) -> None:
    _photo(tmp_path / "in" / "a.png")
    _photo(tmp_path / "in" / "deep" / "a.png", 1)
    (tmp_path / "in" / "notes.txt").write_text("hello")
    (tmp_path / "in" / ".hidden.png").write_bytes(b"nothing")
    done = CliRunner().invoke(
        app, ["image", str(tmp_path / "in"), str(tmp_path / "in" / "out"), "--style", str(style_folder)]
    )
    assert done.exit_code == 0, done.output
    assert _files(tmp_path / "in" / "out") == ["a.png", "deep/a.png"]
    assert done.stderr == f"skipped: {tmp_path / 'in' / 'notes.txt'} is no picture\n"


def test_two_photos_of_one_name_are_refused(style_folder: Path, tmp_path: Path) -> None:
    sources = [_photo(tmp_path / "a" / "x.png"), _photo(tmp_path / "b" / "x.png")]
    done = CliRunner().invoke(
        app, ["image", *map(str, sources), str(tmp_path / "out"), "--style", str(style_folder)]
    )
    assert done.exit_code == 1
    assert "would both become" in done.stderr
    assert not (tmp_path / "out").exists()


def test_several_photos_into_one_file_are_refused(style_folder: Path, tmp_path: Path) -> None:
    sources = [_photo(tmp_path / name) for name in ("a.png", "b.png", "there.png")]
    done = CliRunner().invoke(app, ["image", *map(str, sources), "--style", str(style_folder)])
    assert done.exit_code == 1
    assert "is a file, but 2 results were asked for" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["image"], ["image", "in.png"], ["image", "a", "b", "--strength", "2"]]
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_what_is_lost_is_a_warning(style_folder: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16)).save(tmp_path / "in.png")
    done = CliRunner().invoke(
        app,
        ["image", str(tmp_path / "in.png"), str(tmp_path / "out.jpg"), "-q", "--style", str(style_folder)],
    )
    assert done.exit_code == 0
    assert done.stderr == "warning: JPEG has no transparency: in.png was laid on white.\n"
