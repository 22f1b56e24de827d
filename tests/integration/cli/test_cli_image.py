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
    assert done.stdout.startswith(f"{target} (") and ": 32x24 in " in done.stdout
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
    assert done.stderr == f"skipped: {tmp_path / 'in' / 'notes.txt'} is not an image\n"


def test_every_kind_in_a_folder_is_drawn_under_a_name_that_can_be_written(
    style_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    photo = Image.open(_photo(tmp_path / "photo.png"))
    for name in ("a.JPG", "b.avif", "c.jfif", "d.tiff", "e.webp", "f.jp2", "g.ppm", "h.tga", "i.psd.png"):
        photo.save(folder / name, "PNG" if name.endswith("png") else None)
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._a.JPG", "__MACOSX/._a.JPG", "@eaDir/a.JPG"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"a system's own")
    (folder / "broken.jpg").write_bytes(b"no picture")
    done = CliRunner().invoke(
        app, ["image", str(folder), str(tmp_path / "out"), "--style", str(style_folder)]
    )
    assert done.exit_code == 1
    assert done.stderr.count("broken.jpg") == 2 and "skipped" not in done.stderr
    drawn = {
        "a.JPG": "JPEG",
        "b.avif": "AVIF",
        "c.jfif": "JPEG",
        "d.tiff": "TIFF",
        "e.webp": "WEBP",
        "f.jp2.png": "PNG",
        "g.ppm.png": "PNG",
        "h.tga.png": "PNG",
        "i.psd.png": "PNG",
    }
    assert _files(tmp_path / "out") == sorted(drawn)
    for name, form in drawn.items():
        with Image.open(tmp_path / "out" / name) as image:
            assert (image.format, image.size) == (form, photo.size)


def test_one_photo_into_a_folder_gets_a_name_that_can_be_written(style_folder: Path, tmp_path: Path) -> None:
    with Image.open(_photo(tmp_path / "a.png")) as photo:
        photo.save(tmp_path / "in.jp2")
    (tmp_path / "out").mkdir()
    done = CliRunner().invoke(
        app, ["image", str(tmp_path / "in.jp2"), str(tmp_path / "out"), "--style", str(style_folder)]
    )
    assert done.exit_code == 0, done.output
    assert _files(tmp_path / "out") == ["in.jp2.png"]


def test_the_source_stands_beside_its_cartoon(style_folder: Path, tmp_path: Path) -> None:
    source = _photo(tmp_path / "in.png")
    arguments = ["image", str(source), str(tmp_path / "out.png"), "--style", str(style_folder)]
    assert CliRunner().invoke(app, [*arguments, "--side-by-side"]).exit_code == 0
    with Image.open(source) as before, Image.open(tmp_path / "out.png") as after:
        width, height = before.size
        assert after.size == (2 * width, height)
        assert after.crop((0, 0, width, height)).tobytes() == before.convert("RGB").tobytes()
        assert after.crop((width, 0, 2 * width, height)).tobytes() != before.convert("RGB").tobytes()


def test_nothing_converted_leaves_no_folder(style_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "new" / "out"
    for sources in (
        [tmp_path / "in"],
        [tmp_path / "in" / "deep" / "broken.jpg"] * 2,
        [tmp_path / "none.jpg", "b"],
    ):
        done = CliRunner().invoke(
            app, ["image", *map(str, dict.fromkeys(sources)), str(out), "--style", str(style_folder)]
        )
        assert done.exit_code == 1
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("command", "name"), [("image", "all.png"), ("video", "all.mp4")])
def test_a_folder_does_not_become_a_folder_called_like_a_file(
    tmp_path: Path, command: str, name: str
) -> None:
    _photo(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.mp4").write_bytes(b"a video")
    done = CliRunner().invoke(app, [command, str(tmp_path / "in"), str(tmp_path / name)])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1 and "ive a folder" in done.stderr
    assert not (tmp_path / name).exists()


def test_two_photos_of_one_name_are_refused(style_folder: Path, tmp_path: Path) -> None:
    sources = [_photo(tmp_path / "a" / "x.png"), _photo(tmp_path / "b" / "x.png")]
    done = CliRunner().invoke(
        app, ["image", *map(str, sources), str(tmp_path / "out"), "--style", str(style_folder)]
    )
    assert done.exit_code == 1
    assert "would both be written to" in done.stderr
    assert not (tmp_path / "out").exists()


def test_several_photos_into_one_file_are_refused(style_folder: Path, tmp_path: Path) -> None:
    first, second, there = (str(_photo(tmp_path / name)) for name in ("a.png", "b.png", "there.png"))
    done = CliRunner().invoke(app, ["image", first, second, "-o", there, "--style", str(style_folder)])
    assert done.exit_code == 1
    assert "there.png is a file" in done.stderr


@pytest.mark.parametrize("arguments", [["image"], ["image", "a", "b", "--strength", "2"]])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_what_is_lost_is_a_warning(style_folder: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16)).save(tmp_path / "in.png")
    done = CliRunner().invoke(
        app,
        ["image", str(tmp_path / "in.png"), str(tmp_path / "out.jpg"), "-q", "--style", str(style_folder)],
    )
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: JPEG has no transparency") and done.stderr.count("\n") == 1
