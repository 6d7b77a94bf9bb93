"""`bazarutod health`: what it asks, what it makes of the answer, and how little it loads."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bazarutod import health
from bazarutod.ports import free_port

_HEAVY = {"typer", "rich", "grpc", "pydantic", "yaml", "libs", "http.client", "urllib.request", "ssl"}


class _Process(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/readyz": 200, "/healthz": 503}.get(self.path, 404))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A process that is ready, in a platform that is not healthy."""
    with HTTPServer(("127.0.0.1", 0), _Process) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_process_that_is_ready_is_healthy(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    health.run(address)
    health.run(f"http://{address}/readyz")
    assert capsys.readouterr().out == "healthy\nhealthy\n"


def test_answer_that_is_not_200_ends_with_its_reason(address: str) -> None:
    with pytest.raises(SystemExit, match=r"is not healthy: HTTP/1\.0 503 Service Unavailable"):
        health.run(f"http://{address}/healthz")
    with pytest.raises(SystemExit, match="404"):
        health.run(f"http://{address}/")


def test_address_where_nobody_listens_is_not_healthy() -> None:
    with pytest.raises(SystemExit, match=r"is not healthy: .*refused"):
        health.run(f"127.0.0.1:{free_port()}")


def test_process_that_hangs_is_not_healthy_before_the_check_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SystemExit, match="timed out"):
        health.run(f"127.0.0.1:{silent.getsockname()[1]}")


def test_server_that_speaks_no_http_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(SystemExit, match=r"is not healthy: SSH-2\.0"):
            health.run(f"127.0.0.1:{other.getsockname()[1]}")
        thread.join()


@pytest.mark.parametrize("text", ["users", "users-worker", "localhost:http", "127.0.0.1:80/readyz", "https://a:1/", ""])
def test_what_is_no_address_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        health.run(text)
    assert ended.value.code == 2
    assert "is neither HOST:PORT nor http://HOST:PORT/PATH" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("localhost:9101", ("localhost", 9101, "/readyz")),
        ("[::1]:9101", ("::1", 9101, "/readyz")),
        ("http://localhost:8080", ("localhost", 8080, "/readyz")),
        ("http://localhost:8080/healthz", ("localhost", 8080, "/healthz")),
        ("http://gateway/healthz", ("gateway", 80, "/healthz")),
    ],
)
def test_address_is_read_as_people_write_it(text: str, parts: tuple[str, int, str]) -> None:
    assert health._parts(text) == parts


def test_check_loads_neither_libraries_nor_the_configuration(address: str) -> None:
    code = "import sys; from bazarutod.__main__ import main; main(); print(*sys.modules)"
    asked = subprocess.run(
        [sys.executable, "-c", code, "health", address],
        env={"BAZARUTO_CONFIG": "/nowhere.yaml", "BAZARUTO_NONSENSE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    verdict, modules = asked.stdout.splitlines()
    assert verdict == "healthy"
    assert set(modules.split()) & _HEAVY == set()
