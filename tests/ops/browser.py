"""A headless Chromium, driven over a pipe by the DevTools protocol: enough to log in, to look, and to take pictures."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

from tests.ops.programs import program

_PATIENCE = 30.0  # seconds
_QUIET = "background-networking component-update sync quic gpu default-apps extensions dev-shm-usage".split()


class Page:
    """The one page of a browser. What its console and its policy complain of is kept in `complaints`."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._received = b""
        self._number = 0
        self._session = ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, url: str, width: int = 1400, height: int = 1000, *, dark: bool = False) -> None:
        """Go to a page, in a window of that size."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        evaluation = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in evaluation, evaluation
        return evaluation["result"].get("value")

    def wait(self, condition: str, seconds: float = _PATIENCE) -> None:
        """Until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            text = "document.body?.innerText.slice(0, 3000)"
            assert time.monotonic() < deadline, f"never: {condition}\n{self.run(text)}\n{self.complaints}"
            time.sleep(0.1)

    def type(self, selector: str, text: str) -> None:
        """Put text into a field, as a keyboard does."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self._call("Input.insertText", text=text)

    def text(self, selector: str) -> str:
        """What is to be read in an element."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._received:
            ready, _, _ = select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(self._read, 1 << 20) if ready else b""
            assert part, "the browser says nothing more"
            self._received += part
        line, _, self._received = self._received.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif event.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])


@contextmanager
def running_browser() -> Iterator[Page]:
    """A browser with a profile of its own, until the block ends."""
    flags = [f"--disable-{name}" for name in _QUIET]
    to_browser, from_browser = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="bazaruto-browser-", ignore_cleanup_errors=True) as profile:
        # The browser reads commands from descriptor 3 and answers on 4; a shell puts the pipes there.
        moved = f'exec "$0" "$@" 3<&{to_browser[0]} 4>&{from_browser[1]}'
        options = ["--headless", "--no-sandbox", "--no-first-run", "--remote-debugging-pipe", *flags]
        process = subprocess.Popen(
            ["bash", "-c", moved, program("chromium"), *options, f"--user-data-dir={profile}"],
            pass_fds=(to_browser[0], from_browser[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        try:
            yield Page(to_browser[1], from_browser[0])
        finally:
            os.close(to_browser[1])  # a browser that nobody commands any more ends by itself
            os.close(from_browser[0])
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
