"""A Firefox, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi/) without geckodriver."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
START_TIMEOUT_S = 180
CALL_TIMEOUT_S = 900
PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "webgl.force-enabled": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
}
"""A camera that shows a test image, WebGL on any driver, and no requests of the browser's own."""


class Firefox:
    """One window. Calls come from one thread, and are made on an event loop of another one."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._number = 0
        self._await(self._connect(address))
        self._call("session.new", capabilities={})
        self._window = self._call("browsingContext.getTree")["contexts"][0]["context"]

    def get(self, address: str) -> None:
        """Open an address and wait until it has loaded."""
        self._call("browsingContext.navigate", context=self._window, url=address, wait="complete")

    def execute_script(self, script: str) -> Any:
        """Return the text, number or boolean that a function's body returns."""
        answer = self._call(
            "script.evaluate",
            expression=f"(() => {{ {script} }})()",
            target={"context": self._window},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    def execute_async_script(self, script: str, *given: Any) -> Any:
        """Return what a function's body hands to its last argument, which is a callback."""
        arguments = "".join(f"{json.dumps(one)}, " for one in given)
        answer = self._call(
            "script.evaluate",
            expression=f"new Promise((done) => {{ (function () {{ {script} }})({arguments}done); }})"
            ".then((value) => JSON.stringify(value))",
            target={"context": self._window},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def close(self) -> None:
        """End the connection; the browser is ended by the caller."""
        self._await(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _await(self, call: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(CALL_TIMEOUT_S)

    async def _connect(self, address: str) -> None:
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(f"{address}/session", max_msg_size=0)

    async def _disconnect(self) -> None:
        await self._socket.close()
        await self._http.close()

    def _call(self, method: str, **params: Any) -> Any:
        return self._await(self._ask(method, params))

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            answer = json.loads(await self._socket.receive_str())
            if answer.get("id") == self._number:
                assert answer["type"] == "success", answer
                return answer["result"]


@contextmanager
def firefox(profile: Path, display: int, **preferences: bool) -> Iterator[Firefox]:
    """Open Firefox on an X display; without one it has no WebGL.

    Args:
        profile: An empty folder.
        display: Number of the display.
        preferences: Of `about:config`, with `__` for every dot.
    """
    named = PREFERENCES | {name.replace("__", "."): value for name, value in preferences.items()}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in named.items()]
    (profile / "user.js").write_text("".join(lines))
    process = subprocess.Popen(
        [str(FIREFOX), "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"DISPLAY": f":{display}"},
    )  # fmt: skip
    try:
        browser = Firefox(_address(process))
        try:
            yield browser
        finally:
            browser.close()
    finally:
        process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:  # it waits for what it was asked to draw
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    """Return the address that Firefox prints once it listens."""
    assert process.stderr is not None
    late = threading.Timer(START_TIMEOUT_S, process.kill)
    late.start()
    try:
        for line in process.stderr:
            if "WebDriver BiDi listening on " in line:
                return line.rpartition(" ")[2].strip()
    finally:
        late.cancel()
    raise AssertionError(f"Firefox has not started within {START_TIMEOUT_S} s")
