"""What `streamtoon score` and `vote` say in the terminal, and how they end where they cannot go on."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from film_clips import blurred, shot, write_film
from plain_inception import random_state
from rich.console import Console
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from engines.common.arrays import Image
from engines.common.image_files import read_image, write_image
from engines.errors import StreamtoonError
from engines.generators import create
from eval.report.model import ScoreReport, SweepPoint
from eval.report.summary import answer
from eval.scoring import scorer as scoring
from eval.scoring.candidates import UNTOUCHED, Finished, GeneratedImages
from eval.scoring.checkpoints import open_generator
from eval.scoring.image_set import find_images
from eval.scoring.results import Cost, Images, Interval, Score, Spread
from eval.scoring.scorer import Scorer
from streamtoon.cli.app import app
from streamtoon.cli.tables.score import cost_table, left_out, score_table

NOBODY = Images(3, 3)


def _printed(table: object) -> str:
    text = io.StringIO()
    Console(file=text, width=120, markup=False, force_terminal=False).print(table)
    return text.getvalue()


def _noise(seed: int, side: int = 32) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (side, side + 8, 3), dtype=np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for n in range(3):
        write_image(tmp_path / "photos" / f"{n}.png", _noise(n))
    return tmp_path / "photos"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "400")


def _run(*arguments: object) -> Result:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def test_the_best_figure_and_what_ties_with_it_are_starred() -> None:
    names = (UNTOUCHED, "a[b]", "c")
    bounds = {"kid": Interval(0.05, 0.2)}
    scores = [
        Score(name, {"kid": Spread(kid, 0.0), "ssim": kid, "psnr": kid}, {}, NOBODY, bounds)
        for name, kid in zip(names, (0.01, 0.125, 0.25), strict=True)
    ]
    said = _printed(score_table(scores, {"kid": frozenset(["a[b]", "c"])}))
    assert "a[b]" in said and "[bold]" not in said and "[dim]" not in said and "0.05 to 0.2" in said
    rows = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert rows["KID"].split("↓")[1].split() == ["0.01", "*", "0.125", "*", "0.25"]
    # No intervals: the best alone, never the photographs, and by nothing secondary.
    assert rows["SSIM"].split("↑")[1].split() == ["0.01", "0.125", "*", "0.25"]
    assert "*" not in rows["PSNR,"]


def test_styles_of_one_name_keep_their_own_times() -> None:
    scores = [
        Score(name, {}, {"candidate": {"style": "mine"}}, NOBODY, costs=(Cost("torch fp32", "full", ms),))
        for name, ms in (("runs/a", 20.0), ("runs/a:fast", 20.0), ("runs/b", 40.0))
    ]
    said = _printed(cost_table(scores))
    assert said.count("torch fp32") == 2 and "20.0" in said and "runs/b" in said and "40.0" in said


def test_what_was_left_out_is_said_once_a_reason() -> None:
    why = {"li": "reverse direction", "round-trip-psnr": "reverse direction", "is": "too few"}
    scores = [Score(name, {}, {"left_out": why}, NOBODY) for name in "ab"]
    assert left_out(scores) == ["skipped li, round-trip-psnr: reverse direction", "skipped is: too few"]


def test_fake_is_a_folder_and_never_a_style(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    done = _run("score", "images", "--fake", "opencv-stylization", "--photos", photos, "--metrics", "psnr")
    assert done.exit_code == 1 and "opencv-stylization is not a folder" in done.stderr
    shutil.copytree(photos, "done:fast")
    done = _run("score", "images", "--fake", "done:fast", "--photos", photos, "--metrics", "ssim", "--json")
    assert json.loads(done.stdout)["metrics"] == {"ssim": 1}


def test_cost_alone_needs_no_pictures_and_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "costs", lambda style, photo: (Cost("torch fp32", "full", 20.0),))
    done = _run("score", "images", "--style", "comic", "--metrics", "cost")
    assert done.exit_code == 0 and "torch fp32" in done.stdout and "GMAC" in done.stdout
    done = _run("score", "images", "--style", "opencv-stylization", "--metrics", "cost")
    assert done.exit_code == 2 and "no cost to measure" in done.stderr


def test_a_candidate_without_a_name_is_not_the_folder_one_is_in(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    done = _run("score", "images", "--style", "", "--photos", photos, "--metrics", "ssim")
    assert done.exit_code == 1 and "has no name" in done.stderr


def test_a_film_beside_itself_says_nothing(tmp_path: Path) -> None:
    done = _run(
        "score", "video", "--source", tmp_path / "a.mp4", "--fake", f"{tmp_path}/../{tmp_path.name}/a.mp4"
    )
    assert done.exit_code == 2 and "the same video" in done.stderr


def test_a_film_is_scored_beside_its_source(tmp_path: Path) -> None:
    size = (96, 64)
    film = write_film(tmp_path / "film.mp4", shot(1, 5, size))
    soft = write_film(tmp_path / "soft.mp4", blurred(shot(1, 5, size), 3.0))
    report = tmp_path / "report.html"
    done = _run("score", "video", "--source", film, "--fake", soft, "--json", "--report", report)
    said = json.loads(done.stdout)
    assert said["images"] == {"used": 5, "pairs": 4, "cuts": 0, "skipped": []}
    assert said["metrics"]["sharpness-ratio"] < 0.9 and said["protocol"]["candidate"] == {"file": str(soft)}
    page = report.read_text(encoding="utf-8")
    assert page.count('alt="picture ') == 8 and said["protocol"]["flow"] in page
    drawn = _run("score", "video", "--source", film, "--style", "opencv-stylization", "--json")
    assert json.loads(drawn.stdout)["protocol"]["candidate"] == {"opencv": cv2.__version__}
    short = write_film(tmp_path / "short.mp4", shot(1, 3, size))
    failed = _run("score", "video", "--source", film, "--fake", short)
    assert failed.exit_code == 1 and "the source has about 5 frames and the result about 3" in failed.stderr


def test_too_few_pictures_for_intervals_are_told(photos: Path) -> None:
    done = _run("score", "compare", "opencv-stylization", "--photos", photos, "--metrics", "ssim")
    assert done.exit_code == 0
    assert "skipped intervals: needs at least 10 images, but there are 3" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["compare", "{photos}", "opencv-stylization", "--metrics", "ssim"], 1, "are the same folder"),
        (["compare", "{done}", "{done}/", "--metrics", "ssim"], 1, "are the same folder"),
        (["compare", "opencv-stylization", "--metrics", "li"], 2, "no round-trip metrics"),
        (["compare", "opencv-stylization", "{done}", "--metrics", "ssim"], 1, "no usable result for 1"),
        (["sweep", "{run}", "--metrics", "cost"], 2, "a metric that ranks checkpoints"),
        (["images", "--fake", "{done}", "--metrics", "ssim", "--report", "{done}.html"], 2, "name another"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_made(
    arguments: list[str],
    code: int,
    sentence: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(photos, tmp_path / "done")
    (tmp_path / "done" / "0.png").unlink()
    (tmp_path / "done.html").mkdir()
    _checkpoint(tmp_path / "run" / "checkpoints" / "step-0000001.safetensors")

    def never(*_: object) -> None:
        raise AssertionError("it began")

    monkeypatch.setattr(scoring.Scorer, "_pass", never)
    places = {"photos": str(photos), "done": str(tmp_path / "done"), "run": str(tmp_path / "run")}
    done = _run("score", *(word.format(**places) for word in arguments), "--photos", photos, "--quiet")
    assert done.exit_code == code and sentence in done.stderr and done.stdout == ""


def test_a_file_that_was_skipped_is_told_in_quiet_too(photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"no picture")
    done = _run("score", "images", "--style", "opencv-stylization", "--photos", photos, "--metrics", "ssim",
                "--quiet")  # fmt: skip
    assert done.exit_code == 0 and "broken.jpg: cannot be opened" in done.stderr


def test_results_lie_in_the_folders_of_their_photos(tmp_path: Path) -> None:
    def write(names: dict[str, int], root: str) -> None:
        for name, seed in names.items():
            (tmp_path / root / name).parent.mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / root / name, _noise(seed))

    write({"1.png": 0, "a/1.png": 1, "b/1.png": 2, "b/2.png": 3}, "photos")
    write({"1.png": 10, "a/1.bmp": 11, "b/1.png": 12, "2.png": 13}, "done")
    paths = find_images(tmp_path / "photos").paths
    with Finished("done", tmp_path / "done") as candidate:
        drawn = list(candidate.pictures(paths))
        own = list(candidate.pictures(candidate.own()))
    for picture, seed in zip(drawn, (10, 11, 12, 13), strict=True):
        np.testing.assert_array_equal(picture, _noise(seed))
    for picture, path in zip(own, candidate.own(), strict=True):
        np.testing.assert_array_equal(picture, read_image(path))
    (tmp_path / "done" / "a" / "1.bmp").unlink()
    with Finished("done", tmp_path / "done") as fewer, pytest.raises(StreamtoonError, match="for both"):
        fewer.pictures(paths)


def test_photos_too_small_for_a_metric_leave_it_out(tmp_path: Path) -> None:
    write_image(tmp_path / "tiny.png", _noise(0, side=8))
    tiny = find_images(tmp_path)
    for name, least in (("ssim", 11), ("round-trip-ssim", 11), ("li", 11), ("round-trip-ms-ssim", 176)):
        with pytest.raises(StreamtoonError, match=f"{name} needs images of at least {least} pixels"):
            Scorer(photos=tiny, cartoons=None, metrics=[name])


def test_a_way_back_from_results_of_another_size_is_one_sentence(photos: Path) -> None:
    def halved(photo: Image) -> Image:
        return np.asarray(cv2.resize(photo, (20, 16)), np.uint8)

    with (
        Scorer(photos=find_images(photos), cartoons=None, metrics=["round-trip-psnr"]) as scorer,
        GeneratedImages("halved", halved, back=lambda result: result) as candidate,
        pytest.raises(StreamtoonError, match=r"20x16.* 40x32"),
    ):
        scorer.score(candidate)


def test_equal_drawings_leave_pixel_mmd_out_and_the_rest_in(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "same").mkdir()
    for n in range(3):
        write_image(tmp_path / "same" / f"{n}.png", _noise(9))
    with Scorer(photos=find_images(photos), cartoons=find_images(tmp_path / "same"),
                metrics=["1nn-pixel", "mmd-pixel"]) as scorer:  # fmt: skip
        scorer.plan = type(scorer.plan)(scorer.plan.names, {}, cost=False, strict=False)
        with GeneratedImages("as it is", lambda photo: photo) as candidate:
            score = scorer.score(candidate).score
    assert set(score.metrics) == {"1nn-pixel"} and "mmd-pixel" in score.protocol["left_out"]
    assert "mmd_pixel_sigma" not in score.protocol


def test_the_band_of_acceptance_is_reported(photos: Path) -> None:
    with Scorer(photos=find_images(photos), cartoons=None, metrics=["li"]) as scorer:
        for name, back, is_in in (
            ("nearly", lambda result: result ^ 32, True),
            ("lost", lambda result: np.full_like(result, 128), False),
        ):
            with GeneratedImages(name, lambda photo: photo, back=back) as candidate:
                score = scorer.score(candidate).score
            assert score.protocol["li_accepted"] is is_in
            assert ("accepted" if is_in else "outside 45 to 70") in _printed(score_table([score], {}))


def test_a_report_names_the_best_by_what_was_asked_for() -> None:
    points = [
        SweepPoint(1, 1.0, {"fid": 1.0, "kid": 2.0}, frozenset(["fid"])),
        SweepPoint(2, 2.0, {"fid": 2.0, "kid": 1.0}, frozenset(["kid"])),
    ]
    assert answer(ScoreReport("", sweep=points)).startswith("By KID, step 2")
    assert answer(ScoreReport("", sweep=points, asked=["fid", "kid"])).startswith("By FID, step 1")


def _checkpoint(file: Path, generator: str = "lite") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    header = {"step": "1", "epoch": "1", "generator": generator}
    save_file(
        {"nothing": torch.zeros(1)} if generator != "lite" else create("lite").state_dict(), file, header
    )


def test_weights_of_something_else_are_one_line(tmp_path: Path) -> None:
    _checkpoint(tmp_path / "step-1.safetensors", "unet")
    with pytest.raises(StreamtoonError, match="the weights of unet") as caught:
        open_generator(tmp_path / "step-1.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("out", ["", ".", "notes.csv"])
def test_a_vote_that_cannot_be_kept_is_told_before_pictures_are_made(
    out: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "votes").mkdir()
    monkeypatch.chdir(tmp_path / "votes")
    Path("notes.csv").write_text("bread, butter\n", encoding="utf-8")
    done = _run("vote", "opencv-stylization", "opencv-edge-preserving", "--photos", photos, "--pictures", 2,
                "--out", out)  # fmt: skip
    assert done.exit_code in (1, 2) and "--out" in done.stderr
    assert [path.name for path in Path.cwd().iterdir()] == ["notes.csv"]


def test_one_drawing_is_too_few_for_some_and_each_of_them_says_so(photos: Path, weights: Path) -> None:
    one = photos.parent / "one"
    one.mkdir()
    write_image(one / "0.png", _noise(7))
    names = ["fid", "kid", "mmd", "1nn", "1nn-real", "1nn-fake", "ssim"]
    with Scorer(photos=find_images(photos), cartoons=find_images(one), metrics=names,
                inception=weights) as scorer:  # fmt: skip
        scorer.plan = type(scorer.plan)(scorer.plan.names, {}, cost=False, strict=False)
        with GeneratedImages("as it is", lambda photo: photo) as candidate:
            score = scorer.score(candidate).score
    assert set(score.metrics) == {"ssim"} and set(score.protocol["left_out"]) == set(names) - {"ssim"}
    assert all("one has 1" in why for why in score.protocol["left_out"].values())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inception's file under pytorch-fid's names, of random values."""
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(random_state(), path)
    return path


def test_a_result_that_does_not_serve_leaves_its_photo_out_for_everybody(
    photos: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(photos, results)
    (results / "1.png").write_bytes(b"broken")
    done = _run(
        "score",
        "compare",
        results,
        "opencv-edge-preserving",
        "--photos",
        photos,
        "--metrics",
        "ssim",
        "--json",
    )
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["candidates"]
    assert [row["images"]["used"] for row in rows] == [2, 2, 2]
    assert [one["reason"] for one in rows[1]["images"]["skipped"]] == ["cannot be opened"]
    assert rows[1]["metrics"]["ssim"] == 1
