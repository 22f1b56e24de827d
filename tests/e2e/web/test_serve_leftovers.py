"""What killed processes leave is swept, and only what can be drawn is offered."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from serve_client import Page, serving
from serve_process import serve

from engines.errors import StyleError
from engines.importing.importer import _building
from engines.registry.style import load_style
from streamtoon.web.serve import temporary
from streamtoon.web.serve.settings import Limits, ServeSettings

ENGINE = {"backend": "auto", "device": "cpu", "precision": "fp32", "quality": "fast"}
SETTINGS = ServeSettings("comic", engine=ENGINE, limits=Limits(upload=1))


def test_what_a_killed_server_has_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").write_text("")
    (elsewhere / "precious").write_text("kept")
    place = tmp_path / "tmp"
    place.mkdir()
    (place / "streamtoon-serve-link").symlink_to(elsewhere)
    older = place / "streamtoon-serve-older"  # of a version without locks: it may be running
    older.mkdir()
    first, _ = serve(place)
    living, _ = serve(place)
    mine = {folder.name for folder in place.iterdir()} - {"streamtoon-serve-link", older.name}
    assert len(mine) == 2
    for name in mine:
        upload = place / name / "files" / "1"
        upload.mkdir()
        (upload / "upload.mp4").write_bytes(b"x" * 1000)
    first.kill()
    first.communicate()
    third, _ = serve(place)
    try:
        left = {folder.name for folder in place.iterdir()} & mine
        assert len(left) == 1, "the living one's stays, the killed one's is gone"
        assert (place / left.pop() / "files" / "1" / "upload.mp4").is_file()
        assert (elsewhere / "precious").read_text() == "kept" and older.is_dir()
    finally:
        for process in (living, third):
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
    assert {folder.name for folder in place.iterdir()} == {"streamtoon-serve-link", older.name}
    assert temporary.PREFIX == "streamtoon-serve-"


STUCK = """
import threading
from streamtoon.cli import main
from streamtoon.web.serve.gallery import Gallery

Gallery._draw = lambda *_: [print("drawing", flush=True), threading.Event().wait()]
main()
"""


def test_a_server_ends_though_a_thread_of_its_own_does_not(tmp_path: Path) -> None:
    process, address = serve(tmp_path, program=("-c", STUCK), stdout=subprocess.PIPE)
    try:
        url = urlsplit(address)
        with socket.create_connection((url.hostname, url.port)) as asking:
            asking.send(b"GET /style/comic.webp HTTP/1.1\r\nHost: %s\r\n\r\n" % url.netloc.encode())
            assert process.stdout is not None and process.stdout.readline() == "drawing\n"
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=240)[1].strip() == "stopped"
            assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_only_styles_that_the_servers_quality_can_draw_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Any:
        style = load_style(name)
        return replace(style, lite=None) if name == "ink" else style

    monkeypatch.setattr("streamtoon.web.serve.settings.load_style", load)
    lite = ENGINE | {"quality": "lite"}
    assert "ink" not in ServeSettings("comic", engine=lite).styles()
    assert "ink" in ServeSettings("comic", engine=ENGINE).styles()
    with pytest.raises(StyleError, match="ink has no lite network; choose another --style or --quality"):
        ServeSettings("ink", engine=lite).styles()

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=lite)) as (address, http, _):
            async with http.get(f"{address}/facts") as answer:
                names = [style["name"] for style in (await answer.json())["styles"]]
            assert names[0] == "comic" and "ink" not in names
            async with http.get(f"{address}/style/ink.webp") as answer:
                assert answer.status == 404

    asyncio.run(talk())


def test_an_offer_without_a_fingerprint_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"

    async def talk() -> None:
        async with serving(SETTINGS) as (address, http, _):
            page = Page(http, address)
            await page.open()
            answer = await page.post(f"visit/{page.id}/offer", {"sdp": offer})
            assert (answer.status, await answer.text()) == (
                400, "An offer must have the fingerprint of a certificate.",
            )  # fmt: skip

    asyncio.run(talk())
    assert "Traceback" not in caplog.text


def test_what_a_killed_styles_add_has_left_is_swept_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.importing.importer.user_styles_folder", lambda: tmp_path)
    for name, age in ((".adding-old", 2 * 3600), (".adding-now", 60), ("mine", 2 * 3600)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "generator.onnx").write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with _building("new") as part:
        assert part.is_dir()
    assert sorted(folder.name for folder in tmp_path.iterdir()) == [".adding-now", "mine", "new"]
