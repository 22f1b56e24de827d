"""Folders of network shares: no locks or no fsync means no resuming, said once, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ffprobe import ffprobe
from PIL import Image

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD"),
    pytest.mark.skipif(
        shutil.which("gcc") is None, reason="no gcc here to build the library that plays a share"
    ),
]

# Below the folder FOLDER, POSIX locks fail with the error NO_LOCK and fsync with NO_SYNC, where they are set.
LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int file, const char *variable) {
    const char *value = getenv(variable), *folder = getenv("FOLDER");
    char link[64], path[PATH_MAX] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (!value || !folder || readlink(link, path, sizeof path - 1) < 0) return 0;
    if (strncmp(path, folder, strlen(folder))) return 0;
    errno = atoi(value);
    return 1;
}

#define CONTROL(name) \
    int name(int file, int what, ...) { \
        va_list list; \
        va_start(list, what); \
        void *argument = va_arg(list, void *); \
        va_end(list); \
        int locks = what == F_SETLK || what == F_SETLKW || what == F_OFD_SETLK; \
        if (locks && fails(file, "NO_LOCK")) return -1; \
        int (*next)(int, int, ...) = dlsym(RTLD_NEXT, #name); \
        return next(file, what, argument); \
    }
CONTROL(fcntl)
CONTROL(fcntl64)

#define SYNC(name) \
    int name(int file) { \
        if (fails(file, "NO_SYNC")) return -1; \
        int (*next)(int) = dlsym(RTLD_NEXT, #name); \
        return next(file); \
    }
SYNC(fsync)
SYNC(fdatasync)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "share.c").write_text(LIBRARY)
    built = folder / "share.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", str(built), str(folder / "share.c"), "-ldl"],
        check=True,
        timeout=120,
    )
    return built


def run(
    library: Path, share: Path, refused: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    share.mkdir()
    environment = {**os.environ, **refused, "FOLDER": str(share), "LD_PRELOAD": str(library)}
    return subprocess.run(
        [sys.executable, "-m", "streamtoon", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize("refused", [{"NO_LOCK": "11"}, {"NO_LOCK": "37"}, {"NO_SYNC": "22"}])
def test_a_video_is_drawn_and_one_warning_says_that_it_cannot_be_resumed(
    library: Path, uneven_clip: Path, tmp_path: Path, refused: dict[str, str]
) -> None:
    share = tmp_path / "share"
    options = ("--quality", "lite", "--to", "0.5")
    done = run(library, share, refused, "video", str(uneven_clip), str(share / "out.mp4"), *options)
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1 and "cannot be resumed" in warnings[0], done.stderr
    assert "nother streamtoon" not in done.stderr
    assert [path.name for path in share.iterdir()] == ["out.mp4"]
    found = ffprobe(share / "out.mp4", "-count_frames", "-select_streams", "v", "-show_streams")
    assert int(found["streams"][0]["nb_read_frames"]) == sum(
        512 * n + 100 * (n % 3) < 6400 for n in range(100)
    )


def test_a_photo_needs_no_fsync(library: Path, tmp_path: Path) -> None:
    photo, share = tmp_path / "in.png", tmp_path / "share"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(photo)
    done = run(library, share, {"NO_SYNC": "22"}, "image", str(photo), str(share / "out.png"), "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in share.iterdir()] == ["out.png"]
    with Image.open(share / "out.png") as image:
        assert image.size == (64, 48)


def test_a_disk_that_fails_is_no_share(library: Path, tmp_path: Path) -> None:
    """EIO: what was written may not be there."""
    photo, share = tmp_path / "in.png", tmp_path / "share"
    Image.new("RGB", (64, 48)).save(photo)
    done = run(library, share, {"NO_SYNC": "5"}, "image", str(photo), str(share / "out.png"), "-q")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert list(share.iterdir()) == []
