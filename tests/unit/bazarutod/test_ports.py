"""Ports that are drawn side by side are different ones."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bazarutod import ports

_DRAW_MANY = """
from bazarutod import ports
ports._RANGE = range(10_000, 10_600)
print(*(ports.free_port() for _ in range(100)))
"""


@pytest.fixture(autouse=True)
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of drawn ports that is not the one of the run."""
    monkeypatch.setenv(ports.DRAWN, str(tmp_path))
    return tmp_path


def test_drawn_port_is_not_drawn_again_although_nobody_listens(monkeypatch: pytest.MonkeyPatch, drawn: Path) -> None:
    monkeypatch.setattr(ports, "_RANGE", range(10_000, 10_030))
    found = [ports.free_port() for _ in range(15)]
    assert len(set(found)) == 15
    assert {int(mark.name) for mark in drawn.iterdir()} == set(found)


def test_programs_side_by_side_draw_different_ports() -> None:
    command = [sys.executable, "-c", _DRAW_MANY]
    running = [
        subprocess.Popen(command, env=dict(os.environ), cwd=Path(__file__).parents[3], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    found = [port for program in running for port in program.communicate(timeout=30)[0].split()]
    assert len(found) == 400
    assert len(set(found)) == 400


def test_port_that_somebody_has_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_RANGE", range(port, port + 1))
        monkeypatch.setattr(ports, "_TRIES", 10)
        with pytest.raises(ports.NoFreePort, match=str(port)):
            ports.free_port()


def test_without_a_folder_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch, drawn: Path) -> None:
    monkeypatch.delenv(ports.DRAWN)
    assert ports.free_port() in range(10_000, 32_000)
    assert list(drawn.iterdir()) == []
