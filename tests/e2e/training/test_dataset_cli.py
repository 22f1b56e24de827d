"""`streamtoon dataset` as a person meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from film_clips import painting, shot, write_film
from paths import ROOT
from skimage import data

from engines.common.extras import install_line
from engines.common.image_files import list_images, read_image, write_image

COMMAND = [sys.executable, "-m", "streamtoon", "dataset"]


def _run(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", chain(shot(1, 40), shot(2, 40)))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        write_image(folder / f"{seed}.png", painting(seed, size=(300, 280)))
    write_image(folder / "copy.png", painting(0, size=(300, 280)))
    return folder


def test_frames_writes_pictures_and_sheets_and_says_what_it_did(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = _run("frames", film, out).stdout
    assert f"{out}: 2 frames of 2 scenes, 0 skipped, 320x180 in " in said
    assert len(list_images(out)) == 2
    assert "already done" in _run("frames", film, out).stdout
    facts = json.loads(_run("frames", film, out, "--json").stdout)
    assert (facts["kept"], facts["was_done"]) == (2, True)
    assert Path(facts["sheets"][0]).is_file()


@pytest.mark.parametrize(
    "arguments, code, sentence",
    [
        (["--crop", "wide"], 2, "an aspect ratio such as 16:9"),
        (["--every", "0.1"], 2, "--every"),
        (["--size", "4"], 2, "--size"),
    ],
)
def test_wrong_settings_are_wrong_usage(
    film: Path, tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    said = _run("frames", film, tmp_path / "out", *arguments, code=code).stderr
    assert sentence in " ".join(said.replace("│", " ").split())


def test_what_is_no_film_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_text("no film")
    said = _run("frames", tmp_path / "no.mp4", tmp_path / "out", code=1).stderr
    assert said.startswith("error: ") and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_picture_alone_is_no_reason_to_fail(tmp_path: Path) -> None:
    clip = write_film(tmp_path / "one.mp4", shot(1, 1))
    assert "0 frames of" in _run("frames", clip, tmp_path / "out").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C by a signal of POSIX")
def test_ctrl_c_ends_frames_with_130_and_a_run_to_go_on_from(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", chain.from_iterable(shot(seed, 24) for seed in range(150)))
    out = tmp_path / "out"
    process = subprocess.Popen([*COMMAND, "frames", str(film), str(out), "-q"], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not list(out.glob("*.png")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert not list(out.rglob(".*"))  # what is being written has such a name
    names = [path.name for path in list_images(out)]
    assert 0 < len(names) < 120
    facts = json.loads(_run("frames", film, out, "--json").stdout)
    assert facts["kept"] > 120
    assert set(names) <= {path.name for path in list_images(out)}


def test_check_lists_moves_and_brings_back(photos: Path) -> None:
    said = _run("check", photos, "--dry-run").stdout
    assert "duplicate  copy.png: of 0.png" in said
    assert "1 of 4 images would be set aside" in said
    assert "cannot be combined" in _run("check", photos, "--undo", "--dry-run", code=2).stderr
    facts = json.loads(_run("check", photos, "--json").stdout)
    assert [each["path"] for each in facts["found"]] == ["copy.png"]
    assert not (photos / "copy.png").exists()
    assert "1 image moved back" in _run("check", photos, "--undo").stdout
    assert (photos / "copy.png").exists()
    assert "no file of" in _run("check", photos, "--undo", code=1).stderr


def test_smooth_fields_and_collages(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "4 images written, 0 up to date" in _run("smooth", photos, tmp_path / "smooth").stdout
    assert "0 images written, 4 up to date" in _run("smooth", photos, tmp_path / "smooth").stdout
    assert "use an odd number" in _run("smooth", photos, tmp_path / "s", "--width", "4", code=2).stderr
    pytest.importorskip("numba")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    larger = tmp_path / "larger"
    larger.mkdir()
    write_image(larger / "a.png", painting(1, size=(260, 220)))
    facts = json.loads(_run("fields", larger, "--recipe", "pepper", "--json").stdout)
    kept = list(Path(facts["cache"]).glob("*.npy"))
    assert facts["pairs"] == len(kept) == 1, "half of it would be too small"
    stamp = kept[0].stat().st_mtime_ns
    assert "1 pair" in _run("fields", larger, "--recipe", "pepper").stdout
    assert _run("fields", larger, "--recipe", "gouache", "--quiet").stdout == ""
    assert kept[0].stat().st_mtime_ns == stamp, "and it is not computed again"
    said = _run("fields", larger, "--recipe", "fpt-unet", code=1).stderr
    assert "fpt-unet does not use fields" in said
    parts = [painting(seed, size=(200, 160)) for seed in range(4)]
    write_image(photos / "collage.png", np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])]))
    said = _run("collages", photos, tmp_path / "pairs", "--cartoon", "bottom-left").stdout
    assert "1 pair, 4 images skipped" in said
    np.testing.assert_array_equal(read_image(tmp_path / "pairs/cartoon/collage.png"), parts[2])
    _run("collages", photos, tmp_path / "p", "--cartoon", "top-left", code=2)


def test_a_photograph_with_a_face_gives_a_sheet_of_heads_too(tmp_path: Path, face_models: Path) -> None:
    pytest.importorskip("numba")
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    photos.mkdir()
    write_image(photos / "face.png", np.asarray(data.astronaut()))
    write_image(photos / "cup.png", np.asarray(data.coffee()))
    command = ("fields", photos, "--variant", "faces", "--cache", cache, "--faces", face_models)
    assert json.loads(_run(*command, "--json").stdout)["pairs"] == 6
    heads = sorted(cache.glob("*-heads-*.npy"))
    assert [np.load(pair).shape for pair in heads] == [(240, 360, 8), (480, 720, 8)]
    stamps = {pair: pair.stat().st_mtime_ns for pair in cache.iterdir()}
    assert "6 pairs" in _run(*command).stdout
    assert {pair: pair.stat().st_mtime_ns for pair in cache.iterdir()} == stamps
    unused = _run("fields", photos, "--faces", face_models, code=2).stderr
    assert "fields.faces = false" in unused
    elsewhere = ("fields", photos, "--variant", "faces", "--cache", tmp_path / "other")
    wrong = _run(*elsewhere, "--faces", photos / "cup.png", code=1).stderr
    assert "MediaPipe's wheel" in wrong and wrong.count("\n") == 1


def test_a_missing_extra_is_one_sentence_with_the_install_line(photos: Path) -> None:
    code = f"""
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "numba" else find(name, *rest)
sys.argv = ["streamtoon", "dataset", "fields", {str(photos)!r}]
from streamtoon.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert install_line("train") in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_film_tools_need_no_extra(film: Path, tmp_path: Path) -> None:
    code = f"""
import sys
for name in ("torch", "skimage", "scipy", "safetensors", "onnx"):
    sys.modules[name] = None
sys.argv = ["streamtoon", "dataset", "frames", {str(film)!r}, {str(tmp_path / "out")!r}]
from streamtoon.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["frames", "check", "smooth", "fields", "collages"])
def test_help_shows_examples_and_loads_nothing_heavy(command: str) -> None:
    code = f"""
import sys
sys.argv = ["streamtoon", "dataset", {command!r}, "--help"]
from streamtoon.cli import main
try:
    main()
finally:
    print([name for name in ("av", "cv2", "numpy", "PIL", "skimage", "torch") if name in sys.modules])
"""
    environment = {**os.environ, "COLUMNS": "110"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False, env=environment
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert f"streamtoon dataset {command} " in done.stdout.split("Examples")[1]
