"""The README's part on speed, made out of a benchmark's JSON."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

from eval.bench.readme import BEGIN, END, main


def _bench() -> dict[str, Any]:
    row: dict[str, Any] = {
        "size": "720p", "quality": "fast", "precision": "int8", "file_fps": 33.25, "limit_fraction": 0.416,
        "latency_ms": {"median": 24.04}, "peak_rss_mb": 311.2, "ratios": {"other": 17.54},
    }  # fmt: skip
    bare = {**row, "quality": "lite", "limit_fraction": None, "peak_rss_mb": None, "ratios": {}}
    return {
        "machine": {"cpu": "A Processor", "cores": 2, "features": ["AVX2", "AMX"]},
        "clip": {"name": "clip.mp4"},
        "results": [row, bare],
        "peers": [{"name": "other", "size": "720p", "fps": 1.896}],
        "noisy": False,
    }


def test_the_part_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(_bench()))
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        main([str(tmp_path / name) for name in ("bench.json", "README.md", "speed.svg")])
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\nMeasured on 2 cores of A Processor with AMX,")
    assert text.endswith(f"{END}\nafter\n") and "old" not in text
    assert "| 720p | `fast` | `int8` | **33.2** | 24.0 ms | 42 % | 311 MB | 17.5 |" in text
    assert "| 720p | `lite` | `int8` | **33.2** | 24.0 ms |  |  |  |" in text
    assert "other alone at 720p: 1.90 fps" in text
    said = "".join(ElementTree.parse(tmp_path / "speed.svg").getroot().itertext())
    assert all(word in said for word in ("33.2", "1.9", "720p fast", "720p other"))


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(_bench()))
    (tmp_path / "README.md").write_text("no such part")
    names = [str(tmp_path / name) for name in ("bench.json", "README.md", "speed.svg")]
    with pytest.raises(SystemExit, match="has no part between"):
        main(names)
    assert not (tmp_path / "speed.svg").exists()
    (tmp_path / "bench.json").write_text("[]")
    with pytest.raises(SystemExit, match="error:"):
        main(names)


def test_the_page_on_performance_has_the_part() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert text.index(BEGIN) < text.index(END)
