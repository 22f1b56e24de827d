"""The maintainer's benchmark with photographs: what speed costs, as JSON and as a report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lavfi_clips import make_clip
from lite_styles import add_lite
from rgb_styles import make_style
from typer.testing import CliRunner

from engines.common.image_files import write_image
from streamtoon.cli.bench_maintainer import app


def test_the_command_shows_what_speed_costs(tmp_path: Path) -> None:
    for package in ("torch", "jinja2", "matplotlib"):
        pytest.importorskip(package)
    style = add_lite(make_style(tmp_path / "styles" / "shaken"))
    photos, dice = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    for n in range(5):
        height, width = [(48, 64), (64, 48)][n % 2]  # so that the order of drawing is not that of the names
        noise = dice.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
        write_image(photos / f"{n}.png", noise.repeat(4, axis=0).repeat(4, axis=1))
    clip = make_clip(tmp_path / "clip.mp4", frames=5)
    report = tmp_path / "report.html"
    done = CliRunner().invoke(
        app,
        [
            *("--styles", str(style.folder), "--engines", "openvino:fp32", "--sizes", "64x48"),
            *("--clip", str(clip), "--quality", "fast", "--seconds", "0.1", "--quiet"),
            *("--photos", str(photos), "--report", str(report), "--json"),
        ],
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["looks"]
    assert [(one["style"], one["quality"], one["precision"]) for one in found] == [
        ("shaken", "full", "fp32"),
        ("shaken", "fast", "fp32"),
        ("shaken", "lite", "fp32"),
    ]
    assert all(one["photos"] == 5 and 0 < one["ssim"]["least"] <= one["ssim"]["mean"] <= 1 for one in found)
    assert f"{found[2]['ssim']['least']:.4f}" in report.read_text(encoding="utf-8")
