"""How a process says that it can do its work: the datagram that systemd calls sd_notify.

`NOTIFY_SOCKET` names the socket of whoever started the process: systemd, `bazarutod up`, or the parent of copies.
Unlike a question at a port, it tells which of two processes at the same port has become ready.
"""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

SOCKET = "NOTIFY_SOCKET"
_READY = b"READY=1"


def tell() -> None:
    """Say that this process is ready; nothing happens when nobody asked. It may be said more than once."""
    path = os.environ.get(SOCKET, "")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):  # who asked may be gone
        sender.setblocking(False)  # or hears no more: then enough of it waits there
        sender.sendto(_READY, f"\0{path[1:]}" if path.startswith("@") else path)


class Awaited:
    """Hears whether one started process is ready: give it `environment`, and `close` in the end."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bazaruto-ready-")
        path = Path(self._folder.name) / "socket"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._ready = False
        self.environment = {SOCKET: str(path)}

    @property
    def is_ready(self) -> bool:
        """Whether it has said so."""
        with suppress(BlockingIOError):
            while not self._ready:
                self._ready = _READY in self._socket.recv(4096).splitlines()
        return self._ready

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
        self._folder.cleanup()
