"""The steps in CONTRIBUTING.md lead where they say."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import subprocess
import tomllib

import pytest
from paths import ROOT
from typer.testing import CliRunner

from engines.backends.registry import BACKENDS
from engines.generators import GENERATORS, create
from streamtoon.cli.app import app

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def _section(title: str) -> str:
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"`([\w./-]+/[\w./-]+)`", TEXT))
    assert len(named) > 8
    patterns = {name for name in named if "NAME" in name}
    for name in named - patterns:
        assert (ROOT / name).exists(), name
    for name in patterns:
        assert list(ROOT.glob(name.replace("NAME", "*"))), name


def test_the_map_names_every_folder_and_nothing_else() -> None:
    drawn = re.findall(r"^(\w+)/ ", _section("The map of the house"), re.MULTILINE)
    assert sorted(drawn) == ["deploy", "engines", "eval", "samples", "streamtoon", "tests", "training"]
    inner = re.findall(r"(?<=[ (])(\w+)/(?=[ ,)])", _section("The map of the house").replace("\n", " "))
    tops = ("streamtoon", "engines", "training", "eval", "tests")
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    folders |= {path.name for top in tops for path in (ROOT / top).rglob("*") if path.is_dir()}
    assert set(inner) <= folders, set(inner) - folders


def test_the_map_fits_on_a_screen() -> None:
    assert len(_section("The map of the house").strip().splitlines()) <= 20


def test_the_check_command_runs_the_four_rules() -> None:
    script = ROOT / ".ci" / "check"
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines[-4:] == ["ruff check .", "ruff format --check .", "mypy", "lint-imports --no-cache"]
    for user in (".ci/run", ".pre-commit-config.yaml"):
        assert ".ci/check" in (ROOT / user).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_a_generator_is_a_file_a_class_and_a_row(name: str) -> None:
    assert GENERATORS[name].startswith(f"engines.generators.{name.replace('-', '_')}:")
    assert create(name).size_multiple >= 1  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_a_backend_is_a_file_a_row_and_an_extra(name: str) -> None:
    row = BACKENDS[name]
    assert row.module.startswith(f"engines.backends.{name}")
    if name == "tensorrt":  # imports NVIDIA's library, which few machines have
        pytest.importorskip("tensorrt_libs", reason="TensorRT is not installed")
    assert importlib.util.find_spec(row.module)
    module = importlib.import_module(row.module)
    assert callable(module.version)
    assert callable(module.devices)
    assert callable(getattr(module, row.runner))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in re.findall(r"\[(\w+)\]", row.install):
        assert extra in extras["optional-dependencies"]


def test_the_command_offers_every_backend() -> None:
    help_text = CliRunner().invoke(app, ["video", "--help"], env={"COLUMNS": "200"}).output
    assert f"<{'|'.join(('auto', *BACKENDS))}>" in help_text


def test_the_lines_for_a_gpu_are_ones_that_the_tool_takes() -> None:
    from streamtoon.cli.bench import split_list
    from streamtoon.cli.bench_maintainer import bench
    from streamtoon.tools.benchmark.plan import plan

    (line,) = re.findall(
        r"^python -m streamtoon\.cli\.bench_maintainer .*$",
        _section("Run it on an NVIDIA GPU").replace("\\\n", ""),
        re.MULTILINE,
    )
    words = line.split()
    given = {word[2:]: words[at + 1] for at, word in enumerate(words) if word.startswith("--")}
    known = set(inspect.signature(bench).parameters)
    assert {name.replace("json", "as_json") for name in given} <= known
    plan([], split_list(given["engines"]), split_list(given["sizes"]), [])
    assert set(split_list(given["networks"])) <= set(GENERATORS)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"dev", "tensorrt"} <= set(extras["optional-dependencies"])


def test_a_metric_is_a_file_with_a_function_of_its_name() -> None:
    tests = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_metrics*.py"))
    files = [file for file in (ROOT / "eval" / "metrics").glob("*.py") if file.stem != "__init__"]
    assert files
    for file in files:
        function = getattr(importlib.import_module(f"eval.metrics.{file.stem}"), file.stem)
        assert function.__doc__
        assert file.stem in tests


def test_the_training_line_has_the_trainers_options() -> None:
    from streamtoon.cli.train import train

    options = set(re.findall(r"(?<=--)\w+", _section("Add a style"))) - {"style"}
    assert {"source", "target", "out"} <= options <= set(inspect.signature(train).parameters)
