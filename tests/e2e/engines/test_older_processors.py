"""int8 on older processors: oneDNN's own switch makes this one of an older kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra `torch` is not installed")

from rgb_styles import whole_style

from engines.registry.style import load_style

DRAW = """
import json, sys
import numpy as np
from skimage import data
from engines.backends.selection import open_runner
from engines.imaging.color import rgb_to_yuv
from engines.imaging.field_blocks import pack
from engines.frame import ColorInfo
from engines.registry.style import load_style
from engines.imaging.working_size import fit
square = np.ascontiguousarray(data.astronaut()[:192, 100:356])
y, u, v = rgb_to_yuv(square, ColorInfo("bt709"))
blocks = pack((y, fit(u, 96, 128), fit(v, 96, 128)))
apart = []
for folder in sys.argv[1:]:
    for style in (load_style(folder), load_style(folder).lite):
        photo = blocks if style.gives_fields else square
        drawn = {}
        for precision in ("fp32", "int8"):
            size = {"height": len(photo), "width": photo.shape[1]}
            _, runner = open_runner(style, backend="openvino", device="cpu", precision=precision, **size)
            drawn[precision] = runner(photo).astype(int)
        apart.append(float(np.abs(drawn["int8"] - drawn["fp32"]).mean()))
print(json.dumps(apart))
"""


@pytest.mark.parametrize("isa", ["AVX2", "AVX2_VNNI", "AVX512_CORE_VNNI", "DEFAULT"])
def test_older_processors_draw_the_same(isa: str) -> None:
    """oneDNN's own switch makes this processor one of an older kind; there is none that adds to it.

    Fields and pictures, each drawn by the full and by the lite network.
    """
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(load_style("comic").folder), str(whole_style().folder)],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": isa},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    apart = json.loads(done.stdout)
    assert len(apart) == 4 and all(0 < each < 3 for each in apart), apart


def test_the_switch_is_the_librarys_own() -> None:
    """The test above would prove nothing if the variable were not read."""
    import openvino

    libraries = Path(openvino.__file__).parent / "libs"
    (plugin,) = libraries.glob("*openvino_intel_cpu_plugin*")
    assert b"MAX_CPU_ISA" in plugin.read_bytes()
