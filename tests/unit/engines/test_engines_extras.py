"""The command that installs missing packages: from the package's own metadata, or from its folder."""

from __future__ import annotations

import importlib.metadata
import shlex

import pytest
from paths import ROOT

from engines.common.extras import install_line

LINES = [
    "openvino<2027,>=2025.2",
    "av (>=18.0,<19)",
    "torch<3,>=2.6; extra == 'torch'",
    'safetensors<1,>=0.5 ; extra == "torch"',
    "torch<3,>=2.6; extra == 'train'",
    "mkdocstrings[python]<2,>=1; (python_version >= '3.11') and extra == 'train'",
]


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: LINES if name == "streamtoon" else None)


@pytest.mark.usefixtures("metadata")
def test_the_packages_of_extras_are_named_once_with_their_bounds() -> None:
    assert install_line("torch") == "pip install 'torch>=2.6,<3' 'safetensors>=0.5,<1'"
    words = shlex.split(install_line("torch", "train"))
    assert words == ["pip", "install", "torch>=2.6,<3", "safetensors>=0.5,<1", "mkdocstrings[python]>=1,<2"]


@pytest.mark.usefixtures("metadata")
def test_a_package_of_the_core_is_named_alone() -> None:
    assert install_line(packages=["openvino"]) == "pip install 'openvino>=2025.2,<2027'"
    assert install_line(packages=["av"]) == "pip install 'av>=18.0,<19'"


def test_a_folder_that_was_never_installed_installs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    assert install_line("train", "eval") == f"pip install '{ROOT}[train,eval]'"
    assert install_line(packages=["openvino"]) == f"pip install '{ROOT}'"
