"""`streamtoon stream` over RTSP, UDP, RTP and HLS, and into files."""

from __future__ import annotations

import functools
import http.server
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from stopped_runs import wait_until_signals_are_heard
from stream_parts import (
    HANG,
    RATE,
    SIZE,
    SLOW_ENGINE,
    count_and_beep,
    ffmpeg,
    free_port,
    needs_ffmpeg,
    number,
    received,
    stream,
    wait_for,
    wait_for_listener,
    written,
)

from streamtoon import Cartoonizer

pytestmark = [needs_ffmpeg, pytest.mark.realtime]
SYNC = 0.040


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return count_and_beep(tmp_path_factory.mktemp("clip") / "clip.mp4", 3)


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def check(path: Path | str, clip: Path, beeps: int, untimed: int = 0) -> None:
    got = received(path)
    assert got.rises(untimed)
    assert got.keys[0]
    assert set(got.sound) <= set(received(clip).sound)
    assert len(set(got.sound)) > 4
    assert len(got.offsets) >= beeps
    assert max(map(abs, got.offsets)) <= SYNC


def test_a_file_in_its_own_time_into_a_file(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    began = time.monotonic()
    with stream(clip, target, "--bitrate", "4M") as running:
        wait_for(lambda: list(tmp_path.glob(".out.mp4.*")))
        assert not target.exists(), "hidden until it is whole"
        summary = running.ended()
    assert time.monotonic() - began > 2.9
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]
    check(target, clip, 2)
    got, source = received(target), received(clip)
    assert summary["pictures_in"] == 3 * RATE
    assert len(got.luma) == summary["pictures_out"] == 3 * RATE - summary["dropped"] - summary["skipped"]
    assert len(got.luma) > 2, "however busy this machine is"
    whole = tmp_path / "whole.mp4"
    with Cartoonizer(quality="lite") as cartoonizer:
        cartoonizer.video(clip, whole)
    drawn = received(whole)
    for n in (1, len(got.luma) // 2, -1):
        place = number(got.luma[n])
        assert got.times[n] - got.times[0] == pytest.approx(
            source.times[place] - source.times[number(got.luma[0])], abs=0.02
        )
        live, cartoon, before = (
            each.astype(float) for each in (got.luma[n], drawn.luma[place], source.luma[place])
        )
        assert np.abs(live - cartoon).mean() < 4, "as a file is drawn"
        assert np.abs(live - before).mean() > 2 * np.abs(live - cartoon).mean(), "and not the source"


def test_ctrl_c_ends_a_file_well(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with stream(clip, target, "--loop", "--keyframe-interval", "1") as running:
        wait_for(lambda: written(tmp_path) > 30_000)
        summary = running.stop()
    assert len(received(target).times) == summary["pictures_out"] > 0


def test_ctrl_c_before_the_start_is_an_interruption(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live/x"
        with stream(url, tmp_path / "out.mkv", "--retry") as running:
            wait_until_signals_are_heard(running.process)
            running.process.send_signal(signal.SIGINT)
            out, err = running.process.communicate(timeout=HANG)
    assert (running.process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_rtsp_out(clip: Path, tmp_path: Path) -> None:
    port = free_port()
    url = f"rtsp://127.0.0.1:{port}/live"
    there = tmp_path / "there.mkv"
    with ffmpeg("-rtsp_flags", "listen", "-i", url, "-c", "copy", there) as server:
        wait_for_listener(port)
        with stream(clip, url) as running:
            running.ended()
            server.wait(HANG)
    check(there, clip, 2, untimed=1)  # FFmpeg's RTSP listener gives nobody's first picture a time


def test_udp_both_ways(clip: Path, tmp_path: Path) -> None:
    there, back = f"udp://127.0.0.1:{free_port()}", f"udp://127.0.0.1:{free_port()}"
    target = tmp_path / "out.ts"
    send = ("-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "mpegts", f"{there}?pkt_size=1316")
    take = ("-i", f"{back}?fifo_size=100000&buffer_size=1000000", "-c", "copy", "-copyts", target)
    with ffmpeg(*send), ffmpeg(*take), stream(there, back, "--keyframe-interval", "1") as running:
        wait_for(lambda: target.exists() and target.stat().st_size > 130_000)
        summary = running.stop()
    assert summary["source_reconnects"] == summary["target_reconnects"] == 0
    got = received(target)
    assert got.rises()
    assert len(got.offsets) >= 2
    assert max(map(abs, got.offsets)) <= SYNC


def test_hls_in_and_out(clip: Path, tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here, 12:30"
    there.mkdir()
    here.mkdir()
    hls = ("-f", "hls", "-hls_time", "1", "-hls_list_size", "5", "-hls_flags", "delete_segments")
    make = ("-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", *hls, there / "live.m3u8")
    playlist = here / "out.m3u8"
    with ffmpeg(*make), web_server(there) as url:
        wait_for(lambda: len(list(there.glob("*.ts"))) > 1)
        with stream(f"{url}/live.m3u8", playlist, "--keyframe-interval", "1") as running:
            wait_for(lambda: len(list(here.glob("out-*.ts"))) > 2)
            assert "#EXT-X-ENDLIST" not in playlist.read_text()
            summary = running.stop()
    text = playlist.read_text()
    assert text.rstrip().endswith("#EXT-X-ENDLIST")
    assert "file:" not in text
    assert str(tmp_path) not in text
    lengths = [float(line[8:].rstrip(",")) for line in text.splitlines() if line.startswith("#EXTINF:")]
    assert summary["dropped"] < summary["pictures_in"] * 3 / 4, (
        "segments come at once, pictures in their time"
    )
    with av.open(str(playlist), options={"allowed_extensions": "ALL"}) as opened:
        assert (opened.streams.video[0].width, opened.streams.video[0].height) == SIZE
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join((here / n).read_bytes() for n in text.splitlines() if n.endswith(".ts")))
    got = received(joined)
    assert all(0.96 < length < 1.04 + got.gap for length in lengths[:-1]), "a key frame comes with a frame"
    assert got.rises()
    assert len(got.offsets) >= 2
    assert max(map(abs, got.offsets)) <= SYNC


def test_sound_that_the_target_cannot_hold_is_encoded_again(clip: Path, tmp_path: Path) -> None:
    opus = tmp_path / "opus.mkv"
    with ffmpeg("-i", clip, "-c:v", "copy", "-c:a", "libopus", opus) as coding:
        assert coding.wait(HANG) == 0
    target = tmp_path / "out.m3u8"
    with stream(opus, target) as running:
        summary = running.ended()
    assert any("re-encoded as aac" in warning for warning in summary["warnings"])
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(file.read_bytes() for file in sorted(tmp_path.glob("out-*.ts"))))
    got = received(joined)
    assert got.rises()
    assert len(got.offsets) >= 2
    assert max(map(abs, got.offsets)) <= SYNC


def test_an_engine_slower_than_the_source_drops_pictures_and_keeps_the_sound(tmp_path: Path) -> None:
    clip = count_and_beep(tmp_path / "clip.mp4", 4)
    target = tmp_path / "out.mkv"
    with stream(clip, target, program=SLOW_ENGINE) as running:
        summary = running.ended()
    assert summary["pictures_in"] + summary["skipped"] == 4 * RATE
    assert summary["dropped"] > 2 * RATE, "drawn at 2 a second, and nothing is kept waiting"
    assert summary["pictures_out"] == summary["pictures_in"] - summary["dropped"] > 1
    got = received(target)
    assert got.rises()
    assert len(got.times) == summary["pictures_out"]
    assert set(got.sound) <= set(received(clip).sound)
    assert max(got.dts["audio"]) == pytest.approx(4, abs=0.1)
