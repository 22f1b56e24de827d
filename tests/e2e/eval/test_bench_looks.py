"""What the benchmark shows of its styles: the ways compared, their SSIM, the page, the command."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from bench_rows import bench, row
from engines_open import open_engine
from lavfi_clips import make_clip
from lite_styles import add_lite
from rgb_styles import make_style
from typer.testing import CliRunner

from engines.common.arrays import Image
from engines.common.image_files import write_image
from engines.errors import StreamtoonError
from engines.registry.style import Style
from eval.bench import quality_cost as looks
from eval.bench.quality_cost import (
    QualityVariant,
    StyleLooks,
    bundled_photos,
    compare_variants,
    read_photos,
    variants_of,
)
from eval.bench.results import QualityRow
from streamtoon.cli.bench_maintainer import app
from streamtoon.media import VideoReader
from streamtoon.tools.benchmark.clips import Clip

OFFERS = {"openvino": {"cpu": ("int8", "fp32")}, "onnxruntime": {"cpu": ("fp32", "int8")}}


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    """With a lite network, without int8 graphs."""
    pytest.importorskip("torch")
    return add_lite(make_style(tmp_path_factory.mktemp("looks") / "shaken").resolve())


@pytest.fixture(scope="module")
def photos() -> dict[str, Image]:
    """Soft noise at two sizes, in turns, so that the order of drawing is not theirs."""
    dice = np.random.default_rng(0)
    found = {}
    for n, (width, height) in enumerate([(64, 48), (48, 64), (64, 48), (48, 64), (64, 48)]):
        noise = dice.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
        found[f"{n}.png"] = np.asarray(cv2.resize(noise, (width, height)), np.uint8)
    return found


@pytest.fixture(scope="module")
def looked(style: Style, photos: dict[str, Image]) -> StyleLooks:
    rows = [row(style="shaken", quality="auto", chosen="fast", precision="fp32")]
    (found,), notes = compare_variants([style], rows, photos)
    assert notes == []
    return found


# --- ways ----------------------------------------------------------------------------------------------


def forms(*, int8: bool, lite: bool) -> Any:
    graph = Path("generator.int8.onnx") if int8 else None
    small = SimpleNamespace(int8_graph=graph) if lite else None
    whole = SimpleNamespace(int8_graph=graph, lite=small)
    whole.form = lambda quality: small if quality == "lite" else whole
    return whole


def test_a_whole_style_has_six_ways_and_those_that_were_measured() -> None:
    found = variants_of(forms(int8=True, lite=True), [row(), row(precision="bf16", quality="full")], OFFERS)
    assert [(way.quality, way.precision) for way in found] == [
        ("full", "fp32"),
        ("full", "int8"),
        ("fast", "fp32"),
        ("fast", "bf16"),
        ("fast", "int8"),
        ("lite", "fp32"),
        ("lite", "int8"),
    ]
    assert {(way.engine, way.device) for way in found} == {("openvino", "cpu")}


def test_only_what_style_and_machine_have_is_compared() -> None:
    plain = variants_of(forms(int8=False, lite=False), [row(precision="fp32")], OFFERS)
    assert [(way.quality, way.precision) for way in plain] == [("full", "fp32"), ("fast", "fp32")]
    rows = [row(engine="torch", device="cuda", precision="fp16"), row(chosen="lite", precision="int8")]
    mixed = variants_of(forms(int8=True, lite=True), rows, {**OFFERS, "torch": {"cuda": ("fp16", "fp32")}})
    assert mixed[0] == QualityVariant("torch", "cuda", "full", "fp32")
    assert QualityVariant("torch", "cuda", "full", "int8") not in mixed
    assert QualityVariant("openvino", "cpu", "lite", "int8") in mixed


# --- figures -------------------------------------------------------------------------------------------


def test_the_reference_is_like_itself(looked: StyleLooks, photos: dict[str, Image]) -> None:
    first = looked.looks[0]
    assert (first.quality, first.precision, first.photos) == ("full", "fp32", len(photos))
    assert (first.ssim.mean, first.ssim.least) == (1, 1)
    assert [look.quality for look in looked.looks] == ["full", "fast", "lite"]


def test_ssim_is_scikit_images_on_luma(looked: StyleLooks, style: Style, photos: dict[str, Image]) -> None:
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity

    def luma(picture: Image) -> Any:
        return np.rint(picture @ np.array([0.299, 0.587, 0.114]))

    values = []
    options: Any = {"backend": "openvino", "precision": "fp32", "width": 64, "height": 48}
    with (
        open_engine(style, quality="full", **options) as full,
        open_engine(style, quality="lite", **options) as lite,
    ):
        for photo in photos.values():
            _, every = structural_similarity(
                luma(full.rgb(photo)), luma(lite.rgb(photo)), full=True, data_range=255,
                gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            )  # fmt: skip
            values.append(every[5:-5, 5:-5].mean())
    found = looked.looks[2].ssim
    assert found.mean == pytest.approx(np.mean(values), abs=2e-4)
    assert found.least == pytest.approx(min(values), abs=2e-4)
    assert max(values) < 0.999
    shown = [int(picture.name[0]) for picture in looked.pictures]
    assert [each[2] for each in looked.ssim] == pytest.approx([values[n] for n in shown], abs=2e-4)


def test_pictures_are_of_their_photographs(looked: StyleLooks, photos: dict[str, Image]) -> None:
    assert [picture.name for picture in looked.pictures] == ["0.png", "2.png", "4.png"]
    for picture in looked.pictures:
        assert picture.photo is photos[picture.name]
        assert [*picture.results] == ["0", "1", "2"]
        for drawn in picture.results.values():
            assert drawn.shape == picture.photo.shape


def test_what_cannot_be_drawn_is_said(style: Style, photos: dict[str, Image]) -> None:
    some = {name: photos[name] for name in ("0.png", "2.png")}
    rows = [row(style="shaken", precision="fp32"), row(style="shaken", precision="int8")]
    (found,), (note,) = compare_variants([style], rows, some)
    assert "shaken fast int8 is skipped: " in note
    assert [look.quality for look in found.looks] == ["full", "fast", "lite"]
    nowhere = [row(style="shaken", precision="fp32", device="abacus")]
    found_none, (note,) = compare_variants([style], nowhere, some)
    assert found_none == [] and "shaken full fp32" in note


# --- photographs ---------------------------------------------------------------------------------------


def test_photographs_are_reduced_and_taken_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    for n in range(9):
        write_image(tmp_path / "below" / f"{n}.png", np.full((20, 60, 3), n, np.uint8))
    monkeypatch.setattr(looks, "MAX_COMPARED_PHOTOS", 3)
    monkeypatch.setattr(looks, "MAX_SIDE_PIXELS", 36)
    found = read_photos(tmp_path)
    assert {name: int(picture[0, 0, 0]) for name, picture in found.items()} == {
        "below/1.png": 1,
        "below/4.png": 4,
        "below/7.png": 7,
    }
    assert {picture.shape for picture in found.values()} == {(12, 36, 3)}
    with pytest.raises(StreamtoonError, match=r"thin is 36x9 .*SSIM needs 11 pixels"):
        bundled_photos({"thin": np.zeros((15, 60, 3), np.uint8)})


def test_a_clips_pictures_are_from_all_over(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    found = Clip(path).from_all_over(5)
    assert [*found] == [f"clip.mp4 at {at} s" for at in ("0.1", "0.3", "0.5", "0.7", "0.9")]
    with VideoReader(path) as source:
        pictures = [picture.y for picture in source.frames()]
    # A cut begins with the picture at its start or the next; 25 a second.
    for n, image in enumerate(found.values()):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)
        apart = [float(np.abs(grey - (plane.astype(float) - 16) * 255 / 219).mean()) for plane in pictures]
        assert int(np.argmin(apart)) in (2 + 5 * n, 3 + 5 * n)
    still = tmp_path / "still.png"
    write_image(still, np.full((20, 30, 3), 90, np.uint8))
    (only,) = Clip(still).from_all_over(4).values()
    assert only.shape == (20, 30, 3)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_a_bad_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "a.png").write_bytes(b"no picture")
    for name, said in (
        ("none", "is not a folder"),
        ("empty", "contains no images"),
        ("torn", "cannot decode this image"),
    ):
        done = run("--photos", tmp_path / name)
        assert done.exit_code == 1, done.output
        assert done.stderr.startswith("error: ") and said in done.stderr
        assert done.stderr.count("\n") == 1


# --- what a person sees --------------------------------------------------------------------------------


def test_the_page_holds_every_picture_and_its_figure(looked: StyleLooks) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    from eval.bench.report import render

    timed = row(style="shaken", precision="fp32", file_fps=43.21)
    page = render(bench(timed), (), [looked])
    assert page.count("data:image/webp;base64,") == 3 * (1 + 3) == page.count("<img ")
    assert "img-src data:" in page
    for look in looked.looks:
        assert f"{look.ssim.mean:.4f}" in page and f"{look.ssim.least:.4f}" in page
    for each in looked.ssim:
        assert re.search(rf"fast fp32: {each[1]:.4f}</figcaption>", page)
        assert re.search(rf"lite fp32: {each[2]:.4f}</figcaption>", page)
    assert page.count("full fp32, the reference</figcaption>") == 3
    table = page[page.index("The cost of speed") : page.index('class="grid"')]
    assert table.count('<data value="43.21">') == 1 and table.count("<td>–</td>") == 2
    assert 'id="looks"' not in render(bench(timed))
    other: QualityRow = replace(looked.looks[1], engine="onnxruntime")
    mixed = replace(looked, looks=[looked.looks[0], other, looked.looks[2]])
    assert "fast fp32, onnxruntime cpu" in render(bench(timed), (), [mixed])


def test_the_terminal_shows_the_figures(looked: StyleLooks) -> None:
    from rich.console import Console

    from streamtoon.cli.tables.bench import tables

    screen = Console(file=io.StringIO(), width=100, markup=False)
    for table in tables(replace(bench(row()), looks=looked.looks)):
        screen.print(table)
    said: str = screen.file.getvalue()  # type: ignore[attr-defined]
    for look in looked.looks:
        assert re.search(rf"{look.quality} +{look.ssim.mean:.4f} +{look.ssim.least:.4f}", said)
    assert "over 5 images" in " ".join(said.split())
