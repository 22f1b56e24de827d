"""Which files a line names: results without a name, several inputs, folders, pipes, no command."""

from __future__ import annotations

from pathlib import Path

import pytest
from lavfi_clips import make_clip
from typer.testing import CliRunner

from streamtoon.cli.app import app
from streamtoon.cli.commands import UsageError
from streamtoon.cli.default_command import implied_command
from streamtoon.cli.files import PHOTOS, Named, jobs_of, named, target_of, videos
from streamtoon.errors import OutputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a.mp4, b.mpg, c.MOV, a folder `there` and a photo; it is the working folder."""
    for name in ("a.mp4", "b.mpg", "c.MOV", "p.jpg", "q.heic"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("files", "inputs", "output", "sources", "target"),
    [
        (["a.mp4"], [], None, ("a.mp4",), None),
        (["a.mp4", "x.mp4"], [], None, ("a.mp4",), "x.mp4"),
        (["a.mp4", "b.mpg", "there"], [], None, ("a.mp4", "b.mpg"), "there"),
        (["a.mp4", "b.mpg", "new"], [], None, ("a.mp4", "b.mpg"), "new"),
        (["a.mp4", "b.mpg", "c.MOV"], [], None, ("a.mp4", "b.mpg", "c.MOV"), None),
        (["a.mp4", "b.mpg"], [], "there", ("a.mp4", "b.mpg"), "there"),
        ([], ["a.mp4"], "x.mp4", ("a.mp4",), "x.mp4"),
        (["x.mp4"], ["a.mp4"], None, ("a.mp4",), "x.mp4"),
        (["-", "-"], [], None, ("-",), "-"),
    ],
)
def test_in_and_out_are_told_apart(
    files: list[str], inputs: list[str], output: str | None, sources: tuple[str, ...], target: str | None
) -> None:
    assert named(files, inputs, output) == Named(sources, target)


@pytest.mark.parametrize(
    ("files", "inputs", "output"), [([], [], None), (["x", "y"], ["a"], None), (["x"], ["a"], "y")]
)
def test_what_cannot_be_told_apart_is_refused(
    files: list[str], inputs: list[str], output: str | None
) -> None:
    with pytest.raises(UsageError):
        named(files, inputs, output)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("source", "target", "becomes"),
    [
        ("a.mp4", None, "a_cartoon.mp4"),
        ("b.mpg", None, "b_cartoon.mp4"),
        ("c.MOV", None, "c_cartoon.MOV"),
        ("there/x.webm", None, "there/x_cartoon.webm"),
        ("a.mp4", "there", "there/a.mp4"),
        ("b.mpg", "new/", "new/b.mpg.mkv"),
        ("a.mp4", "./", "a_cartoon.mp4"),
        ("-", "x.mkv", "x.mkv"),
        ("a.mp4", "-", "-"),
    ],
)
def test_the_result_has_a_place(source: str, target: str | None, becomes: str) -> None:
    assert target_of(source, target, videos()) == becomes


@pytest.mark.parametrize(("source", "becomes"), [("p.jpg", "p_cartoon.jpg"), ("q.heic", "q_cartoon.png")])
def test_a_photo_keeps_its_format_where_it_can_be_written(source: str, becomes: str) -> None:
    assert target_of(source, None, PHOTOS) == becomes


@pytest.mark.parametrize("target", [None, "new/"])
def test_a_pipe_without_a_name_is_refused(target: str | None) -> None:
    with pytest.raises(UsageError):
        target_of("-", target, videos())


@pytest.mark.usefixtures("folder")
def test_several_become_one_each() -> None:
    def pairs(sources: tuple[str, ...], target: str | None) -> list[tuple[str, str]]:
        return [(str(here), str(there)) for here, there in jobs_of(Named(sources, target), videos()).pairs]

    both = ("a.mp4", "b.mpg")
    assert pairs(both, None) == [("a.mp4", "a_cartoon.mp4"), ("b.mpg", "b_cartoon.mp4")]
    assert pairs(both, "new") == [("a.mp4", "new/a.mp4"), ("b.mpg", "new/b.mpg.mkv")]
    assert pairs(both, ".") == [("a.mp4", "a_cartoon.mp4"), ("b.mpg", "b.mpg.mkv")]
    again = jobs_of(Named((*both, "a_cartoon.mp4"), None), videos())
    assert len(again.pairs) == 2 and "a_cartoon.mp4" in again.skipped[0]
    with pytest.raises(OutputError, match=r"one\.mp4"):
        jobs_of(Named(both, "one.mp4"), videos())
    for sources, target in ((("a.mp4", "there"), None), (("a.mp4", "-"), None), (both, "-")):
        with pytest.raises(UsageError):
            jobs_of(Named(sources, target), videos())


def test_a_folder_becomes_a_folder_beside_it(folder: Path) -> None:
    wanted = {"a.mp4", "b.mpg.mkv", "c.MOV"}
    jobs = jobs_of(Named((str(folder),), None), videos())
    assert {str(there.relative_to(f"{folder}_cartoon")) for _, there in jobs.pairs} == wanted
    here = jobs_of(Named((".",), None), videos())
    assert {there.resolve() for _, there in here.pairs} == {there for _, there in jobs.pairs}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("a.mp4 x.mp4", "video"),
        ("nothing.mkv x.mkv", "video"),
        ("p.jpg x.png", "image"),
        ("cat.gif x.gif", "image"),
        ("cat.gif x.mp4", "video"),
        ("- -", "video"),
        ("--style ink a.mp4 x.mp4", "video"),
        ("-i p.jpg -o x.png", "image"),
        (".", "video"),
        ("there", "video"),
        ("vidoe a.mp4", None),
        ("--nonsense a.mp4", None),
        ("", None),
    ],
)
def test_a_line_without_a_command_is_understood(line: str, command: str | None) -> None:
    assert implied_command(line.split(), {"--style", "-i"}) == command


def test_a_clip_alone_becomes_a_cartoon_beside_it(style_folder: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "holiday.mp4", frames=4)
    done = CliRunner().invoke(app, [str(clip), "-s", str(style_folder)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "holiday_cartoon.mp4").stat().st_size > 0
    again = CliRunner().invoke(app, [str(clip), "-s", str(style_folder)])
    assert again.exit_code == 1 and "--overwrite" in again.stderr
    assert CliRunner().invoke(app, [str(clip), "-y", "-q", "-s", str(style_folder)]).exit_code == 0


def test_folders_are_made_and_not_left_behind(style_folder: Path, tmp_path: Path) -> None:
    clip, broken = make_clip(tmp_path / "in.mp4", frames=4), tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    style = ["-s", str(style_folder)]
    done = CliRunner().invoke(app, ["video", str(clip), str(tmp_path / "new" / "deep" / "out.mkv"), *style])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "new" / "deep" / "out.mkv").exists()
    assert (
        CliRunner().invoke(app, ["video", str(broken), str(tmp_path / "no" / "x.mkv"), *style]).exit_code == 1
    )
    assert not (tmp_path / "no").exists()
