"""What a service or a worker shows over HTTP: `/metrics`, `/readyz`, and to its own machine `/debug/pprof/*`.

Copies of a service show theirs at a socket in a folder that they share. The process that started them asks all of
them whether they are ready, and passes a question for a profile on: `?pid=` says to which.
"""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from urllib.parse import parse_qs, urlsplit

from prometheus_client import CONTENT_TYPE_LATEST

from libs import profiling
from libs.telemetry import metrics

_TEXT = "text/plain; charset=utf-8"
_TRY_EVERY = 0.1  # seconds
_LONGEST = 70.0  # seconds; a profile runs for a minute at most
_PATIENCE = 1.0  # seconds for a copy to say whether it is ready
READY = "/readyz"
_PATHS = ("/metrics", READY, *(f"{profiling.PREFIX}{name}" for name in profiling.NAMES))

Answer = tuple[int, str, bytes]
Page = Callable[[str, str], Answer]
"""Takes the query and the authorization, and decides by itself whom it answers."""

_added: dict[str, Page] = {}


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection at a time, in a thread of its own."""

    protocol_version = "HTTP/1.1"
    server_version = "bazaruto"
    sys_version = ""
    timeout = 30
    copies: Path | None = None  # where copies show their profiles, in the process that started them

    def do_GET(self) -> None:
        """Show a page."""
        status, kind, body = self._answer()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log no request: a look at the metrics is of no interest."""

    def address_string(self) -> str:
        return ""

    def _answer(self) -> Answer:
        asked = urlsplit(self.path)
        if asked.path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, metrics.page()
        if asked.path == "/":
            return 200, _TEXT, "".join(f"{path}\n" for path in _PATHS).encode()
        if page := _added.get(asked.path):
            return page(asked.query, self.headers.get("authorization", ""))
        name = asked.path.removeprefix(profiling.PREFIX)
        if name == asked.path or name not in ("", *profiling.NAMES) or not self._is_from_here():
            return 404, _TEXT, b"there is no such page\n"
        if self.copies:
            return _ask_copy(self.copies, parse_qs(asked.query).get("pid", [""])[0], self.path)
        try:
            return 200, *profiling.answer(name, asked.query)
        except profiling.SecondsInvalid as error:
            return 400, _TEXT, f"seconds {error}\n".encode()
        except profiling.Busy as error:
            return 429, _TEXT, f"{error}\n".encode()

    def _is_from_here(self) -> bool:
        peer = self.client_address[0] if isinstance(self.client_address, tuple) else "127.0.0.1"  # a socket of ours
        return profiling.is_from_here(peer, self.headers.get("x-forwarded-for", ""))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def server_bind(self) -> None:
        """Listen, without asking the network for the name of this machine: that may take seconds."""
        TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that goes away is no fault of this process."""


class _SocketServer(_Server):
    address_family = socket.AF_UNIX


def add(path: str, page: Page) -> None:
    """Show another page, here and at the socket of a copy."""
    _added[path] = page


def readiness(problem: str) -> Answer:
    """What `/readyz` answers: why this process cannot do its work, or with an empty `problem` that it can."""
    if problem:
        return 503, _TEXT, f"unhealthy: {problem}\n".encode()
    return 200, _TEXT, b"healthy\n"


def readiness_of_copies(folder: Path) -> Answer:
    """What `/readyz` answers for copies: they are ready when there are some, and each of them is."""
    ready = 0
    for path in sorted(folder.glob("*.socket")):
        try:
            status, _, _ = _ask(path, READY, _PATIENCE)
        except (ConnectionRefusedError, FileNotFoundError):
            continue  # it has ended, and another one takes its place
        except (OSError, http.client.HTTPException):
            return readiness(f"copy {path.stem} does not answer")
        if status != 200:
            return readiness(f"copy {path.stem} is not ready")
        ready += 1
    return readiness("" if ready else "there is no copy yet")


def serve(address: str, copies: Path | None = None) -> ThreadingHTTPServer:
    """Show the pages at `http://address/`, from threads of their own, as long as the process lives."""
    host, _, port = address.rpartition(":")
    handler = type("Handler", (_Handler,), {"copies": copies})
    return _run(_Server((host, int(port)), handler))


def serve_after(address: str, copies: Path | None = None) -> None:
    """Show the pages as soon as the process that shows its own there is gone: counts of two must not mix."""

    def wait() -> None:
        while True:
            with suppress(OSError):
                serve(address, copies)
                return
            time.sleep(_TRY_EVERY)

    threading.Thread(target=wait, name="pages", daemon=True).start()


def serve_to_parent(folder: Path) -> None:
    """Show the profiles of this copy to the process that started it."""
    path = folder / f"{os.getpid()}.socket"
    _run(_SocketServer(str(path), _Handler))  # type: ignore[arg-type]


def _run(server: _Server) -> _Server:
    threading.Thread(target=server.serve_forever, name="pages", daemon=True).start()
    return server


def _ask_copy(folder: Path, pid: str, path: str) -> Answer:
    """Pass a question on to a copy: the one that is named, or any that answers."""
    for socket_path in sorted(folder.glob("*.socket")):
        if pid in ("", socket_path.stem):
            with suppress(OSError, http.client.HTTPException):
                return _ask(socket_path, path)
    return 404, _TEXT, f"there is no copy {pid}\n".encode()


def ask_others(folder: Path, question: str, authorization: str, seconds: float) -> Iterator[bytes]:
    """What the other copies answer to a question, within so many seconds; those that do not are left out."""
    for socket_path in sorted(folder.glob("*.socket")):
        if socket_path.stem != str(os.getpid()):
            with suppress(OSError, http.client.HTTPException):
                status, _, body = _ask(socket_path, question, seconds, {"authorization": authorization})
                if status == 200:
                    yield body


def _ask(path: Path, question: str, seconds: float = _LONGEST, headers: Mapping[str, str] | None = None) -> Answer:
    connection = http.client.HTTPConnection("copy", timeout=seconds)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(seconds)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", question, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", _TEXT), answer.read()
    finally:
        connection.close()
