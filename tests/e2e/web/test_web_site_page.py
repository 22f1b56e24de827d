"""The site as visitors use it: a camera, whole files, no network, a video in another page."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from web_site_browser import CHROMIUM, DRIVER, camera_clip, chromium, drawn, run, served, until, until_drawn

from streamtoon.web.site.build import build_site
from streamtoon.web.site.contents import site_styles

pytest.importorskip("selenium.webdriver")
FFMPEG, FFPROBE = shutil.which("ffmpeg"), shutil.which("ffprobe")
pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing"
    ),
    pytest.mark.skipif(FFMPEG is None or FFPROBE is None, reason="ffmpeg or ffprobe is missing"),
]
READ_RESULT = (
    "const link = document.querySelector('#results a');"
    "return [link.download, document.getElementById('results').innerText];"
)


def ffmpeg(*arguments: object) -> None:
    subprocess.run([str(FFMPEG), "-v", "error", "-y", *map(str, arguments)], check=True)


def probed(file: Path, stream: str, entries: str) -> list[str]:
    command = [str(FFPROBE), "-v", "error", "-select_streams", stream, "-show_entries", entries]
    command += ["-show_data_hash", "md5", "-of", "csv=p=0", str(file)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.strip(",") for line in lines if line.strip(",")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    build_site(site_styles([]), folder)
    return folder


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return camera_clip(tmp_path_factory.mktemp("camera"))


@pytest.fixture(scope="module")
def browser(site: Path, camera: Path) -> Iterator[Any]:
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with served(site) as address, chromium(*fake, f"--use-file-for-fake-video-capture={camera}") as browser:
        browser.site = address
        yield browser


def opened(browser: Any, query: str = "") -> None:
    # The page reads the style that it kept as soon as it loads.
    origin = {"origin": browser.site.rstrip("/"), "storageTypes": "local_storage"}
    browser.execute_cdp_cmd("Storage.clearDataForOrigin", origin)
    browser.get(browser.site + query)
    until_drawn(browser, "sample comic")


def click(browser: Any, name: str) -> None:
    browser.execute_script("document.getElementById(arguments[0]).click()", name)


def shown(browser: Any) -> np.ndarray[Any, Any]:
    """What the canvas shows, as small RGB."""
    values = browser.execute_script(
        "const small = Object.assign(document.createElement('canvas'), { width: 32, height: 18 });"
        "const pen = small.getContext('2d'); pen.drawImage(document.getElementById('canvas'), 0, 0, 32, 18);"
        "return [...pen.getImageData(0, 0, 32, 18).data];"
    )
    return np.array(values, np.float64).reshape(18, 32, 4)[..., :3]


@pytest.mark.parametrize("engine", ["webgpu", "webgl2"])
def test_a_camera_is_drawn_and_the_page_says_by_what(browser: Any, engine: str) -> None:
    opened(browser, f"?engine={engine}")
    told = browser.execute_script(
        "return [document.getElementById('engine').textContent, "
        "document.getElementById('slower').textContent]"
    )
    assert {"webgpu": "WebGPU", "webgl2": "WebGL 2"}[engine] in told[0]
    assert told[1], "a slow way of drawing is said"
    click(browser, "camera")
    until_drawn(browser, "camera comic")
    click(browser, "snapshot")
    until(lambda: browser.execute_script("return document.querySelector('#results a')"), "the snapshot")
    assert browser.execute_script(READ_RESULT)[0] == "camera-comic.png"
    browser.execute_script("document.querySelector('#gallery input[value=ink]').click()")
    until_drawn(browser, "camera ink")
    click(browser, "stop")
    until_drawn(browser, "sample ink")
    errors = [row["message"] for row in browser.get_log("browser") if "Security Policy" in row["message"]]
    assert errors == []


def test_a_file_is_drawn_frame_by_frame_with_its_times_and_its_sound(browser: Any, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=128x72:r=30000/1001", "-f", "lavfi", "-i", "sine=440:r=44100",
        "-t", 0.6,
        "-c:v", "libx264", "-bf", 2, "-g", 8, "-pix_fmt", "yuv420p", "-c:a", "aac", clip,
    )  # fmt: skip
    opened(browser)
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    browser.find_element("css selector", "#file").send_keys(str(clip))
    until_drawn(browser, "video comic")
    until(lambda: browser.execute_script("return !document.getElementById('export').disabled"), "the export")
    click(browser, "export")
    until(lambda: browser.execute_script("return document.querySelector('#results a')"), "the file")
    browser.execute_script("document.querySelector('#results a').click()")
    out = tmp_path / "clip-comic.mp4"
    until(lambda: out.exists() and not list(tmp_path.glob("*.crdownload")), "the download")
    times = [probed(file, "v", "frame=pts_time") for file in (clip, out)]
    assert len(times[0]) == 18
    assert times[1] == times[0]
    sounds = [probed(file, "a", "packet=pts_time,duration_time,size,data_hash") for file in (clip, out)]
    assert sounds[1] == sounds[0]
    assert probed(out, "v", "stream=width,height") == ["128,72"]
    ffmpeg("-i", out, "-f", "null", "-")


def test_what_cannot_be_read_is_said(browser: Any, tmp_path: Path) -> None:
    text = tmp_path / "letter.mp4"
    text.write_bytes(b"no video at all" * 100)
    opened(browser)
    browser.find_element("css selector", "#file").send_keys(str(text))
    assert "letter.mp4 is no video" in until(
        lambda: browser.execute_script("return document.getElementById('trouble').textContent"), "a sentence"
    )


def test_the_page_opens_without_a_network_after_the_first_time(site: Path) -> None:
    with chromium() as browser:
        with served(site) as address:
            browser.site = address
            opened(browser)
            run(browser, "await navigator.serviceWorker.ready;")
            until(
                lambda: run(
                    browser,
                    "return (await caches.keys()).length === 1 && navigator.serviceWorker.controller !== "
                    "null;",
                ),
                "the service worker",
            )
        opened(browser)  # nobody listens there any more


def test_hashes_and_facts_are_checked_by_the_page_itself(site: Path, tmp_path: Path) -> None:
    broken = tmp_path / "site"
    shutil.copytree(site, broken)
    weights = broken / "paint-and-ink-lite.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    hostile = tmp_path / "hostile"
    shutil.copytree(site, hostile)
    facts = json.loads((hostile / "site.json").read_bytes())
    facts["styles"][0]["look"]["levels"] = 1000
    (hostile / "site.json").write_text(json.dumps(facts))
    with chromium() as browser:
        for folder, word in ((broken, "hash differs"), (hostile, "levels")):
            with served(folder) as address:
                browser.get(address)
                assert word in until(lambda: drawn(browser), "a sentence")


def test_a_video_in_another_page(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    shutil.copytree(site, folder / "toon")
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=128x72:r=10",
        "-t",
        1,
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        folder / "film.mp4",
    )
    (folder / "index.html").write_text(
        '<!doctype html><script type="module" src="toon/element.js"></script>'
        '<streamtoon-video src="film.mp4" drawing="ink" changes=\'{"levels": 3}\'></streamtoon-video>'
    )
    with served(folder) as address, chromium() as browser:
        browser.get(address)
        part = "document.querySelector('streamtoon-video').shadowRoot.querySelector"
        until(
            lambda: browser.execute_script(
                f"return {part}('canvas').width === 192 || {part}('p').textContent"
            ),
            "a drawing, one and a half times as large as the small film",
        )
        assert browser.execute_script(f"return {part}('p').textContent") == ""
        browser.execute_script(
            "document.querySelector('streamtoon-video').setAttribute('changes', '{\"levels\": 99}')"
        )
        assert "levels" in until(
            lambda: browser.execute_script(f"return {part}('p').textContent"), "a sentence"
        )
