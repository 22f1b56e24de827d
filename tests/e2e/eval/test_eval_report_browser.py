"""The report in a real browser: its slider, its choices, its width."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("jinja2", reason="jinja2 is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from engines.common.arrays import Image
from eval.report.model import PictureRow, ScoreReport
from eval.report.page import write_report
from eval.scoring.results import Images, Number, Score

MARKUP = "<b>\"' & co"


def _picture(seed: int) -> Image:
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return np.asarray(cv2.resize(small, (300, 240), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="module")
def report() -> ScoreReport:
    values: dict[str, Number] = {
        "fid": 112.3,
        "kid": 0.0351,
        "mmd": 0.02,
        "1nn": 0.9,
        "1nn-real": 0.8,
        "lpips": 0.3,
        "artfid": 140.2,
    }
    scores = [Score(name, values, {"resize": "bicubic " * 40}, Images(9, 7)) for name in ("ink", MARKUP)]
    rows = [
        PictureRow(f"photo {i}", _picture(i), {"ink": _picture(i + 50), MARKUP: _picture(i + 90)})
        for i in range(3)
    ]
    return ScoreReport("A report", scores, rows)


@pytest.fixture(scope="module")
def browser(report: ScoreReport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with the report open."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
    if not (program.exists() and driver.exists()):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = str(program)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, report)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(driver)))
    try:
        opened.get(path.as_uri())
        yield opened
    finally:
        opened.quit()


def _seen(browser: Any) -> float:
    """The share of the stage's width that shows the photograph."""
    clip = browser.execute_script("return getComputedStyle(document.querySelector('.stage .over')).clipPath")
    found = re.fullmatch(r"inset\(0px (?:calc\(100% - ([\d.]+)%\)|([\d.]+)%) 0px 0px\)", clip)
    assert found, clip
    return float(found[1]) if found[1] else 100 - float(found[2])


def test_the_slider_follows_keys_and_pointer(browser: Any) -> None:
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.common.by import By

    slider = browser.find_element(By.CSS_SELECTOR, ".stage input")
    assert slider.accessible_name and _seen(browser) == 50
    slider.send_keys(Keys.ARROW_RIGHT * 3)
    assert _seen(browser) == 53
    slider.send_keys(Keys.HOME)
    assert _seen(browser) == 0
    stage = browser.find_element(By.CSS_SELECTOR, ".stage")
    width = stage.size["width"]
    ActionChains(browser).move_to_element_with_offset(stage, width // 4, 10).click().perform()
    assert _seen(browser) == pytest.approx(75, abs=1.5)
    ActionChains(browser).click_and_hold().move_by_offset(-width // 2, 0).release().perform()
    assert _seen(browser) == pytest.approx(25, abs=1.5)


def test_the_slider_follows_a_finger(browser: Any) -> None:
    from selenium.webdriver.common.by import By

    stage = browser.find_element(By.CSS_SELECTOR, ".stage")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    box = browser.execute_script("return arguments[0].getBoundingClientRect().toJSON()", stage)
    y = box["y"] + box["height"] / 2

    def touch(kind: str, share: float | None) -> None:
        points = [] if share is None else [{"x": box["x"] + share * box["width"], "y": y}]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.3)
    for step in range(1, 6):
        touch("touchMove", 0.3 + 0.1 * step)
    touch("touchEnd", None)
    assert _seen(browser) == pytest.approx(80, abs=2)


def _decoded(address: str) -> Image:
    data = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    coded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert coded is not None
    return np.asarray(cv2.cvtColor(coded, cv2.COLOR_BGR2RGB), np.uint8)


def test_candidates_and_pictures_are_chosen(browser: Any, report: ScoreReport) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    def shown() -> tuple[str, str]:
        result, photo = browser.find_elements(By.CSS_SELECTOR, ".stage img")
        return photo.get_attribute("alt"), result.get_attribute("alt")

    assert shown() == ("photo 0: photograph", "photo 0: ink")
    browser.find_elements(By.CSS_SELECTOR, "fieldset label")[1].click()
    Select(browser.find_element(By.CSS_SELECTOR, ".which select")).select_by_index(2)
    assert shown() == ("photo 2: photograph", f"photo 2: {MARKUP}")
    result = browser.find_element(By.CSS_SELECTOR, ".stage img").get_attribute("src")
    assert np.abs(_decoded(result).astype(int) - report.pictures[2].results[MARKUP]).mean() < 4
    browser.find_element(By.CSS_SELECTOR, "img[data-row='1'][data-result='0']").click()
    assert shown() == ("photo 1: photograph", "photo 1: ink")


def test_the_page_never_scrolls_sideways_and_nothing_complains(browser: Any) -> None:
    for width in (390, 1280):
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert all(name.startswith("data:") for name in loaded)
    assert browser.get_log("browser") == []
