"""Whatever bytes a style, a recipe, a graph or a file of weights is made of: one sentence, or it works.

STREAMTOON_FUZZ_CASES=20000 in the environment runs that many cases of each kind, STREAMTOON_FUZZ_SEED begins
elsewhere. `fuzz_targets.TARGETS[KIND](folder)(SEED)` makes a single case again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from fuzz_targets import TARGETS
from paths import ROOT, SUPPORT
from small_graphs import cartoonizer

from engines.registry.card import to_toml
from engines.registry.style import load_style
from engines.untrusted.folder_validator import file_sha256

CASES = {
    "cards": 1000,
    "recipes": 300,
    "graphs": 500,
    "altered": 250,
    "foreign": 80,
    "tensors": 400,
    "pickles": 250,
}
"""Of the test run; chosen to take some ten seconds together."""
SLOWEST = 10.0
"""Seconds that one case may take on a busy machine; the whole process is given minutes."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small graph as it comes and as it is kept, and an untrained lite network's weights."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    from engines.generators import create
    from engines.importing.verify import convert_graph

    state = create("lite").state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save({"epoch": 3, "generator": wrapped}, tmp_path / "weights.pt")
    onnx.save(cartoonizer(last=True, size=(48, 64)), tmp_path / "foreign.onnx")
    convert_graph(tmp_path / "foreign.onnx", tmp_path / "generator.onnx", bgr=False)
    return tmp_path


def write_card(folder: Path, generator: str) -> None:
    names = ["weights.safetensors"] if generator != "onnx" else []
    card = {
        "format": 1,
        "name": "small",
        "title": "Small",
        "description": "Not a style: files for tests.",
        "generator": generator,
        "parameters": 100,
        "size_multiple": 2,
        "working_height": 64,
        "licence": "CC0-1.0",
        "attribution": "",
        "recipe": "none",
        "guided_filter": {"radius": 1, "eps": 1e-3, "lines": 0.5},
        "training": {"steps": 1, "seed": 2, "versions": "torch"},
        "scores": {"pictures": "nine", "kid": 0.5},
        "data": [{"name": "nothing", "licence": "CC0-1.0", "source": ""}],
        "sha256": {name: file_sha256(folder / name) for name in [*names, "generator.onnx"]},
    }
    (folder / "card.toml").write_text(to_toml(card), encoding="utf-8")
    load_style(folder)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_damaged_bytes_end_in_a_sentence(target: str, folder: Path) -> None:
    write_card(folder, "lite" if target == "tensors" else "onnx")
    cases = int(os.environ.get("STREAMTOON_FUZZ_CASES", CASES[target]))
    first = int(os.environ.get("STREAMTOON_FUZZ_SEED", "0"))
    began = time.monotonic()
    script = SUPPORT / "fuzz_targets.py"
    done = subprocess.run(
        [sys.executable, str(script), target, str(first), str(cases), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120 + cases,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    running = folder / "running"
    last = running.read_text(encoding="utf-8") if running.is_file() else "none"
    assert done.returncode == 0, f"{target}: seed {last} ended the process: {done.stderr[-2000:]}"
    count = json.loads(done.stdout.splitlines()[-1])
    assert not count["failed"], next(iter(count["failed"].items()))
    assert count["cases"] == cases
    assert count["slowest"] < SLOWEST, f"the slowest of {cases} took {count['slowest']:.1f} s"
    assert 0.2 * cases < count["refused"] < cases, "either damage goes unseen or nothing gets through"
    sys.stdout.write(
        f"{target}: {cases} cases from seed {first}, {count['refused']} refused, "
        f"slowest {count['slowest']:.2f} s, {time.monotonic() - began:.0f} s in all\n"
    )
