"""Thousands of broken videos: each is read, or refused by one sentence; nothing crashes, hangs or swells."""

from __future__ import annotations

import fuzz_media


def test_broken_videos_are_read_or_refused() -> None:
    seen = fuzz_media.run(cases=2000, seed=6)
    assert seen["cases"] == seen["refused"] + seen["converted"] == 2000
    # The changes are neither too mild nor too wild to reach all of the code.
    assert min(seen["refused"], seen["converted"]) > 200, seen
    assert seen["peak_mb"] < 2000, seen
