"""A page without a browser: aiortc sends moving pictures to a server and looks at what comes back."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from av import CodecContext, Packet, VideoFrame

from streamtoon.web.serve.access import Access
from streamtoon.web.serve.clients import Clients
from streamtoon.web.serve.server import opened
from streamtoon.web.serve.settings import ServeSettings

BINARY = {"Content-Type": "application/octet-stream"}


class Still(VideoStreamTrack):
    """One picture (RGB), 30 times a second."""

    def __init__(self, picture: np.ndarray[Any, Any]) -> None:
        super().__init__()
        self._picture = picture

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self._picture, format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU601"
        )
        frame.pts, frame.time_base = pts, time_base
        return frame


class Moving(VideoStreamTrack):
    """Soft shapes that move, 30 pictures a second."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        rows, columns = np.mgrid[0:height, 0 : 2 * width]
        self._wall = (96 + 64 * np.sin(rows / 19) * np.cos(columns / 23)).astype(np.uint8)
        self._width, self._n = width, 0

    def picture(self) -> VideoFrame:
        """The next one."""
        self._n += 3
        at = self._n % self._width
        grey = np.ascontiguousarray(self._wall[:, at : at + self._width])
        return VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")

    async def recv(self) -> Any:
        pts, time_base = await self.next_timestamp()
        frame = self.picture()
        frame.pts, frame.time_base = pts, time_base
        return frame


class Coded(Moving):
    """The same, coded once in advance: eight of these fit a machine that has a server to feed."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        coder = CodecContext.create("libvpx", "w")
        coder.width, coder.height, coder.pix_fmt = width, height, "yuv420p"
        coder.time_base, coder.options = Fraction(1, 30), {"deadline": "realtime", "cpu-used": "-6"}
        self._packets: list[Packet[Any]] = []
        for n in range(45):
            frame = self.picture()
            frame.pts, frame.time_base = n, Fraction(1, 30)
            self._packets += coder.encode(frame)
        self._packets += coder.encode(None)
        self._next = 0

    async def recv(self) -> Any:
        await self.next_timestamp()
        pts, time_base = await self.next_timestamp()  # every second time: 15 pictures a second
        packet = self._packets[self._next % len(self._packets)]
        self._next += 1
        packet.pts, packet.time_base = pts, time_base
        return packet


class Page:
    """One visitor: `open`, `go_live`, `send`, `close`; or `vanish`, as a killed browser does."""

    def __init__(self, http: aiohttp.ClientSession, address: str) -> None:
        self._http, self._address = http, address.rstrip("/")
        self._headers = {"Origin": self._address}
        self.id = ""
        self.frames = 0
        self.latest: Any = None
        self.messages: list[dict[str, Any]] = []
        self.peer: RTCPeerConnection | None = None
        self._channel: Any = None
        self._reader: asyncio.Task[None] | None = None
        self.opened = asyncio.Event()

    async def post(self, call: str, body: object = None) -> aiohttp.ClientResponse:
        return await self._http.post(
            f"{self._address}/{call}", json={} if body is None else body, headers=self._headers
        )

    async def open(self) -> None:
        self.id = (await (await self.post("visit")).json())["id"]

    async def state(self) -> dict[str, Any]:
        state: dict[str, Any] = await (await self._http.get(f"{self._address}/visit/{self.id}")).json()
        return state

    async def go_live(self, track: VideoStreamTrack, **look: object) -> str:
        """What the server says where it refuses; empty where it does not."""
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peer.on("track", self._on_track)
        self.peer.addTrack(track)
        self._channel = self.peer.createDataChannel("control")
        self._channel.on("message", lambda text: self.messages.append(json.loads(text)))
        self._channel.on("open", self.opened.set)
        await self.peer.setLocalDescription()
        answer = await self.post(f"visit/{self.id}/offer", {"sdp": self.peer.localDescription.sdp, **look})
        if answer.status != 200:
            await self.peer.close()
            return await answer.text()
        sdp = (await answer.json())["sdp"]
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        return ""

    def send(self, text: str) -> None:
        self._channel.send(text)

    async def frames_above(self, number: int, seconds: float = 240) -> None:
        async with asyncio.timeout(seconds):
            while self.frames <= number:
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        if self.peer is not None:
            await self.peer.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def vanish(self) -> None:
        """Nothing is said to the server: no word, no packet."""
        assert self.peer is not None
        transports = {t.receiver.transport.transport for t in self.peer.getTransceivers()}
        for transport in transports:
            for protocol in transport._connection._protocols:
                protocol.transport.abort()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._reader = asyncio.ensure_future(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                self.latest = await track.recv()
                self.frames += 1
        except MediaStreamError:
            return


@asynccontextmanager
async def serving(
    settings: ServeSettings, access: Access | None = None
) -> AsyncIterator[tuple[str, aiohttp.ClientSession, Clients]]:
    """A server on this machine, in this process: its address, a client without a memory, its visitors."""
    async with opened(settings, access or Access("127.0.0.1")) as (visitors, runner):
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield address, http, visitors


async def until(condition: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    """What `condition` gives once it gives anything."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"never came: {what}")


async def send_file(page: Page, data: Any, **query: object) -> tuple[int, str]:
    """The server's answer to a page's file."""
    http, address = page._http, page._address
    call = f"{address}/visit/{page.id}/file"
    data = io.BytesIO(data) if isinstance(data, bytes) else data
    async with http.post(
        call, data=data, params={k: str(v) for k, v in query.items()}, headers={"Origin": address} | BINARY
    ) as answer:
        return answer.status, await answer.text()


async def ended(page: Page) -> dict[str, Any]:
    """How a page's latest file came out."""
    while True:
        file: dict[str, Any] = (await page.state())["files"][-1]
        if file["state"] in ("done", "failed"):
            return file
        await asyncio.sleep(0.05)
