"""The gateway process: checks configuration and contracts, then runs the workers until SIGTERM.

It imports nothing that counts, traces or calls: with several workers the metrics must know, before they are
made, that they are shared, and gRPC must not be in use when workers are forked.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack, suppress
from threading import Timer
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings, HTTP2Settings
from granian.net import SocketHolder  # type: ignore[attr-defined]  # it is not in the stubs
from granian.server import MPServer

from gateway.contracts import descriptors, keys, rules
from gateway.http.exchange import networks
from libs import listening
from libs.config import Settings, load_or_exit
from libs.signals import SignalledEvent

DRAIN_SIGNAL = signal.SIGUSR1  # tells a worker: not ready any more, the end is near
_MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_HEADER_MILLISECONDS = 10_000
_HEADER_BYTES = 64 << 10  # a backstop; the application refuses more than 16 KiB with an error that tells why
_IDLE_CONNECTIONS = 4096  # in a worker, besides those with a request; granian counts both together
_FAREWELL = 0.5  # seconds after the drain in which callers who have come are answered and no others come
_STOP_SECONDS = 25  # for requests in flight to end


class Server(MPServer):
    """Granian, which on SIGTERM first tells the workers that they are not ready, and stops after the drain.

    The workers share one socket. Had each its own, as granian would have it, then callers that wait in the socket of
    a worker would be cut off when it is replaced.
    """

    listener: socket.socket
    drain_seconds = 0.0

    def _init_shared_socket(self) -> None:
        self._sso = self.listener
        self._shd: Any = SocketHolder(self.listener.fileno(), False, listening.BACKLOG)  # type: ignore[call-arg]

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """SIGHUP opens the log anew, here as everywhere; the workers stay."""
        self.pass_on(signal.SIGHUP)

    def pass_on(self, number: int, _frame: object = None) -> None:
        """Give a signal to the workers: they log, this process does not."""
        for worker in self.wrks:
            with suppress(ProcessLookupError):
                os.kill(worker.inner.pid, number)

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Begin to stop. The workers answer for the drain, accept nobody after it, and end."""
        self.pass_on(DRAIN_SIGNAL)
        Timer(self.drain_seconds + _FAREWELL, super().signal_handler_interrupt).start()


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        registry = descriptors.load(settings.gateway.descriptors)
        rules.build(registry, settings.services)
        keys.publisher(registry, settings.services)
    except (descriptors.RuleError, OSError, ValueError) as error:
        sys.exit(f"contracts: {error}")
    try:
        networks(settings.gateway.trusted_proxies)
    except ValueError as error:
        sys.exit(f"configuration: gateway.trusted_proxies: {error}")
    multiprocessing.set_start_method("fork")  # the workers get the socket by it
    with ExitStack() as stack:
        if settings.gateway.workers > 1:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bazaruto-gateway-"))
            os.environ[_MULTIPROCESS_FOLDER] = folder
        try:
            listener = listening.passed_socket() or listening.open_socket(settings.gateway.listen)
        except OSError as error:
            sys.exit(f"gateway.listen: {settings.gateway.listen}: {error.strerror}")
        if listener.getsockname()[1] != int(settings.gateway.listen.rpartition(":")[2]):
            sys.exit(f"gateway.listen: {settings.gateway.listen}: the socket that was passed is another address")
        _server(settings, listener).serve()


def _server(settings: Settings, listener: socket.socket) -> Server:
    host, _, port = settings.gateway.listen.rpartition(":")
    server = Server(
        "gateway.worker:application",
        factory=True,
        address=host,
        port=int(port),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        websockets=False,
        workers=settings.gateway.workers,
        backpressure=settings.gateway.max_in_flight + _IDLE_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MILLISECONDS, max_buffer_size=_HEADER_BYTES),
        http2_settings=HTTP2Settings(max_concurrent_streams=100, max_headers_size=_HEADER_BYTES),
        workers_kill_timeout=_STOP_SECONDS,
        respawn_failed_workers=True,
        log_access=False,
        log_enabled=False,
    )
    server.listener = listener
    server.main_loop_interrupt = SignalledEvent()
    server.drain_seconds = settings.drain.total_seconds()
    signal.signal(signal.SIGUSR2, server.pass_on)
    return server


def main(arguments: list[str]) -> None:
    """`python -m gateway.main serve`."""
    if arguments[1:] != ["serve"]:
        sys.exit("usage: python -m gateway.main serve")
    serve(load_or_exit(Settings))


if __name__ == "__main__":
    main(sys.argv)
