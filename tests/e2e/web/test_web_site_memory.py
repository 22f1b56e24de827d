"""Memory stays flat while a camera is drawn: half a minute here, ten by `tests/support/browser_soak.py`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from browser_soak import Look, camera_page, complaints, rise, watch
from web_site_browser import CHROMIUM, DRIVER

pytest.importorskip("selenium.webdriver")
MINUTES = float(os.environ.get("STREAMTOON_SOAK_MINUTES", "0.5"))
FLAT = [Look(60.0 * n, 50 * n, 168 + n % 2, 204 + 2 * (n % 2), 1.3) for n in range(11)]


@pytest.mark.skipif(not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_while_a_camera_is_drawn(tmp_path: Path) -> None:
    with camera_page(tmp_path) as browser:
        looks = list(watch(browser, 60 * MINUTES, 2.0))
    assert complaints(looks) == [], looks


def test_the_rise_is_that_of_a_straight_line() -> None:
    line = [replace(look, heap=1 + 0.01 * look.seconds) for look in FLAT]
    assert rise(line, "heap") == pytest.approx(6)


@pytest.mark.parametrize(("name", "by"), [("renderer", 30.0), ("gpu", 30.0), ("heap", 1.0)])
def test_what_grows_is_seen_and_what_comes_and_goes_is_not(name: str, by: float) -> None:
    assert complaints(FLAT) == []
    grown = [replace(look, **{name: getattr(look, name) + by * look.seconds / 480}) for look in FLAT]
    assert [sentence.split()[0] for sentence in complaints(grown)] == [name]


def test_a_page_that_draws_nothing_is_seen() -> None:
    assert complaints([replace(look, frames=7) for look in FLAT]) == ["the page draws no more frames"]
