"""What tests of the page do with a browser: look, wait, read what a video shows."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

Bytes = np.ndarray[Any, Any]


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def state(browser: Any) -> str:
    state: str = find(browser, "#stage").get_attribute("data-state")
    return state


def live(browser: Any) -> None:
    until(lambda: state(browser) == "live", "the cartoon")


def slide(browser: Any, name: str, value: int | str) -> None:
    browser.execute_script(
        "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
        "one.dispatchEvent(new Event('input'))",
        name,
        value,
    )


def picture(browser: Any, video: str) -> Bytes:
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


def apart(one: Bytes, other: Bytes) -> float:
    """Mean difference in code values, with what coding leaves behind blurred away."""
    small = [cv2.GaussianBlur(picture, (0, 0), 1.5).astype(np.float64) for picture in (one, other)]
    return float(np.abs(small[0] - small[1]).mean())
