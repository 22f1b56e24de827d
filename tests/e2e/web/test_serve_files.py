"""Several whole files of one visitor, and how each shall be drawn: quality, part, size."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from serve_browser import apart
from serve_client import Page, ended, send_file, serving

from engines.common.image_files import read_image
from engines.registry.style import load_style, shipped_names
from streamtoon.api import Cartoonizer
from streamtoon.web.serve import clients as visitors_module
from streamtoon.web.serve.access import Access
from streamtoon.web.serve.gallery import SAMPLE
from streamtoon.web.serve.settings import Limits, ServeSettings

FFMPEG, FFPROBE = shutil.which("ffmpeg"), shutil.which("ffprobe")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None or FFPROBE is None, reason="ffmpeg or ffprobe is missing")
ENGINE = {"backend": "openvino", "device": "cpu", "precision": "fp32", "quality": "auto"}


def _clip(path: Path, seconds: float, rate: int = 10) -> bytes:
    source = f"testsrc2=size=128x72:rate={rate}"
    subprocess.run(
        [str(FFMPEG), "-v", "error", "-y", "-f", "lavfi", "-i", source, "-t", str(seconds), str(path)],
        check=True,
    )
    return path.read_bytes()


def _facts(path: Path) -> tuple[int, int, int]:
    """Width, height and number of frames, by ffprobe."""
    done = subprocess.run(
        [str(FFPROBE), "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
         "stream=width,height,nb_read_frames", "-of", "json", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    (stream,) = json.loads(done.stdout)["streams"]
    return stream["width"], stream["height"], int(stream["nb_read_frames"])


@needs_ffmpeg
def test_a_part_in_another_size_and_quality_is_what_the_command_would_have_drawn(tmp_path: Path) -> None:
    data = _clip(tmp_path / "clip.mp4", 3)
    with Cartoonizer("ink", quality="fast", engine="openvino", precision="fp32") as own:
        own.video(tmp_path / "clip.mp4", tmp_path / "own.mp4", start=0.5, end=2, size="64p")

    async def talk() -> None:
        async with serving(ServeSettings("ink", engine=ENGINE)) as (address, http, _):
            page = Page(http, address)
            await page.open()
            asked: dict[str, Any] = {"quality": "fast", "start": 0.5, "end": 2, "size": "64p"}
            assert (await send_file(page, data, name="clip.mp4", **asked))[0] == 202
            file = await ended(page)
            assert file["state"] == "done" and file["warnings"] == [], file
            async with http.get(f"{address}/visit/{page.id}/result/{file['id']}") as answer:
                (tmp_path / "got.mp4").write_bytes(await answer.read())

    asyncio.run(talk())
    assert _facts(tmp_path / "got.mp4") == (114, 64, 15)
    assert _frames(tmp_path / "got.mp4") == _frames(tmp_path / "own.mp4")


def _frames(path: Path) -> bytes:
    """Checksums of the frames, by FFmpeg."""
    command = [str(FFMPEG), "-v", "error", "-i", str(path), "-map", "0:v", "-f", "framemd5", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


@needs_ffmpeg
def test_finished_files_are_kept_side_by_side_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors_module, "MAX_FINISHED_FILES", 2)
    clips = [_clip(tmp_path / f"{n}.mp4", n, rate=5) for n in (1, 2)]

    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=ENGINE | {"quality": "fast"})) as (
            address,
            http,
            visitors,
        ):
            page = Page(http, address)
            await page.open()
            made = []
            for clip in clips:
                assert (await send_file(page, b"no video", name="x.mp4"))[0] == 202
                assert (await ended(page))["state"] == "failed"  # and makes room for the next one
                assert (await send_file(page, clip, name="clip.mp4"))[0] == 202
                made.append(await ended(page))
            assert [file["state"] for file in (await page.state())["files"]] == ["done", "done"]
            for file, frames in zip(made, (5, 10), strict=True):
                async with http.get(f"{address}/visit/{page.id}/result/{file['id']}") as answer:
                    (tmp_path / "got.mp4").write_bytes(await answer.read())
                assert _facts(tmp_path / "got.mp4")[2] == frames
            status, said = await send_file(page, clips[0], name="clip.mp4")
            assert status == 400 and "Download some" in said
            other = Page(http, address)
            await other.open()
            async with http.get(f"{address}/visit/{other.id}/result/{made[0]['id']}") as answer:
                assert answer.status == 404  # of another visitor
            for number in (made[0]["id"], "99", "..%2f..", "0"):
                answer = await page.post(f"visit/{page.id}/discard/{number}")
                assert answer.status in (200, 404)
            assert [file["id"] for file in (await page.state())["files"]] == [made[1]["id"]]
            assert (await send_file(page, clips[0], name="clip.mp4"))[0] == 202
            assert (await ended(page))["state"] == "done"
            await (await page.post(f"visit/{page.id}/leave")).read()
            assert list(visitors._folder.rglob("*")) == []

    asyncio.run(talk())


@needs_ffmpeg
def test_a_part_of_a_long_video_is_drawn_where_the_whole_is_refused(tmp_path: Path) -> None:
    data = _clip(tmp_path / "clip.mp4", 5)

    async def talk() -> None:
        settings = ServeSettings(
            "comic", engine=ENGINE | {"quality": "fast"}, limits=Limits(duration=2, pixels=0.02)
        )
        async with serving(settings) as (address, http, _):
            page = Page(http, address)
            await page.open()
            cases: list[tuple[dict[str, Any], str, str]] = [
                ({}, "failed", "is 0:05 long; the limit of this server is 0:02. Choose a shorter range"),
                ({"start": 1}, "failed", "is 0:04 long"),
                ({"start": 4}, "done", ""),
                ({"start": 1, "end": 2.5}, "done", ""),
                ({"start": 4, "size": "720p"}, "failed", "1280x720"),
                ({"start": 9}, "failed", ""),
            ]
            for query, state, said in cases:
                assert (await send_file(page, data, name="clip.mp4", **query))[0] == 202
                file = await ended(page)
                assert (file["state"], said in file.get("error", "")) == (state, True), file
                if state == "done":
                    assert file["warnings"] == []

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"quality": "best"}, "one of full, fast"),
        ({"quality": "auto"}, "one of full, fast"),
        ({"start": -1}, "start at 0 or later"),
        ({"start": "nan"}, "start at 0 or later"),
        ({"start": "inf"}, "start at 0 or later"),
        ({"start": 2, "end": 2}, "end after its start"),
        ({"end": "nan"}, "end after its start"),
        ({"end": "late"}, "end must be a number"),
        ({"size": "huge"}, "invalid size"),
        ({"size": "721p"}, "is odd"),
        ({"size": "99998x99998"}, "out of range"),
    ],
)
def test_what_cannot_be_is_refused_before_the_file_comes(query: dict[str, Any], said: str) -> None:
    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=ENGINE)) as (address, http, _):
            page = Page(http, address)
            await page.open()
            status, sentence = await send_file(page, b"x", name="clip.mp4", **query)
            assert (status, said in sentence) == (400, True), sentence
            assert (await page.state())["files"] == []

    asyncio.run(talk())


def test_qualities_are_those_of_the_style_unless_the_server_has_one() -> None:
    comic = load_style("comic")
    assert comic.lite is not None
    assert ServeSettings("comic", engine=ENGINE).qualities(comic) == ("full", "fast", "lite")
    assert ServeSettings("comic", engine=ENGINE | {"quality": "fast"}).qualities(comic) == ("fast",)
    assert "lite" not in ServeSettings("comic", engine=ENGINE).qualities(comic.lite)


# --- before anything is drawn ------------------------------------------------------------------------


def test_shipped_styles_show_at_once_what_they_make_of_the_sample() -> None:
    sample = read_image(Path(str(SAMPLE)))

    async def talk() -> None:
        settings = ServeSettings("comic", look={"levels": "3"}, engine=ENGINE)
        async with serving(settings) as (address, http, _):
            async with http.get(f"{address}/facts") as answer:
                styles = (await answer.json())["styles"]
            shown = {style["name"] for style in styles if style["preview"]}
            assert shown == set(shipped_names()) - {"comic"}  # whose look is another one here
            for name in shown:
                async with http.get(f"{address}/preview/{name}.jpg") as answer:
                    assert answer.content_type == "image/jpeg"
                    data = np.frombuffer(await answer.read(), np.uint8)
                picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
                assert picture is not None and picture.shape == (300, 480, 3)
                drawn = read_image(load_style(name).preview)[10:310, 480:]  # type: ignore[arg-type]
                assert np.abs(picture.astype(int) - drawn).mean() < 4
            # The photograph beside each of them is the sample.
            half = read_image(load_style("ink").preview)[10:310, :480]  # type: ignore[arg-type]
            small = np.asarray(cv2.resize(sample, (480, 300), interpolation=cv2.INTER_AREA), np.uint8)
            assert apart(small, half) < 4 < apart(small[:, 4:], half[:, :-4])
            for name in ("comic", "none", "..%2fcomic"):
                async with http.get(f"{address}/preview/{name}.jpg") as answer:
                    assert answer.status == 404

    asyncio.run(talk())


def test_without_the_token_a_browser_is_told_what_to_do() -> None:
    async def talk() -> None:
        async with serving(ServeSettings("comic", engine=ENGINE), Access("0.0.0.0")) as (address, http, _):
            async with http.get(f"{address}/") as answer:
                assert (answer.status, answer.content_type) == (401, "text/html")
                text = await answer.text()
                assert "?token=" in text and "Content-Security-Policy" in answer.headers
            for name in ("style.css", "icon.svg"):  # what that page is made of, and no more
                assert name in text
                async with http.get(f"{address}/{name}") as answer:
                    assert answer.status == 200
            async with http.get(f"{address}/page.js") as answer:
                assert answer.status == 401

    asyncio.run(talk())
