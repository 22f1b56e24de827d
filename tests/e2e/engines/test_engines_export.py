"""Exported graphs: free in size, equal to torch, tidy, and never left half written."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from engines.errors import EngineError, StyleError
from engines.export import onnx_graph as export
from engines.export.onnx_graph import OPSET, export_onnx, save_style
from engines.generators import create
from engines.generators.pixel_shuffle_head import pixel_shuffle_conv, use_pixel_shuffle_head
from engines.registry.style import load_style


class Small(nn.Module):
    """Like a generator, quick to export."""

    size_multiple = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        return picture + nn.functional.leaky_relu(self.conv(picture), 0.2)


@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_folded_convolution_is_the_convolution(
    kernel: int, padding_mode: Literal["zeros", "reflect"], bias: bool
) -> None:
    torch.manual_seed(kernel)
    conv = nn.Conv2d(5, 3, kernel, padding=kernel // 2, padding_mode=padding_mode, bias=bias).double()
    picture = torch.randn(2, 5, 18, 26, dtype=torch.float64)
    with torch.inference_mode():
        assert torch.allclose(pixel_shuffle_conv(conv).double()(picture), conv(picture), atol=1e-6)


def test_what_cannot_be_folded_stays() -> None:
    class Mixed(nn.Sequential):
        size_multiple = 2

    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, stride=2, padding=1), nn.Conv2d(8, 3, 3)]
    last = nn.Conv2d(8, 3, 3, padding=1)
    mixed = Mixed(*layers, last)
    use_pixel_shuffle_head(mixed)
    assert list(mixed)[:3] == layers
    assert mixed[3] is not last
    mixed[3] = last
    Mixed.size_multiple = 1
    use_pixel_shuffle_head(mixed)
    assert mixed[3] is last


def test_the_graph_is_whole_tidy_and_free_in_size(style_folder: Path) -> None:
    model = onnx.load(load_style(style_folder).graph)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    for value, name in ((model.graph.input[0], "picture"), (model.graph.output[0], "cartoon")):
        sizes = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        assert (value.name, sizes) == (name, [1, 3, "height", "width"])
    assert {node.op_type for node in model.graph.node} == {
        "Conv",
        "LeakyRelu",
        "Add",
        "Resize",
        "DepthToSpace",
    }
    data = model.SerializeToString()
    for trace in (b"site-packages", b"stack_trace", str(Path.cwd()).encode(), str(Path.home()).encode()):
        assert trace not in data


@pytest.mark.parametrize("height, width", [(4, 4), (100, 36), (64, 256)])
def test_the_graph_is_the_network_at_every_size(style_folder: Path, height: int, width: int) -> None:
    style = load_style(style_folder)
    network = create(style.generator)
    network.load_state_dict(load_file(style.weights))
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        expected = network.eval()(picture).numpy()
    session = onnxruntime.InferenceSession(style.graph, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"picture": picture.numpy()})
    assert np.abs(got - expected).max() <= 1e-4


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(EngineError, match="the exported graph differs from torch by"):
        export_onnx(Small(), tmp_path / "graph.onnx")
    assert not list(tmp_path.iterdir())


def test_the_generator_is_left_as_it_was(tmp_path: Path) -> None:
    generator = Small().train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    export_onnx(generator, tmp_path / "graph.onnx")
    assert generator.training
    assert all(torch.equal(value, before[key]) for key, value in generator.state_dict().items())
    assert [file.name for file in tmp_path.iterdir()] == ["graph.onnx"]


def test_a_wrong_card_is_refused_as_everywhere(tmp_path: Path) -> None:
    with pytest.raises(StyleError, match=r"card.toml: generator is missing"):
        save_style(tmp_path / "new", Small(), {"name": "new"})
