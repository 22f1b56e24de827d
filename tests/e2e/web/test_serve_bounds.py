"""What holds whatever a visitor does: length, time and room of uploads, one session each, failures told."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from serve_client import Moving, Page, ended, send_file, serving, until

from engines.registry.style import load_style
from streamtoon.cli.serve import serve as serve_command
from streamtoon.errors import OutputError, StreamtoonError
from streamtoon.web.serve import metrics
from streamtoon.web.serve import upload as upload_module
from streamtoon.web.serve.access import Access
from streamtoon.web.serve.quota import RESERVED_BYTES, DiskQuota
from streamtoon.web.serve.render_session import RenderChoice
from streamtoon.web.serve.server import serve
from streamtoon.web.serve.settings import Limits, ServeSettings

FFMPEG, FFPROBE = shutil.which("ffmpeg"), shutil.which("ffprobe")
ENGINE = {"backend": "auto", "device": "cpu", "precision": "fp32", "quality": "fast"}


def _length(path: Path) -> float:
    done = subprocess.run(
        [str(FFPROBE), "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout)


@pytest.mark.skipif(FFMPEG is None or FFPROBE is None, reason="ffmpeg or ffprobe is missing")
def test_a_header_that_lies_of_its_length_does_not_outlast_the_limit(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    subprocess.run(
        [
            str(FFMPEG),
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=64x48:rate=10",
            "-t",
            "8",
            str(clip),
        ],
        check=True,
    )
    # Matroska's Duration (id 0x4489), a double of 8 bytes, in milliseconds.
    data = clip.read_bytes()
    at = data.index(bytes.fromhex("448988")) + 3
    short = data[:at] + bytes.fromhex("408f400000000000") + data[at + 8 :]  # 1000.0
    clip.write_bytes(short)
    assert _length(clip) == 1.0

    async def talk() -> None:
        settings = ServeSettings("comic", engine=ENGINE, limits=Limits(duration=3))
        async with serving(settings) as (address, http, _):
            page = Page(http, address)
            await page.open()
            assert (await send_file(page, short, name="clip.mkv"))[0] == 202
            file = await ended(page)
            assert file["state"] == "done", file
            assert "at most 0:03 of it were drawn" in " ".join(file["warnings"])
            async with http.get(f"{address}/visit/{page.id}/result/{file['id']}") as answer:
                (tmp_path / "got.mp4").write_bytes(await answer.read())

    asyncio.run(talk())
    assert 2.9 <= _length(tmp_path / "got.mp4") <= 3.1


def test_a_sender_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_module, "UPLOAD_TIMEOUT_S", 1.0)

    async def drip() -> Any:
        while True:
            yield b"x"
            await asyncio.sleep(0.1)

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=ENGINE)) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            async with asyncio.timeout(60):
                status, said = await send_file(page, drip(), name="clip.mp4")
            assert (status, said) == (400, "The upload was too slow or stopped. Send the file again.")
            assert visitors.taken == 0 and list(visitors._folder.iterdir()) == []

    asyncio.run(talk())


def test_room_on_the_disk_is_promised_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    free = RESERVED_BYTES + 1000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, free))
    disk, (one, two, three) = DiskQuota(tmp_path), (tmp_path / name for name in "123")
    assert disk.reserve(one, 100, 200) == 200  # 500 of 1000
    assert disk.reserve(two, 100, 400) == 200  # the other 500
    with pytest.raises(OutputError, match="enough disk space"):
        disk.reserve(three, 1, 400)
    one.mkdir()
    (one / "upload").write_bytes(b"x" * 100)
    free -= 100  # what is written of a promise is not counted twice
    with pytest.raises(OutputError, match="enough disk space"):
        disk.reserve(three, 1, 400)
    disk.release(one)
    assert disk.reserve(three, 100, 400) == 150
    shutil.rmtree(one)
    with pytest.raises(OutputError, match="enough disk space"):
        DiskQuota(tmp_path).reserve(one, 400, 400)


@pytest.mark.parametrize(
    ("code", "logged"),
    [
        (
            r"import sys; sys.stdout.buffer.write(b'\xff\xfe{\n' * 3); raise KeyError('a bug')",
            "KeyError: 'a bug'",
        ),
        ("print('x' * (2 << 20))", "drawing a file failed"),
        ("print(7)", "drawing a file failed"),
    ],
)
def test_a_worker_that_fails_frees_its_place_and_is_in_the_log(
    code: str, logged: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = [sys.executable, "-c", f"import sys; sys.stdin.readline(); {code}"]
    monkeypatch.setattr(upload_module, "WORKER", worker)

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=ENGINE)) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            assert (await send_file(page, b"x", name="clip.mp4"))[0] == 202
            async with asyncio.timeout(60):
                assert (await ended(page))["state"] == "failed"
            await until(lambda: visitors.taken == 0, "the free place")
            async with http.get(f"{address}/metrics") as answer:
                assert "streamtoon_jobs_failed_total 1.0\n" in await answer.text()

    asyncio.run(talk())
    assert logged in caplog.text


def test_two_offers_at_once_leave_one_session_and_whoever_left_gets_none() -> None:
    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=ENGINE)) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            assert await page.go_live(Moving(64, 48)) == ""
            visitor = visitors.find(page.id)
            assert visitor is not None and page.peer is not None
            offer = page.peer.localDescription.sdp
            open_files = len(list(Path("/proc/self/fd").iterdir()))

            def again() -> asyncio.Task[str]:
                return asyncio.create_task(
                    visitors.answer(visitor, offer, RenderChoice(load_style("comic"), 1.0))
                )

            waiting = [again() for _ in range(3)]
            await asyncio.wait(waiting)
            assert visitors.taken == 1 and visitor.session is not None
            assert [one for one in waiting if one.exception() is None] != []
            late = again()
            await asyncio.sleep(0)
            visitors.leave(visitor)
            with pytest.raises(StreamtoonError, match="closed"):
                await late
            await until(lambda: visitors.taken == 0, "the free place")
            await page.close()
            await until(lambda: len(list(Path("/proc/self/fd").iterdir())) < open_files, "closed sockets")

    asyncio.run(talk())


def test_an_offer_that_cannot_be_answered_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=ENGINE)) as (address, http, _):
            page = Page(http, address)
            await page.open()
            offer = "v=0\r\nm=video 9 x 1\r\na=fingerprint:sha-256 00\r\n"
            answer = await page.post(f"visit/{page.id}/offer", {"sdp": offer})
            assert answer.status == 400

    caplog.set_level(logging.WARNING, "streamtoon.web.serve")
    asyncio.run(talk())
    assert re.search(r"cannot answer a WebRTC offer: \w+Error\(", caplog.text)


@pytest.mark.parametrize(
    "stun", ["stun.example.org", "stun:stun.example.org:3478", "a:0", "a:99999", "a b:1"]
)
def test_a_stun_server_is_a_host_and_a_port(stun: str) -> None:
    app = typer.Typer()
    app.command()(serve_command)
    done = CliRunner().invoke(app, ["--stun", stun, "--host", "203.0.113.1", "--port", "0"])
    assert done.exit_code == 2
    assert "HOST:PORT" in done.output


@pytest.fixture
def broken_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the user's own, with a card that is none."""
    folder = tmp_path / "styles" / "broken"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text("no card", encoding="utf-8")
    monkeypatch.setattr("engines.registry.style.user_styles_folder", lambda: folder.parent)


def test_a_damaged_style_of_ones_own_is_left_out(
    broken_style: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk() -> None:
        async with serving(ServeSettings("ink", engine=ENGINE)) as (address, http, _):
            async with http.get(f"{address}/facts") as answer:
                names = [style["name"] for style in (await answer.json())["styles"]]
            assert names[0] == "ink" and "broken" not in names

    asyncio.run(talk())
    assert "skipping style broken" in caplog.text


def test_a_server_that_cannot_begin_leaves_no_folder(
    broken_style: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    for style, host, said in (
        ("comic", "203.0.113.1", "not an address of this machine"),
        ("none-such", "::1", "none-such"),
    ):
        with pytest.raises(StreamtoonError, match=said):
            asyncio.run(serve(ServeSettings(style), Access("127.0.0.1"), host, 0, tls=None, ready=print))
    assert list(place.iterdir()) == []


def test_strength_is_the_servers_where_a_call_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def answer(self: Any, visitor: Any, offer: str, choice: RenderChoice) -> str:
        asked.append(choice.strength)
        return ""

    monkeypatch.setattr("streamtoon.web.serve.clients.Clients.answer", answer)

    async def talk() -> None:
        async with serving(ServeSettings("comic", strength=0.3, engine=ENGINE)) as (address, http, visitors):
            page = Page(http, address)
            await page.open()
            for body in ({"sdp": ""}, {"sdp": "", "strength": 0.5}, {"sdp": "", "strength": 0}):
                assert (await page.post(f"visit/{page.id}/offer", body)).status == 200
            assert (await send_file(page, b"x", name="clip.mp4"))[0] == 202
            asked.append(next(iter(visitors.find(page.id).files.values())).request.strength)  # type: ignore[union-attr]

    asyncio.run(talk())
    assert asked == [0.3, 0.5, 0.0, 0.3]


def test_memory_is_counted_in_pages_of_the_systems_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]
    assert abs(metrics._memory_bytes() - resident) < 0.1 * resident
    own, size = os.sysconf, os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(os, "sysconf", lambda name: 16 * size if name == "SC_PAGE_SIZE" else own(name))
    assert metrics._memory_bytes() > 10 * resident
