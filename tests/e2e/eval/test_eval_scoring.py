"""Scores of whole sets: each number is the metric's own function on the same pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from plain_inception import random_state
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from engines.common.arrays import Image
from engines.common.image_files import read_image, write_image
from engines.errors import StreamtoonError
from engines.generators import create
from eval.features.extract import extract
from eval.features.inception import load_inception
from eval.metrics.fid import Moments, fid
from eval.metrics.kid import kid
from eval.metrics.lpips import LPIPS, lpips
from eval.metrics.ssim import ssim
from eval.report.formatting import best, winners
from eval.scoring import scorer as scoring
from eval.scoring.candidates import UNTOUCHED, Finished, GeneratedImages, Styled, open_candidate, untouched
from eval.scoring.checkpoints import find_checkpoints, open_generator
from eval.scoring.comparison import compare_scores
from eval.scoring.image_set import find_images
from eval.scoring.metric_registry import METRICS, deciding_metric
from eval.scoring.results import Number, Spread
from eval.scoring.scorer import Scorer
from eval.scoring.sweep import sweep
from streamtoon.cli.app import app

COUNT = 12
SIDE = 180


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, drawings of flat colours, and finished results: a blurred copy of each photo."""
    root = tmp_path_factory.mktemp("sets")
    dice = np.random.default_rng(3)
    for n in range(COUNT):
        noise = dice.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        photo = cv2.resize(noise, (SIDE + 20, SIDE), interpolation=cv2.INTER_CUBIC)
        flat = cv2.resize(noise // 64 * 64, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        for folder, picture in (
            ("photos", photo),
            ("cartoons", flat),
            ("done", cv2.GaussianBlur(photo, (0, 0), 4)),
        ):
            (root / folder).mkdir(exist_ok=True)
            write_image(root / folder / f"{n:02}.png", np.asarray(picture, np.uint8))
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inception's file under pytorch-fid's names, of random values."""
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(random_state(), path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def scorer(sets: Path, weights: Path, vgg_files: dict[str, Path]) -> Iterator[Scorer]:
    with Scorer(
        photos=find_images(sets / "photos"),
        cartoons=find_images(sets / "cartoons"),
        metrics=["fid", "kid", "lpips", "artfid", "ssim", "1nn-fake"],
        inception=weights,
        vgg16=vgg_files["vgg16"],
    ) as scorer:
        yield scorer


def test_a_score_is_what_its_metrics_say(
    scorer: Scorer, sets: Path, weights: Path, vgg_files: dict[str, Path]
) -> None:
    seen = []
    with open_candidate(str(sets / "done")) as candidate:
        score = scorer.score(candidate, lambda: seen.append(1)).score
    assert len(seen) == COUNT == score.images.photos == score.images.cartoons
    assert set(score.metrics) == {"fid", "kid", "lpips", "artfid", "ssim", "1nn-fake"}
    photos, done = (
        [read_image(path) for path in sorted((sets / folder).iterdir())] for folder in ("photos", "done")
    )
    drawings = [read_image(path) for path in sorted((sets / "cartoons").iterdir())]
    network = load_inception(weights)
    with extract(drawings, network, None) as real, extract(done, network, None) as fake:
        distance = fid(Moments.of(real.values), Moments.of(fake.values))
        assert score.metrics["fid"] == pytest.approx(distance, rel=1e-4)
        expected = kid(real.values, fake.values, seed=0)
        got = score.metrics["kid"]
        assert isinstance(got, Spread) and got.mean == pytest.approx(expected.mean, rel=1e-3, abs=1e-6)
    perceptual = LPIPS(vgg_files["vgg16"])
    lost = np.mean([lpips(a, b, perceptual) for a, b in zip(photos, done, strict=True)])
    assert score.metrics["lpips"] == pytest.approx(lost, rel=1e-4)
    assert score.metrics["artfid"] == pytest.approx((1 + lost) * (1 + distance), rel=1e-4)
    grey = [[cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in group] for group in (photos, done)]
    alike = np.mean([ssim(a, b, data_range=255) for a, b in zip(*grey, strict=True)])
    assert score.metrics["ssim"] == pytest.approx(alike, rel=1e-9)
    assert score.protocol["n"] == COUNT and score.protocol["seed"] == 0
    assert score.protocol["weights_sha256"] == network.weights_sha256


def test_everything_that_can_be_had_comes_without_asking(
    sets: Path, weights: Path, vgg_files: dict[str, Path]
) -> None:
    with (
        Scorer(
            photos=find_images(sets / "photos"),
            cartoons=find_images(sets / "cartoons"),
            inception=weights,
            vgg16=vgg_files["vgg16"],
        ) as scorer,
        untouched() as photos,
    ):
        score = scorer.score(photos).score
    missing = set(METRICS) - set(score.metrics)
    # Twelve pictures are too few for ten splits, and photographs have no way back.
    assert missing == {"is", "round-trip-psnr", "round-trip-ssim", "round-trip-ms-ssim", "li"}
    assert set(score.protocol["left_out"]) == missing
    assert (score.metrics["ssim"], score.metrics["lpips"], score.metrics["psnr"]) == (1, 0, math.inf)
    assert score.parameters is None and not score.costs


def test_results_in_several_chunks_are_all_seen(
    sets: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "MAX_RESULTS_IN_MEMORY", 5)
    photos = find_images(sets / "photos")
    with Scorer(photos=photos, cartoons=None, metrics=["ssim", "is"], inception=weights) as scorer:
        scorer.photos = replace(photos, paths=photos.paths[:7] * 3)
        with untouched() as candidate:
            scored = scorer.score(candidate)
        assert scored.features is not None and scored.features.probabilities is not None
        rows = scored.features.probabilities
    assert len(rows) == len(scored.each["ssim"]) == 21
    np.testing.assert_allclose(rows[:7], rows[14:], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-5)


def test_the_way_back_gives_lis_figures(sets: Path) -> None:
    with Scorer(photos=find_images(sets / "photos"), cartoons=None,
                metrics=["round-trip-psnr", "round-trip-ssim", "li"]) as scorer:  # fmt: skip

        def darker(photo: Image) -> Image:
            return photo // 2

        def lighter(result: Image) -> Image:
            return result * 2

        with GeneratedImages("halved", darker, back=lighter) as candidate:
            found = scorer.score(candidate).score.metrics
        with (
            untouched() as nobody,
            pytest.raises(StreamtoonError, match="has no generator of the reverse direction"),
        ):
            scorer.score(nobody)
    ours = {key: value for key, value in found.items() if isinstance(value, float)}
    odd = [(read_image(path) % 2).mean(dtype=np.float64) for path in (sets / "photos").iterdir()]
    expected = np.mean([20 * math.log10(255) - 10 * math.log10(share) for share in odd])
    assert ours["round-trip-psnr"] == pytest.approx(expected, rel=1e-9)
    assert ours["li"] == pytest.approx(50 * ours["round-trip-ssim"] + ours["round-trip-psnr"], rel=1e-9)


def test_comparing_gives_intervals_and_ties(scorer: Scorer, sets: Path) -> None:
    with (
        untouched() as photos,
        Finished("blurred", sets / "done") as done,
        GeneratedImages("same", lambda p: p) as same,
    ):
        scored = [scorer.score(candidate) for candidate in (photos, done, same)]
        compared = compare_scores(scored, scorer)
    assert [score.name for score in compared.scores] == [UNTOUCHED, "blurred", "same"]
    low, high = compared.scores[1].intervals["ssim"]
    assert low < compared.scores[1].metrics["ssim"] < high  # type: ignore[operator]
    assert compared.tied["ssim"] == {"same"}
    assert all(UNTOUCHED not in names for names in compared.tied.values())
    assert {"fid", "kid", "artfid", "lpips"} <= compared.scores[1].intervals.keys()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three checkpoints: the identity, and two that brighten more and more; the second has a way back."""
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    for step, shift in ((30, 0.8), (10, 0.0), (20, 0.3)):
        network = create("lite")
        with torch.no_grad():
            network.head.bias.fill_(shift)  # type: ignore[union-attr, operator]
        header = {"step": str(step), "epoch": f"{step / 10:.4f}", "generator": "lite"}
        file = tmp_path / "run" / "checkpoints" / f"step-{step:07d}.safetensors"
        save_file(network.state_dict(), file, header)
    return tmp_path / "run"


def test_a_sweep_names_the_best_checkpoint(run: Path, sets: Path) -> None:
    checkpoints = find_checkpoints(run)
    assert [(c.step, c.epoch) for c in checkpoints] == [(10, 1), (20, 2), (30, 3)]
    with Scorer(photos=find_images(sets / "photos"), cartoons=None, metrics=["ssim", "psnr"]) as scorer:
        points, scores = sweep(checkpoints, scorer)
    assert [point.best_for for point in points] == [{"ssim", "psnr"}, set(), set()]
    assert scores[0].metrics["ssim"] == pytest.approx(1, abs=1e-3)
    assert scores[1].metrics["ssim"] > scores[2].metrics["ssim"]  # type: ignore[operator]
    assert (
        deciding_metric([scores[0].metrics], ["psnr"]) == "psnr"
        and deciding_metric([scores[0].metrics]) == "ssim"
    )
    assert (
        deciding_metric([["fid", "kid"], ["fid", "kid", "artfid"]]) == "kid"
        and deciding_metric([["is"]]) is None
    )


def test_the_best_goes_by_each_metrics_own_way() -> None:
    numbers: dict[str, Number] = {"a": 0.3, "b": 0.6, "c": Spread(0.45, 9.0), "d": float("nan")}
    assert best("fid", numbers) == {"a"}
    assert best("ssim", numbers) == {"b"}
    assert best("1nn", numbers) == {"c"}
    assert best("fid", {"a": 1.0, "b": 1.0, "c": 2.0}) == {"a", "b"}
    assert best("fid", {"d": float("nan")}) == frozenset()
    assert winners("fid", {"a": 1.0, "b": 1.0}) == winners("psnr", {"a": 1.0, "b": 2.0}) == frozenset()


def test_a_checkpoint_draws_pictures_of_any_size(run: Path) -> None:
    draw = open_generator(find_checkpoints(run)[2].path)
    photo = np.random.default_rng(0).integers(0, 120, (37, 53, 3), dtype=np.uint8)
    # 0.8 of the range from -1 to 1 is 102 code values.
    np.testing.assert_allclose(draw(photo), photo.astype(int) + 102, atol=1)


@pytest.mark.parametrize("size", [(37, 53), (40, 64)])
def test_a_checkpoint_of_fields_is_drawn_in_the_default_look(tmp_path: Path, size: tuple[int, int]) -> None:
    network: Any = create("fields-lite")
    with torch.no_grad():  # ink everywhere: response 2, code value 250
        network.head.bias[24:] = 250 / 127.5 - 1
    save_file(network.state_dict(), tmp_path / "step-1.safetensors", {"generator": "fields-lite"})
    drawn = open_generator(tmp_path / "step-1.safetensors")(np.full((*size, 3), 200, np.uint8))
    assert drawn.shape == (*size, 3)
    # A line's colour, #120d1a, and a little of the grey below it.
    assert np.abs(drawn.astype(int) - (0x12, 0x0D, 0x1A)).max() < 30


def test_scores_of_two_looks_say_which(tmp_path: Path) -> None:
    photo = np.full((40, 60, 3), 90, np.uint8)
    (tmp_path / "mine.toml").write_text('base = "comic"\n[look]\nlevels = 3\n')
    facts = []
    for name in ("comic:lite", f"{tmp_path / 'mine.toml'}:lite"):
        with open_candidate(name) as candidate:
            assert isinstance(candidate, Styled)
            candidate.draw(photo)
            facts.append(candidate.facts)
    assert facts[0]["weights"] == facts[1]["weights"]
    assert facts[0]["look"] | {"levels": 3} == facts[1]["look"] != facts[0]["look"]


def test_words_behind_a_style_say_what_it_runs_on(style_folder: Path) -> None:
    photo = np.full((40, 60, 3), 90, np.uint8)
    with open_candidate(f"{style_folder}:fast:onnxruntime") as candidate:
        assert isinstance(candidate, Styled)
        assert candidate.draw(photo).shape == photo.shape
        facts = candidate.facts
    assert (facts["engine"], facts["quality"], facts["precision"]) == ("onnxruntime", "fast", "fp32")
    with pytest.raises(StreamtoonError, match="two words of one kind"):
        open_candidate(f"{style_folder}:fast:full")
    with pytest.raises(StreamtoonError, match="unknown style 'nobody:faster'"):
        open_candidate("nobody:faster")


@pytest.mark.parametrize("name", ["opencv-stylization", "opencv-edge-preserving"])
def test_opencvs_filters_are_candidates(name: str, sets: Path) -> None:
    paths = find_images(sets / "photos").paths[:2]
    with open_candidate(name) as candidate:
        for path, result in zip(paths, candidate.pictures(paths), strict=True):
            photo = read_image(path)
            assert result.shape == photo.shape and result.dtype == np.uint8
            # Colours stay on the whole, and where they are: red does not become blue.
            means, before = (cv2.resize(p.astype(np.float32), (4, 4), interpolation=cv2.INTER_AREA)
                             for p in (result, photo))  # fmt: skip
            assert np.abs(result.astype(int) - photo).mean() > 1
            assert np.corrcoef(means.ravel(), before.ravel())[0, 1] > 0.8


def test_what_does_not_serve_is_named_and_left_out(tmp_path: Path, sets: Path) -> None:
    good = read_image(sets / "photos" / "00.png")
    write_image(tmp_path / "good.png", good)
    cv2.imwrite(str(tmp_path / "grey.png"), good[:, :, 0])
    cv2.imwrite(str(tmp_path / "glass.png"), np.dstack([good, good[:, :, :1]]))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:2000])
    found = find_images(tmp_path)
    assert [path.name for path in found.paths] == ["good.png"] and found.smallest == SIDE
    assert {one.path.name: one.reason for one in found.skipped} == {
        "broken.jpg": "cannot be opened",
        "cut.png": "cannot be opened",
        "glass.png": "transparent",
        "grey.png": "grey",
    }
    (tmp_path / "good.png").unlink()
    with pytest.raises(StreamtoonError, match=r"none of its 4 images can be scored \(cannot be"):
        find_images(tmp_path)


def _command(*arguments: object) -> Result:
    done = CliRunner().invoke(app, ["score", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def test_the_command_prints_one_object_and_writes_a_report(
    sets: Path, weights: Path, vgg_files: dict[str, Path], style_folder: Path, tmp_path: Path
) -> None:
    done = _command(
        "images", "--style", style_folder, "--photos", sets / "photos", "--cartoons", sets / "cartoons",
        "--metrics", "KID, lpips", "--inception", weights, "--vgg16", vgg_files["vgg16"],
        "--json", "--report", tmp_path / "report.html",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said) == {"metrics", "protocol", "images"}
    assert set(said["metrics"]) == {"kid", "lpips"} and set(said["metrics"]["kid"]) == {"mean", "std"}
    assert said["images"] == {"used": COUNT, "cartoons": COUNT, "skipped": []}
    assert {"features", "resize", "weights_sha256", "n", "seed"} <= said["protocol"].keys()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "KID" in page and "data:image/webp" in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["images", "--style", "comic", "--photos", "{sets}/photos", "--cartoons", "{sets}/photos"],
         "--photos and --cartoons are the same folder"),
        (["images", "--fake", "{sets}/done", "--cartoons", "{sets}/done"], "are the same folder"),
        (["images", "--style", "comic", "--photos", "{sets}/nowhere"], "is not a folder"),
        (["images", "--style", "comic", "--photos", "{sets}/photos", "--metrics", "fidd"],
         "unknown metric 'fidd'"),
        (["images", "--style", "comic", "--photos", "{sets}/photos", "--metrics", "fid"],
         "fid needs drawings"),
        (["images", "--fake", "{sets}/done", "--cartoons", "{sets}/cartoons", "--metrics", "lpips"],
         "lpips needs the photos"),
        (["images", "--fake", "{sets}/cartoons", "--photos", "{sets}/photos", "--metrics", "ssim"],
         "but the photo is"),
        (["images", "--style", "nobody", "--photos", "{sets}/photos", "--metrics", "ssim"], "unknown style"),
        (["sweep", "{sets}", "--photos", "{sets}/photos", "--metrics", "ssim"], "has no checkpoints"),
        (["video", "--source", "{sets}/photos/00.png", "--fake", "{sets}/nowhere.mp4"], "nowhere.mp4"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(arguments: list[str], sentence: str, sets: Path) -> None:
    done = _command(*(word.format(sets=sets) for word in arguments), "--quiet")
    assert done.exit_code == 1
    assert sentence in done.stderr and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_score_of_too_few_pictures_says_how_many_it_needs(
    sets: Path, weights: Path, tmp_path: Path
) -> None:
    write_image(tmp_path / "one.png", read_image(sets / "photos" / "00.png"))
    done = _command(
        "images",
        "--fake",
        tmp_path,
        "--cartoons",
        sets / "cartoons",
        "--metrics",
        "kid",
        "--inception",
        weights,
    )
    assert done.exit_code == 1
    assert "KID needs at least 2 images in each set, but one has 1" in done.stderr
