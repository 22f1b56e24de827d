"""A visitor of `streamtoon serve` who draws on the own device: a real browser, a camera, and a token."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT
from web_site_browser import CHROMIUM, DRIVER, camera_clip, chromium, until, until_drawn

pytest.importorskip("selenium.webdriver")
pytest.importorskip("aiortc")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing"
)


@pytest.fixture
def address() -> Iterator[str]:
    """The address, with its token, of a server that other machines may reach."""
    server = subprocess.Popen(
        [sys.executable, "-m", "streamtoon", "serve", "--host", "0.0.0.0", "--port", "0"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    )  # fmt: skip
    assert server.stderr is not None
    found = re.search(r":(\d+)/(\?token=\S+)", server.stderr.readline())
    assert found
    yield f"http://127.0.0.1:{found[1]}/{found[2]}"  # loopback, where browsers allow a camera over HTTP
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)


def test_a_visitor_draws_the_camera_on_the_own_device_and_goes_back(address: str, tmp_path: Path) -> None:
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with chromium(*fake, f"--use-file-for-fake-video-capture={camera_clip(tmp_path)}") as browser:
        browser.get(address)
        until(lambda: browser.find_elements("css selector", "#gallery img[src]"), "the server's gallery")
        browser.find_element("link text", "On this device").click()
        until_drawn(browser, "sample comic")
        browser.find_element("css selector", "#camera").click()
        until_drawn(browser, "camera comic")
        browser.execute_script("document.querySelector('#gallery input[value=ink]').click()")
        until_drawn(browser, "camera ink")
        asked = browser.execute_script(
            "return performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname)"
        )
        assert asked and all(path.startswith("/device/") for path in asked), asked
        browser.find_element("link text", "On the server").click()
        until(lambda: browser.find_elements("css selector", "#gallery img[src]"), "the server's gallery")
        assert browser.find_element("css selector", "#places [aria-current]").text == "On the server"
        severe = [row["message"] for row in browser.get_log("browser") if row["level"] == "SEVERE"]
        assert severe == []
