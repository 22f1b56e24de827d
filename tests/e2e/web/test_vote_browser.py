"""A vote as people cast it: a real browser, a real server that is killed in between."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from paths import ROOT

from engines.common.image_files import write_image
from eval.voting.vote_log import read_votes

webdriver = pytest.importorskip("selenium.webdriver")
pytest.importorskip("aiohttp")
pytest.importorskip("jinja2")

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing"
    ),
]
COLORS = {"reds": 0, "greens": 1, "blues": 2}
"""Candidates: each fills one channel, so a picture on the page says whose it is."""
COMMAND = "import typer, streamtoon.cli.vote as v; a = typer.Typer(); a.command()(v.vote); a()"


class Server:
    """`streamtoon vote` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.table, self.port = folder / "votes.csv", 0
        self._line = [
            sys.executable, "-c", COMMAND, *(str(folder / name) for name in COLORS),
            "--photos", str(folder / "photos"), "--pictures", "4", "--out", str(self.table), "--port",
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        # A session of its own: what the terminal's Ctrl-C means here is sent by the test alone.
        self._process = subprocess.Popen(
            [*self._line, str(self.port)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert self._process.stderr is not None
        said = ""
        for line in self._process.stderr:
            said += line
            if found := re.search(r"vote at http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise AssertionError(said)

    def end(self, how: signal.Signals) -> tuple[int, str]:
        """Exit code and standard output."""
        assert self._process is not None
        self._process.send_signal(how)
        out, _ = self._process.communicate(timeout=60)
        code, self._process = self._process.returncode, None
        return code, out

    def kill(self) -> None:
        if self._process is not None:
            self.end(signal.SIGKILL)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    dice = np.random.default_rng(2)
    for name in ("photos", *COLORS):
        (tmp_path / name).mkdir()
    for n in range(4):
        noise = dice.integers(0, 120, (4, 6, 3), dtype=np.uint8)
        photo = np.asarray(cv2.resize(noise, (240, 160), interpolation=cv2.INTER_CUBIC), np.uint8)
        write_image(tmp_path / "photos" / f"{n}.png", photo)
        for name, channel in COLORS.items():
            result = photo.copy()
            result[..., channel] = 255
            write_image(tmp_path / name / f"{n}.png", result)
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1280,800",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


def _until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


def _find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def _begin(browser: Any, name: str) -> None:
    _until(_find(browser, "#name").is_displayed, "the field for the name")
    _find(browser, "#name").send_keys(name)
    _find(browser, "#name-form button").click()


def _await(browser: Any, count: str) -> None:
    """Until the picture `count`, such as "2 of 4", can be voted on."""

    def there() -> bool:
        waits = browser.find_elements("css selector", "#stage.waiting, .picked")
        text = _find(browser, "#count").text
        return text == count and not waits and bool(browser.find_elements("css selector", ".pick img"))

    _until(there, count)


def _colors(browser: Any) -> list[str]:
    """Whose picture is at positions 1, 2, 3, by the pixels that the page shows."""
    values = browser.execute_script(
        """return [...document.querySelectorAll(".pick img")].map((picture) => {
             const canvas = document.createElement("canvas");
             [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
             const pen = canvas.getContext("2d");
             pen.drawImage(picture, 0, 0);
             const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
             const sums = [0, 0, 0];
             data.forEach((value, n) => { if (n % 4 < 3) sums[n % 4] += value; });
             return sums;
           })"""
    )
    return [list(COLORS)[int(np.argmax(sums))] for sums in values]


def _key(browser: Any, key: str) -> None:
    _find(browser, "body").send_keys(key)


def _counting(server: Server, reviewer: str) -> list[str]:
    """Candidates that the table says were picked, by their folders' names, latest at the end."""
    rows = [vote for vote in read_votes(server.table) if vote.reviewer == reviewer and vote.pick]
    return [Path(vote.pick).name for vote in rows]


def test_a_vote_by_clicks_and_keys_outlives_reload_undo_and_a_killed_server(
    server: Server, browser: Any
) -> None:
    from selenium.webdriver.common.keys import Keys

    address = f"http://127.0.0.1:{server.port}/"
    picked = []
    browser.get(address)
    _begin(browser, "Anna")
    _await(browser, "1 of 4")
    colors = _colors(browser)
    assert sorted(colors) == sorted(COLORS)
    picked.append(colors[1])
    browser.find_elements("css selector", ".pick")[1].click()
    _await(browser, "2 of 4")

    # The mouse has left the focus on a picture: Space enlarges it, and votes for nothing.
    _key(browser, Keys.SPACE)
    _until(lambda: _find(browser, "#zoom").get_attribute("open"), "the enlarged picture")
    _key(browser, Keys.SPACE)
    _until(lambda: not _find(browser, "#zoom").get_attribute("open"), "the end of it")
    assert _counting(server, "Anna") == picked

    picked.append(_colors(browser)[2])
    _key(browser, "3")
    _await(browser, "3 of 4")
    browser.refresh()
    _await(browser, "3 of 4")

    # Undo shows the same photo again, in the same order.
    _key(browser, Keys.BACKSPACE)
    _await(browser, "2 of 4")
    assert _colors(browser)[2] == picked[1]
    picked.append(_colors(browser)[0])
    _key(browser, "1")
    _await(browser, "3 of 4")
    assert _counting(server, "Anna") == picked

    # Killed: the page says so, keeps the photo, and goes on when the server is there again.
    server.end(signal.SIGKILL)
    with server.table.open("ab") as table:
        table.write(b"2026-01-01T00:00:00+00:00,Anna,0.p")
    colors = _colors(browser)
    _key(browser, "2")
    _until(_find(browser, "#trouble").is_displayed, "word of the lost server")
    server.start()
    _find(browser, "#again").click()
    _await(browser, "4 of 4")
    picked.append(colors[1])
    assert _counting(server, "Anna") == picked

    # Somebody else, on the same machine: an order of their own, nothing done yet.
    _find(browser, "#vote [data-leave]").click()
    _begin(browser, "Bob <b>")
    _await(browser, "1 of 4")
    picked_by_bob = []
    for n in range(4):
        _await(browser, f"{n + 1} of 4")
        picked_by_bob.append(_colors(browser)[0])
        _key(browser, "1")
    _until(_find(browser, "#end").is_displayed, "the end")
    assert _find(browser, "#thanks").text == "Thank you, Bob <b>."
    assert _counting(server, "Bob <b>") == picked_by_bob

    # Back under the first name, in other letters.
    _find(browser, "#end [data-leave]").click()
    _begin(browser, "anna")
    _await(browser, "4 of 4")
    assert _find(browser, "#who").text == "Anna"

    browser.get(address + "results")
    assert "Bob <b>" in _find(browser, "main").text
    assert [entry for entry in browser.get_log("browser") if "REFUSED" not in entry["message"]] == []

    code, out = server.end(signal.SIGINT)
    assert code == 0
    assert "95 % interval" in out and "Anna" in out and "Bob <b>" in out
    with server.table.open(encoding="utf-8", newline="") as table:
        rows = list(csv.reader(table))
    assert len(rows) == 1 + 4 + 1 + 4  # a header, Anna's three and one taken back, Bob's four; no half row
    assert {len(row) for row in rows} == {8}


def test_the_page_fits_a_phone_and_says_what_it_is_to_a_screen_reader(server: Server, browser: Any) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    browser.get(f"http://127.0.0.1:{server.port}/")
    _begin(browser, "Zoë")
    _await(browser, "1 of 4")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert _find(browser, "#photo img").get_attribute("alt") == "The photo"
    picks = browser.find_elements("css selector", ".pick")
    assert [pick.accessible_name for pick in picks] == [f"Pick cartoon {n}" for n in (1, 2, 3)]
    assert all(pick.size["width"] >= 300 for pick in picks)
    sizes = {(pick.size["width"], pick.size["height"]) for pick in picks}
    assert len(sizes) == 1
    assert _find(browser, "#progress").accessible_name == "Photos done"
    addresses = [image.get_attribute("src") for image in browser.find_elements("css selector", ".pick img")]
    assert not any(name in address for name in COLORS for address in addresses)


def test_the_table_says_in_what_order_the_page_showed_them(server: Server, browser: Any) -> None:
    browser.get(f"http://127.0.0.1:{server.port}/")
    _begin(browser, "Carla")
    _await(browser, "1 of 4")
    colors = _colors(browser)
    _key(browser, "1")
    _await(browser, "2 of 4")
    (vote,) = read_votes(server.table)
    assert [Path(name).name for name in vote.shown] == colors
    assert Path(vote.pick).name == colors[0]
