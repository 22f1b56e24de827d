"""The page as people use it: a real browser whose camera shows a real clip, and a real server."""

from __future__ import annotations

import base64
import os
import re
import shutil
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

from engines.engine import open_engine

webdriver = pytest.importorskip("selenium.webdriver")
pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

ROOT = Path(__file__).parent.parent
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FFMPEG, FFPROBE = shutil.which("ffmpeg"), shutil.which("ffprobe")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing"
    ),
    pytest.mark.skipif(FFMPEG is None or FFPROBE is None, reason="ffmpeg or ffprobe is missing"),
]
WIDTH, HEIGHT = 640, 360
Bytes = np.ndarray[Any, Any]


def _ffmpeg(*arguments: object) -> None:
    subprocess.run([str(FFMPEG), "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def photo() -> Bytes:
    """What the camera sees, RGB."""
    picture = cv2.imread(str(ROOT / "samples" / "photos" / "otter.jpg"), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture(scope="module")
def camera(photo: Bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some pictures of it, which the browser repeats; limited range, as the browser takes whatever comes."""
    folder = tmp_path_factory.mktemp("camera")
    cv2.imwrite(str(folder / "photo.png"), photo[..., ::-1])
    clip = folder / "camera.y4m"
    limited = ("-vf", "scale=out_range=tv:out_color_matrix=bt601", "-pix_fmt", "yuv420p")
    _ffmpeg("-loop", 1, "-framerate", 30, "-i", folder / "photo.png", "-frames", 9, *limited, clip)
    return clip


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server in a process of its own."""
    server = subprocess.Popen(
        [sys.executable, "-m", "streamtoon", "serve", "--port", "0", "--quality", "fast",
         "--precision", "fp32", "--max-upload", "1"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert server.stderr is not None
    found = re.search(r"open (http://127\.0\.0\.1:\d+/) in a browser", server.stderr.readline())
    assert found
    yield found[1]
    server.send_signal(signal.SIGINT)
    assert server.communicate(timeout=30)[1].strip() == "stopped"


@pytest.fixture
def browser(camera: Path, tmp_path: Path) -> Iterator[Any]:
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
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    told = driver.get_log("browser")
    driver.quit()
    assert [entry for entry in told if entry["level"] == "SEVERE" and "400" not in entry["message"]] == []


def _until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


def _find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def _state(browser: Any) -> str:
    state: str = _find(browser, "#stage").get_attribute("data-state")
    return state


def _live(browser: Any) -> None:
    _until(lambda: _state(browser) == "live", "the cartoon")


def _slide(browser: Any, name: str, value: int) -> None:
    browser.execute_script(
        "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
        "one.dispatchEvent(new Event('input'))",
        name,
        value,
    )


def _picture(browser: Any, video: str) -> Bytes:
    """What a video element shows, RGB, read from a canvas."""
    address = browser.execute_script(
        """const video = document.getElementById(arguments[0]);
           const canvas = document.createElement("canvas");
           [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
           canvas.getContext("2d").drawImage(video, 0, 0);
           return canvas.toDataURL("image/png");""",
        video,
    )
    data = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def _apart(one: Bytes, other: Bytes) -> float:
    """Mean difference in code values, with what coding leaves behind blurred away."""
    small = [cv2.GaussianBlur(picture, (0, 0), 1.5).astype(np.float64) for picture in (one, other)]
    return float(np.abs(small[0] - small[1]).mean())


def _looks_like(browser: Any, pictures: dict[str, Bytes], name: str) -> None:
    """Until the returned picture is far nearer to that one of `pictures` than to all others."""

    def there() -> bool:
        shown = _picture(browser, "cartoon")
        if shown.shape != (HEIGHT, WIDTH, 3):
            return False
        apart = {key: _apart(shown, picture) for key, picture in pictures.items()}
        nearest = apart.pop(name)
        return nearest < 0.6 * min(apart.values())

    _until(there, f"{name} on the page")


def test_the_camera_comes_back_drawn_in_any_style_and_strength(
    address: str, browser: Any, photo: Bytes, tmp_path: Path
) -> None:
    pictures = {"photo": photo}
    for style in ("comic", "scroll"):
        with open_engine(style, quality="fast", precision="fp32", width=WIDTH, height=HEIGHT) as engine:
            pictures[style] = engine.rgb(photo)
    browser.get(address)
    _until(lambda: len(browser.find_elements("css selector", "#gallery img")) == 2, "the gallery")
    _find(browser, "#camera").click()
    _live(browser)
    assert _apart(_picture(browser, "source"), photo) < 6  # the camera is the clip
    _looks_like(browser, pictures, "comic")
    browser.find_elements("css selector", "#gallery input")[1].click()
    _looks_like(browser, pictures, "scroll")
    _slide(browser, "strength", 0)
    assert _find(browser, "#strength-text").text == "0 %"
    _looks_like(browser, pictures, "photo")
    _slide(browser, "strength", 100)
    _looks_like(browser, pictures, "scroll")
    _until(lambda: _find(browser, "#fps").text.isdigit() and int(_find(browser, "#fps").text) > 0, "fps")
    assert int(_find(browser, "#latency").text) > 0

    # Left of the divider is what the camera sees, right of it the cartoon.
    _slide(browser, "split", 30)
    box = browser.execute_script("return getComputedStyle(document.getElementById('before')).clipPath")
    assert re.search(r"inset\(0px 70% 0px 0px\)|inset\(0px calc\(70%\) 0px 0px\)|calc\(100% - 30%\)", box), (
        box
    )

    _find(browser, "#snapshot").click()
    _until(lambda: list((tmp_path / "downloads").glob("streamtoon*.png")), "the snapshot")
    _find(browser, "#stop").click()
    _until(lambda: _state(browser) == "idle", "the end")
    assert _find(browser, "#camera").is_displayed()


def test_a_file_is_shown_live_sent_drawn_and_fetched(address: str, browser: Any, tmp_path: Path) -> None:
    clip = tmp_path / "two seconds.mp4"
    _ffmpeg("-i", ROOT / "samples" / "tour.mp4", "-t", 2, "-vf", "scale=320:180", clip)
    browser.get(address)
    _until(lambda: browser.find_elements("css selector", "#gallery img"), "the gallery")
    _find(browser, "#file").send_keys(str(clip))
    _live(browser)
    assert _picture(browser, "cartoon").shape == (180, 320, 3)
    _find(browser, "#draw").click()
    _until(lambda: _find(browser, "#cancel").is_displayed(), "the way to cancel")
    link = _find(browser, "#download")
    _until(link.is_displayed, "the download")
    assert _find(browser, "#status").text == "The file is ready to download"
    assert browser.switch_to.active_element == link
    link.click()
    target = tmp_path / "downloads" / "two seconds_cartoon.mp4"
    _until(target.exists, "the file")
    shown = subprocess.run(
        [str(FFPROBE), "-v", "error", "-count_packets", "-show_entries", "stream=codec_type,nb_read_packets",
         "-of", "csv=p=0", str(target)],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert shown[0] == "video,50" and shown[1].startswith("audio")

    # Another one is too large, and cancelling gives the page back.
    large = tmp_path / "large.mp4"
    large.write_bytes(b"x" * 1_100_000)
    _find(browser, "#file").send_keys(str(large))
    _until(_find(browser, "#trouble").is_displayed, "the refusal")
    assert "takes at most 1 MB" in _find(browser, "#trouble").text
    _find(browser, "#draw").click()
    _find(browser, "#cancel").click()
    assert _find(browser, "#job-text").text == "Cancelled"


def test_the_page_fits_a_phone_and_is_used_by_keyboard_and_by_ear(address: str, browser: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    browser.get(address)
    _until(lambda: browser.find_elements("css selector", "#gallery img"), "the gallery")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    names = {
        selector: _find(browser, selector).accessible_name
        for selector in ("#camera", "#split", "#strength", "#file", "#gallery input")
    }
    assert names == {
        "#camera": "Use the camera",
        "#split": "Compare: how much of the original is shown",
        "#strength": "Strength",
        "#file": "Open a file",
        "#gallery input": "Comic",
    }
    assert _find(browser, "#styles").accessible_name == "Style"
    assert _find(browser, "#status").aria_role == "status"
    assert _find(browser, "#trouble").get_attribute("role") == "alert"
    # All of it in the order in which it stands there, and the picture beyond the fold stays reachable.
    order = []
    for _ in range(6):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        order.append(browser.switch_to.active_element.get_attribute("id"))
    assert order[:3] == ["split", "camera", "file"]
    assert "strength" in order
    _find(browser, "#gallery input").send_keys(Keys.ARROW_RIGHT)
    assert browser.execute_script("return document.querySelector('#gallery :checked').value") == "scroll"
    _find(browser, "#camera").send_keys(Keys.ENTER)
    _live(browser)
    assert _find(browser, "#status").text == "Live"
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    sizes = [one.size["height"] for one in browser.find_elements("css selector", "#running button")]
    assert len(sizes) == 3 and min(sizes) >= 44
    # Leaving the page leaves nothing running at the server.
    browser.get("about:blank")

    def none_is_left() -> bool:
        import urllib.request

        with urllib.request.urlopen(f"{address}metrics") as answer:
            return re.search(rb"^streamtoon_sessions 0$", answer.read(), re.MULTILINE) is not None

    _until(none_is_left, "the end of the session")
