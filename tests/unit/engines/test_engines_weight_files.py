"""Where others' weights come from: a server of this machine in every mood, and no network at all."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engines.errors import StreamtoonError
from engines.pretrained import downloads as weight_files
from engines.pretrained.downloads import FILES, WeightFile, find_weights

CONTENT = bytes(range(256)) * 5000


class Files(BaseHTTPRequestHandler):
    """Serves CONTENT in one of several moods, chosen by the folder of the address."""

    def do_GET(self) -> None:
        mood = self.path.split("/")[1]
        if mood == "refusing":
            self.send_error(403)
            return
        if mood == "silent":
            time.sleep(3)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if mood in ("short", "stalling"):
            self.wfile.write(CONTENT[:700_000])
            self.wfile.flush()
            if mood == "stalling":
                time.sleep(3)
        else:
            self.wfile.write(CONTENT if mood == "good" else CONTENT[::-1])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/"
        http.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "streamtoon" / "weights"


def promise(folder: str) -> WeightFile:
    """CONTENT, to be had in that folder of the network."""
    return WeightFile("Net", f"{folder}net.pth", hashlib.sha256(CONTENT).hexdigest()[:8], 1, "--net")


def test_the_download_is_kept_and_not_repeated(
    cache: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    kept = find_weights(promise(server + "good/"), None)
    assert kept == cache / "net.pth" and kept.read_bytes() == CONTENT
    assert [path.name for path in cache.iterdir()] == [kept.name]
    assert f"{server}good/net.pth (about 1 MB, once)" in caplog.text
    assert find_weights(promise(server + "refusing/"), None) == kept


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("damaged", "the download is damaged: SHA-256 "),
        ("short", ""),
        ("refusing", "403"),
        ("silent", "timed out"),
        ("stalling", "timed out"),
    ],
)
def test_a_failed_download_is_one_sentence_and_leaves_nothing(
    cache: Path, server: str, monkeypatch: pytest.MonkeyPatch, mood: str, reason: str
) -> None:
    if reason == "timed out":
        monkeypatch.setattr(weight_files, "DOWNLOAD_TIMEOUT_S", 0.5)
    with pytest.raises(StreamtoonError) as caught:
        find_weights(promise(f"{server}{mood}/"), None)
    sentence = str(caught.value)
    assert reason in sentence and "\n" not in sentence
    assert f"{server}{mood}/net.pth" in sentence and sentence.endswith("--net")
    assert not list(cache.iterdir())


@pytest.mark.parametrize("address", ["http://nowhere.invalid/", "http://127.0.0.1:9/"])
def test_without_a_network_the_answer_comes_soon(cache: Path, address: str) -> None:
    started = time.monotonic()
    with pytest.raises(StreamtoonError, match=f"{address}net.pth cannot be downloaded .*--net"):
        find_weights(promise(address), None)
    assert time.monotonic() - started < 2 * weight_files.DOWNLOAD_TIMEOUT_S
    assert not list(cache.iterdir())


def test_a_file_that_is_given_is_taken_as_it_is(cache: Path, tmp_path: Path) -> None:
    given = tmp_path / "mine.pth"
    assert find_weights(FILES["vgg16"], given) == given and not cache.exists()


def test_without_a_cache_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with pytest.raises(StreamtoonError, match=r"no cache folder for VGG-19's .*vgg19-dcbb9e9d.pth .*--vgg19"):
        find_weights(FILES["vgg19"], None)


def test_the_publishers_name_their_files_by_their_hash() -> None:
    assert sorted(FILES) == ["faces", "inception", "vgg16", "vgg19"]
    for name, file in FILES.items():
        assert file.address.startswith("https://")
        if name == "faces":
            continue  # see below
        assert file.address.endswith(f"-{file.sha256}.pth") and len(file.sha256) == 8
        assert name in file.address.rpartition("/")[2] and file.option == f"--{name}"


def test_the_face_models_are_addressed_by_their_content(face_models: Path) -> None:
    """The package index names files by BLAKE2b with 256 bits."""
    file, content = FILES["faces"], face_models.read_bytes()
    digest = hashlib.blake2b(content, digest_size=32).hexdigest()
    assert f"/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{face_models.name}" in file.address
    assert hashlib.sha256(content).hexdigest().startswith(file.sha256)
    assert file.option == "--faces"
