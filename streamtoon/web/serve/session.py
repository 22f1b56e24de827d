"""A live session: a WebRTC connection with an incoming track and the cartoon as outgoing track."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
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

from engines.frame import Frame
from engines.registry.look_changes import with_look
from engines.registry.style import Style
from streamtoon.errors import InputError, StreamtoonError
from streamtoon.media.webrtc import av_from_frame, frame_from_av
from streamtoon.web.serve.metrics import Metrics
from streamtoon.web.serve.render_session import RenderCallbacks, RenderChoice, RenderSession
from streamtoon.web.serve.settings import ServeSettings, is_share, look_changes

SILENCE_TIMEOUT_S = 15.0
"""A session ends after this time without a frame or a message."""
TICK_S = 0.5
MAX_MESSAGE_CHARACTERS = 4000
"""Enough for every key of a look."""
OFFER_TIMEOUT_S = 10.0
"""For an offer to be answered."""
MAX_CANDIDATES = 64
log = logging.getLogger("streamtoon.web.serve")
for _codec in (vpx, h264):
    # Bits per second: aiortc's defaults suit faces on a blurred background; ink lines need more.
    vars(_codec).update(DEFAULT_BITRATE=2_000_000, MAX_BITRATE=6_000_000)
for _name in ("aiortc", "aioice"):
    # They warn about every damaged packet; without a handler Python would print that.
    logging.getLogger(_name).addHandler(logging.NullHandler())


class CartoonTrack(MediaStreamTrack):
    """A track that sends the newest cartoon; older ones are dropped."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._picture: Frame | None = None
        self._changed = asyncio.Event()

    def show(self, picture: Frame) -> None:
        """Set the next frame to send. Call it in the loop's thread."""
        self._picture = picture
        self._changed.set()

    async def recv(self) -> Any:
        """Wait for the next cartoon and return it."""
        await self._changed.wait()
        self._changed.clear()
        picture, self._picture = self._picture, None
        if picture is None or self.readyState != "live":
            raise MediaStreamError
        return av_from_frame(picture)

    def stop(self) -> None:
        """Stop the track and wake up `recv`."""
        super().stop()
        self._changed.set()


class ServeSession:
    """A live session, from the offer to its end by the page, the network, a limit or the server.

    `on_end` is called once, when everything is freed, with a message for the user or None.
    """

    def __init__(
        self,
        settings: ServeSettings,
        styles: Mapping[str, Style],
        choice: RenderChoice,
        metrics: Metrics,
        on_end: Callable[[str | None], object],
    ) -> None:
        self._limits, self._styles, self._metrics, self._on_end = settings.limits, styles, metrics, on_end
        self._style = choice.style.name
        self._loop = asyncio.get_running_loop()
        servers = [RTCIceServer(f"stun:{settings.stun}")] if settings.stun else []
        # An empty list instead of None: aiortc would otherwise use a public STUN server.
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
        self._drawing = RenderSession(
            settings.engine_settings(choice.style, choice.strength),
            choice,
            RenderCallbacks(
                show=self._from_thread(self._track.show),
                tell=self._from_thread(self._tell),
                timed=metrics.picture,
                ended=self._from_thread(self._has_drawn),
            ),
        )

    async def answer(self, offer: str) -> str:
        """Answer an offer (SDP). Raises InputError for an invalid offer, or one that asks for too much."""
        _check(offer)
        peer = self._peer
        peer.on("track", self._on_track)
        peer.on("datachannel", self._on_channel)
        peer.on("connectionstatechange", self._on_state)
        self._answering = self._loop.create_task(self._negotiate(offer))
        try:
            async with asyncio.timeout(OFFER_TIMEOUT_S):
                await asyncio.shield(self._answering)
        except Exception as error:  # anything that a parser of untrusted text may raise
            log.warning("cannot answer a WebRTC offer: %.300r", error)
            raise InputError("The connection offer is invalid. Reload the page.") from error
        if self._ending is not None:
            raise InputError("The session was ended before it started.")
        self._start(self._watch())
        return peer.localDescription.sdp

    async def _negotiate(self, offer: str) -> None:
        await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self._peer.addTrack(self._track)
        await self._peer.setLocalDescription()

    def end(self, said: str | None = None) -> asyncio.Task[None]:
        """Start to end the session; the task is done when everything is freed."""
        if self._ending is None:
            self._ending = self._loop.create_task(self._end(said))
        return self._ending

    async def _end(self, said: str | None) -> None:
        if said is not None:
            self._send({"end": said})
            await asyncio.sleep(0.2)  # let the message arrive
        self._drawing.end()
        if self._answering is not None:  # closing a peer while it opens its sockets would leak them
            with suppress(Exception):  # `answer` reports it
                async with asyncio.timeout(OFFER_TIMEOUT_S):
                    await asyncio.shield(self._answering)
        for task in self._tasks:
            task.cancel()
        self._track.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(OFFER_TIMEOUT_S):
                await asyncio.gather(self._peer.close(), *self._tasks, return_exceptions=True)
        await self._drawn.wait()
        self._on_end(said or self._said)

    # --- incoming --------------------------------------------------------------------------------

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._start(self._receive(track))

    async def _receive(self, track: MediaStreamTrack) -> None:
        last = -1
        try:
            while True:
                frame: Any = await track.recv()
                self._heard += 1
                self._limits.require_pixels(frame.width, frame.height)
                last = max(last + 1, self._drawing.now())
                self._drawing.put(frame_from_av(frame, last))
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
            style, strength = read_choice(message, self._styles, self._style)
        except StreamtoonError as error:
            self._send({"error": str(error)})
            return
        if style is not None:
            self._style = style.name
        self._drawing.change(style, strength)

    def _on_state(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self.end()

    async def _watch(self) -> None:
        """Wait until the page is silent for too long; time while this process is suspended does not count."""
        quiet, heard = 0.0, self._heard
        while quiet < SILENCE_TIMEOUT_S:
            await asyncio.sleep(TICK_S)
            quiet = quiet + TICK_S if heard == self._heard else 0.0
            heard = self._heard
        self.end(
            "No video arrived for a while. Live video uses UDP, which a firewall between the browser and the "
            "server may block."
        )

    # --- outgoing --------------------------------------------------------------------------------

    def _tell(self, how: dict[str, Any]) -> None:
        self._metrics.count("pictures_dropped_total", how["dropped"] - self._dropped)
        self._dropped = how["dropped"]
        self._send(how)

    def _send(self, message: dict[str, Any]) -> None:
        channel = self._channel
        # A page that does not read must not fill our memory.
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


def read_choice(
    message: str | bytes, styles: Mapping[str, Style], chosen: str
) -> tuple[Style | None, float | None]:
    """Read a page's message: a style with its look, and a strength; each None if not given.

    The look of the message replaces earlier changes to the style's own look. Without a style it is for the
    `chosen` one. Raises InputError and StyleError.
    """
    try:
        if len(message) > MAX_MESSAGE_CHARACTERS or not isinstance(message, str):
            raise ValueError
        said = json.loads(message)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise InputError("A message must be a small JSON object.")
    style, strength = said.get("style"), said.get("strength")
    if style is not None and (not isinstance(style, str) or style not in styles):
        raise InputError("This server does not have this style.")
    if strength is not None and not is_share(strength):
        raise InputError("strength must be a number from 0 to 1.")
    if style is None and said.get("look") is None:
        return None, strength
    return with_look(styles[style or chosen], look_changes(said.get("look"))), strength


def _check(offer: str) -> None:
    """Check that an offer has one video and at most one data channel, as aiortc would create anything."""
    lines = offer.splitlines()  # as aiortc splits lines, at more characters than RFC 8866
    kinds = [line[2:].split(" ")[0] for line in lines if line.startswith("m=")]
    if sorted(kinds) not in (["video"], ["application", "video"]):
        raise InputError("An offer must have one video and at most one data channel.")
    if not any(line.startswith("a=fingerprint:") for line in lines):  # RFC 8827, 6.5: encryption is required
        raise InputError("An offer must have the fingerprint of a certificate.")
    if sum(line.startswith("a=candidate") for line in lines) > MAX_CANDIDATES:
        raise InputError(f"An offer may have at most {MAX_CANDIDATES} candidates.")
