"""Sockets that wait for callers: whether an address is free, and a socket that outlives the process that serves it.

A socket that is passed on loses no connection when a process is replaced: callers wait in it. `GATEWAY_SOCKET` is
how `bazarutod up` passes it; systemd's socket units do it by `LISTEN_PID` and `LISTEN_FDS`.
"""

from __future__ import annotations

import errno
import os
import socket
import stat

PASSED = "GATEWAY_SOCKET"
BACKLOG = 2048
_FIRST_OF_SYSTEMD = 3  # sd_listen_fds(3)


def open_socket(address: str) -> socket.socket:
    """Listen at `HOST:PORT`. `OSError` when somebody does already."""
    host, _, port = address.rpartition(":")
    opened = socket.create_server((host.strip("[]"), int(port)), family=_family(host), backlog=BACKLOG)
    opened.setblocking(False)
    return opened


def passed_socket() -> socket.socket | None:
    """The socket that whoever started this process had opened for it."""
    if number := os.environ.pop(PASSED, ""):
        return socket.socket(fileno=int(number))
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1":
        passed = socket.socket(fileno=_FIRST_OF_SYSTEMD)
        passed.setblocking(False)
        return passed
    return None


def leave_callers_to_others(address: str) -> None:
    """Accept no more connections at an address, while those that are open go on and other processes accept there.

    Servers can only close everything. They would cut off a connection that has come and has not asked yet, and send
    their callers away while their own socket still takes some of them. So the socket gives way to one that nobody
    calls.
    """
    port = int(address.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nobody.setblocking(False)
        for number in [int(name) for name in os.listdir("/proc/self/fd")]:
            if _accepts_at(number, port):
                os.dup2(nobody.fileno(), number)


def _accepts_at(number: int, port: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        with socket.socket(fileno=os.dup(number)) as one:
            return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) and one.getsockname()[1] == port
    except OSError:  # no socket, or closed meanwhile
        return False


def is_taken(address: str) -> bool:
    """Whether somebody listens at an address, even one who would share it."""
    host, _, port = address.rpartition(":")
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
