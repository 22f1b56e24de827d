"""What several test files share."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

if "PYTEST_XDIST_WORKER" in os.environ:
    # pytest-xdist starts a worker per core. Threads of their own would only wait for each other, and these
    # libraries read their number of threads when they are loaded.
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ.setdefault(_name, "1")

import numpy as np
import pytest
from paths import ROOT
from run_folder import run_folder

LONG = (
    "test_container_steps.py",
    "test_training_torchrun.py",
    "test_web_site_memory.py",
    "test_training_ray.py",
)
"""Files whose few tests take minutes; the length of all others is told by their number of tests."""


def pytest_configure() -> None:
    """Make the run's folder before workers start, so that all of them share it."""
    run_folder()


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return None, a worker per core, for a tier of tests; 0, which is no worker, for everything else.

    Real-time tests mostly wait, so they do not disturb each other. Others would disturb them.
    """
    named = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
    if all(path.is_file() for path in named):
        return 0  # a second process would take longer to start than the tests take
    chosen = config.option.markexpr
    is_tier = chosen == "realtime" or "not e2e" in chosen or "not realtime" in chosen
    return None if is_tier else 0


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """What a shell starts in the background inherits an ignored SIGINT, and would wait for it for ever."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_own_styles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the tests may have styles of their own: the tests neither see nor touch them."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("data")
        patch.setenv("XDG_DATA_HOME", str(home))
        patch.setattr("engines.registry.style.data_folder", lambda name: home / "streamtoon" / name)
        yield


@pytest.fixture(scope="session")
def style_folder() -> Path:
    """A plain RGB style around a UNet, as `rgb_styles.make_style` makes it."""
    pytest.importorskip("torch")
    from rgb_styles import rgb_style

    return rgb_style().folder


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversions keep parts that are as short as those of `killed_job.py`."""
    from killed_job import LONGEST, SHORTEST

    monkeypatch.setattr("streamtoon.media.segments.segments.MIN_SEGMENT_FRAMES", SHORTEST)
    monkeypatch.setattr("streamtoon.media.segments.segments.MAX_SEGMENT_FRAMES", LONGEST)


@pytest.fixture(scope="session")
def uneven_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 pictures, unevenly timed, with key frames here and there and coded out of order; with a tone."""
    from media_clips import make_clip

    pts = [512 * n + 100 * (n % 3) for n in range(100)]
    folder = tmp_path_factory.mktemp("clips")
    return make_clip(folder / "clip.mp4", pts=pts, options={"g": "17", "bf": "3"})


@pytest.fixture(scope="session")
def uneven_cartoon(uneven_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run that nobody stops makes of it, in short parts and a process of its own."""
    from killed_job import finish

    target = tmp_path_factory.mktemp("whole") / "whole.mp4"
    finish(uneven_clip, target)
    return target


@pytest.fixture(scope="session")
def face_models() -> Path:
    """MediaPipe's wheel, from the variable STREAMTOON_FACES."""
    wheel = os.environ.get("STREAMTOON_FACES")
    if not wheel:
        pytest.skip(
            "STREAMTOON_FACES does not name MediaPipe's wheel (pip download --no-deps mediapipe==0.10.21)"
        )
    return Path(wheel)


@pytest.fixture(scope="session")
def vgg_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """VGG-16's and VGG-19's shapes with seeded random values: enough for shapes and gradients."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    from engines.pretrained.vgg import CHANNELS, convolutions

    folder, dice = tmp_path_factory.mktemp("vgg"), torch.Generator().manual_seed(0)
    files: dict[str, Path] = {}
    deepest_layers: dict[Literal["vgg16", "vgg19"], str] = {"vgg16": "conv5_3", "vgg19": "conv4_4"}
    for name, deepest in deepest_layers.items():
        state, width = {}, 3
        for layer, index in convolutions(name).items():
            if layer > deepest:
                break
            out = CHANNELS[layer[4]]
            scale = (2 / (9 * width)) ** 0.5
            state[f"features.{index}.weight"] = torch.randn(out, width, 3, 3, generator=dice) * scale
            state[f"features.{index}.bias"] = torch.zeros(out)
            width = out
        files[name] = folder / f"{name}.safetensors"
        save_file(state, files[name])
    return files


@pytest.fixture(scope="session")
def picture_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bright `photos`, dark `cartoons` and their `smoothed` copies: three each, of one size."""
    import cv2

    root, dice = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name in ("photos", "cartoons", "smoothed"):
        (root / name).mkdir()
    for n in range(3):
        for name, low in (("photos", 128), ("cartoons", 0)):
            noise = dice.integers(low, low + 128, (6, 5, 3), dtype=np.uint8)
            picture = cv2.resize(noise, (100, 120), interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(root / name / f"{n}.png"), picture)
        cv2.imwrite(str(root / "smoothed" / f"{n}.png"), cv2.GaussianBlur(picture, (0, 0), 3))
    return root


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in tests/e2e is of that tier. Long files come first, so that processes end together."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "e2e"):
            item.add_marker(pytest.mark.e2e)
    counts = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name not in LONG, -counts[item.path]))
