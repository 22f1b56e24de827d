"""Help and usage errors: readable at any width, and nothing of the machinery in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise

import pytest
import typer
from typer.testing import CliRunner

from engines.common.spelling import close_matches, did_you_mean
from engines.registry.style import load_style
from streamtoon import __version__
from streamtoon.cli.app import app
from streamtoon.cli.commands import unbroken

GROUP = typer.main.get_command(app)
COMMANDS = ["", *GROUP.commands, "styles add", "dataset frames", "score images", "engine build"]  # type: ignore[attr-defined]
MACHINERY = re.compile(r"<(bool|str|int|float|Path|path|file|directory|list\[.*\])>|\[default: \(|\{\w+\}")


def _help(command: str, width: int) -> str:
    environment = {"COLUMNS": str(width), "TERM": "dumb"}
    done = CliRunner().invoke(app, [*command.split(), "--help"], env=environment)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("width", [60, 80, 105, 160])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fills_its_width_and_speaks_of_no_types(command: str, width: int) -> None:
    lines = _help(command, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not MACHINERY.search("\n".join(lines))
    top = next(n for n, line in enumerate(lines) if line.startswith("╭"))
    text = [line.strip() for line in lines[2:top]]
    for line, following in pairwise(text):
        if line and following:  # within a paragraph a line ends where the next word does not fit
            assert len(line) + 1 + len(following.split()[0]) > width - 2


def test_paragraphs_lose_their_line_breaks_and_examples_keep_them() -> None:
    assert unbroken("One\ntwo.\n\n  Three\n  four.") == "One two.\n\nThree four."
    assert unbroken("\b\na\nb") == "\b\na\nb"


def test_the_commands_are_grouped() -> None:
    lines = _help("", 80).splitlines()
    panels = [line.strip("╭╮─ ") for line in lines if line.startswith("╭")]
    assert panels == ["Options", "Convert", "Live", "Styles and training", "Measure"]


def test_defaults_are_told() -> None:
    text = re.sub(r"[│\s]+", " ", _help("video", 160))
    for option, default in (("--style", "comic"), ("--crf", "h264 19"), ("--preset", "h264 ultrafast")):
        following = text[text.index(f" {option} ") :]
        shown = following[following.index("[default:") :]
        assert shown.startswith(f"[default: {default}"), shown[:80]


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version(option: str) -> None:
    assert CliRunner().invoke(app, [option]).stdout == f"streamtoon {__version__}\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("video a b --strength 50%", "'50%' is not a number"),
        ("video a b --strength 5", "0 to 1"),
        ("video a b --crf x", "whole number"),
        ("video a b --quality best", "'best' is not one of"),
        ("video a b --quality ful", "Did you mean full?"),
        ("video a b --size 721p", "722p"),
        ("video a b --fps 1000", "out of range"),
        ("video a b --Overwrit", "Did you mean --overwrite?"),
        ("video a b -crf 20", "Did you mean --crf?"),
        ("vidoe a b", "Did you mean video"),
        ("styles shwo x", "Did you mean show?"),
        ("video a b --style ink -s comic", "preview IN --style ink --style comic"),
        ("video a b --from 3 --to 2", "--to must be later"),
        ("webcam --device 0", "use --camera 0"),
        ("webcam --device /dev/video0", "use --camera /dev/video0"),
        ("webcam --device lavfi::testsrc", "use --camera lavfi::testsrc"),
        ("webcam --engine-device cpu", "now called --device"),
        ("video", "IN is missing"),
    ],
)
def test_wrong_usage_is_told_in_plain_words(line: str, said: str) -> None:
    done = CliRunner().invoke(app, line.split(), env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 2
    assert said in done.stderr
    for machinery in ("Value error", "Input should", "unable to parse", "Invalid value:", "Possible options"):
        assert machinery not in done.stderr


@pytest.mark.parametrize(
    "line", ["VIDEO nothing.mp4 x.mp4", "video nothing.mp4 x.mp4 --quality FAST --style COMIC"]
)
def test_capitals_do_not_count(line: str) -> None:
    done = CliRunner().invoke(app, line.split())
    assert (done.exit_code, done.stderr) == (1, "error: nothing.mp4 does not exist.\n")


def test_a_style_is_found_whatever_its_capitals() -> None:
    assert load_style("Comic").name == "comic"
    done = CliRunner().invoke(app, ["styles", "show", "comc"])
    assert done.exit_code == 1 and "Did you mean comic?" in done.stderr


def test_near_misses() -> None:
    assert close_matches("overwrit", ["overwrite", "on-error", "json"]) == ["overwrite"]
    assert close_matches("INK", ["Ink", "pencil"]) == ["Ink"]
    assert did_you_mean("qqq", ["a", "b"]) == ""
    assert did_you_mean("x", []) == ""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("styles show com", "comic"),
        ("video --style in", "ink"),
        ("preview --style in", "ink"),
        ("train paint", "paint-and-ink"),
        ("video --quality li", "lite"),
        ("vid", "video"),
        ("video --ov", "--overwrite"),
    ],
)
def test_shells_complete(line: str, found: str) -> None:
    words = f"streamtoon {line}"
    program = "import sys; sys.argv = ['streamtoon']; from streamtoon.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "_STREAMTOON_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert found in done.stdout.split(), done.stderr
