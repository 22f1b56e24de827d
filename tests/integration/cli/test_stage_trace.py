"""The chart of stages: what was done when, against the frames of a real clip."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("openvino")

from paths import ROOT

from streamtoon.tools.benchmark import stage_trace

FRAMES = 12


def test_every_frame_goes_through_every_stage_once_and_in_order(tmp_path: Path) -> None:
    spans = stage_trace.trace_stages(ROOT / "samples" / "phone.mp4", "lite", FRAMES)
    assert Counter(span.work for span in spans) == dict.fromkeys(stage_trace.COLORS, FRAMES)
    for number in range(FRAMES):
        way = [span for span in spans if span.frame == number]
        assert [span.work for span in way] == ["decode", "network", "look", "encode"]
        assert all(one.end_s <= two.begin_s for one, two in itertools.pairwise(way))
    for thread in {span.thread for span in spans}:  # a thread does one thing at a time
        own = [span for span in spans if span.thread == thread]
        assert all(one.end_s <= two.begin_s for one, two in itertools.pairwise(own))
    chart = tmp_path / "stages.svg"
    stage_trace.draw_stages(spans, chart)
    texts = {element.text for element in ElementTree.parse(chart).iter("{http://www.w3.org/2000/svg}text")}
    assert {"decode", "encode", "milliseconds"} <= texts


@pytest.mark.parametrize("arguments", [[], ["clip.mp4", "out.svg", "quick"], ["none.mp4", "out.svg", "lite"]])
def test_wrong_arguments_end_with_one_sentence(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"^(usage|error): "):
        stage_trace.main(arguments)
