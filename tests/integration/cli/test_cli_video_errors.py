"""`streamtoon video` and what a user can do wrong: one sentence, exit 1, nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lavfi_clips import make_clip, make_tone
from typer.testing import CliRunner

from streamtoon.cli.app import app


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


def _truncated(folder: Path) -> Path:
    whole = make_clip(folder / "whole.mp4").read_bytes()
    (folder / "whole.mp4").unlink()
    (folder / "in.mp4").write_bytes(whole[: len(whole) // 2])
    return folder / "in.mp4"


def _written(folder: Path, content: bytes) -> Path:
    (folder / "in.mp4").write_bytes(content)
    return folder / "in.mp4"


INPUTS = {
    "missing": lambda folder: folder / "nothing.mp4",
    "empty": lambda folder: _written(folder, b""),
    "text": lambda folder: _written(folder, b"Once upon a time there was no video.\n" * 50),
    "truncated": _truncated,
    "sound alone": lambda folder: make_tone(folder / "in.m4a"),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_a_bad_input_is_one_sentence(kind: str, style_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    source = INPUTS[kind](tmp_path)
    target = tmp_path / "out" / "out.mp4"
    done = CliRunner().invoke(app, ["video", str(source), str(target), "--style", str(style_folder)])
    _assert_one_sentence(done)
    assert str(source) in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def _assert_one_sentence(done: object) -> None:
    assert done.exit_code == 1, done.output  # type: ignore[attr-defined]
    err: str = done.stderr  # type: ignore[attr-defined]
    assert err.startswith("error: ")
    assert err.endswith(".\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert done.stdout == ""  # type: ignore[attr-defined]


def test_a_bad_output_is_one_sentence(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_bytes(b"mine")
    for target in (
        clip,
        tmp_path / "there.mp4",
        tmp_path / "there.mp4" / "out.mp4",
        tmp_path / "out.xyz",
        tmp_path / "out",
    ):
        arguments = ["video", str(clip), str(target), "--style", str(style_folder)]
        _assert_one_sentence(CliRunner().invoke(app, arguments))
    assert (tmp_path / "there.mp4").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["there.mp4"]


def test_the_input_is_never_the_output(clip: Path, style_folder: Path) -> None:
    before = clip.read_bytes()
    arguments = ["video", str(clip), str(clip), "--style", str(style_folder), "--overwrite"]
    _assert_one_sentence(CliRunner().invoke(app, arguments))
    assert clip.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_an_unwritable_folder_is_one_sentence(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    arguments = ["video", str(clip), str(tmp_path / "out.mp4"), "--style", str(style_folder)]
    _assert_one_sentence(CliRunner().invoke(app, arguments))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder that takes no files even from root")
def test_a_folder_that_takes_no_files_is_one_sentence(clip: Path, style_folder: Path) -> None:
    _assert_one_sentence(
        CliRunner().invoke(app, ["video", str(clip), "/proc/out.mp4", "--style", str(style_folder)])
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--style", "nobody"],
        ["--style", ""],
        ["--device", "abacus"],
        ["--codec", "nonsense"],
        ["--preset", "nonsense"],
        ["--from", "1000"],
    ],
)
def test_what_is_not_here_is_one_sentence(
    clip: Path, style_folder: Path, tmp_path: Path, options: list[str]
) -> None:
    style = [] if "--style" in options else ["--style", str(style_folder)]
    arguments = ["video", str(clip), str(tmp_path / "out.mp4"), *style, *options]
    _assert_one_sentence(CliRunner().invoke(app, arguments))
    assert list(tmp_path.iterdir()) == []


def test_a_strange_name_is_printed_on_one_line(style_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "[red]a\nb\x1b[31m.mp4"
    source.write_bytes(b"nothing")
    done = CliRunner().invoke(
        app, ["video", str(source), str(tmp_path / "out.mp4"), "--style", str(style_folder)]
    )
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "[red]a�b�[31m.mp4" in done.stderr
