"""ONNX Runtime's build for browsers, from the npm registry: a reference for tests, not a part of the page."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import platformdirs
import pytest

PACKAGE = "onnxruntime-web@1.30.0"
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
DOWNLOAD_TIMEOUT_S = 400


def ort_web() -> Path:
    """Return a folder with FILES.

    It is that of STREAMTOON_ORT_WEB, else one in the user's cache that npm fills once. Skips the test where
    npm is missing or cannot download the package.
    """
    if named := os.environ.get("STREAMTOON_ORT_WEB"):
        return Path(named)
    folder = Path(platformdirs.user_cache_dir("streamtoon-tests")) / PACKAGE.replace("@", "-")
    if all((folder / name).is_file() for name in FILES):
        return folder
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm, which downloads {PACKAGE}, is missing")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), PACKAGE]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=DOWNLOAD_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm cannot download {PACKAGE}: {error}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        for name in FILES:
            member = packed.extractfile(f"package/dist/{name}")
            assert member is not None, f"{PACKAGE} has no {name}"
            part = folder / f"{name}.part"
            part.write_bytes(member.read())
            part.replace(folder / name)
    archive.unlink()
    return folder
