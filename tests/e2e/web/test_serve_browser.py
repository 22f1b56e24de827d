"""The page as people use it: a real browser whose camera shows a real clip, and a real server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engines_open import open_engine
from paths import ROOT
from serve_browser import Bytes, apart, find, live, picture, slide, state, until

from engines.registry.look_changes import with_look
from engines.registry.style import load_style, shipped_names

webdriver = pytest.importorskip("selenium.webdriver")
pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FFMPEG, FFPROBE = shutil.which("ffmpeg"), shutil.which("ffprobe")
pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()), reason=f"{CHROMIUM} or {DRIVER} is missing"
    ),
    pytest.mark.skipif(FFMPEG is None or FFPROBE is None, reason="ffmpeg or ffprobe is missing"),
]
WIDTH, HEIGHT = 320, 180
"""Of the camera: what a browser codes in software beside everything else on one core."""


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
    _ffmpeg("-loop", 1, "-framerate", 10, "-i", folder / "photo.png", "-frames", 9, *limited, clip)
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
    assert server.communicate(timeout=60)[1].strip() == "stopped"


@pytest.fixture(scope="module")
def one_browser(camera: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1280,800",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def browser(one_browser: Any, tmp_path: Path) -> Any:
    """With a window and downloads of this test's own; fails where the page has complained."""
    downloads = {"behavior": "allow", "downloadPath": str(tmp_path / "downloads")}
    one_browser.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
    yield one_browser
    one_browser.get("about:blank")
    one_browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    told = one_browser.get_log("browser")
    assert [entry for entry in told if entry["level"] == "SEVERE" and "400" not in entry["message"]] == []


def _looks_like(browser: Any, pictures: dict[str, Bytes], name: str) -> None:
    """Until the returned picture is far nearer to that one of `pictures` than to all others."""

    def there() -> bool:
        shown = picture(browser, "cartoon")
        if shown.shape != (HEIGHT, WIDTH, 3):
            return False
        far = {key: apart(shown, picture) for key, picture in pictures.items()}
        nearest = far.pop(name)
        return nearest < 0.6 * min(far.values())

    until(there, f"{name} on the page")


def test_the_camera_comes_back_drawn_in_any_style_and_strength(
    address: str, browser: Any, photo: Bytes, tmp_path: Path
) -> None:
    pictures = {"photo": photo}
    for style in ("comic", "ink"):
        with open_engine(style, quality="fast", precision="fp32", width=WIDTH, height=HEIGHT) as engine:
            pictures[style] = engine.rgb(photo)
    browser.get(address)
    until(lambda: len(browser.find_elements("css selector", "#gallery img")) > 1, "the gallery")
    find(browser, "#camera").click()
    live(browser)
    assert apart(picture(browser, "source"), photo) < 6  # the camera is the clip
    _looks_like(browser, pictures, "comic")
    find(browser, "#gallery input[value=ink]").click()
    _looks_like(browser, pictures, "ink")
    slide(browser, "strength", 0)
    assert find(browser, "#strength-text").text == "0 %"
    _looks_like(browser, pictures, "photo")
    slide(browser, "strength", 100)
    _looks_like(browser, pictures, "ink")
    until(lambda: find(browser, "#fps").text.isdigit() and int(find(browser, "#fps").text) > 0, "fps")
    assert int(find(browser, "#latency").text) > 0

    # Left of the divider is what the camera sees, right of it the cartoon.
    slide(browser, "split", 30)
    box = browser.execute_script("return getComputedStyle(document.getElementById('before')).clipPath")
    assert re.search(r"inset\(0px 70% 0px 0px\)|inset\(0px calc\(70%\) 0px 0px\)|calc\(100% - 30%\)", box), (
        box
    )

    find(browser, "#snapshot").click()
    until(lambda: list((tmp_path / "downloads").glob("streamtoon*.png")), "the snapshot")
    find(browser, "#stop").click()
    until(lambda: state(browser) == "idle", "the end")
    assert find(browser, "#camera").is_displayed()


def test_sliders_change_the_drawing_and_the_gallery_is_drawn_of_what_the_camera_sees(
    address: str, browser: Any, photo: Bytes
) -> None:
    settings: dict[str, Any] = {"quality": "fast", "precision": "fp32", "width": WIDTH, "height": HEIGHT}
    changed = with_look(load_style("comic"), {"levels": 1, "line_color": "#ff0000"})
    pictures = {"photo": photo}
    for name, style in (("comic", load_style("comic")), ("changed", changed)):
        with open_engine(style, **settings) as engine:
            pictures[name] = engine.rgb(photo)
    browser.get(address)
    until(lambda: len(browser.find_elements("css selector", "#gallery img")) > 1, "the gallery")
    assert not find(browser, "#look-groups").is_displayed()
    find(browser, "#look > summary").click()
    groups = browser.find_elements("css selector", "#look-groups details")
    assert [group.text for group in groups] == ["Tones", "Colour", "Lines", "Pattern", "Paper"]
    # Idle, the sample is drawn with what is changed.
    own = f"{address}style/comic.webp"
    until(lambda: find(browser, "#after-image").get_attribute("src") == own, "the sample, drawn here")
    slide(browser, "look-levels", 1)
    until(lambda: "levels" in (find(browser, "#after-image").get_attribute("src") or ""), "the sample")
    assert find(browser, "#look-count").text == "1 changed"
    slide(browser, "look-levels", 7)
    until(lambda: find(browser, "#after-image").get_attribute("src") == own, "the style's own")
    # What does nothing is not there, until it does.
    assert not browser.execute_script(
        "return document.querySelector('[data-key=screen_size]').checkVisibility()"
    )
    groups[3].find_element("css selector", "summary").click()
    slide(browser, "look-screen", "dots")
    until(lambda: find(browser, "[data-key=screen_size]").is_displayed(), "the size of dots")

    find(browser, "#look-reset").click()
    find(browser, "#look > summary").click()
    browser.execute_script("scrollTo(0, 0)")
    find(browser, "#camera").click()
    live(browser)
    _looks_like(browser, pictures, "comic")
    slide(browser, "look-levels", 1)
    slide(browser, "look-line_color", "#ff0000")
    _looks_like(browser, pictures, "changed")
    command = browser.execute_script("return document.getElementById('look-command').textContent")
    assert command == '--style comic --look levels=1 --look "line_color=#ff0000"'
    browser.execute_script("document.getElementById('look-reset').click()")
    _looks_like(browser, pictures, "comic")
    source = "return document.querySelector('#gallery input[value=comic]').nextElementSibling.src"
    until(lambda: browser.execute_script(source).startswith("blob:"), "the visitor's own gallery")
    until(lambda: browser.execute_script(source.replace(".src", ".naturalWidth")) == 640, "its picture")
    find(browser, "#stop").click()
    until(lambda: browser.execute_script(source).endswith("/style/comic.webp"), "the sample's gallery")


def _rows(browser: Any) -> list[str]:
    """The state of each file in the list."""
    rows = browser.find_elements("css selector", "#files li")
    return [row.get_attribute("data-state") for row in rows]


def test_files_in_a_row_are_sent_drawn_and_fetched(address: str, browser: Any, tmp_path: Path) -> None:
    clips = [tmp_path / "two seconds.mp4", tmp_path / "one second.mp4"]
    for clip, seconds in zip(clips, (2, 1), strict=True):
        _ffmpeg("-i", ROOT / "samples" / "tour.mp4", "-t", seconds, "-vf", "scale=160:90", "-r", 10, clip)
    browser.get(address)
    until(lambda: browser.find_elements("css selector", "#gallery img"), "the gallery")
    find(browser, "#file").send_keys("\n".join(map(str, clips)))
    live(browser)  # the first one
    assert picture(browser, "cartoon").shape == (90, 160, 3)
    assert find(browser, "#draw").text == "Draw 2 files" and _rows(browser) == ["waiting", "waiting"]
    # The server has one quality, so there is nothing to choose. Parts that are none are told.
    assert not find(browser, "#quality-field").is_displayed()
    find(browser, "#part-from").send_keys("0:01")
    find(browser, "#part-to").send_keys("0:00.5")
    find(browser, "#draw").click()
    assert browser.execute_script("return document.getElementById('part-to').validationMessage") != ""
    assert _rows(browser) == ["waiting", "waiting"]
    find(browser, "#part-from").clear()
    find(browser, "#draw").click()
    until(lambda: find(browser, "#stop-files").is_displayed(), "the way to cancel")
    until(lambda: _rows(browser) == ["done", "done"], "both files")
    assert find(browser, "#status").text == "2 files are ready to download"
    for link in browser.find_elements("css selector", "#files .download"):
        link.click()
    targets = [tmp_path / "downloads" / f"{clip.stem}_cartoon.mp4" for clip in clips]
    until(lambda: all(target.exists() for target in targets), "the files")
    for target in targets:
        shown = subprocess.run(
            [str(FFPROBE), "-v", "error", "-count_packets", "-show_entries",
             "stream=codec_type,nb_read_packets", "-of", "csv=p=0", str(target)],
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
        assert shown[0] == "video,5" and shown[1].startswith("audio")  # half a second

    # One is taken away, here and at the server.
    before = browser.execute_script("return document.querySelector('#files .download').href")
    find(browser, "#files .remove").click()
    until(lambda: _rows(browser) == ["done"], "one less")
    fetched = "const [done] = arguments; fetch(arguments[0]).then((answer) => arguments[1](answer.status))"
    until(lambda: browser.execute_async_script(fetched, before) == 404, "what it made is gone")
    assert browser.get_log("browser")  # of the address that is gone


def _says(browser: Any, sentence: str) -> bool:
    return sentence in find(browser, "#trouble").text


def test_what_is_no_video_or_photo_is_refused_at_once(address: str, browser: Any, tmp_path: Path) -> None:
    for name, content in (
        ("notes.txt", b"Buy milk."),
        ("umlauts.mp4", "Über allen Gipfeln".encode() * 600),
        ("song.mp3", b"ID3\x04\x00\x00\x00\x00"),
        ("large.mp4", b"\x00" * 1_100_000),
        ("nothing.mp4", b""),
    ):
        (tmp_path / name).write_bytes(content)
    browser.get(address)
    until(lambda: browser.find_elements("css selector", "#gallery img"), "the gallery")
    for name, said in (
        ("notes.txt", "notes.txt is not a video or a photo"),
        ("umlauts.mp4", "umlauts.mp4 is not a video or a photo"),
        ("song.mp3", "song.mp3 is not a video or a photo"),
        ("large.mp4", "limit of this server is 1 MB"),
        ("nothing.mp4", "is empty"),
    ):
        find(browser, "#file").send_keys(str(tmp_path / name))
        until(partial(_says, browser, said), said)
        assert not find(browser, "#job").is_displayed()


def test_what_was_stopped_does_not_begin_after_all(address: str, browser: Any, tmp_path: Path) -> None:
    clip = tmp_path / "no video.mp4"
    clip.write_bytes(b"\x00" * 1000)
    browser.get(address)
    until(lambda: browser.find_elements("css selector", "#gallery img"), "the gallery")
    # Cancelled while the page still asks the server to forget the file before.
    find(browser, "#file").send_keys(str(clip))
    until(find(browser, "#draw").is_displayed, "the offer to draw it")
    browser.execute_async_script(
        """const [done] = arguments;
           window.sent = 0;
           const send = XMLHttpRequest.prototype.send;
           XMLHttpRequest.prototype.send = function (body) {
               window.sent += 1;
               return send.call(this, body);
           };
           document.getElementById("draw").click();
           setTimeout(() => { document.getElementById("stop-files").click(); done(); });"""
    )
    calls = "performance.getEntriesByType('resource').filter((one) => /discard/.test(one.name))"
    until(lambda: browser.execute_script(f"return {calls}.length") == 2, "both calls")
    browser.execute_async_script(
        "const [done] = arguments; fetch('facts').then(() => setTimeout(done, 200));"
    )
    assert browser.execute_script("return window.sent") == 0
    assert _rows(browser) == ["stopped"]
    find(browser, "#files .remove").click()
    assert not find(browser, "#job").is_displayed()

    # A photo is opened while the page still asks which cameras there are.
    browser.execute_script(
        """const devices = navigator.mediaDevices, list = devices.enumerateDevices.bind(devices);
           devices.enumerateDevices = () => new Promise((done) => { window.goOn = () => done(list()); });"""
    )
    find(browser, "#camera").click()
    until(lambda: browser.execute_script("return window.goOn !== undefined"), "the question")
    find(browser, "#file").send_keys(str(ROOT / "samples" / "photos" / "lake.jpg"))
    photo = "return document.getElementById('before-image').alt"
    until(lambda: browser.execute_script(photo) == "lake.jpg", "the photo")
    browser.execute_async_script("const [done] = arguments; window.goOn(); setTimeout(done, 500);")
    assert state(browser) == "idle"
    assert browser.execute_script(photo) == "lake.jpg"


def test_the_page_fits_a_phone_and_works_by_keyboard_and_screen_reader(address: str, browser: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    browser.get(address)
    until(lambda: browser.find_elements("css selector", "#gallery img"), "the gallery")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    # The frame of the chosen style, two pixels around it, is inside what the row of styles shows.
    edges = """const row = document.getElementById("gallery").getBoundingClientRect();
               const card = document.querySelector("#gallery .style").getBoundingClientRect();
               return [card.left - row.left, card.top - row.top, row.bottom - card.bottom]"""
    assert min(browser.execute_script(edges)) >= 2
    # Before the server has drawn anything, every style and the stage have a picture that is there at once.
    asked = """return performance.getEntriesByType("resource").map((one) => one.name)
                   .filter((name) => /preview|style[/]/.test(name))"""
    until(lambda: any("/style/" in name for name in browser.execute_script(asked)), "a server's drawing")
    folders = [name.rsplit("/", 2)[1] for name in browser.execute_script(asked)]
    assert folders[: len(shipped_names())] == ["preview"] * len(shipped_names())
    names = {
        selector: find(browser, selector).accessible_name
        for selector in ("#camera", "#split", "#strength", "#file", "#gallery input")
    }
    assert names == {
        "#camera": "Use the camera",
        "#split": "Compare: how much of the original is shown",
        "#strength": "Strength",
        "#file": "Open files",
        "#gallery input": "Comic",
    }
    assert find(browser, "#styles").accessible_name == "Style"
    assert find(browser, "#status").aria_role == "status"
    assert find(browser, "#trouble").get_attribute("role") == "alert"
    # All of it in the order in which it stands there, and the picture beyond the fold stays reachable.
    order = []
    for _ in range(8):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        focused = browser.switch_to.active_element
        order.append(focused.get_attribute("id") or focused.text)
    assert order[:5] == ["On the server", "On this device", "split", "camera", "file"]
    assert "strength" in order
    find(browser, "#gallery input").send_keys(Keys.ARROW_RIGHT)
    assert browser.execute_script("return document.querySelector('#gallery :checked').value") == "anime"
    find(browser, "#camera").send_keys(Keys.ENTER)
    live(browser)
    assert find(browser, "#status").text == "Live"
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    sizes = [one.size["height"] for one in browser.find_elements("css selector", "#running button")]
    assert len(sizes) == 3 and min(sizes) >= 44
    # Leaving the page leaves nothing running at the server.
    browser.get("about:blank")

    def none_is_left() -> bool:
        with urllib.request.urlopen(f"{address}metrics") as answer:
            return re.search(rb"^streamtoon_sessions 0.0$", answer.read(), re.MULTILINE) is not None

    until(none_is_left, "the end of the session")
