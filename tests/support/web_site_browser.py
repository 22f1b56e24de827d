"""What tests of the site do with a browser: WebGPU by software, a server for a folder, calls of modules."""

from __future__ import annotations

import base64
import functools
import http.server
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from paths import ROOT

from engines.registry.style import Style
from streamtoon.web.site.build import HEADERS, build_site
from streamtoon.web.site.contents import site_styles

Bytes = np.ndarray[Any, Any]
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
SCRIPT_TIMEOUT_S = 280
# With these, a canvas of WebGPU works on the processor as well.
SOFTWARE = (
    "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan",
    "--use-vulkan=swiftshader", "--use-angle=swiftshader",
)  # fmt: skip
TO_PICTURE = (
    "const picture = await createImageBitmap(new Blob([Uint8Array.from(atob(png), (c) => "
    "c.charCodeAt(0))]), {colorSpaceConversion: 'none'});"
)


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript", ".webmanifest": "application/manifest+json",
    }  # fmt: skip

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class _WithoutPolicy(_Handler):
    end_headers = http.server.SimpleHTTPRequestHandler.end_headers


@contextmanager
def served(folder: Path, *, policy: bool = True) -> Iterator[str]:
    """Serve a folder at the yielded address, with the site's headers unless `policy` is False."""
    handler = functools.partial(_Handler if policy else _WithoutPolicy, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def camera_clip(folder: Path) -> Path:
    """Write two seconds of tour.mp4, which Chromium repeats as its camera; small enough for software."""
    clip = folder / "camera.y4m"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(ROOT / "samples" / "tour.mp4"), "-t", "2"]
    command += ["-vf", "fps=5,scale=192:108:flags=area", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, str(clip)], check=True)
    return clip


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """A headless browser whose WebGPU runs on the processor."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *SOFTWARE, *arguments):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    browser.set_script_timeout(SCRIPT_TIMEOUT_S)
    # Selenium's own limit for an answer of the driver is two minutes.
    browser.command_executor.client_config.timeout = SCRIPT_TIMEOUT_S + 20  # type: ignore[union-attr]
    try:
        yield browser
    finally:
        browser.quit()


@contextmanager
def blank_page(folder: Path, styles: list[Style] | None = None, *, policy: bool = True) -> Iterator[Any]:
    """Build the site into a folder and open an empty page in it, for tests that call its modules."""
    build_site(styles or site_styles([]), folder)
    (folder / "blank.html").write_text("<!doctype html><title>blank</title>")
    with served(folder, policy=policy) as address, chromium() as browser:
        browser.get(f"{address}blank.html")
        yield browser


def run(browser: Any, body: str, **given: Any) -> Any:
    """What asynchronous JavaScript returns; the page's modules are imported by their addresses."""
    names = "".join(f"const {name} = given[{at}];" for at, name in enumerate(given))
    answer = browser.execute_async_script(
        f"const given = arguments; const done = arguments[arguments.length - 1]; {names}"
        f"(async () => {{ {body} }})().then((value) => done({{ value }}), (error) => done({{ "
        f"error: String(error) }}))",
        *given.values(),
    )
    assert "error" not in answer, answer["error"]
    return answer.get("value")


def until_drawn(browser: Any, expected: str, seconds: float = 240) -> None:
    """Wait until the page has drawn `expected`, such as `camera comic`; a failure says what it drew last."""
    end = time.monotonic() + seconds
    while (state := drawn(browser)) != expected:
        assert time.monotonic() < end, f"the page says {state!r} and not {expected!r}"
        time.sleep(0.1)


def until(condition: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"never came: {what}")


def png(picture: Bytes) -> str:
    return base64.b64encode(cv2.imencode(".png", picture[..., ::-1])[1].tobytes()).decode()


def picture_of(address: str) -> Bytes:
    data = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def drawn(browser: Any) -> str:
    """What the page has drawn last, such as `camera comic`; the reason in its place where it cannot."""
    state: str = browser.execute_script(
        "return document.getElementById('trouble').textContent || "
        "document.getElementById('stage').dataset.drawn || ''"
    )
    return state
