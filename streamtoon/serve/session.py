"""One visitor's live pictures: a WebRTC connection, a track that comes, a track that goes back."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.codecs import h264, vpx
from aiortc.mediastreams import MediaStreamError

from engines.picture import Picture
from streamtoon.errors import InputError
from streamtoon.media.webrtc import frame_of, picture_of
from streamtoon.serve.drawing import Drawing, Ends, Look
from streamtoon.serve.metrics import Metrics
from streamtoon.serve.settings import Settings, is_share

SILENCE = 15.0
"""Seconds without a picture or a word after which a page is taken for dead."""
TICK = 0.5
LONGEST_MESSAGE = 1000
PATIENCE = 10.0
"""Seconds that an offer may take to be answered."""
CANDIDATES = 64
log = logging.getLogger("streamtoon.serve")
for _codec in (vpx, h264):
    # Bits a second: aiortc's own are made for faces on blurred ground, and ink lines take more.
    vars(_codec).update(DEFAULT_BITRATE=2_000_000, MAX_BITRATE=6_000_000)
for _name in ("aiortc", "aioice"):
    # They warn of every damaged packet; without a handler Python would print that.
    logging.getLogger(_name).addHandler(logging.NullHandler())


class CartoonTrack(MediaStreamTrack):
    """Gives the newest cartoon; an older one that the encoder did not get to is gone."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._picture: Picture | None = None
        self._changed = asyncio.Event()

    def show(self, picture: Picture) -> None:
        """In the loop's thread."""
        self._picture = picture
        self._changed.set()

    async def recv(self) -> Any:
        """Wait for the next cartoon."""
        await self._changed.wait()
        self._changed.clear()
        picture, self._picture = self._picture, None
        if picture is None or self.readyState != "live":
            raise MediaStreamError
        return frame_of(picture)

    def stop(self) -> None:
        """Ends whoever waits for a picture."""
        super().stop()
        self._changed.set()


class Session:
    """From an offer to the end, whoever ends it: page, network, limit, or server.

    `on_end` is called once, when everything is freed, with a sentence where there is something to say.
    """

    def __init__(
        self,
        settings: Settings,
        styles: dict[str, str],
        look: Look,
        metrics: Metrics,
        on_end: Callable[[str | None], object],
    ) -> None:
        self._limits, self._styles, self._metrics, self._on_end = settings.limits, styles, metrics, on_end
        self._loop = asyncio.get_running_loop()
        servers = [RTCIceServer(f"stun:{settings.stun}")] if settings.stun else []
        # An empty list, and not none: aiortc would ask a server of somebody else's.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._track = CartoonTrack()
        self._channel: RTCDataChannel | None = None
        self._heard = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._drawn = asyncio.Event()
        self._said: str | None = None
        self._dropped = 0
        self._drawing = Drawing(
            settings.engine,
            settings.stabilize,
            look,
            Ends(
                show=self._from_thread(self._track.show),
                tell=self._from_thread(self._tell),
                timed=metrics.picture,
                ended=self._from_thread(self._has_drawn),
            ),
        )

    async def answer(self, offer: str) -> str:
        """Session descriptions (SDP). Raises InputError for an offer that is none, or asks for too much."""
        _check(offer)
        peer = self._peer
        peer.on("track", self._on_track)
        peer.on("datachannel", self._on_channel)
        peer.on("connectionstatechange", self._on_state)
        self._answering = self._loop.create_task(self._negotiate(offer))
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(self._answering)
        except Exception as error:  # whatever a parser of foreign text stumbles over
            log.warning("an offer of a connection cannot be answered: %.300r", error)
            raise InputError("That offer of a connection cannot be read; load the page again.") from error
        if self._ending is not None:
            raise InputError("This session was ended before it began.")
        self._start(self._watch())
        return peer.localDescription.sdp

    async def _negotiate(self, offer: str) -> None:
        await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self._peer.addTrack(self._track)
        await self._peer.setLocalDescription()

    def end(self, said: str | None = None) -> asyncio.Task[None]:
        """Begin to end it; the task is done when everything is freed."""
        if self._ending is None:
            self._ending = self._loop.create_task(self._end(said))
        return self._ending

    async def _end(self, said: str | None) -> None:
        if said is not None:
            self._send({"end": said})
            await asyncio.sleep(0.2)  # the sentence is still on its way
        self._drawing.end()
        if self._answering is not None:  # a peer that is closed while it opens its sockets forgets them
            with suppress(Exception):  # `answer` has told it
                async with asyncio.timeout(PATIENCE):
                    await asyncio.shield(self._answering)
        for task in self._tasks:
            task.cancel()
        self._track.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(self._peer.close(), *self._tasks, return_exceptions=True)
        await self._drawn.wait()
        self._on_end(said or self._said)

    # --- what comes ------------------------------------------------------------------------------

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._start(self._receive(track))

    async def _receive(self, track: MediaStreamTrack) -> None:
        last = -1
        try:
            while True:
                frame: Any = await track.recv()
                self._heard += 1
                self._limits.demand_pixels(frame.width, frame.height)
                last = max(last + 1, self._drawing.now())
                self._drawing.put(picture_of(frame, last))
        except MediaStreamError:
            self.end()
        except InputError as error:
            self.end(str(error))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if self._channel is None:
            self._channel = channel
            channel.on("message", self._on_message)

    def _on_message(self, message: str | bytes) -> None:
        self._heard += 1
        try:
            style, strength = read_look(message, self._styles)
        except InputError as error:
            self._send({"error": str(error)})
            return
        self._drawing.change(style, strength)

    def _on_state(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self.end()

    async def _watch(self) -> None:
        """Until the page falls silent; time in which this process did not run does not count."""
        quiet, heard = 0.0, self._heard
        while quiet < SILENCE:
            await asyncio.sleep(TICK)
            quiet = quiet + TICK if heard == self._heard else 0.0
            heard = self._heard
        self.end(
            "No picture came for a while. Pictures travel over UDP: something between the browser and the "
            "server may stop it."
        )

    # --- what goes -------------------------------------------------------------------------------

    def _tell(self, how: dict[str, Any]) -> None:
        self._metrics.count("pictures_dropped_total", how["dropped"] - self._dropped)
        self._dropped = how["dropped"]
        self._send(how)

    def _send(self, message: dict[str, Any]) -> None:
        channel = self._channel
        # A page that reads nothing must not fill our memory.
        if channel is not None and channel.readyState == "open" and channel.bufferedAmount < 65536:
            channel.send(json.dumps(message))

    def _has_drawn(self, said: str | None) -> None:
        self._said = said
        self._drawn.set()
        self.end(said)

    # --- threads and tasks -----------------------------------------------------------------------

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _from_thread(self, call: Callable[[Any], object]) -> Callable[[Any], object]:
        def later(value: Any) -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(call, value)

        return later


def read_look(message: str | bytes, styles: dict[str, str]) -> tuple[str | None, float | None]:
    """A page's message: a style and a strength, each None where it does not say. Raises InputError."""
    try:
        if len(message) > LONGEST_MESSAGE or not isinstance(message, str):
            raise ValueError
        said = json.loads(message)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise InputError("A message is a small JSON object.")
    style, strength = said.get("style"), said.get("strength")
    if style is not None and (not isinstance(style, str) or style not in styles):
        raise InputError("There is no such style here.")
    if strength is not None and not is_share(strength):
        raise InputError("strength is a number from 0 to 1.")
    return (None if style is None else styles[style]), strength


def _check(offer: str) -> None:
    """Holds it to one video and one channel: whatever else it asked for would be made."""
    lines = offer.splitlines()  # as aiortc does, which knows more line ends than the standard (RFC 8866)
    kinds = [line[2:].split(" ")[0] for line in lines if line.startswith("m=")]
    if sorted(kinds) not in (["video"], ["application", "video"]):
        raise InputError("An offer has one video, and at most one data channel.")
    if sum(line.startswith("a=candidate") for line in lines) > CANDIDATES:
        raise InputError(f"An offer names at most {CANDIDATES} ways to its sender.")
