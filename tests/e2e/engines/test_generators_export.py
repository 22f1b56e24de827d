"""Every generator of the registry as a style: exported, and the same picture from every backend."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data
from torch import nn

from engines.backends.selection import available, open_runner
from engines.export.onnx_graph import save_style
from engines.frame import ColorInfo
from engines.generators import FIELD_GENERATORS, GENERATORS, create
from engines.imaging.color import rgb_to_yuv
from engines.imaging.field_blocks import pack
from engines.imaging.working_size import fit
from engines.registry.style import Style

BACKENDS = [
    (row.name, device)
    for row in available()
    for device, precisions in row.devices.items()
    if "fp32" in precisions
]


def _shaken(name: str) -> nn.Module:
    """The generator with weights of its own: no gain is 1, no bias 0, no picture comes out as it went in."""
    torch.manual_seed(0)
    network = create(name).eval()
    with torch.no_grad():
        for weight in network.parameters():
            several = 0.02 if name in FIELD_GENERATORS else 0.004
            weight.add_(torch.randn(weight.shape), alpha=0.05 if weight.dim() == 1 else several)
    return network


def _card(name: str) -> dict[str, object]:
    drawn_by = {"look": {}} if name in FIELD_GENERATORS else {"guided_filter": {"radius": 1, "eps": 3e-4}}
    return {
        **drawn_by,
        "name": name,
        "title": "Shaken",
        "description": "Not a style: weights for tests.",
        "generator": name,
        "working_height": 256,
        "licence": "Apache-2.0",
        "attribution": "",
        "recipe": "none",
        "data": [{"name": "nothing", "licence": "CC0-1.0", "source": ""}],
    }


@pytest.fixture(scope="module", params=list(GENERATORS))
def drawn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Style, NDArray[np.uint8], NDArray[np.float64]]:
    """A style, a photograph as its generator takes it, and what that gives in float64, not rounded."""
    network = _shaken(request.param)
    # `save_style` raises where the graph differs from torch at any of three sizes.
    style = save_style(tmp_path_factory.mktemp("styles") / request.param, network, _card(request.param))
    size = (3 * style.size_multiple, 2 * style.size_multiple)
    photo = np.asarray(cv2.resize(data.astronaut(), size, interpolation=cv2.INTER_AREA), np.uint8)
    if style.gives_fields:
        y, u, v = rgb_to_yuv(cv2.resize(data.astronaut(), (48, 32)), ColorInfo("bt709"))
        photo = pack((y, fit(u, 16, 24), fit(v, 16, 24)))
    picture = torch.from_numpy(photo).permute(2, 0, 1)[None].double() / 127.5 - 1
    with torch.inference_mode():
        cartoon = (network.double()(picture)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    return style, photo, cartoon.clip(0, 255)


def test_every_generator_runs_in_every_backend(
    drawn: tuple[Style, NDArray[np.uint8], NDArray[np.float64]],
) -> None:
    style, photo, expected = drawn
    assert expected.std() > 8
    if style.gives_fields:
        assert expected[..., :24].std((0, 1)).mean() > 4, "the paint changes by what the picture is"
    else:
        assert np.abs(photo - expected).mean() > 4
    assert ((expected > 1) & (expected < 254)).mean() > 0.5
    for backend, device in BACKENDS:
        _, runner = open_runner(
            style,
            backend=backend,
            device=device,
            precision="fp32",
            height=photo.shape[0],
            width=photo.shape[1],
        )
        assert (runner.device, runner.precision) == (device, "fp32")
        difference = np.abs(runner(photo) - expected)
        runner.close()
        assert difference.max() <= 0.55, backend  # rounding's half and a little


def test_there_is_something_to_compare() -> None:
    assert {"openvino", "onnxruntime", "torch"} <= {name for name, _ in BACKENDS}
