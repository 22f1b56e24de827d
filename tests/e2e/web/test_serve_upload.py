"""Whole files: sent, drawn by a process of their own, fetched; refused, cancelled, removed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from serve_client import Page, ended, send_file, serving, until

from streamtoon.api import Cartoonizer
from streamtoon.web.serve.settings import Limits, ServeSettings
from streamtoon.web.serve.upload import UploadRequest, clean_name

FFMPEG = shutil.which("ffmpeg")
pytestmark = pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is missing")
ENGINE = {"backend": "openvino", "device": "cpu", "precision": "fp32", "quality": "full"}


def _clip(path: Path, *, seconds: float = 1, size: str = "64x48", rate: int = 10) -> Path:
    subprocess.run(
        [str(FFMPEG), "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}",
         "-f", "lavfi", "-i", "sine=440", "-t", str(seconds), "-pix_fmt", "yuv420p",
         "-preset", "ultrafast", str(path)],
        check=True,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Minutes of work."""
    return _clip(tmp_path_factory.mktemp("long") / "clip.mp4", seconds=60, size="320x180", rate=30)


def _frames(path: Path) -> str:
    """Checksums of the pictures, by FFmpeg."""
    done = subprocess.run(
        [str(FFMPEG), "-v", "error", "-i", str(path), "-map", "0:v", "-f", "framemd5", "-"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("#"))


def test_a_file_comes_back_as_the_command_would_have_drawn_it(tmp_path: Path) -> None:
    clip = _clip(tmp_path / "clip.mp4", seconds=2)
    look = {"levels": 3, "paper_color": "#ffe0b0"}
    with Cartoonizer(
        "ink", look=look, strength=0.8, engine="openvino", precision="fp32", quality="full"
    ) as own:
        own.video(clip, tmp_path / "own.mp4", side_by_side=True)

    async def talk() -> None:
        # The server's own change of the first style stays where the visitor does not change that key.
        settings = ServeSettings("ink", look={"paper_color": "#ffe0b0"}, engine=ENGINE)
        async with serving(settings) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            asked: dict[str, Any] = {"style": "ink", "strength": 0.8, "side_by_side": 1}
            for bad in ('{"levels": 99}', '{"levls": 3}', "[1]", "{", '{"levels": true}'):
                status, said = await send_file(page, b"x", name="x.mp4", look=bad, **asked)
                assert status == 400 and "look" in said and len(said) < 1000
                assert (await page.state())["files"] == []
            status, _ = await send_file(
                page, clip.read_bytes(), name="Über “x”.mp4", look='{"levels": 3}', **asked
            )
            assert status == 202
            file = await ended(page)
            assert file["state"] == "done", file
            assert (file["name"], file["width"], file["height"]) == ("Über “x”_cartoon.mp4", 128, 48)
            async with http.get(f"{address}/visit/{page.id}/result/{file['id']}") as answer:
                assert answer.headers["Content-Disposition"] == (
                    'attachment; filename="_ber _x__cartoon.mp4"; '
                    "filename*=UTF-8''%C3%9Cber%20%E2%80%9Cx%E2%80%9D_cartoon.mp4"
                )
                assert answer.headers["Content-Type"] == "video/mp4"
                (tmp_path / "got.mp4").write_bytes(await answer.read())
            folder = visitors._folder
            assert [path.name for path in folder.rglob("*.*")] == ["cartoon.mp4"]  # what was sent is gone
            assert visitors.taken == 0
            # What was made is kept beside that of a photo after it.
            photo = (ROOT / "samples" / "photos" / "lake.jpg").read_bytes()
            assert (await send_file(page, photo, name="lake.jpg"))[0] == 202
            assert (await ended(page))["name"] == "lake_cartoon.jpg"
            assert sorted(path.name for path in folder.rglob("*.*")) == ["cartoon.jpg", "cartoon.mp4"]
            await (await page.post(f"visit/{page.id}/leave")).read()
            assert list(folder.rglob("*")) == []
        assert not folder.exists()

    asyncio.run(talk())
    assert _frames(tmp_path / "got.mp4") == _frames(tmp_path / "own.mp4")


def test_what_is_over_a_limit_or_no_video_is_refused_in_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    long = _clip(tmp_path / "long.mp4", seconds=4).read_bytes()
    wide = _clip(tmp_path / "wide.mp4", size="320x240").read_bytes()
    playlist = f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path}/long.mp4\n".encode()
    limits = Limits(sessions=1, upload=1, pixels=0.05, duration=3)

    async def chunked() -> Any:
        for _ in range(20):
            yield b"x" * 100_000

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=ENGINE, limits=limits)) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            for data, query, sentence in [
                (b"x" * 1_000_001, {}, "too large; the limit of this server is 1 MB"),
                (chunked(), {}, "too large; the limit of this server is 1 MB"),
                (b"", {}, "empty"),
                (b"x", {"style": "none"}, "does not have this style"),
                (b"x", {"strength": "nan"}, "from 0 to 1"),
                (b"x", {"strength": "much"}, "strength must be a number"),
            ]:
                status, said = await send_file(page, data, **query)
                assert (status, sentence in said) == (400, True), (status, said)
                assert (await page.state())["files"] == []
            for data, name, sentence in [
                (long, "a.mp4", "is 0:04 long; the limit of this server is 0:03"),
                (wide, "a.mp4", "320x240; the limit of this server is 0.05 megapixels"),
                (b"no video at all" * 99, "a.mp4", "a.mp4"),
                (b"no photo at all" * 99, "a.jpg", "not an image in a supported format"),
                (playlist, "list.m3u8", "list.m3u8"),
                (wide, "../../etc/passwd", "320x240"),
            ]:
                assert (await send_file(page, data, name=name))[0] == 202
                file = await ended(page)
                assert file["state"] == "failed" and sentence in file["error"], file
                assert str(tmp_path) not in file["error"] and "streamtoon-serve" not in file["error"]
                assert visitors.taken == 0
                async with http.get(f"{address}/visit/{page.id}/result/{file['id']}") as answer:
                    assert answer.status == 404
            await (await page.post(f"visit/{page.id}/discard/{file['id']}")).read()
            assert list(visitors._folder.rglob("*")) == []

    asyncio.run(talk())


def test_a_file_is_cancelled_at_once_and_its_place_given_to_another(long_clip: Path) -> None:
    clip = long_clip.read_bytes()

    async def talk() -> None:
        settings = ServeSettings("comic", engine=ENGINE, limits=Limits(sessions=1))
        async with serving(settings) as (address, http, visitors):
            one, other = Page(http, address), Page(http, address)
            await one.open()
            await other.open()
            assert (await send_file(one, clip, name="clip.mp4"))[0] == 202
            while "frames" not in (file := (await one.state())["files"][-1]):
                await asyncio.sleep(0.05)
            assert file["total"] == 1800 and file["state"] == "drawing"
            process = visitors.find(one.id).files[file["id"]]._process  # type: ignore[union-attr]
            assert process is not None
            status, said = await send_file(other, b"x", name="clip.mp4")
            assert status == 503 and "slots are in use" in said
            status, said = await send_file(one, b"x", name="clip.mp4")
            assert status == 400 and "Wait for it, or cancel it" in said
            await (await one.post(f"visit/{one.id}/discard")).read()
            await until(lambda: visitors.taken == 0, "the free place")
            assert process.returncode == -signal.SIGKILL
            assert (await one.state())["files"] == []
            assert list(visitors._folder.rglob("*")) == []
            # And whoever leaves takes a running job along.
            assert (await send_file(other, clip, name="clip.mp4"))[0] == 202
            await (await other.post(f"visit/{other.id}/leave")).read()
            await until(lambda: visitors.taken == 0, "the free place")
            assert list(visitors._folder.rglob("*")) == []

    asyncio.run(talk())


def test_the_worker_has_limits_and_ends_with_its_server(long_clip: Path, tmp_path: Path) -> None:
    code = """
import json, resource
from streamtoon.web.serve.settings import Limits
from streamtoon.web.serve.worker import _limit
_limit(Limits(upload=10, duration=60), 40_000_000)
names = ("CORE", "DATA", "CPU", "FSIZE", "NOFILE")
print(json.dumps([resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0] for name in names]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [0, 8 << 30, 300 + 120 * 60, 40_000_000, 256]

    order = UploadRequest("clip.mp4", "comic", 1.0)
    request = {
        "source": str(long_clip),
        "target": str(tmp_path / "out.mp4"),
        "limits": asdict(Limits()),
        "room": 10**9,
    }
    engine = {"engine": "openvino", "device": "cpu", "precision": "fp32", "quality": "full"}
    with subprocess.Popen(
        [sys.executable, "-m", "streamtoon.web.serve.worker"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(json.dumps(request | {"engine": engine} | asdict(order)) + "\n")
        worker.stdin.flush()
        assert "frames" in json.loads(worker.stdout.readline())
        worker.stdin.close()
        assert worker.wait(240) == 0
    assert not (tmp_path / "out.mp4").exists()


def test_ctrl_c_ends_the_command_its_worker_and_its_files(long_clip: Path, tmp_path: Path) -> None:
    clip = long_clip.read_bytes()
    server = subprocess.Popen(
        [sys.executable, "-m", "streamtoon", "serve", "--port", "0", "--precision", "fp32"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert server.stderr is not None
    try:
        found = re.search(r"open (http://127\.0\.0\.1:\d+)/ in a browser", server.stderr.readline())
        assert found

        async def talk() -> None:
            import aiohttp

            async with aiohttp.ClientSession() as http:
                page = Page(http, found[1])
                await page.open()
                assert (await send_file(page, clip, name="clip.mp4"))[0] == 202
                while "frames" not in (await page.state())["files"][-1]:
                    await asyncio.sleep(0.05)

        asyncio.run(talk())
        assert list(tmp_path.glob("streamtoon-serve-*/files/*/upload.mp4"))
        server.send_signal(signal.SIGINT)
        said = server.communicate(timeout=60)[1]
        assert said.strip() == "stopped"
        assert server.returncode == 0
        assert list(tmp_path.glob("streamtoon-serve-*")) == []
        alive = subprocess.run(["pgrep", "-g", str(server.pid)], capture_output=True, check=False).stdout
        assert alive == b""
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a/b\\c.mp4", "c.mp4"),
        ("..", "video"),
        ("", "video"),
        ("a\x00b\u202e.mp4", "ab.mp4"),
        ("x" * 300 + ".mp4", "x" * 100 + ".mp4"),
        ("\ud800.mp4", "?.mp4"),
    ],
)
def test_a_files_name_is_cleaned(name: str, clean: str) -> None:
    assert clean_name(name) == clean
    order = UploadRequest(clean, "comic", 1.0)
    assert "/" not in order.result and "\\" not in order.disposition
    assert order.suffix in ("", ".mp4")
