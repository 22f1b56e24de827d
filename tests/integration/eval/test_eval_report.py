"""The report: what stands on its page, that it asks nothing of any network, and that it can be used."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("jinja2", reason="jinja2 is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from engines.common.arrays import Image
from engines.errors import StreamtoonError
from eval.report.embed import MAX_PAGE_IMAGE_BYTES, MAX_ROWS, SIDES_PIXELS, embed
from eval.report.formatting import decimals_for, format_number
from eval.report.model import PictureRow, ScoreReport, SweepPoint
from eval.report.page import render, write_report
from eval.report.published import published
from eval.report.summary import answer, scored
from eval.scoring.metric_registry import METRICS
from eval.scoring.results import Cost, Images, Interval, Score, Skipped, Spread

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> $a_{b}$ & co"
PHOTOS = "photos, untouched"


class Page(HTMLParser):
    """Elements with their attributes and text, in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "input", "br"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self) -> str:
        return re.sub(
            r"\s+", " ", " ".join(text for tag, text in self.texts if tag not in {"style", "script"})
        )


def _picture(seed: int, height: int = 60, width: int = 80) -> Image:
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _score(name: str, fid: float, **others: Any) -> Score:
    metrics = {"fid": fid, "kid": Spread(fid / 3000, 0.00123456), "psnr": fid / 7, "1nn": 0.5 + fid / 500}
    fields: dict[str, Any] = {
        "metrics": metrics,
        "protocol": {"resize": "bicubic", "n": {"photos": 9}, "engine": f"for {name}"},
        "images": Images(9, 7, (Skipped(Path("a<b>.png"), "grey"), Skipped(Path("c\udcff.png"), "torn"))),
        "intervals": {"fid": Interval(fid - 5.25, fid + 6.125)},
    }
    return Score(name, **(fields | others))


@pytest.fixture(scope="module")
def report() -> ScoreReport:
    every = {key: 0.1234567 * (index + 1) for index, key in enumerate(METRICS)}
    costs = (
        Cost("openvino bf16", "full", 161.25),
        Cost("openvino bf16", "fast", 44.5),
        Cost("torch", "full", 900.0),
    )
    scores = [
        _score("ink", 112.34567, costs=costs, parameters=1473539, macs=115_000_000_000),
        _score(EVIL, 118.5, metrics={**every, "fid": 118.5, "psnr": float("inf")}),
        _score(PHOTOS, 90.0),
    ]
    rows = [
        PictureRow(f"photo {i}", _picture(i), {"ink": _picture(i + 50), EVIL: _picture(i + 90)})
        for i in range(3)
    ]
    sweep = [
        SweepPoint(1000 * i, 2.5 * i, {"fid": abs(i - 2) * 10 + 100.5}, frozenset({"fid"} if i == 2 else ()))
        for i in range(1, 5)
    ]
    film = {"ewarp": 0.00213, "ewarp-source": 0.00187, "ewarp-ratio": 1.139, "other": 3.0}
    tied = {"fid": {"ink", EVIL}}
    return ScoreReport("A & B <i>", scores, rows, sweep, film, {"python": "3.x"}, tied, PHOTOS)


@pytest.fixture(scope="module")
def html(report: ScoreReport) -> str:
    return render(report)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_nothing_is_loaded_from_anywhere(html: str, page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "href", "xlink:href", "data", "poster", "action", "background"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/webp;base64,", "#")), (
                tag,
                name,
                value[:60],
            )
        assert not any(name.startswith("on") for name in attributes), tag
    assert not page.all("link") and not page.all("iframe")
    assert not re.search(r"https?:|@import|url\((?!#)", html)


def test_the_policy_forbids_the_network_and_allows_the_pages_own_script(html: str, page: Page) -> None:
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;")
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert len(scripts) == len(page.all("script")) == 1
    assert f"script-src 'sha256-{digest}'" in policy


def test_every_number_of_every_score_is_there(report: ScoreReport, page: Page) -> None:
    values = {float(data["value"] or "nan") for data in page.all("data")}
    brackets = {(small["data-low"], small["data-high"]) for small in page.all("small") if "data-low" in small}
    for score in report.scores:
        for number in score.metrics.values():
            for value in number if isinstance(number, Spread) else (number,):
                assert value in values
        for interval in score.intervals.values():
            assert (repr(interval.low), repr(interval.high)) in brackets
        assert {score.parameters, score.macs} <= values | {None}
        for cost in score.costs:
            assert {cost.milliseconds, cost.fps} <= values
    assert all(value in values for value in (report.film or {}).values())
    assert all(point.metrics["fid"] in values for point in report.sweep or ())


def test_numbers_read_as_people_write_them(page: Page) -> None:
    text = page.text()
    for words in (
        "112.3",
        "[107.1, 118.5]",
        "0.0374 ± 0.0012",
        "∞",
        "1.47",
        "115.0",
        "161.2",
        "22.5",
        "1.139",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([110.234, 9.5], "110.2"),
        ([0.81234], "0.8123"),
        ([0.03514], "0.0351"),
        ([1473539.0], "1,473,539"),
        ([-0.00042], "−0.00042"),
        ([-0.00000001, 0.5], "0.0"),
        ([float("inf")], "∞"),
        ([float("nan")], "–"),
    ],
)
def test_decimals_follow_the_size_of_a_figure(values: list[float], shown: str) -> None:
    text = format_number(values[0], decimals_for(values))
    assert text.rstrip("0") == shown.rstrip("0")


def test_names_that_are_markup_are_text(html: str, page: Page) -> None:
    assert EVIL in "".join(text for tag, text in page.texts if tag == "th")
    assert EVIL[:20] in "".join(text for tag, text in page.texts if tag == "text")
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    assert "A & B <i>" in page.text() and not page.all("i")
    assert all(image.get("src") != "x" for image in page.all("img"))


def test_marks_go_to_the_best_candidate_and_to_what_is_tied_with_it(html: str) -> None:
    row = {name: _row(html, name) for name in ("ink", "&lt;script&gt;", PHOTOS)}
    assert row["ink"].count('<td class="best">') == 2  # FID and KID
    assert '<td class="tied"><span class="mark">tied</span> <data value="118.5">' in row["&lt;script&gt;"]
    assert '<td><data value="inf">∞</data></td>' in html, "PSNR is not to decide by"
    assert "mark" not in row[PHOTOS], "the photographs themselves are no candidate"


def _row(html: str, name: str) -> str:
    return next(row for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL) if f">{name}" in row)


def _only(report: ScoreReport, key: str) -> ScoreReport:
    """The same with one metric."""
    return replace(report, scores=[replace(s, metrics={key: s.metrics[key]}) for s in report.scores])


def test_one_sentence_answers(report: ScoreReport) -> None:
    assert answer(report) == (
        "By KID, ink is best: 0.0374 ± 0.0012; the untouched photographs score 0.0300 ± 0.0012."
    )
    assert answer(_only(report, "fid")) == (
        f"By FID, ink is best: 112.3 [107.1, 118.5], but {EVIL} cannot be distinguished from it with "
        "95\u00a0% confidence; the untouched photographs score 90.0 [84.8, 96.1]."
    )
    assert scored(report) == "2 candidates, 9 photographs, 7 drawings, 4 checkpoints"
    alone = replace(report, scores=report.scores[:1], sweep=None)
    assert answer(_only(alone, "fid")) == "ink has FID 112.3 [107.1, 118.5]."
    assert scored(alone) == "ink, 9 photographs, 7 drawings"
    assert answer(replace(report, scores=())) == "By FID, step 2,000 (epoch 5) is best: 100.5."
    assert answer(_only(replace(report, tied={}), "fid")).startswith(
        "By FID, ink is best: 112.3 [107.1, 118.5]; the untouched"
    )


def test_every_figure_of_the_papers_is_there_as_printed(html: str) -> None:
    for table in published():
        assert table.paper in html
        for row in table.rows:
            printed = [
                f">{value}</data>" in html or f">{value:,}</data>" in html for value in row.values.values()
            ]
            epochs = [f"epoch {value}" in html for value in row.values.values()]
            rounded = [f'<data value="{value}">' in html for value in row.values.values()]
            assert all(map(any, zip(printed, epochs, rounded, strict=True))), row
    assert html.count("not comparable") >= 3


def test_published_tables_beside_ours_are_not_said_twice(html: str) -> None:
    bare = render(ScoreReport("nothing of our own"))
    for value in ("338.22", "67.040676", "0.05003", "13,253,452"):
        assert bare.count(f">{value}<") == 1
    assert html.count(">338.22<") == 1


def test_ids_are_unique_and_every_reference_finds_its_own(html: str, page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    wanted = {value[1:] for _, attributes in page.elements if (value := attributes.get("href")) is not None}
    assert wanted | set(re.findall(r"url\(#([^)]*)\)", html)) <= set(ids)


def test_points_of_a_plot_lie_where_their_values_are(html: str) -> None:
    svg = next(s for s in re.findall(r"<svg.*?</svg>", html, re.DOTALL) if 'id="metric-fid-' in s)
    points = re.findall(r'<use href="[^"]*" x="([\d.]+)" y="([\d.]+)" style="([^"]*)"', svg)
    drawn = sorted((float(y), float(x)) for x, y, style in points if "--ink" in style or "--accent" in style)
    cross = next(float(x) for x, _, style in points if "width: 1.4" in style and "--soft" in style)
    places = [x for _, x in drawn] + [cross]
    values = [112.34567, 118.5, 90.0]
    slope, shift = np.polyfit(values, places, 1)
    assert slope > 0
    np.testing.assert_allclose(np.polyval([slope, shift], values), places, atol=0.01)


def test_plots_take_the_pages_colors_and_its_font(html: str) -> None:
    svgs = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "font-family" not in svgs and "<style" not in svgs
    assert "var(--accent)" in svgs
    assert not re.search(r"#[0-9a-f]{6}\b(?!-)", re.sub(r'(id|href)="[^"]*"|url\([^)]*\)', "", svgs))


def test_the_best_checkpoint_is_named_in_plot_and_table(html: str, page: Page) -> None:
    assert "step 2,000" in [text for tag, text in page.texts if tag == "text"]
    assert '<span class="mark">best</span> <data value="100.5">' in _row(html, "step 2,000")
    assert "mark" not in _row(html, "step 1,000")


def test_pictures_are_inside_and_small(report: ScoreReport, page: Page) -> None:
    images = [image for image in page.all("img") if (image.get("src") or "").startswith("data:")]
    assert len(images) == 9
    assert all(image["alt"] and image["width"] == "80" and image["height"] == "60" for image in images)
    first = _decoded(images[0]["src"] or "")
    assert np.abs(first.astype(int) - report.pictures[0].photo).mean() < 4


def _decoded(address: str) -> Image:
    data = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    coded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert coded is not None
    return np.asarray(cv2.cvtColor(coded, cv2.COLOR_BGR2RGB), np.uint8)


def test_large_pictures_are_shrunk_and_the_rows_are_limited() -> None:
    rows = [
        PictureRow(str(i), _picture(i, 1500, 1000), {"a": _picture(i, 750, 500)}) for i in range(MAX_ROWS + 2)
    ]
    embedded = embed(rows)
    assert len(embedded) == MAX_ROWS
    assert (embedded[0].photo.height, embedded[0].photo.width) == (640, 427)
    assert _decoded(embedded[0].photo.address).shape == (640, 427, 3)
    assert f"The first {MAX_ROWS} of {MAX_ROWS + 2} images." in render(ScoreReport("many", pictures=rows))


def test_what_does_not_compress_is_shown_smaller() -> None:
    dice = np.random.default_rng(0)
    noise = [dice.integers(0, 256, (640, 640, 3), np.uint8) for _ in range(2)]
    rows = [PictureRow(str(i), noise[0], {str(j): noise[1] for j in range(2)}) for i in range(4)]
    embedded = embed(rows)
    assert embedded[0].photo.width in SIDES_PIXELS[1:]
    total = sum(len(p.address) for row in embedded for p in (row.photo, *row.results.values()))
    assert total < MAX_PAGE_IMAGE_BYTES * 4 / 3 + 100 * 12


def test_what_is_missing_leaves_no_trace() -> None:
    page = Page(render(ScoreReport("Nothing yet")))
    assert not page.all("script") and not page.all("img") and not page.all("svg")
    assert "Nothing yet" in page.text() and "Protocol" in page.text()


def test_a_result_that_is_missing_is_said() -> None:
    rows = [
        PictureRow("one", _picture(1), {"a": _picture(2)}),
        PictureRow("two", _picture(3), {"b": _picture(4)}),
    ]
    assert "b: no result" in Page(render(ScoreReport("holes", pictures=rows))).text()


def test_shared_facts_of_the_protocol_are_given_once(page: Page) -> None:
    text = page.text()
    assert text.count("bicubic") == 1
    assert '{"photos": 9}' in text
    assert "for ink" in text and f"for {PHOTOS}" in text


def test_skipped_files_are_listed_once(page: Page) -> None:
    assert "2 files skipped" in page.text() and page.text().count("a<b>.png") == 1


def test_equal_reports_are_equal_bytes() -> None:
    code = """if True:
        import sys, hashlib
        sys.path[:0] = ["tests/support"]
        from eval.report.page import render
        from eval.report.model import ScoreReport, SweepPoint
        from eval.scoring.results import Score, Images, Cost
        scores = [
            Score(name, {"fid": fid}, {}, Images(1, 1), costs=(Cost("engine", "full", fid),))
            for name, fid in (("a", 1.0), ("b", 2.0))
        ]
        sweep = [SweepPoint(i, i, {"fid": 1.0 / i, "kid": 2.0}, frozenset(["fid", "kid"])) for i in (1, 2, 3)]
        report = ScoreReport("t", scores, sweep=sweep, tied={"fid": {"a", "b"}})
        print(hashlib.sha256(render(report).encode()).hexdigest())
    """
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_page_that_cannot_be_written_is_one_sentence_and_no_file(tmp_path: Path) -> None:
    small = ScoreReport("small")
    with pytest.raises(StreamtoonError, match="cannot be written"):
        write_report(tmp_path / "nowhere" / "report.html", small)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(StreamtoonError, match="cannot be written"):
        write_report(tmp_path / "folder.html", small)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_names_of_files_that_are_no_text_can_be_written(report: ScoreReport, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", replace(report, pictures=(), sweep=None))
    assert "c?.png" in (tmp_path / "report.html").read_text("utf-8")


def test_without_script_the_viewer_is_hidden_and_the_grid_is_there(page: Page) -> None:
    assert any("viewer" in (div.get("class") or "") and "hidden" in div for div in page.all("div"))
    assert sum("pictures-row" in (part.get("class") or "") for part in page.all("section")) == 3
