"""`streamtoon stream` to a WHIP server: aiortc, which is no part of FFmpeg."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stream_parts import count_and_beep, needs_ffmpeg, stream, wait_for
from tls_parts import Authority

aiortc = pytest.importorskip("aiortc")
web = pytest.importorskip("aiohttp.web")
pytestmark = [needs_ffmpeg, pytest.mark.realtime]


class Whip:
    """Takes one offer, and what follows (RFC 9725)."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray[Any, Any]] = []
        self.sounds = 0
        self.is_ended = False
        self.authorization: str | None = None

    async def offer(self, request: Any) -> Any:
        self.authorization = request.headers.get("Authorization")
        peer = self.peer = aiortc.RTCPeerConnection()
        self.tasks: list[Any] = []

        peer.on("track", lambda track: self.tasks.append(asyncio.ensure_future(self._take(track))))
        await peer.setRemoteDescription(aiortc.RTCSessionDescription(await request.text(), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        headers = {"Location": "/whip/1"}
        answer = peer.localDescription.sdp
        return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)

    async def end(self, _: Any) -> Any:
        self.is_ended = True
        await self.peer.close()
        return web.Response()

    async def _take(self, track: Any) -> None:
        with suppress(aiortc.mediastreams.MediaStreamError):
            while True:
                frame = await track.recv()
                if track.kind == "video":
                    self.pictures.append(frame.to_ndarray(format="gray"))
                else:
                    self.sounds += 1


@contextmanager
def whip_server(scheme: str, context: ssl.SSLContext | None) -> Iterator[tuple[str, Whip]]:
    whip, loop = Whip(), asyncio.new_event_loop()
    ready: list[int] = []
    app = web.Application()
    app.router.add_post("/whip", whip.offer)
    app.router.add_delete("/whip/1", whip.end)
    runner = web.AppRunner(app)

    async def serve() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        ready.append(runner.addresses[0][1])

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_for(lambda: ready)
    try:
        yield f"{scheme}://:secret@127.0.0.1:{ready[0]}/whip", whip
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_pictures_and_sound_reach_a_whip_server(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, authority = count_and_beep(tmp_path / "clip.mp4", 4), Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    context = authority.context("127.0.0.1") if scheme == "https" else None
    with (
        whip_server(scheme, context) as (url, whip),
        stream(clip, url, "--loop", "--keyframe-interval", "1") as running,
    ):
        wait_for(lambda: len(whip.pictures) > 30 and whip.sounds > 30)
        summary = running.stop()
    assert whip.authorization == "Bearer secret"
    assert whip.is_ended
    assert "secret" not in summary["stderr"] + summary["target"]
    assert any("re-encoded as libopus" in warning for warning in summary["warnings"])
    assert whip.pictures[-1].shape == (180, 320)
    assert max(picture.std() for picture in whip.pictures) > 20
