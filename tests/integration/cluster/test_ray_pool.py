"""What a worker needs of Ray, and Ray's own reports, without a cluster."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from paths import ROOT

from engines.common.extras import install_line
from streamtoon.cluster.ray_pool import Needs


def _python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**{k: v for k, v in os.environ.items() if k != "RAY_USAGE_STATS_ENABLED"}, **environment},
    )
    return done.stdout.strip()


def test_ray_does_not_report_its_use_unless_the_user_says_so() -> None:
    pytest.importorskip("ray")
    code = """
from streamtoon.cluster.ray_pool import load_ray
load_ray()
from ray._private.usage.usage_lib import usage_stats_enabled
print(usage_stats_enabled())
"""
    assert _python(code) == "False"
    assert _python(code, RAY_USAGE_STATS_ENABLED="1") == "True"


def test_without_ray_there_is_one_sentence_with_the_install_line() -> None:
    code = """
import sys
sys.modules["ray"] = None
from streamtoon.cluster.ray_pool import RayPool
from streamtoon.errors import EngineError
try:
    RayPool("local", [], None)
except EngineError as error:
    print(error)
"""
    assert _python(code) == f"--ray needs Ray: {install_line('ray')}"


def test_nothing_imports_ray_or_fsspec_unless_it_is_asked_for() -> None:
    code = """
import sys
import streamtoon.cli.video, streamtoon.cluster.dispatcher, streamtoon.cluster.ray_pool
print([name for name in ("ray", "fsspec") if name in sys.modules])
"""
    assert _python(code) == "[]"


def test_needs_are_those_of_ray() -> None:
    assert Needs.parse([], node_cpus=4) == Needs(4)
    assert Needs.parse([], node_cpus=64) == Needs(8)
    assert Needs.parse([], has_gpu=True, node_cpus=64) == Needs(1, 1)
    texts = ["num_cpus=2", "num_gpus=0.5", "disk=1", "label:ray.io/accelerator-type=H100", "num_cpus=3"]
    needs = Needs.parse(texts, node_cpus=4)
    assert needs.options() == {
        "num_cpus": 3,
        "num_gpus": 0.5,
        "resources": {"disk": 1},
        "label_selector": {"ray.io/accelerator-type": "H100"},
    }
    assert needs.room({"CPU": 30, "GPU": 4, "disk": 5}) == 5
    assert needs.room({"CPU": 30, "GPU": 2, "disk": 5}) == 4
    assert needs.room({"CPU": 30}) == 1, "it may grow"


@pytest.mark.parametrize(
    "text", ["num_cpus", "=4", "num_cpus=many", "num_cpus=-1", "label:=x", "x=inf", "x=nan"]
)
def test_needs_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"AMOUNT|the amount in"):
        Needs.parse([text])
