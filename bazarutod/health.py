"""`bazarutod health`: what the health check of a container or a script runs, where there is no curl.

Every container runs it every ten seconds. So it reads no configuration, and a socket is all that it loads: the
libraries that would ask for it take more time than the answer.
"""

from __future__ import annotations

import socket
import sys

_SECONDS = 2.0  # for connecting, and for each part of the answer
_LONGEST = 256  # bytes of a status line


def run(address: str) -> None:
    """Print `healthy`, or end the program: with 1 when the process cannot do its work, with 2 when it is no address."""
    try:
        host, port, path = _parts(address)
    except ValueError:
        print(f"{address} is neither HOST:PORT nor http://HOST:PORT/PATH", file=sys.stderr)
        sys.exit(2)
    try:
        status = _status_line(host, port, path)
    except OSError as error:
        sys.exit(f"{address} is not healthy: {error}")
    if status.split(" ")[1:2] != ["200"]:
        sys.exit(f"{address} is not healthy: {status or 'it says nothing'}")
    print("healthy")


def _parts(address: str) -> tuple[str, int, str]:
    """Host, port and path; of HOST:PORT it is `/readyz` of the process that shows its metrics there."""
    authority, slash, path = address.removeprefix("http://").partition("/")
    host, colon, port = authority.rpartition(":")
    if not colon and address.startswith("http://"):
        host, port = authority, "80"
    if not host or (slash and not address.startswith("http://")):
        raise ValueError(address)
    return host.strip("[]"), int(port), f"/{path}" if slash else "/readyz"


def _status_line(host: str, port: int, path: str) -> str:
    """The first line of the answer. `OSError` when there is none in time."""
    with socket.create_connection((host, port), _SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        line = b""
        while b"\r\n" not in line and len(line) < _LONGEST and (part := connection.recv(_LONGEST)):
            line += part
    return line.partition(b"\r\n")[0].decode(errors="replace")
