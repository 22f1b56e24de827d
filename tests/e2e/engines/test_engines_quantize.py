"""The int8 graph: near the float one, taken up by the style, run by both engines that read it."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from engines.backends.selection import open_runner
from engines.errors import StyleError
from engines.export.onnx_graph import save_style
from engines.generators import create
from engines.registry.style import Style, load_style

pytest.importorskip("nncf", reason="the extra `train` is not installed")

from engines.quantization.nncf_ptq import quantize_style

PHOTOS = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]


@pytest.fixture(scope="module")
def style(style_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Style:
    folder = Path(shutil.copytree(style_folder, tmp_path_factory.mktemp("int8") / "shaken"))
    return quantize_style(load_style(folder), PHOTOS)


def test_the_style_has_its_graph(style: Style) -> None:
    assert style.int8_graph is not None
    assert style.int8_graph.stat().st_size < style.graph.stat().st_size / 3
    assert load_style(style.folder) == style


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_int8_draws_nearly_what_float_draws(style: Style, backend: str) -> None:
    photo = np.asarray(cv2.resize(data.astronaut(), (160, 128), interpolation=cv2.INTER_AREA), np.uint8)
    cartoons = {}
    for precision in ("fp32", "int8"):
        _, runner = open_runner(
            style, backend=backend, device="cpu", precision=precision, height=128, width=160
        )
        assert runner.precision == precision
        cartoons[precision] = runner(photo).astype(int)
    difference = np.abs(cartoons["int8"] - cartoons["fp32"])
    assert 0 < difference.mean() <= 3


def test_new_weights_drop_the_old_graph(style: Style, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(style.folder, tmp_path / "mine"))
    torch.manual_seed(1)
    card = {
        "name": "new",
        "title": "New",
        "description": "",
        "generator": "unet",
        "working_height": 256,
        "licence": "Apache-2.0",
        "attribution": "",
        "recipe": "none",
        "guided_filter": {"radius": 1, "eps": 3e-4},
    }
    assert save_style(folder, create("unet"), card).int8_graph is None
    assert not (folder / "generator.int8.onnx").exists()


def test_without_photographs_there_are_no_ranges(style: Style) -> None:
    with pytest.raises(StyleError, match="quantization needs at least one photograph"):
        quantize_style(style, [])
