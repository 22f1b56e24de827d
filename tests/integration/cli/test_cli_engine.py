"""`streamtoon engine`: built engines listed and removed; what cannot be built or tried is one sentence."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
from plan_parts import KEY
from typer.testing import CliRunner

from engines.backends.selection import available
from engines.backends.tensorrt.engine_cache import PlanCache
from streamtoon.cli.app import app

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the cache's place is set by XDG_CACHE_HOME")
FACTS: dict[str, str | int | float] = {
    "style": "comic",
    "width": 1280,
    "height": 720,
    "batch": 4,
    "psnr": 51.25,
}
WIDE = {"COLUMNS": "160"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlanCache:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return PlanCache.of_user()


@pytest.fixture
def problem() -> str:
    """Why TensorRT cannot be used here, where it cannot."""
    row = next(row for row in available() if row.name == "tensorrt")
    if row.present:
        pytest.skip("TensorRT works here")
    return row.problem


def test_no_engines_is_said(cache: PlanCache) -> None:
    done = CliRunner().invoke(app, ["engine", "list"])
    assert done.exit_code == 0
    assert done.stdout == "The cache is empty. The first video that TensorRT draws adds an engine.\n"
    assert json.loads(CliRunner().invoke(app, ["engine", "list", "--json"]).stdout) == {
        "folder": str(cache.folder),
        "engines": [],
    }


def test_the_list_tells_size_key_and_last_use(cache: PlanCache) -> None:
    cache.write(KEY, b"x" * 3_000_000, FACTS)
    done = CliRunner().invoke(app, ["engine", "list"], env=WIDE)
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    for word in ("comic 1280x720, 4 at a time", "fp16 via onnx", "51.25", "2.9", "GTX 1060", "10.13.0.35"):
        assert word in text
    (row,) = json.loads(CliRunner().invoke(app, ["engine", "list", "--json"]).stdout)["engines"]
    assert row["file"] == KEY.digest
    assert row["key"] == dataclasses.asdict(KEY)
    assert (row["facts"], row["bytes"]) == (FACTS, 3_000_000)


def test_names_from_a_sidecar_cannot_play_with_the_terminal(cache: PlanCache) -> None:
    cache.write(dataclasses.replace(KEY, gpu="\x1b[31mGPU"), b"x", {**FACTS, "style": "\x1b]0;title\x07"})
    done = CliRunner().invoke(app, ["engine", "list"], env=WIDE)
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout


def test_clearing_removes_them_all(cache: PlanCache) -> None:
    cache.write(KEY, b"x" * 2_000_000, FACTS)
    done = CliRunner().invoke(app, ["engine", "clear"])
    assert done.exit_code == 0
    assert done.stdout == "1 engine removed, 1.9 MB.\n"
    assert cache.entries() == []
    assert cache.folder is not None
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("command", [["build"], ["build", "--via", "torch2trt"], ["verify"]])
def test_without_tensorrt_it_is_one_sentence(cache: PlanCache, problem: str, command: list[str]) -> None:
    done = CliRunner().invoke(app, ["engine", *command])
    assert done.exit_code == 1
    assert done.stderr == f"error: {problem.rstrip('.')}.\n"
    assert done.stdout == ""


@pytest.mark.parametrize("size", ["720p", "0x720", "1280x", "99999x720", "-1x2"])
def test_a_size_that_is_none_is_wrong_usage(cache: PlanCache, size: str) -> None:
    done = CliRunner().invoke(app, ["engine", "build", f"--size={size}"])
    assert done.exit_code == 2
    assert "WIDTHxHEIGHT" in done.stderr


def test_an_unknown_style_is_one_sentence(cache: PlanCache) -> None:
    done = CliRunner().invoke(app, ["engine", "build", "--style", "nobody"])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: unknown style 'nobody'")
